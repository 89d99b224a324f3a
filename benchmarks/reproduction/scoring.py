"""Scores of judged solutions, and of differences between two ways of judging the same ones.

The metric is ProcessBench's (QwenLM/ProcessBench): the harmonic mean of exact matches among solutions with a
mistake and among those without, averaged over domains without weights. Intervals are percentile bootstraps
over solutions, 95%, each domain resampled by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Hit", "Interval", "difference", "f1", "mean", "mean_difference"]

RESAMPLES = 4000
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hit:
    """A solution's domain, whether it has a mistake, and whether the prediction is exact."""

    group: str
    mistaken: bool
    exact: bool


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95% interval; shares and differences of shares."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f})"


def f1(hits: Sequence[Hit]) -> Interval:
    """The mean over domains."""
    return _interval(*_observed_and_drawn([hits]))


def difference(one: Sequence[Hit], other: Sequence[Hit]) -> Interval:
    """How much better one way is than another, solution by solution the same."""
    return _interval(*_observed_and_drawn([one, other]))


def mean(values: Sequence[float]) -> Interval:
    """A mean."""
    sample = np.asarray(values, dtype=np.float64)
    draws = sample[_rng().integers(len(sample), size=(RESAMPLES, len(sample)))].mean(axis=1)
    return _interval(float(sample.mean()), draws)


def mean_difference(one: Sequence[float], other: Sequence[float]) -> Interval:
    """The mean of paired differences."""
    return mean([a - b for a, b in zip(one, other, strict=True)])


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _interval(value: float, draws: Numbers) -> Interval:
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _observed_and_drawn(ways: Sequence[Sequence[Hit]]) -> tuple[float, Numbers]:
    """The score of the first way, less that of the second if there is one, and the same of resamples."""
    groups = list(dict.fromkeys(hit.group for hit in ways[0]))
    rng = _rng()
    observed, drawn = [], []
    for group in groups:
        columns = [[hit for hit in way if hit.group == group] for way in ways]
        mistaken = np.array([hit.mistaken for hit in columns[0]])
        if any([hit.mistaken for hit in column] != list(mistaken) for column in columns):
            raise ValueError(f"not the same solutions of {group}")
        exact = [np.array([hit.exact for hit in column]) for column in columns]
        picks = rng.integers(len(mistaken), size=(RESAMPLES, len(mistaken)))
        everything = np.arange(len(mistaken))[None, :]
        observed.append(_score(mistaken, exact, everything)[0])
        drawn.append(_score(mistaken, exact, picks))
    return float(np.mean(observed)), np.mean(drawn, axis=0)


def _score(mistaken: Numbers, exact: Sequence[Numbers], picks: npt.NDArray[np.int64]) -> Numbers:
    signs = (1.0, -1.0)
    return np.sum([sign * _f1(mistaken, e, picks) for sign, e in zip(signs, exact, strict=False)], axis=0)


def _f1(mistaken: Numbers, exact: Numbers, picks: npt.NDArray[np.int64]) -> Numbers:
    wrong, hit = mistaken[picks], exact[picks]
    with np.errstate(invalid="ignore", divide="ignore"):
        on_wrong = (hit & wrong).sum(axis=1) / wrong.sum(axis=1)
        on_right = (hit & ~wrong).sum(axis=1) / (~wrong).sum(axis=1)
        both = 2 * on_wrong * on_right / (on_wrong + on_right)
    # A resample without a solution of one kind has no score.
    return np.where(on_wrong + on_right == 0, 0.0, both)
