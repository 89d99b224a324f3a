"""``genprm check``: every solution of a file through the verifier, results as they come.

Knows what is shown when, what a failure costs and what an interruption leaves. How results look is
``views.py``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Diagnostics
from ..errors import ClosedError, GenPRMError, ModelError
from ..evaluation.reading import Broken
from ..events import Finished, StepFinished
from ..modes import Reasoning
from ..options import CheckOptions
from ..report.findings import counted
from ..types import Report, StepResult, Usage
from ..voting import first_error, report_verdict
from .codes import FINE, INTERRUPTED, UNUSABLE, exit_code
from .opening import Checker, OpenChecker
from .solutions import Entry, read_solutions
from .terminal import Progress, complain, note, show
from .views import HtmlView, JsonView, ReadableView, View, diagnosis_lines

__all__ = ["CheckRequest", "Tally", "check_file", "check_records", "partial_report"]


@dataclass(frozen=True)
class CheckRequest:
    """What the user asked for, apart from the model.

    Attributes:
        options: What each check is told.
        as_json: Whether results are for programs.
        limit: How many records to take.
        diagnose: Whether to count failure signatures.
        html: A folder for one page a solution.
    """

    options: CheckOptions = field(default_factory=lambda: CheckOptions())
    as_json: bool = False
    limit: int | None = None
    diagnose: bool = False
    html: Path | None = None


@dataclass
class Tally:
    """What has happened so far.

    Attributes:
        total: Records to be checked.
        reports: One for each solution that was checked to its end.
        unchecked: Records that could not be checked.
        interrupted: Whether the user stopped the run.
        code: The worst exit code so far.
    """

    total: int
    reports: list[Report] = field(default_factory=list)
    unchecked: int = 0
    interrupted: bool = False
    code: int = FINE

    def refuse(self, code: int) -> None:
        self.unchecked += 1
        self.code = max(self.code, code)

    def summary(self) -> str:
        """One line for the end."""
        done, wrong = len(self.reports), sum(report.verdict == "incorrect" for report in self.reports)
        undecided = sum(report.verdict in ("unparsed", "incomplete") for report in self.reports)
        parts = [f"checked {done} of {counted(self.total, 'solution')}: {wrong} with a mistake"]
        if undecided:
            parts.append(f"{undecided} without a verdict")
        if self.unchecked:
            parts.append(f"{self.unchecked} could not be checked")
        if self.interrupted:
            parts.append("interrupted")
        return ", ".join(parts)


def check_file(file: str, request: CheckRequest, open_checker: OpenChecker) -> int:
    """Check a file's solutions; returns the exit code.

    Raises:
        GenPRMError: Nothing could be checked, for one reason.
        ReaderLeft: Nobody reads the results.
    """
    records = read_solutions(file, request.limit)
    view: View = JsonView(request.diagnose) if request.as_json else ReadableView()
    if request.html is not None:
        view = HtmlView(request.html, view)
    tally = Tally(total=len(records))
    try:
        asyncio.run(check_records(records, request.options, open_checker, view, tally))
    except KeyboardInterrupt:
        tally.interrupted = True
    if request.diagnose and not request.as_json:
        for line in diagnosis_lines(Diagnostics.of(tally.reports)):
            show(line)
    note(tally.summary())
    return INTERRUPTED if tally.interrupted else tally.code


async def check_records(
    records: Sequence[Entry | Broken],
    options: CheckOptions,
    open_checker: OpenChecker,
    view: View,
    tally: Tally,
) -> None:
    """Check what can be checked, in order; the model is loaded only if there is something.

    A record's failure is told and counted, with the steps that were finished before it; the others go on.
    Cancelled, it shows the finished steps of the solution it was at, and passes the cancellation on.
    """
    entries = [record for record in records if isinstance(record, Entry)]
    for record in records:
        if isinstance(record, Broken):
            complain(f"{record.place}: {record.message}")
            tally.refuse(UNUSABLE)
    if not entries:
        return
    with Progress() as progress:
        progress.say("loading the model")
        async with open_checker() as checker:
            for number, entry in enumerate(entries, 1):
                try:
                    report = await watch(checker, entry, options, view, progress, f"{number}/{len(entries)}")
                except (ClosedError, ModelError):
                    raise
                except GenPRMError as error:
                    progress.clear()
                    if error.report is not None and error.report.steps:
                        view.show(entry, error.report)
                    complain(f"{entry.place}: {error}")
                    tally.refuse(exit_code(error))
                else:
                    progress.clear()
                    tally.reports.append(report)
                    view.show(entry, report)


async def watch(
    checker: Checker, entry: Entry, options: CheckOptions, view: View, progress: Progress, which: str
) -> Report:
    """One solution to its report, with progress; a cancellation shows what there is."""
    steps: list[StepResult] = []
    total = len(entry.solution.steps)
    events = checker.stream(entry.solution, **options)
    try:
        async for event in events:
            if isinstance(event, Finished):
                return event.report
            if isinstance(event, StepFinished):
                steps.append(event.result)
            current = min(len(steps), total - 1)
            progress.say(f"solution {which}, step {current} of 0–{total - 1}, {100 * len(steps) // total}%")
    except asyncio.CancelledError:
        progress.clear()
        if steps:
            view.show(entry, partial_report(entry, steps, options, checker))
        raise
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
    raise RuntimeError("the verifier's events ended without a report")


def partial_report(
    entry: Entry, steps: Sequence[StepResult], options: CheckOptions, checker: Checker
) -> Report:
    """A report of the steps that were finished before the user stopped the check, and what those cost."""
    cascade = options.get("cascade")
    return Report(
        id=entry.solution.id,
        problem=entry.solution.problem,
        steps=tuple(steps),
        first_error=first_error(steps),
        verdict=report_verdict(steps, len(entry.solution.steps)),
        model=checker.name,
        samples=options.get("samples", 1),
        seed=options.get("seed", 0),
        reasoning=tuple(map(Reasoning, cascade.stages)) if cascade else (checker.reasoning,),
        history=checker.history,
        total_steps=len(entry.solution.steps),
        usage=sum((path.usage for step in steps for path in step.paths), Usage()),
    )
