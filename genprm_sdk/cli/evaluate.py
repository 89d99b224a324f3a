"""``genprm eval``: a benchmark through the verifier, its metric on stdout.

Knows options, progress and the table; records, results and scores are the evaluation room's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.table import Table

from ..evaluation.datasets import Benchmark, Item, Unreadable, load
from ..evaluation.metrics import Estimate
from ..evaluation.outcome import Outcome
from ..evaluation.runner import Summary, run, summarise
from ..evaluation.store import ResultStore, Settings
from ..models import locate
from ..models.fingerprint import fingerprint
from ..modes import History, Reasoning
from ..options import adaptive_of
from ..report.text import one_line
from .codes import FAILED, FINE, INTERRUPTED, UNUSABLE
from .opening import OpenChecker
from .terminal import Progress, complain, note, show

__all__ = ["EvalOptions", "evaluate", "summary_table"]

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
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE
    history: History | None = None
    adaptive: str = "auto"
    stop_at_first_error: bool = False
    exact: bool = False

    def settings(self) -> Settings:
        """What decides a result.

        Raises:
            UnknownModelError: There is no such model.
        """
        located = locate(self.model)
        adaptive_of(self.adaptive)
        return Settings(
            benchmark=self.benchmark,
            model=located.name,
            model_file=fingerprint(located),
            samples=self.samples,
            seed=self.seed,
            reasoning=self.reasoning,
            history=self.history,
            adaptive=self.adaptive,
            stop_at_first_error=self.stop_at_first_error,
            exact=self.exact,
            version=version("genprm-sdk"),
        )


def evaluate(options: EvalOptions, open_checker: OpenChecker) -> int:
    """Run a benchmark; returns the exit code.

    Raises:
        GenPRMError: Nothing could be checked, for one reason.
    """
    records = load(options.benchmark, options.data, options.limit)
    settings = options.settings()
    store = None if options.out is None else ResultStore.open(options.out, settings)
    outcomes: list[Outcome] = []
    try:
        asyncio.run(check_all(records, settings, store, open_checker, outcomes))
    except KeyboardInterrupt:
        conclude_early(settings, outcomes, len(records), options.out)
        return INTERRUPTED
    summary = summarise(settings, outcomes)
    show(summary_table(summary))
    note(closing_line(outcomes))
    if store is not None:
        note(f"saved to {store.conclude(summary)}")
    if any(not outcome.labelled for outcome in outcomes):
        return UNUSABLE
    return FAILED if any(outcome.error is not None for outcome in outcomes) else FINE


async def check_all(
    records: list[Item | Unreadable],
    settings: Settings,
    store: ResultStore | None,
    open_checker: OpenChecker,
    outcomes: list[Outcome],
) -> None:
    with Progress(every=SECONDS_BETWEEN_LINES) as progress:

        def heard(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if outcome.error is not None:
                progress.clear()
                complain(f"{outcome.key}: {outcome.error}")
            right = sum(o.exact for o in outcomes)
            progress.say(f"{len(outcomes)} of {len(records)} records, {right} exact")

        progress.say("loading the model")
        async with open_checker() as checker:
            await run(checker, records, settings, store=store, on_outcome=heard)


def conclude_early(settings: Settings, outcomes: list[Outcome], total: int, out: Path | None) -> None:
    """What was finished when the user stopped the run; no summary is saved."""
    if outcomes:
        show(summary_table(summarise(settings, outcomes), of=total))
    resume = f"; the same command goes on from {out}" if out is not None else ""
    note(f"interrupted: {len(outcomes)} of {total} records are done{resume}")


def closing_line(outcomes: list[Outcome]) -> str:
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
    done = f"{summary.records} records" if of is None else f"only {summary.records} of {of} records"
    table = Table(
        title=one_line(
            f"{settings.benchmark}: {settings.model}, samples {settings.samples}, seed {settings.seed}, "
            f"{settings.reasoning}, {done}"
        ),
        caption="intervals: percentile bootstrap over records",
    )
    table.add_column("subset", overflow="fold")
    table.add_column("records", justify="right", no_wrap=True)
    for name in ("metric", "%", "95% interval"):
        table.add_column(name, no_wrap=True, justify="left" if name == "metric" else "right")
    for subset, scores in summary.subsets.items():
        add_rows(table, subset, scores.records, scores.metrics)
    if summary.average is not None:
        add_rows(table, "unweighted mean", summary.records, summary.average)
    return table


def add_rows(table: Table, subset: str, records: int, metrics: Mapping[str, Estimate]) -> None:
    for number, (name, estimate) in enumerate(metrics.items()):
        first = (one_line(subset), str(records)) if number == 0 else ("", "")
        table.add_row(*first, name, percent(estimate.value), interval(estimate))
    table.add_section()


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def interval(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{percent(estimate.low)} to {percent(estimate.high)}"
