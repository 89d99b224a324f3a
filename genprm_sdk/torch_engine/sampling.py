"""Draws the next tokens of many rows at once.

The order is vLLM's, as for the reference and for the other engine: the likeliest k, temperature, least
relative probability, smallest set.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..backends.base import Sampling

__all__ = ["draw"]


def draw(logits: Tensor, sampling: Sampling, places: Sequence[float]) -> list[int | None]:
    """One token a row; a function of the row and its place alone.

    Args:
        logits: Raw ones, shape (rows, vocabulary).
        sampling: How to draw; its seed does not matter here.
        places: For each row where in the kept tokens' probability to look, from 0 to below 1.

    Returns:
        The tokens; None where the logits are no numbers.
    """
    if sampling.temperature == 0:
        best, tokens = logits.max(-1)
        return _tokens(tokens, best.isfinite())
    if 0 < sampling.top_k < logits.shape[-1]:
        kept, tokens = logits.topk(sampling.top_k)
    else:
        kept, tokens = logits.sort(descending=True, stable=True)
    probability = ((kept - kept[:, :1]) / sampling.temperature).softmax(-1)
    numbers = probability.isfinite().all(-1)
    if sampling.min_p > 0:
        probability = probability.where(probability >= sampling.min_p * probability[:, :1], 0)
        probability = probability / probability.sum(-1, keepdim=True)
    if sampling.top_p < 1:
        before = probability.cumsum(-1) - probability
        probability = probability.where(before < sampling.top_p, 0)
    upto = probability.cumsum(-1)
    wanted = torch.tensor(places, dtype=upto.dtype, device=upto.device)[:, None] * upto[:, -1:]
    last = (probability > 0).sum(-1) - 1
    chosen = (upto <= wanted).sum(-1).minimum(last).clamp(min=0)
    return _tokens(tokens.gather(-1, chosen[:, None])[:, 0], numbers)


def _tokens(tokens: Tensor, numbers: Tensor) -> list[int | None]:
    """The tokens of the rows that are numbers, in one transfer."""
    return [None if token < 0 else int(token) for token in tokens.where(numbers, -1).tolist()]
