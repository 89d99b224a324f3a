"""A report as HTML: a page that needs nothing from anywhere, or a piece of one for notebooks.

Pure: a ``Report`` in, text out. There is no script in it, and the page's policy allows none; folds are
``<details>``, bars are SVG. Knows the order of the parts; ``html_steps`` and ``html_costs`` draw them.
"""

from __future__ import annotations

from ..types import Report
from .findings import STOPPED, counted, not_judged, verdict_words
from .html_costs import render_diagnostics, render_timeline, render_usage
from .html_steps import mark, render_steps, step_links
from .markup import NONE, Html, Setting, element, facts, joined, text
from .page import document, first_named, fragment

__all__ = ["render_fragment", "render_page"]

UNNAMED = "Verification report"


def render_page(report: Report, title: str | None = None) -> str:
    """A complete HTML document of one report; no script, no network, in light and dark.

    Everything in the report is somebody else's text and is shown as such, whatever it holds.

    Args:
        report: What to show.
        title: The heading; without one it is the report's own id, if it has one.
    """
    setting = Setting(own_page=True)
    heading = first_named(title, report.id, otherwise=UNNAMED)
    header = element("header", setting.heading(1, text(heading)), _about(report, heading))
    return document(heading, header, _verdict(report, setting), *_content(report, setting))


def render_fragment(report: Report) -> str:
    """The same as one ``<div>`` whose style applies to nothing outside it, for a notebook's output."""
    setting = Setting(own_page=False)
    heading = first_named(report.id, otherwise=UNNAMED)
    return fragment(
        setting.heading(1, text(heading)),
        _about(report, heading),
        _verdict(report, setting),
        *_content(report, setting),
    )


def _about(report: Report, heading: str) -> Html:
    pairs = [
        ("model", report.model),
        ("paths a step", str(report.samples)),
        ("seed", str(report.seed)),
        ("reasoning", ", then ".join(stage.value for stage in report.reasoning)),
        ("history", report.history.value),
    ]
    if report.id is not None and report.id != heading:
        pairs.insert(0, ("id", report.id))
    return facts((name, text(value)) for name, value in pairs)


def _verdict(report: Report, setting: Setting) -> Html:
    words = joined([mark(report.verdict), text(f" {verdict_words(report)}")])
    if report.verdict == "incorrect" and report.first_error is not None:
        words = setting.link(f"step-{report.first_error}", words)
    scores = report.scores
    pairs = [("last", scores.last), ("mean", scores.mean), ("min", scores.min), ("product", scores.product)]
    return element(
        "section",
        setting.heading(2, text("Verdict")),
        element("p", words, cls="words"),
        _unfinished(report),
        facts((f"{name} score", text("–" if score is None else f"{score:.4f}")) for name, score in pairs),
        cls=f"verdict {report.verdict}",
    )


def _unfinished(report: Report) -> Html:
    missing = not_judged(report)
    said = [] if report.stopped is None else [STOPPED[report.stopped]]
    if missing:
        said.append(f"{missing:,} of {counted(report.total_steps or 0, 'step')} not judged")
    return element("p", text(f"{'; '.join(said).capitalize()}."), cls="unfinished") if said else NONE


def _content(report: Report, setting: Setting) -> list[Html]:
    parts = []
    if report.problem is not None:
        problem = element("div", text(report.problem), cls="text", dir="auto")
        parts.append(element("section", setting.heading(2, text("Problem")), problem))
    steps = [setting.heading(2, text("Steps")), step_links(report, setting), render_steps(report, setting)]
    missing = not_judged(report)
    if missing:
        steps.append(element("p", text(f"{counted(missing, 'more step')} not judged."), cls="note"))
    tables = element("div", render_usage(report, setting), render_diagnostics(report, setting), cls="tables")
    return [*parts, element("section", *steps), render_timeline(report, setting), tables]
