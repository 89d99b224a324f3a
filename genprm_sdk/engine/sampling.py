"""Sampler chains of llama.cpp."""

from __future__ import annotations

from typing import Any

from ..backends.base import Sampling
from .library import library

__all__ = ["Sampler"]

NO_SEED = 0xFFFFFFFF
"""What llama.cpp takes for the wish to draw at random."""


class Sampler:
    """Draws tokens; a function of its settings, its seed and the logits it sees.

    The order is vLLM's, as for the reference: the likeliest k, temperature, least relative probability,
    smallest set. The first k are the same before and after the temperature, and cheaper to find before.

    Args:
        sampling: How to draw.
    """

    def __init__(self, sampling: Sampling) -> None:
        lib = library()
        self.chain: Any = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for part in _parts(lib, sampling):
            lib.llama_sampler_chain_add(self.chain, part)

    def free(self) -> None:
        """Free llama.cpp's object; twice is allowed."""
        if self.chain is not None:
            library().llama_sampler_free(self.chain)
        self.chain = None


def _parts(lib: Any, sampling: Sampling) -> list[Any]:
    if sampling.temperature == 0:
        return [lib.llama_sampler_init_greedy()]
    parts = [lib.llama_sampler_init_top_k(sampling.top_k)] if sampling.top_k > 0 else []
    parts.append(lib.llama_sampler_init_temp(sampling.temperature))
    if sampling.min_p > 0:
        parts.append(lib.llama_sampler_init_min_p(sampling.min_p, 1))
    if sampling.top_p < 1:
        parts.append(lib.llama_sampler_init_top_p(sampling.top_p, 1))
    parts.append(lib.llama_sampler_init_dist(sampling.seed % NO_SEED))
    return parts
