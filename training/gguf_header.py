"""What a GGUF file of Qwen2's architecture must say, or llama.cpp refuses or silently misreads it.

Without torch, whose OpenMP runtime would slow down whoever measures another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import gguf

__all__ = ["Sizes", "add_sizes", "add_tokenizer"]


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


def add_sizes(writer: gguf.GGUFWriter, sizes: Sizes, rope_base: float) -> None:
    """Say how large the model is, and how positions turn its heads."""
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.feed_forward)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.key_value_heads)
    writer.add_layer_norm_rms_eps(1e-6)
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
