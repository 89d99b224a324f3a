"""Every record of a benchmark through a checker, a few at a time, and a summary of it.

Knows the order of things. What checks is anything with ``check`` (a ``Verifier``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Unpack

from ..batch import bounded
from ..errors import ClosedError, GenPRMError, ModelError
from ..options import CheckOptions
from ..types import Frozen, Report, Solution, Usage
from .datasets import Item, Unreadable
from .metrics import METRICS, Estimate, Scores, count, estimate_average, score
from .outcome import Outcome
from .store import ResultStore, Settings, digest_of

__all__ = ["Checker", "Failure", "Summary", "run", "summarise"]


PATHS_AT_ONCE = 4


class Checker(Protocol):
    """What a benchmark needs of a verifier."""

    async def check(self, steps: Solution, **options: Unpack[CheckOptions]) -> Report: ...


class Failure(Frozen):
    """A record without a prediction."""

    key: str
    reason: str


class Summary(Frozen):
    """A whole run, as it is kept in ``summary.json``.

    Attributes:
        settings: What decided the results.
        records: All records, the failed ones too.
        subsets: Scores by subset, with 95% percentile bootstrap intervals.
        average: Unweighted means over the subsets; None if there is one subset only.
        failures: Records that count as wrong because there is no prediction.
        usage: What all checks together cost.
    """

    settings: Settings
    records: int
    subsets: dict[str, Scores]
    average: dict[str, Estimate] | None
    failures: tuple[Failure, ...]
    usage: Usage


async def run(
    checker: Checker,
    records: Sequence[Item | Unreadable],
    settings: Settings,
    *,
    store: ResultStore | None = None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    at_once: int | None = None,
) -> list[Outcome]:
    """Check every record that has no result yet; ``on_outcome`` hears of each result, old ones too.

    An error of one record is that record's outcome; the others go on.

    Args:
        checker: What checks.
        records: What is checked.
        settings: What decides a result.
        store: Where results are kept.
        on_outcome: Called with each result, in the order in which they come.
        at_once: Records in checking at a time; by default enough for four paths together, for while one
            waits for its code the model works on another.

    Returns:
        The results, in the order of the records.

    Raises:
        ModelError: The model cannot be used at all.
        ClosedError: The checker was closed.
    """
    outcomes: dict[int, Outcome] = {}

    async def work(number: int, record: Item | Unreadable) -> None:
        outcomes[number] = await outcome_of(checker, record, settings, store)
        on_outcome(outcomes[number])

    async for _ in bounded(work, records, at_once or max(1, PATHS_AT_ONCE // settings.samples)):
        pass
    return [outcomes[number] for number in range(len(records))]


async def outcome_of(
    checker: Checker, record: Item | Unreadable, settings: Settings, store: ResultStore | None
) -> Outcome:
    if isinstance(record, Unreadable):
        return Outcome.of_unreadable(record)
    earlier = store.finished(record) if store is not None else None
    if earlier is not None:
        return earlier
    digest = digest_of(record)
    try:
        report = await checker.check(record.solution, **settings.options)
    except (ClosedError, ModelError):
        raise
    except GenPRMError as error:
        outcome = Outcome.of_error(record, digest, error)
    else:
        outcome = Outcome.of_report(record, digest, report)
    if store is not None:
        store.add(outcome)
    return outcome


def summarise(settings: Settings, outcomes: Sequence[Outcome]) -> Summary:
    """Score a run."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.subset, []).append(outcome)
    counts = {name: count(group) for name, group in groups.items()}
    average = {
        name: estimate_average(metric, list(counts.values()), settings.seed)
        for name, metric in METRICS[settings.benchmark].items()
    }
    return Summary(
        settings=settings,
        records=len(outcomes),
        subsets={name: score(settings.benchmark, c, settings.seed) for name, c in counts.items()},
        average=average if len(counts) > 1 else None,
        failures=tuple(
            Failure(key=o.key, reason=o.error or f"the verdict is {o.verdict}")
            for o in outcomes
            if not o.decided
        ),
        usage=sum((o.usage for o in outcomes), Usage()),
    )
