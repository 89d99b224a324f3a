"""A whole run in numbers, as it is kept in ``summary.json``."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from ..errors import InputError
from ..types import Frozen, Usage
from .datasets import SCORED_BY_STEPS, Benchmark
from .metrics import Estimate, Scores, Tally, score, score_subsets
from .outcome import Outcome
from .published import PUBLISHED, Published
from .scaling import Point, by_subset, scaling_curves
from .settings import Settings

__all__ = ["Failure", "Summary", "failure_of", "summarise"]


class Failure(Frozen):
    """A record without a prediction, or without one of every labelled step where each counts."""

    key: str
    reason: str


class Summary(Frozen):
    """A whole run.

    Attributes:
        settings: What decided the results.
        records: All records, the failed ones too.
        subsets: Scores by subset, with 95% percentile bootstrap intervals.
        average: Unweighted means over the subsets; None if there is one subset only.
        pooled: All subsets' records as one, where the benchmark is scored by steps and there are several
            subsets; the overall score that PRMBench itself prints.
        scaling: The headline metric from the first 1, 2, 4 and so on paths, by subset; empty with one path.
        failures: Records that count as wrong, wholly or in part, because something could not be read or run.
        usage: What all checks together cost.
        published: What others have published for the benchmark; not measured here.
    """

    settings: Settings
    records: int
    subsets: dict[str, Scores]
    average: dict[str, Estimate] | None
    pooled: Scores | None = None
    scaling: dict[str, tuple[Point, ...]] = Field(default_factory=dict)
    failures: tuple[Failure, ...]
    usage: Usage
    published: tuple[Published, ...] = ()


def failure_of(outcome: Outcome, benchmark: Benchmark) -> str | None:
    """Why a record counts as wrong although nothing wrong was said of it, or None."""
    if outcome.error is not None:
        return outcome.error
    if not outcome.decided:
        return f"the verdict is {outcome.verdict}"
    if benchmark in SCORED_BY_STEPS:
        judged = zip(outcome.truth, outcome.step_labels, strict=True)
        unread = sum(truth is not None and label == "unparsed" for truth, label in judged)
        if unread:
            return f"{unread} of {outcome.total_steps} steps have no readable verdict"
    return None


def summarise(settings: Settings, outcomes: Sequence[Outcome]) -> Summary:
    """Score a run.

    Raises:
        InputError: There are no results.
    """
    if not outcomes:
        raise InputError("there is no result to score: give at least one outcome")
    benchmark, seed = settings.benchmark, settings.seed
    tallies = {name: Tally.of(group) for name, group in by_subset(outcomes).items()}
    subsets, average = score_subsets(benchmark, tallies, seed)
    pooled = len(tallies) > 1 and benchmark in SCORED_BY_STEPS
    failures = ((outcome.key, failure_of(outcome, benchmark)) for outcome in outcomes)
    return Summary(
        settings=settings,
        records=len(outcomes),
        subsets=subsets,
        average=average,
        pooled=score(benchmark, Tally.of(outcomes), seed) if pooled else None,
        scaling=scaling_curves(settings, outcomes),
        failures=tuple(Failure(key=key, reason=reason) for key, reason in failures if reason is not None),
        usage=sum((outcome.usage for outcome in outcomes), Usage()),
        published=PUBLISHED[benchmark],
    )
