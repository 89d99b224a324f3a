"""How far shares of few draws can be trusted: Wilson's interval, and posteriors of ratios and differences.

Posteriors are of independent Beta distributions with Jeffreys' prior; a known share is a point.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

__all__ = ["Counts", "ahead", "posterior_interval", "probability_ahead", "wilson"]

Z95 = 1.959963984540054
POINTS = 200
"""Quantiles of one posterior that the other is integrated over."""

PRECISION = 1e-4
WIDEST = 1e6
"""Ratios beyond this are not told apart."""


class Counts(NamedTuple):
    """Draws that succeeded, of how many; or a share that is known, with ``drawn`` 0 and ``right`` 0 or 1."""

    right: int
    drawn: int
    known: bool = False


def wilson(right: int, drawn: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share; everything is possible where nothing was drawn."""
    if not drawn:
        return 0.0, 1.0
    share, square = right / drawn, z * z
    middle = (share + square / (2 * drawn)) / (1 + square / drawn)
    half = z / (1 + square / drawn) * (share * (1 - share) / drawn + square / (4 * drawn * drawn)) ** 0.5
    return (0.0 if right == 0 else max(0.0, middle - half)), (
        1.0 if right == drawn else min(1.0, middle + half)
    )


def ahead(kind: str, before: float, threshold: float) -> float:
    """The least score behind a step that the threshold lets pass, given the score before it."""
    return threshold * before if kind == "ratio" else before + threshold


@lru_cache(maxsize=65536)
def probability_ahead(kind: str, before: Counts, behind: Counts, threshold: float) -> float:
    """The posterior probability that the share behind reaches ``ahead`` of the share before."""
    least = np.asarray([ahead(kind, float(share), threshold) for share in _quantiles(before)])
    if behind.known:
        return float(np.mean(behind.right >= least))
    a, b = behind.right + 0.5, behind.drawn - behind.right + 0.5
    return float(np.mean(1.0 - betainc(a, b, np.clip(least, 0.0, 1.0))))


@lru_cache(maxsize=65536)
def posterior_interval(kind: str, before: Counts, behind: Counts, mass: float = 0.95) -> tuple[float, float]:
    """The central posterior interval of the ratio or the difference of two shares."""
    low, high = (0.0, WIDEST) if kind == "ratio" else (-1.0, 1.0)
    tail = (1.0 - mass) / 2

    def above(value: float) -> float:
        return probability_ahead(kind, before, behind, value)

    return _where(above, 1.0 - tail, low, high), _where(above, tail, low, high)


@lru_cache(maxsize=4096)
def _quantiles(counts: Counts) -> NDArray[np.float64]:
    if counts.known:
        return np.asarray([float(counts.right)])
    at = (np.arange(POINTS) + 0.5) / POINTS
    quantiles: NDArray[np.float64] = betaincinv(counts.right + 0.5, counts.drawn - counts.right + 0.5, at)
    return quantiles


def _where(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function comes down to a level; its search is by halves, of the logarithm far out."""
    while high - low > PRECISION * max(1.0, abs(low)):
        middle = (low * high) ** 0.5 if low > 1.0 else min((low + high) / 2, max(2.0, 2 * low + 1.0))
        if falling(middle) >= level:
            low = middle
        else:
            high = middle
    return (low + high) / 2
