"""What a GGUF file of Qwen2's architecture must say, or llama.cpp refuses or silently misreads it.

Without torch, whose OpenMP runtime would slow down whoever measures another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gguf

from genprm_sdk.errors import ModelFileError

__all__ = ["Entries", "Sizes", "add_sizes", "add_tokenizer", "tokenizer_entries"]

_LOOKS_SPECIAL = re.compile(r"<\|.*\|>|<｜.*｜>")


class Sizes(Protocol):
    """The sizes of a model."""

    @property
    def context(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def layers(self) -> int: ...

    @property
    def feed_forward(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def key_value_heads(self) -> int: ...


@dataclass(frozen=True)
class Entries:
    """A vocabulary of byte-level BPE.

    Attributes:
        tokens: The entries, by their ids.
        types: What kind each of them is.
        merges: Pairs, their parts a space apart.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]


def tokenizer_entries(state: Mapping[str, Any], size: int) -> Entries:
    """The vocabulary of a ``tokenizer.json``, padded with unused entries.

    An added token is a control token where it is special or spelled like one: DeepSeek's ``<｜User｜>`` is
    not flagged as special, and llama.cpp would find it in any text.

    Args:
        state: What the file says.
        size: Entries that the model's embedding has.

    Raises:
        ModelFileError: It is no byte-level BPE, or does not fit the embedding.
    """
    try:
        found = {int(index): text for text, index in state["model"]["vocab"].items()}
        kinds = dict.fromkeys(found, gguf.TokenType.NORMAL)
        for added in state["added_tokens"]:
            index, text = int(added["id"]), added["content"]
            control = added["special"] or _LOOKS_SPECIAL.fullmatch(text)
            found[index] = text
            kinds[index] = gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"the tokenizer.json is no byte-level BPE: {error!r:.80}") from error
    if max(found, default=0) >= size:
        raise ModelFileError(
            f"the tokenizer has {max(found) + 1} entries and the model's embedding {size}: "
            "they do not belong together"
        )
    tokens = [found.get(index, f"[PAD{index}]") for index in range(size)]
    text, count = Counter(tokens).most_common(1)[0]
    if count > 1:
        raise ModelFileError(f"the tokenizer has the entry {text!r:.80} twice, and llama.cpp ends at that")
    types = [int(kinds.get(index, gguf.TokenType.UNUSED)) for index in range(size)]
    return Entries(tuple(tokens), tuple(types), tuple(merges))


def add_sizes(writer: gguf.GGUFWriter, sizes: Sizes, rope_base: float, rms_eps: float = 1e-6) -> None:
    """Say how large the model is, how positions turn its heads, and what its norms add to a variance."""
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.feed_forward)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.key_value_heads)
    writer.add_layer_norm_rms_eps(rms_eps)
    writer.add_rope_freq_base(rope_base)


def add_tokenizer(
    writer: gguf.GGUFWriter,
    tokens: Sequence[str],
    types: Sequence[int],
    merges: Sequence[str],
    pre: str = "qwen2",
) -> None:
    """Add a vocabulary of byte-level BPE, cut into words as ``pre`` says, by llama.cpp's name for it."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
