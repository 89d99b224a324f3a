"""Scores of judged solutions, and of differences between two ways of judging the same ones.

The metric is ProcessBench's (QwenLM/ProcessBench): the harmonic mean of exact matches among solutions with a
mistake and among those without, averaged over domains without weights. Intervals are percentile bootstraps
over solutions, 95%, each domain resampled by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genprm_sdk.evaluation.comparison import differences
from genprm_sdk.evaluation.metrics import METRICS, Array, Estimate, Row, Tally, estimate, estimate_average

__all__ = ["Hit", "Interval", "difference", "f1", "mean", "mean_difference"]

F1 = METRICS["processbench"]["f1"]


@dataclass(frozen=True)
class Hit:
    """A solution's domain, whether it has a mistake, and whether the prediction is exact."""

    group: str
    mistaken: bool
    exact: bool

    @property
    def row(self) -> Row:
        """What it adds to the counts."""
        kind = f"{'mistake' if self.mistaken else 'correct'}_{'hit' if self.exact else 'miss'}"
        return Row(**{kind: 1})


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95% interval: shares, or differences of shares; not numbers if unknown."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Estimate) -> Interval:
        if found.value is None or found.low is None or found.high is None:
            return cls(math.nan, math.nan, math.nan)
        return cls(found.value, found.low, found.high)

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        return f"{100 * self.value:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f})"


def f1(hits: Sequence[Hit]) -> Interval:
    """The mean over domains; unknown where one of them lacks solutions of one kind."""
    groups = dict.fromkeys(hit.group for hit in hits)
    tallies = [Tally.of_rows([hit.row for hit in hits if hit.group == group]) for group in groups]
    return Interval.of(estimate_average(F1, tallies))


def difference(one: Sequence[Hit], other: Sequence[Hit]) -> Interval:
    """How much better one way is than another, of the same solutions."""
    rows: dict[str, list[tuple[int, ...]]] = {}
    for mine, theirs in zip(one, other, strict=True):
        if (mine.group, mine.mistaken) != (theirs.group, theirs.mistaken):
            raise ValueError(f"not the same solutions of {mine.group}")
        rows.setdefault(mine.group, []).append((*theirs.row, *mine.row))
    tallies = [Tally.of_rows(paired) for paired in rows.values()]
    return Interval.of(differences({"f1": F1}, tallies, seed=0)["f1"].difference)


def mean(values: Sequence[float]) -> Interval:
    """A mean."""
    return Interval.of(estimate(_share, Tally.of_rows([(value, 1) for value in values])))


def mean_difference(one: Sequence[float], other: Sequence[float]) -> Interval:
    """The mean of paired differences."""
    return mean([a - b for a, b in zip(one, other, strict=True)])


def _share(sums: Array) -> Array:
    return sums[..., 0] / sums[..., 1]
