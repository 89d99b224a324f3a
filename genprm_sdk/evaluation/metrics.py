"""Scores of first-mistake predictions, with percentile bootstrap intervals.

A subset's result is five counts, and every metric is a function of them. Resampling records with replacement
makes those counts multinomial, so the bootstrap draws the counts at once; it is the same distribution.

Sources. ProcessBench (QwenLM/ProcessBench): ``acc_error`` over erroneous solutions, ``acc_correct`` over
correct ones, F1 their harmonic mean; published averages are unweighted means of the subsets' F1.
BIG-Bench-Mistake (arXiv 2311.08516): exact match of the first mistake's index or null. Percentile intervals:
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..types import Frozen
from .datasets import Benchmark
from .outcome import Outcome

__all__ = ["METRICS", "Counts", "Estimate", "Scores", "count", "estimate", "estimate_average", "score"]

Array = npt.NDArray[np.float64]
Metric = Callable[[Array], Array]

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Counts:
    """Records by label and prediction; ``unknown`` ones have no readable label and are wrong everywhere."""

    mistake_hit: int = 0
    mistake_miss: int = 0
    correct_hit: int = 0
    correct_miss: int = 0
    unknown: int = 0

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0:
            raise ValueError("counts cannot be negative")

    @property
    def total(self) -> int:
        return sum(astuple(self))


def count(outcomes: Iterable[Outcome]) -> Counts:
    """Sort outcomes into the five kinds."""
    kinds = [0] * 5
    for outcome in outcomes:
        if not outcome.labelled:
            kinds[4] += 1
        else:
            kinds[(0 if outcome.expected is not None else 2) + (0 if outcome.exact else 1)] += 1
    return Counts(*kinds)


def share(hits: Array, of: Array) -> Array:
    shares: Array = np.divide(hits, of, out=np.full(np.shape(hits), np.nan), where=of > 0)
    return shares


def exact_match(c: Array) -> Array:
    return share(c[..., 0] + c[..., 2], c.sum(axis=-1))


def accuracy_on_mistakes(c: Array) -> Array:
    return share(c[..., 0], c[..., 0] + c[..., 1] + c[..., 4])


def accuracy_on_correct(c: Array) -> Array:
    return share(c[..., 2], c[..., 2] + c[..., 3] + c[..., 4])


def f1(c: Array) -> Array:
    """Harmonic mean of the two accuracies: 0 if both are 0, undefined if one of them is."""
    a, b = accuracy_on_mistakes(c), accuracy_on_correct(c)
    total = a + b
    return np.where(total == 0, 0.0, 2 * a * b / np.where(total == 0, 1.0, total))


METRICS: dict[Benchmark, dict[str, Metric]] = {
    "bigbench-mistake": {
        "exact": exact_match,
        "acc_mistake": accuracy_on_mistakes,
        "acc_no_mistake": accuracy_on_correct,
    },
    "processbench": {"acc_error": accuracy_on_mistakes, "acc_correct": accuracy_on_correct, "f1": f1},
}
"""Each benchmark's own metrics, by the names its authors use; their average is over subsets, unweighted."""

HEADLINE: dict[Benchmark, str] = {"bigbench-mistake": "exact", "processbench": "f1"}
"""The metric that a benchmark is quoted by."""


class Estimate(Frozen):
    """A share with its 95% interval; None where no record can tell."""

    value: float | None = Field(ge=0, le=1)
    low: float | None = Field(ge=0, le=1)
    high: float | None = Field(ge=0, le=1)


class Scores(Frozen):
    """One subset's metrics.

    Attributes:
        records: All records, the failed ones too.
        metrics: The benchmark's metrics by name.
    """

    records: int
    metrics: dict[str, Estimate]


def estimate(metric: Metric, counts: Counts, seed: int = 0) -> Estimate:
    """A metric of one subset."""
    return estimate_average(metric, [counts], seed)


def estimate_average(metric: Metric, subsets: Sequence[Counts], seed: int = 0) -> Estimate:
    """The unweighted mean of a metric over subsets; each subset is resampled by itself."""
    if not subsets or any(counts.total == 0 for counts in subsets):
        return Estimate(value=None, low=None, high=None)
    rng = np.random.default_rng(seed)
    observed = [np.array(astuple(counts), dtype=np.float64) for counts in subsets]
    value = float(np.mean([metric(c) for c in observed]))
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None)
    draws = [
        metric(rng.multinomial(int(c.sum()), c / c.sum(), size=RESAMPLES).astype(np.float64))
        for c in observed
    ]
    averages = np.mean(draws, axis=0)
    # A resample without a single record of one kind has no value for that kind.
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(averages, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def score(benchmark: Benchmark, counts: Counts, seed: int = 0) -> Scores:
    """All metrics of one subset."""
    metrics = {name: estimate(metric, counts, seed) for name, metric in METRICS[benchmark].items()}
    return Scores(records=counts.total, metrics=metrics)
