"""Everything of a finished run that people read: tables as text, plots and ``index.html`` in its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from .metrics import HEADLINE, Estimate
from .outcome import Outcome
from .page import Index, Line, Table, render_index
from .plots import draw_plots
from .scaling import AVERAGE, Point, by_subset
from .store import REPORTS, page_name, write_text
from .summary import Summary
from .svg import Chart

__all__ = [
    "page_of",
    "published_table",
    "result_rows",
    "scaling_table",
    "shown_interval",
    "shown_share",
    "write_index",
    "write_run",
]

PLOTS = "plots"
POOLED = "all as one"
INTERVALS = (
    "Intervals: percentile bootstrap over records; none (–) where too many resamples lack one kind of record."
)


def shown_share(share: float | None) -> str:
    """In per cent."""
    return "–" if share is None else f"{100 * share:.1f}"


def shown_interval(estimate: Estimate) -> str:
    """In per cent."""
    return "–" if estimate.low is None else f"{shown_share(estimate.low)} to {shown_share(estimate.high)}"


def result_rows(summary: Summary) -> Iterator[tuple[str, int, Mapping[str, Estimate]]]:
    """Each subset with its records and metrics, then what holds for all of them."""
    for name, scores in summary.subsets.items():
        yield name, scores.records, scores.metrics
    if summary.average is not None:
        yield AVERAGE, summary.records, summary.average
    if summary.pooled is not None:
        yield POOLED, summary.pooled.records, summary.pooled.metrics


def results_table(summary: Summary) -> Table:
    rows = [
        (
            "" if number else name,
            "" if number else str(records),
            metric,
            shown_share(found.value),
            shown_interval(found),
        )
        for name, records, metrics in result_rows(summary)
        for number, (metric, found) in enumerate(metrics.items())
    ]
    columns = ("subset", "records", "metric", "%", "95% interval")
    return Table("Results", columns, rows, INTERVALS)


def scaling_table(title: str, across: str, curves: Mapping[str, Sequence[Point]]) -> Table:
    """A curve's points as a table."""
    rows = [
        (name, str(point.samples), shown_share(point.value.value), shown_interval(point.value))
        for name, points in curves.items()
        for point in points
    ]
    return Table(title, ("subset", across, "%", "95% interval"), rows)


def published_table(summary: Summary) -> Table:
    """What others have published, beside the run's own number."""
    settings = summary.settings
    metric = HEADLINE[settings.benchmark]
    own = summary.average or next(iter(summary.subsets.values())).metrics
    paths = "one path" if settings.samples == 1 else f"Maj@{settings.samples}"
    rows = [(f"this run: {settings.model}, {paths}", "measured here", metric, shown_share(own[metric].value))]
    rows += [(each.name, each.source, each.metric, shown_share(each.value)) for each in summary.published]
    note = (
        "But for the first row: published, not measured here; averages over all of the benchmark's subsets, "
        "as their authors print them."
    )
    return Table("Published", ("model", "source", "metric", "%"), rows, note)


def write_run(folder: str | os.PathLike[str], summary: Summary, outcomes: Sequence[Outcome]) -> Path:
    """Write a run's plots and its ``index.html``; returns the latter.

    Raises:
        InputError: The folder cannot be written to.
    """
    folder = Path(folder)
    settings = summary.settings
    tables = [results_table(summary)]
    if summary.published:
        tables.append(published_table(summary))
    if summary.scaling:
        tables.append(scaling_table("Fewer paths", "paths a step", summary.scaling))
    shown = [
        ("model", settings.model),
        ("records", f"{summary.records:,}"),
        ("paths a step", str(settings.samples)),
        ("seed", str(settings.seed)),
        ("reasoning", "the model's" if settings.reasoning is None else settings.reasoning.value),
        ("history", "the model's" if settings.history is None else settings.history.value),
        ("adaptive", settings.adaptive),
        ("tokens written", f"{summary.usage.generated_tokens:,}"),
        ("code runs", f"{summary.usage.code_runs:,}"),
        ("code runs failed", f"{sum(summary.usage.code_failures.values()):,}"),
        ("version", settings.version),
    ]
    charts = draw_plots(summary, outcomes)
    index = Index(
        title=f"{settings.benchmark}: {settings.model}",
        facts=shown,
        tables=tables,
        charts=list(charts.values()),
        failures=[(failure.key, failure.reason) for failure in summary.failures],
        columns=("labelled", "found", "right steps"),
        groups={
            name: [line_of(folder, outcome) for outcome in group]
            for name, group in by_subset(outcomes).items()
        },
    )
    return write_index(folder, index, charts)


def write_index(folder: Path, index: Index, charts: Mapping[str, Chart]) -> Path:
    """Write plots by their names, and the page.

    Raises:
        InputError: The folder cannot be written to.
    """
    page = folder / "index.html"
    try:
        (folder / PLOTS).mkdir(exist_ok=True)
        for name, chart in charts.items():
            write_text(folder / PLOTS / f"{name}.svg", chart.file())
        write_text(page, render_index(index))
    except OSError as error:
        raise InputError(f"{page} cannot be written: {error.strerror or error}") from None
    return page


def line_of(folder: Path, outcome: Outcome) -> Line:
    expected = "unknown" if not outcome.labelled else step_name(outcome.expected)
    found = step_name(outcome.predicted) if outcome.decided else outcome.verdict or "failed"
    return Line(
        outcome.key, outcome.exact, (expected, found, right_steps(outcome)), page_of(folder, outcome.key)
    )


def page_of(folder: Path, key: str) -> str | None:
    """A record's own page as the index links to it, if it was written."""
    name = page_name(key)
    return f"{REPORTS}/{name}" if (folder / REPORTS / name).is_file() else None


def step_name(index: int | None) -> str:
    return "no mistake" if index is None else f"step {index}"


def right_steps(outcome: Outcome) -> str:
    judged = list(zip(outcome.truth, outcome.step_labels, strict=False))
    known = sum(truth is not None for truth, _ in judged)
    right = judged.count((True, "correct")) + judged.count((False, "incorrect"))
    return f"{right} of {known}" if known else "–"
