"""How much memory a model needs, from what its file or its ``config.json`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.fit import cache_bytes_per_token
from ..errors import InputError
from .gguf import MetadataValue

__all__ = ["Memory", "memory_needed", "metadata_of_config"]

_CONFIG_KEYS = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
}


@dataclass(frozen=True)
class Memory:
    """What a loaded model takes, in bytes.

    Attributes:
        weights: The weights.
        token: One token in the cache.
        tokens: Tokens in the cache.
    """

    weights: int
    token: int
    tokens: int

    @property
    def cache(self) -> int:
        """The cache."""
        return self.token * self.tokens

    @property
    def total(self) -> int:
        """Both."""
        return self.weights + self.cache


def memory_needed(
    metadata: Mapping[str, MetadataValue],
    *,
    weights: int,
    samples: int,
    context: int,
    cache_type: str = "f16",
) -> Memory:
    """What a model needs for a number of paths at once, as if they shared nothing.

    What paths share is held once, so they need less than this.

    Args:
        metadata: What the file says; see ``metadata_of_config`` for a ``config.json``.
        weights: Bytes of its weights.
        samples: Verification paths.
        context: Tokens of each.
        cache_type: What keys and values are stored as.

    Raises:
        InputError: A number is not positive, or there is no such type.
        ModelFileError: What the file says makes no sense.
    """
    if samples < 1 or context < 1:
        raise InputError(f"samples and context must be at least 1, not {samples} and {context}")
    return Memory(weights, cache_bytes_per_token(metadata, cache_type), samples * context)


def metadata_of_config(config: Mapping[str, Any]) -> dict[str, MetadataValue]:
    """The sizes in a ``config.json``, under the names that GGUF files use."""
    family = str(config.get("model_type", ""))
    metadata: dict[str, MetadataValue] = {"general.architecture": family}
    for key, name in _CONFIG_KEYS.items():
        size = config.get(name)
        if type(size) is int and 0 < size < 2**63:
            metadata[f"{family}.{key}"] = size
    return metadata
