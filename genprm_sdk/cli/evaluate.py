"""``genprm eval``: a benchmark through the verifier, its metric on stdout.

Knows options, progress and tables; records, results and scores are the evaluation room's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from ..evaluation import writing
from ..evaluation.datasets import Benchmark, Item, Unreadable, load
from ..evaluation.metrics import Estimate
from ..evaluation.outcome import Outcome
from ..evaluation.page import Table as Rows
from ..evaluation.runner import require_all_steps, run
from ..evaluation.settings import Settings
from ..evaluation.store import ResultStore
from ..evaluation.summary import Summary, summarise
from ..modes import History, Reasoning
from ..report.text import one_line
from .codes import FAILED, FINE, INTERRUPTED, UNUSABLE
from .opening import OpenChecker
from .terminal import Progress, complain, note, show

__all__ = ["EvalOptions", "evaluate", "plain_table", "summary_table"]

SECONDS_BETWEEN_LINES = 30.0


@dataclass(frozen=True)
class EvalOptions:
    """What the user asked for."""

    benchmark: Benchmark
    data: Path
    model: str
    samples: int = 1
    seed: int = 0
    limit: int | None = None
    out: Path | None = None
    reasoning: Reasoning | None = None
    history: History | None = None
    adaptive: str = "auto"
    stop_at_first_error: bool = False
    exact: bool = False

    def settings(self) -> Settings:
        """What decides a result.

        Raises:
            UnknownModelError: There is no such model.
            InputError: An option means nothing.
        """
        return Settings.of(
            self.benchmark,
            self.model,
            samples=self.samples,
            seed=self.seed,
            reasoning=self.reasoning,
            history=self.history,
            adaptive=self.adaptive,
            stop_at_first_error=self.stop_at_first_error,
            exact=self.exact,
        )


def evaluate(options: EvalOptions, open_checker: OpenChecker) -> int:
    """Run a benchmark; returns the exit code.

    Raises:
        GenPRMError: Nothing could be checked, for one reason.
    """
    records = load(options.benchmark, options.data, options.limit)
    settings = options.settings()
    require_all_steps(settings)
    store = None if options.out is None else ResultStore.open(options.out, settings, Outcome)
    heard: list[Outcome] = []
    try:
        outcomes = asyncio.run(check_all(records, settings, store, open_checker, heard))
    except KeyboardInterrupt:
        conclude_early(settings, heard, len(records), options.out)
        return INTERRUPTED
    summary = summarise(settings, outcomes)
    show(summary_table(summary))
    if summary.scaling:
        show(plain_table(writing.scaling_table("The first paths alone", "paths a step", summary.scaling)))
    if summary.published:
        show(plain_table(writing.published_table(summary)))
    note(closing_line(outcomes))
    if store is not None:
        saved = store.conclude(summary)
        note(f"saved to {saved}; to look at: {writing.write_run(store.folder, summary, outcomes)}")
    if any(not outcome.labelled for outcome in outcomes):
        return UNUSABLE
    return FAILED if any(outcome.error is not None for outcome in outcomes) else FINE


async def check_all(
    records: list[Item | Unreadable],
    settings: Settings,
    store: ResultStore[Outcome] | None,
    open_checker: OpenChecker,
    outcomes: list[Outcome],
) -> list[Outcome]:
    right = 0
    with Progress(every=SECONDS_BETWEEN_LINES) as progress:

        def heard(outcome: Outcome) -> None:
            nonlocal right
            outcomes.append(outcome)
            right += outcome.exact
            if outcome.error is not None:
                progress.clear()
                complain(f"{outcome.key}: {outcome.error}")
            progress.say(f"{len(outcomes)} of {len(records)} records, {right} exact")

        progress.say("loading the model")
        async with open_checker() as checker:
            return await run(checker, records, settings, store=store, on_outcome=heard)


def conclude_early(settings: Settings, outcomes: list[Outcome], total: int, out: Path | None) -> None:
    """What was finished when the user stopped the run; no summary is saved."""
    if outcomes:
        show(summary_table(summarise(settings, outcomes), of=total))
    resume = f"; the same command goes on from {out}" if out is not None else ""
    note(f"interrupted: {len(outcomes)} of {total} records are done{resume}")


def closing_line(outcomes: Sequence[Outcome]) -> str:
    undecided = sum(not outcome.decided for outcome in outcomes)
    line = f"{len(outcomes) - undecided} of {len(outcomes)} records have a verdict"
    return line + (f"; the other {undecided} count as wrong" if undecided else "")


def summary_table(summary: Summary, of: int | None = None) -> Table:
    """Scores in per cent with their intervals, a row a subset.

    Args:
        summary: What to show.
        of: How many records there would be, if the run was stopped.
    """
    settings = summary.settings
    said = settings.reasoning or "the model's reasoning"
    done = f"{summary.records} records" if of is None else f"only {summary.records} of {of} records"
    table = Table(
        title=one_line(
            f"{settings.benchmark}: {settings.model}, samples {settings.samples}, seed {settings.seed}, "
            f"{said}, {done}"
        ),
        caption="intervals: percentile bootstrap over records",
    )
    table.add_column("subset", overflow="fold")
    table.add_column("records", justify="right", no_wrap=True)
    for name in ("metric", "%", "95% interval"):
        table.add_column(name, no_wrap=True, justify="left" if name == "metric" else "right")
    for subset, records, metrics in writing.result_rows(summary):
        add_rows(table, subset, records, metrics)
    return table


def add_rows(table: Table, subset: str, records: int, metrics: Mapping[str, Estimate]) -> None:
    for number, (name, estimate) in enumerate(metrics.items()):
        first = (one_line(subset), str(records)) if number == 0 else ("", "")
        table.add_row(*first, name, writing.shown_share(estimate.value), writing.shown_interval(estimate))
    table.add_section()


def plain_table(rows: Rows) -> Table:
    """A table of the page on the terminal."""
    table = Table(title=rows.title, caption=rows.note or None)
    for name in rows.columns:
        table.add_column(name, overflow="fold", justify="right" if "%" in name else "left")
    for row in rows.rows:
        table.add_row(*map(one_line, row))
    return table
