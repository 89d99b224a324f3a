"""What a check cost and how well the method worked, as HTML: a timeline and two tables.

Takes numbers of a report only; nothing that a model or a caller wrote is shown here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..types import CodeStatus, Report, VerificationPath
from .findings import CODE_ENDINGS, DEGRADED, counted
from .html_steps import PHASES, phase_seconds
from .markup import Html, Setting, bar, element, fold, text

__all__ = ["render_diagnostics", "render_timeline", "render_usage"]

MANY_ROWS = 40
"""A timeline with more rows than these is folded."""

Row = tuple[int, str, VerificationPath]


def render_timeline(report: Report, setting: Setting) -> Html:
    """One row a path a step: how its time is shared among the phases, all rows to one scale."""
    name = setting.heading(2, text("Time"))
    rows = [row for row in _rows(report) if _busy(row[2]) or row[2].usage.queued_seconds]
    if not rows:
        return element("section", name, element("p", text("No times were recorded."), cls="note"))
    longest = max(max(_busy(path), path.usage.queued_seconds) for _, _, path in rows)
    columns = ("step", "path", "time", "seconds")
    head = element("tr", *(element("th", text(column), scope="col") for column in columns))
    table = element(
        "table",
        element("caption", text(f"Each path's time; a full bar is {longest:.2f} s.")),
        element("thead", head),
        element("tbody", *(_row(row, longest) for row in rows)),
        cls="timeline",
    )
    if len(rows) > MANY_ROWS:
        table = fold(text(f"{counted(len(rows), 'row')}, one a path a step"), table, cls="paths")
    return element("section", name, _legend(), table)


def _rows(report: Report) -> Iterable[Row]:
    for step in report.steps:
        for kind, paths in (("", step.paths), (" cheaper", step.cheaper), (" extra", step.extra)):
            for path in paths:
                yield step.index, f"{path.index}{kind}", path


def _busy(path: VerificationPath) -> float:
    return sum(seconds for _, seconds in phase_seconds(path.usage))


def _legend() -> Html:
    names = [*((phase, phase) for phase in PHASES), ("queued", "queued meanwhile (thin)")]
    keys = [(bar([(cls, 1.0)], "key", aria_hidden="true"), text(f" {name}")) for cls, name in names]
    return element("ul", *(element("li", *key) for key in keys), cls="legend", aria_label="colours")


def _row(row: Row, longest: float) -> Html:
    step, name, path = row
    phases, queued = phase_seconds(path.usage), path.usage.queued_seconds
    said = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in [*phases, ("queued", queued)])
    parts = [(phase, seconds / longest) for phase, seconds in phases]
    bars = [bar(parts, "shares", role="img", aria_label=said)]
    if queued:
        bars.append(bar([("queued", queued / longest)], "shares thin", aria_hidden="true"))
    return element(
        "tr",
        element("th", text(str(step)), scope="row"),
        element("td", text(name)),
        element("td", *bars, cls="drawn"),
        element("td", text(f"{_busy(path):.2f}"), cls="number"),
    )


def render_usage(report: Report, setting: Setting) -> Html:
    """Tokens, runs and seconds of the whole check."""
    usage = report.usage
    return _table(
        setting,
        "Usage",
        {
            "tokens before the model": f"{usage.prompt_tokens:,}",
            "not put again: shared by forks": f"{usage.shared_tokens:,}",
            "not evaluated: found in the cache": f"{usage.cached_tokens:,}",
            "tokens through the model": f"{usage.evaluated_tokens:,}",
            "tokens written": f"{usage.generated_tokens:,}",
            "most tokens in the cache": f"{usage.cache_peak:,}",
            "runs of the model": f"{usage.model_runs:,}",
            "sequences a run, on average": f"{usage.occupancy:.1f}",
            "code runs": f"{usage.code_runs:,}",
            **_failures(usage.code_failures),
            **{f"seconds: {name}": f"{seconds:.2f}" for name, seconds in phase_seconds(usage)},
            "seconds: queued": f"{usage.queued_seconds:.2f}",
            "seconds in all, by the clock": f"{usage.seconds:.2f}",
        },
    )


def render_diagnostics(report: Report, setting: Setting) -> Html:
    """The failure signatures of the method; see ``Diagnostics``."""
    found = report.diagnostics
    return _table(
        setting,
        "Diagnostics",
        {
            "steps judged": f"{found.steps:,}",
            "verifications": f"{found.paths:,}",
            "code runs": f"{found.code_runs:,}",
            "code that failed": _share(found.code_failed),
            **_failures(found.code_failures),
            "verdicts that could not be read": _share(found.unparsed),
            "code part given up": f"{sum(found.degraded.values()):,}",
            **{f"… {DEGRADED[reason]}": f"{count:,}" for reason, count in found.degraded.items()},
            "no longer saw all earlier verifications": f"{found.forgetful:,}",
            "pairs of paths that agree": _share(found.agreement),
            "independent votes a step": _number(found.effective_votes),
            "P(Yes) + P(No), on average": _number(found.verdict_mass),
        },
    )


def _failures(failures: Mapping[CodeStatus, int]) -> dict[str, str]:
    return {f"… {CODE_ENDINGS[status]}": f"{count:,}" for status, count in sorted(failures.items())}


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _table(setting: Setting, name: str, rows: Mapping[str, str]) -> Html:
    body = [
        element("tr", element("th", text(key), scope="row"), element("td", text(value), cls="number"))
        for key, value in rows.items()
    ]
    table = element("table", element("tbody", *body), cls="numbers", aria_label=name.lower())
    return element("section", setting.heading(2, text(name)), table)
