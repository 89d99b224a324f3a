"""How likely texts are to come next, from what a server shows of one token at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import prod

from .wire import Shown

__all__ = ["label_probabilities", "text_probability"]

WORTH_FOLLOWING = 1e-4
"""Of a text's tokenisations, those that begin less likely than this are left out."""

NextOf = Callable[[tuple[int, ...], frozenset[int]], Awaitable[dict[int, float]]]
NextOfText = Callable[[str], Awaitable[Sequence[Shown]]]


async def label_probabilities(labels: Sequence[Sequence[int]], next_of: NextOf) -> list[float]:
    """The product of probabilities along each label's tokens.

    Args:
        labels: Tokens of each, at least one.
        next_of: What comes behind some tokens: the probability of each of those that are wanted, as far as
            the server shows them; the others count as 0.
    """
    wanted: dict[tuple[int, ...], set[int]] = {}
    for label in labels:
        for at, token in enumerate(label):
            wanted.setdefault(tuple(label[:at]), set()).add(token)
    answers = await asyncio.gather(*(next_of(prefix, frozenset(tokens)) for prefix, tokens in wanted.items()))
    known = dict(zip(wanted, answers, strict=True))
    return [
        prod(known[tuple(label[:at])].get(token, 0.0) for at, token in enumerate(label)) for label in labels
    ]


async def text_probability(text: str, next_of: NextOfText, written: str = "", so_far: float = 1.0) -> float:
    """How likely a text is to come next, whatever its tokens: the sum over those that the server shows."""
    if not text:
        return so_far
    total = 0.0
    for shown in await next_of(written):
        spelling = shown.text or ""
        chance = so_far * shown.probability
        if not spelling or chance < WORTH_FOLLOWING:
            continue
        if spelling.startswith(text):
            total += chance
        elif text.startswith(spelling):
            total += await text_probability(text[len(spelling) :], next_of, written + spelling, chance)
    return total
