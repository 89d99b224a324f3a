"""Scores of predictions beside labels, with percentile bootstrap intervals over records.

Each record adds a row of nine counts, and every metric is a function of the rows' sum. Records with equal
rows cannot be told apart, so a bootstrap that draws records with replacement is a multinomial draw over
distinct rows; it is the same distribution. The steps of one record are always drawn together. A resample in
which a subset has no record of one kind has no value, and none as a mean over subsets; an interval is that of
the resamples with a value, and there is none where these are few (``LEAST_DEFINED``).

Sources. ProcessBench (QwenLM/ProcessBench): ``acc_error`` over erroneous solutions, ``acc_correct`` over
correct ones, F1 their harmonic mean; published averages are unweighted means of the subsets' F1.
BIG-Bench-Mistake (arXiv 2311.08516): exact match of the first mistake's index or null. PRMBench (arXiv
2501.03124): over all steps of a classification, half the F1 of finding right steps and half that of finding
wrong ones; the original leaves out answers that cannot be read, here such a step counts as wrong. Percentile
intervals: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..types import Frozen
from .datasets import UNCLASSIFIED, Benchmark
from .outcome import Outcome

__all__ = [
    "HEADLINE",
    "METRICS",
    "Array",
    "Estimate",
    "Metric",
    "Row",
    "Scores",
    "Tally",
    "averaged",
    "estimate",
    "estimate_average",
    "estimate_of",
    "estimates",
    "resampled",
    "row_of",
    "score",
    "score_subsets",
]

Array = npt.NDArray[np.float64]
Metric = Callable[[Array], Array]

MOST_RESAMPLES, LEAST_RESAMPLES = 10_000, 1_000
MOST_DRAWS = 1_000_000
"""Of numbers of distinct rows: subsets whose records nearly all differ get fewer resamples."""

AT_ONCE = 500
LEVEL = 0.95

LEAST_DEFINED = 0.6
"""Of the resamples must have a value, or there is no interval: it would speak for the few that chance left.

Not one half, which is where two records of different kinds are: chance would decide about their interval.
"""


class Row(NamedTuple):
    """What one record adds to the counts.

    Attributes:
        mistake_hit: Its first mistake was found.
        mistake_miss: It has one that was not.
        correct_hit: It has none, and none was found.
        correct_miss: It has none, and that was not said.
        unknown: Its label cannot be read; it is wrong wherever the label could belong.
        kept: Right steps that were called right.
        alarmed: Right steps that were not.
        caught: Wrong steps that were called wrong.
        missed: Wrong steps that were not.
    """

    mistake_hit: int = 0
    mistake_miss: int = 0
    correct_hit: int = 0
    correct_miss: int = 0
    unknown: int = 0
    kept: int = 0
    alarmed: int = 0
    caught: int = 0
    missed: int = 0


def row_of(outcome: Outcome) -> Row:
    """One record's counts; a step whose verdict cannot be read is called neither right nor wrong."""
    if not outcome.labelled:
        return Row(unknown=1, alarmed=1, missed=1)
    judged = list(zip(outcome.truth, outcome.step_labels, strict=True))
    kept = judged.count((True, "correct"))
    caught = judged.count((False, "incorrect"))
    truth = outcome.truth
    exact, mistaken = outcome.exact, outcome.expected is not None
    return Row(
        mistake_hit=mistaken and exact,
        mistake_miss=mistaken and not exact,
        correct_hit=not mistaken and exact,
        correct_miss=not mistaken and not exact,
        kept=kept,
        alarmed=truth.count(True) - kept,
        caught=caught,
        missed=truth.count(False) - caught,
    )


@dataclass(frozen=True)
class Tally:
    """Many records' counts.

    Attributes:
        rows: The distinct ones.
        times: How many records have each.
    """

    rows: Array
    times: npt.NDArray[np.int64]

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[float]]) -> Tally:
        """Count equal rows."""
        table = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
        distinct, times = np.unique(table, axis=0, return_counts=True)
        return cls(distinct, times.astype(np.int64))

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Tally:
        """Count outcomes."""
        return cls.of_rows([row_of(outcome) for outcome in outcomes])

    @property
    def total(self) -> int:
        """Records."""
        return int(self.times.sum())

    @property
    def sum(self) -> Array:
        """What the metrics are functions of."""
        return self.times @ self.rows


def resampled(subsets: Sequence[Tally], seed: int) -> list[Array]:
    """Of each subset, sums of as many records as it has, drawn with replacement, a resample a row."""
    rng = np.random.default_rng(seed)
    most = MOST_DRAWS // max(len(tally.times) for tally in subsets)
    batches = min(max(most, LEAST_RESAMPLES), MOST_RESAMPLES) // AT_ONCE
    return [
        np.concatenate(
            [
                rng.multinomial(tally.total, tally.times / tally.total, size=AT_ONCE) @ tally.rows
                for _ in range(batches)
            ]
        )
        for tally in subsets
    ]


def share(hits: Array, of: Array) -> Array:
    shares: Array = np.divide(hits, of, out=np.full(np.shape(hits), np.nan), where=of > 0)
    return shares


def exact_match(c: Array) -> Array:
    return share(c[..., 0] + c[..., 2], c[..., :5].sum(axis=-1))


def accuracy_on_mistakes(c: Array) -> Array:
    return share(c[..., 0], c[..., 0] + c[..., 1] + c[..., 4])


def accuracy_on_correct(c: Array) -> Array:
    return share(c[..., 2], c[..., 2] + c[..., 3] + c[..., 4])


def f1(c: Array) -> Array:
    """Harmonic mean of the two accuracies: 0 if both are 0, undefined if one of them is."""
    a, b = accuracy_on_mistakes(c), accuracy_on_correct(c)
    total = a + b
    return np.where(total == 0, 0.0, 2 * a * b / np.where(total == 0, 1.0, total))


def step_accuracy(c: Array) -> Array:
    return share(c[..., 5] + c[..., 7], c[..., 5:9].sum(axis=-1))


def f1_of_right_steps(c: Array) -> Array:
    """2 TP / (2 TP + FP + FN) with a right step as the positive; undefined where none is labelled so."""
    value = share(2 * c[..., 5], 2 * c[..., 5] + c[..., 8] + c[..., 6])
    return np.where(c[..., 5] + c[..., 6] > 0, value, np.nan)


def f1_of_wrong_steps(c: Array) -> Array:
    """The same with a wrong step as the positive."""
    value = share(2 * c[..., 7], 2 * c[..., 7] + c[..., 6] + c[..., 8])
    return np.where(c[..., 7] + c[..., 8] > 0, value, np.nan)


def prm_score(c: Array) -> Array:
    return (f1_of_right_steps(c) + f1_of_wrong_steps(c)) / 2


METRICS: dict[Benchmark, dict[str, Metric]] = {
    "bigbench-mistake": {
        "exact": exact_match,
        "acc_mistake": accuracy_on_mistakes,
        "acc_no_mistake": accuracy_on_correct,
    },
    "labelled": {
        "step_accuracy": step_accuracy,
        "exact": exact_match,
        "acc_error": accuracy_on_mistakes,
        "acc_correct": accuracy_on_correct,
        "f1": f1,
    },
    "prmbench": {
        "score": prm_score,
        "f1_right_steps": f1_of_right_steps,
        "f1_wrong_steps": f1_of_wrong_steps,
        "step_accuracy": step_accuracy,
    },
    "processbench": {"acc_error": accuracy_on_mistakes, "acc_correct": accuracy_on_correct, "f1": f1},
}
"""Each benchmark's own metrics, by the names its authors use; their average is over subsets, unweighted."""

HEADLINE: dict[Benchmark, str] = {
    "bigbench-mistake": "exact",
    "labelled": "step_accuracy",
    "prmbench": "score",
    "processbench": "f1",
}
"""The metric that a benchmark is quoted by."""

DEFINED_IN_PART: frozenset[Benchmark] = frozenset({"prmbench"})
"""Benchmarks with subsets that a metric says nothing of: PRMBench's ``multi_solutions`` has no wrong step."""


class Estimate(Frozen):
    """A number with its 95% interval; None where no record can tell.

    Attributes:
        value: The number.
        low: The interval's lower end; None also where too few resamples have a value (``LEAST_DEFINED``), as
            with very small subsets, or many of them.
        high: Its upper end, or None with the lower one.
    """

    value: float | None = Field(ge=-1, le=1)
    low: float | None = Field(ge=-1, le=1)
    high: float | None = Field(ge=-1, le=1)


UNKNOWN = Estimate(value=None, low=None, high=None)


class Scores(Frozen):
    """One subset's metrics.

    Attributes:
        records: All records, the failed ones too.
        metrics: The benchmark's metrics by name.
    """

    records: int
    metrics: dict[str, Estimate]


def estimates(
    metrics: Mapping[str, Metric], subsets: Sequence[Tally], seed: int = 0, *, where_defined: bool = False
) -> dict[str, Estimate]:
    """Metrics' unweighted means over subsets; each subset is resampled by itself, for all metrics at once.

    Args:
        metrics: By name.
        subsets: One, or several.
        seed: Of the resamples.
        where_defined: Whether the mean is over the subsets that have the metric; otherwise there is none
            where one of them has not.
    """
    if not subsets or any(tally.total == 0 for tally in subsets):
        return dict.fromkeys(metrics, UNKNOWN)
    return means(metrics, subsets, resampled(subsets, seed), where_defined=where_defined)


def means(
    metrics: Mapping[str, Metric], subsets: Sequence[Tally], draws: Sequence[Array], *, where_defined: bool
) -> dict[str, Estimate]:
    found = {}
    for name, metric in metrics.items():
        values = [float(metric(tally.sum)) for tally in subsets]
        used = [not (where_defined and np.isnan(value)) for value in values]
        mean = np.mean(list(compress(values, used))) if any(used) else np.nan
        found[name] = (
            UNKNOWN
            if np.isnan(mean)
            else estimate_of(float(mean), np.mean([metric(d) for d in compress(draws, used)], axis=0))
        )
    return found


def estimate(metric: Metric, tally: Tally, seed: int = 0) -> Estimate:
    """A metric of one subset."""
    return estimate_average(metric, [tally], seed)


def estimate_average(metric: Metric, subsets: Sequence[Tally], seed: int = 0) -> Estimate:
    """The unweighted mean of a metric over subsets."""
    return estimates({"": metric}, subsets, seed)[""]


def estimate_of(value: float, resamples: Array) -> Estimate:
    """A number with the interval that holds 95% of its resamples, if enough of them have a value."""
    # A resample without a single record of one kind has no value for that kind.
    if np.count_nonzero(~np.isnan(resamples)) < LEAST_DEFINED * len(resamples):
        return Estimate(value=value, low=None, high=None)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(resamples, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def score(benchmark: Benchmark, tally: Tally, seed: int = 0) -> Scores:
    """All metrics of one subset."""
    return Scores(records=tally.total, metrics=estimates(METRICS[benchmark], [tally], seed))


def score_subsets(
    benchmark: Benchmark, subsets: Mapping[str, Tally], seed: int = 0
) -> tuple[dict[str, Scores], dict[str, Estimate] | None]:
    """All metrics of each subset, and their unweighted means if there are several, from the same resamples.

    Args:
        benchmark: Whose metrics.
        subsets: By name, each with records.
        seed: Of the resamples.
    """
    metrics, tallies = METRICS[benchmark], list(subsets.values())
    draws = resampled(tallies, seed)
    scores = {
        name: Scores(records=tally.total, metrics=means(metrics, [tally], [draw], where_defined=False))
        for (name, tally), draw in zip(subsets.items(), draws, strict=True)
    }
    if len(tallies) == 1:
        return scores, None
    used = [averaged(benchmark, name) for name in subsets]
    counted, drawn = list(compress(tallies, used)), list(compress(draws, used))
    return scores, means(metrics, counted, drawn, where_defined=benchmark in DEFINED_IN_PART)


def averaged(benchmark: Benchmark, subset: str) -> bool:
    """Whether a subset is one of those that the benchmark's average is over."""
    return benchmark != "prmbench" or subset != UNCLASSIFIED
