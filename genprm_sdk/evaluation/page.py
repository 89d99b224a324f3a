"""A run's ``index.html``: tables, plots, failures, and every record with a link to its own page.

Knows how these are laid out, in the look of the reports; what they say is for others to know. Everything in
them is somebody else's text and is shown as such, whatever it holds. No script, no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..report.findings import counted
from ..report.markup import NONE, Html, Setting, element, facts, fold, text
from ..report.page import document
from .svg import Chart

__all__ = ["Index", "Line", "Table", "render_index"]

MANY_LINES = 40
SETTING = Setting(own_page=True)


@dataclass(frozen=True)
class Table:
    """Rows of text; the first of a row names it, and a column with % in its name holds numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One record.

    Attributes:
        name: What it is called.
        right: Whether its result is right.
        said: What else the columns say.
        page: Its own page, seen from the index; None if there is none.
    """

    name: str
    right: bool
    said: Sequence[str]
    page: str | None


@dataclass(frozen=True)
class Index:
    """What the page shows, in this order.

    Attributes:
        title: The heading.
        facts: Names and what belongs to them.
        tables: The results.
        charts: The plots.
        failures: Names of records, and why they have no result.
        columns: What the lines say beside the name and whether it is right.
        groups: Lines by subset.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    charts: Sequence[Chart]
    failures: Sequence[tuple[str, str]]
    columns: Sequence[str]
    groups: Mapping[str, Sequence[Line]] = field(default_factory=dict)


def render_index(index: Index) -> str:
    """A complete HTML document."""
    header = element(
        "header",
        SETTING.heading(1, text(index.title)),
        facts((name, text(value)) for name, value in index.facts),
    )
    return document(
        index.title,
        header,
        *(_table(table) for table in index.tables),
        _plots(index.charts),
        _failures(index.failures),
        *(_group(name, lines, index.columns) for name, lines in index.groups.items()),
    )


def _section(title: str, *content: Html) -> Html:
    return element("section", SETTING.heading(2, text(title)), *content)


def _table(table: Table) -> Html:
    note = element("p", text(table.note), cls="note") if table.note else NONE
    body = [
        element(
            "tr",
            element("th", text(row[0]), scope="row"),
            *(
                element("td", text(cell), cls="whole" if "%" in column else "")
                for column, cell in zip(table.columns[1:-1], row[1:-1], strict=True)
            ),
            element("td", text(row[-1]), cls="number"),
        )
        for row in table.rows
    ]
    return _section(table.title, note, _rows(table.columns, body, table.title))


def _rows(columns: Sequence[str], body: Sequence[Html], name: str) -> Html:
    head = element("tr", *(element("th", text(column), scope="col") for column in columns))
    return element("table", element("thead", head), element("tbody", *body), aria_label=name)


def _plots(charts: Sequence[Chart]) -> Html:
    if not charts:
        return NONE
    drawn = [element("figure", chart.drawn()) for chart in charts]
    return _section("Plots", element("div", *drawn, cls="tables"))


def _failures(failures: Sequence[tuple[str, str]]) -> Html:
    if not failures:
        return NONE
    note = element("p", text("They count as wrong."), cls="note")
    listed = [
        element("tr", element("th", text(name), scope="row"), element("td", text(reason)))
        for name, reason in failures
    ]
    table = _rows(("record", "why"), listed, "failures")
    folded = fold(
        text(counted(len(failures), "record")), table, cls="paths", is_open=len(failures) <= MANY_LINES
    )
    return _section("Failures", note, folded)


def _group(name: str, lines: Sequence[Line], columns: Sequence[str]) -> Html:
    right = sum(line.right for line in lines)
    table = _rows(("record", "result", *columns), [_line(line) for line in lines], name)
    summary = text(f"{right:,} of {counted(len(lines), 'record')} right")
    return _section(name, fold(summary, table, cls="paths", is_open=len(lines) <= MANY_LINES))


def _line(line: Line) -> Html:
    name = text(line.name)
    linked = name if line.page is None else element("a", name, href=line.page)
    result = text("✓ right" if line.right else "✗ wrong")
    return element(
        "tr",
        element("th", linked, scope="row"),
        element("td", result, cls="whole"),
        *(element("td", text(said)) for said in line.said[:-1]),
        element("td", text(line.said[-1]), cls="number"),
    )
