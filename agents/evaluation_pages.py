"""The tables, plots and ``index.html`` of a run of an agent on problems with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..evaluation.page import Index, Line, Table
from ..evaluation.plots import scaling_chart
from ..evaluation.svg import COLOURS, Chart, numbered_axis, share_axis
from ..evaluation.writing import page_of, shown_interval, shown_share, write_index
from .accuracy import BestOfNSummary, RefinementSummary
from .evaluating import ProblemOutcome

__all__ = ["accuracy_table", "write_agent_run"]

Summary = BestOfNSummary | RefinementSummary


def accuracy_table(summary: Summary) -> Table:
    """Accuracy by the number of attempts or turns, in per cent."""
    note = "Intervals: percentile bootstrap over problems. A problem without a result counts as wrong."
    if isinstance(summary, BestOfNSummary):
        rows = [
            (choice, str(point.samples), shown_share(point.value.value), shown_interval(point.value))
            for choice, points in summary.accuracy.items()
            for point in points
        ]
        return Table("Accuracy", ("chosen by", "N", "%", "95% interval"), rows, note)
    turns = [
        (
            str(turn.turn),
            str(turn.broken),
            str(turn.repaired),
            shown_share(turn.latest.value),
            shown_share(turn.accuracy.value),
            shown_interval(turn.accuracy),
        )
        for turn in summary.turns
    ]
    columns = ("turns", "made wrong", "made right", "latest %", "best %", "95% interval")
    return Table("Accuracy", columns, turns, note)


def write_agent_run(folder: Path, summary: Summary, outcomes: Sequence[ProblemOutcome]) -> Path:
    """Write a run's plot and its ``index.html``; returns the latter.

    Raises:
        InputError: The folder cannot be written to.
    """
    settings = summary.settings
    chart = accuracy_chart(summary)
    charts = {} if chart is None else {"accuracy": chart}
    index = Index(
        title=f"{settings.benchmark}: {settings.policy}",
        facts=[
            ("policy", settings.policy),
            ("verifier", settings.model),
            ("problems", f"{summary.problems:,}"),
            ("seed", str(settings.seed)),
            *((name, str(value)) for name, value in settings.others.items() if value is not None),
            ("tokens of the policy", f"{summary.spent.policy_tokens:,}"),
            ("tokens of the verifier", f"{summary.spent.critic_tokens:,}"),
            ("version", settings.version),
        ],
        tables=[accuracy_table(summary)],
        charts=list(charts.values()),
        failures=[(failure.key, failure.reason) for failure in summary.failures],
        columns=("answer", "returned", "right attempts"),
        groups={"Problems": [line_of(folder, outcome) for outcome in outcomes]},
    )
    return write_index(folder, index, charts)


def accuracy_chart(summary: Summary) -> Chart | None:
    if isinstance(summary, BestOfNSummary):
        return scaling_chart("accuracy", "attempts", summary.accuracy)
    if len(summary.turns) < 2:
        return None
    across = numbered_axis("turns, at most", [str(turn.turn) for turn in summary.turns])
    chart = Chart("Accuracy after each turn", across, share_axis("accuracy"))
    lines = {
        "best so far": [turn.accuracy for turn in summary.turns],
        "latest": [turn.latest for turn in summary.turns],
    }
    for colour, (name, found) in zip(COLOURS, lines.items(), strict=False):
        chart.name(name, colour)
        chart.line([(at, each.value or 0.0) for at, each in enumerate(found)], colour)
        for at, each in enumerate(found):
            chart.whisker(at, each.low or 0.0, each.high or 0.0, colour)
            chart.dot(at, each.value or 0.0, colour, said=f"{name}: {shown_share(each.value)}%")
    return chart


def line_of(folder: Path, outcome: ProblemOutcome) -> Line:
    returned = None if outcome.best is None else outcome.attempts[outcome.best].answer
    right = f"{sum(each.right for each in outcome.attempts)} of {len(outcome.attempts)}"
    said = (outcome.expected, "nothing" if returned is None else returned, right)
    return Line(outcome.key, outcome.right, said, page_of(folder, outcome.key))
