"""Every record of a benchmark through a checker, a few at a time.

Knows the order of things. What checks is anything with ``check`` (a ``Verifier``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Protocol, Unpack

from ..batch import bounded
from ..errors import ClosedError, GenPRMError, InputError, ModelError
from ..options import CheckOptions
from ..types import Report, Solution
from .datasets import SCORED_BY_STEPS, Item, Unreadable
from .outcome import Outcome
from .settings import Settings
from .store import ResultStore

__all__ = ["Checker", "digest_of", "require_all_steps", "run"]


PATHS_AT_ONCE = 4


class Checker(Protocol):
    """What a benchmark needs of a verifier."""

    async def check(self, steps: Solution, **options: Unpack[CheckOptions]) -> Report: ...


async def run(
    checker: Checker,
    records: Sequence[Item | Unreadable],
    settings: Settings,
    *,
    store: ResultStore[Outcome] | None = None,
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
        InputError: The settings leave steps unchecked whose labels count, or the store cannot be written to,
            or another process is at work in it.
        ModelError: The model cannot be used at all.
        ClosedError: The checker was closed.
    """
    require_all_steps(settings)
    outcomes: dict[int, Outcome] = {}

    async def work(number: int, record: Item | Unreadable) -> None:
        outcomes[number] = await outcome_of(checker, record, settings, store)
        on_outcome(outcomes[number])

    with nullcontext() if store is None else store.alone():
        async for _ in bounded(work, records, at_once or max(1, PATHS_AT_ONCE // settings.samples)):
            pass
    return [outcomes[number] for number in range(len(records))]


def require_all_steps(settings: Settings) -> None:
    """Refuse to stop at the first error where every labelled step counts, also those behind a false alarm.

    Raises:
        InputError: That is so.
    """
    if settings.stop_at_first_error and settings.benchmark in SCORED_BY_STEPS:
        raise InputError(
            f"{settings.benchmark} counts the steps behind the first wrong one too: leave "
            "--stop-at-first-error out"
        )


async def outcome_of(
    checker: Checker, record: Item | Unreadable, settings: Settings, store: ResultStore[Outcome] | None
) -> Outcome:
    if isinstance(record, Unreadable):
        return Outcome.of_unreadable(record)
    digest = digest_of(record)
    earlier = store.finished(record.key, digest) if store is not None else None
    if earlier is not None:
        return earlier
    page = None
    try:
        report = await checker.check(record.solution, **settings.options)
    except (ClosedError, ModelError):
        raise
    except GenPRMError as error:
        outcome = Outcome.of_error(record, digest, error)
    else:
        outcome = Outcome.of_report(record, digest, report)
        page = report.to_html(record.key) if store is not None else None
    if store is not None:
        store.add(outcome, page)
    return outcome


def digest_of(item: Item) -> str:
    """Of what a record says, label included."""
    content = f"{item.solution.model_dump_json()}\n{item.expected}\n{item.labels}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]
