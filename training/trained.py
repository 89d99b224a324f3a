"""A trained model: from the folder of a run, or from a file that ``training.export`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from genprm_sdk.errors import ModelFileError
from genprm_sdk.models.gguf import MetadataValue, read_gguf_metadata, text_value, whole_value

from .export import gguf_names
from .recipe import load_recipe
from .sft import Shape, load_weights
from .tokenizer import load_tokenizer, tokenizer_of_pieces

__all__ = ["TrainedModel", "model_of_file", "model_of_run", "trained_model"]

LARGEST = 1_000_000
"""Of a size that a file claims."""


@dataclass(frozen=True)
class TrainedModel:
    """What it takes to go on training a model, or to let it solve exercises.

    Attributes:
        name: The model's name.
        domains: The worlds it was trained on.
        shape: Its sizes.
        tokenizer: Its vocabulary.
        weights: Float32, by ``transformers``' Qwen2 names; of a quantised file, what the file has kept.
    """

    name: str
    domains: tuple[str, ...]
    shape: Shape
    tokenizer: Tokenizer
    weights: dict[str, torch.Tensor]


def trained_model(path: Path) -> TrainedModel:
    """The model of a run's folder or of an exported file, whichever ``path`` is."""
    return model_of_run(path) if path.is_dir() else model_of_file(path)


def model_of_run(folder: Path) -> TrainedModel:
    """The model that a run's newest checkpoint holds.

    Raises:
        RecipeError: The folder holds no run's recipe.
        CheckpointError: It holds no checkpoint, or a damaged one.
    """
    recipe = load_recipe(folder / "recipe.yaml")
    weights = load_weights(recipe.shape, folder / "checkpoints")
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    return TrainedModel(recipe.model, tuple(recipe.shares), recipe.shape, tokenizer, weights)


def model_of_file(path: Path) -> TrainedModel:
    """The model that a file holds.

    Raises:
        UnknownModelError: There is no such file.
        ModelFileError: It is no model of ours, or damaged.
    """
    metadata = read_gguf_metadata(path)
    domains, tokens, merges = (
        _texts(path, metadata, key)
        for key in ("genprm.domains", "tokenizer.ggml.tokens", "tokenizer.ggml.merges")
    )
    sizes = {
        "width": "embedding_length",
        "layers": "block_count",
        "heads": "attention.head_count",
        "key_value_heads": "attention.head_count_kv",
        "feed_forward": "feed_forward_length",
        "context": "context_length",
    }
    found = {name: _size(path, metadata, key) for name, key in sizes.items()}
    try:
        shape = Shape(vocabulary=len(tokens), **found)
    except ValueError as error:
        raise _not_ours(path, str(error)) from error
    try:
        weights = _weights(path, shape.layers)
        tokenizer = tokenizer_of_pieces(tokens, merges)
    except Exception as error:  # the format's reader has no errors of its own
        raise _not_ours(path, repr(error)) from error
    return TrainedModel(text_value(metadata, "general.name"), domains, shape, tokenizer, weights)


def _weights(path: Path, layers: int) -> dict[str, torch.Tensor]:
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    return {
        ours: torch.from_numpy(
            np.array(gguf.quants.dequantize(tensors[stored].data, tensors[stored].tensor_type))
        )
        for ours, stored in gguf_names(layers).items()
    }


def _not_ours(path: Path, reason: str) -> ModelFileError:
    return ModelFileError(f"{path} is not a model that this training wrote: {reason}")


def _texts(path: Path, metadata: Mapping[str, MetadataValue], key: str) -> tuple[str, ...]:
    value = metadata.get(key)
    if not isinstance(value, tuple):
        raise _not_ours(path, f"it lacks {key}")
    return value


def _size(path: Path, metadata: Mapping[str, MetadataValue], key: str) -> int:
    value = whole_value(metadata, f"qwen2.{key}", 0)
    if not 0 < value <= LARGEST:
        raise _not_ours(path, f"its {key} is {value}")
    return value
