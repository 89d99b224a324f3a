"""A report as rich renderables: a heading, each step with its evidence, the verdict.

Pure: a ``Report`` in, a renderable out. Knows colours and layout; not where it is printed, nor how wide. Of
several paths one is shown for each step, the clearest one that says what the step's label says.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from ..types import CodeRun, Report, StepResult, VerificationPath
from .findings import DEGRADED, MARKS, STOPPED, code_output, counted, not_judged, shown_path, verdict_words
from .text import clean, one_line

__all__ = ["render_report", "render_step", "shown_path", "verdict_line"]

COLOURS = {"correct": "green", "incorrect": "red", "unparsed": "yellow", "incomplete": "yellow"}
INDENT = 4


def render_report(report: Report, title: str | None = None) -> RenderableType:
    """The whole report, with an empty line at its end.

    Args:
        report: What to show.
        title: The heading; without one it is the report's own id, if it has one.
    """
    heading = title if title is not None else report.id
    parts: list[RenderableType] = []
    if heading is not None:
        parts.append(Text(one_line(heading), style="bold underline"))
    if report.problem is not None:
        parts.append(labelled("problem", report.problem))
    parts += [render_step(step) for step in report.steps]
    unfinished = unfinished_line(report)
    if unfinished is not None:
        parts.append(unfinished)
    parts += [verdict_line(report), Text()]
    return Group(*parts)


def render_step(step: StepResult) -> RenderableType:
    """One step: mark, score, label, its text, and one path's analysis, code and output."""
    score = "no score" if step.score is None else f"{step.score:.2f}"
    head = Text(f"{MARKS[step.label]} step {step.index}  {score}  {step.label}")
    head.stylize(f"bold {COLOURS[step.label]}")
    head.append(votes(step), style="not bold dim")
    parts: list[RenderableType] = [head, indented(Text(clean(step.text)))]
    path = shown_path(step)
    if path is not None:
        parts += evidence(path, several=len(step.paths) > 1)
    return Group(*parts, Text())


def unfinished_line(report: Report) -> Text | None:
    """Why the check ended early and how many steps it left out, or None when it did neither."""
    missing = not_judged(report)
    said = [] if report.stopped is None else [STOPPED[report.stopped]]
    if missing:
        said.append(f"{counted(missing, 'step')} not judged")
    return Text("… " + "; ".join(said), style="yellow") if said else None


def verdict_line(report: Report) -> Text:
    """The verdict and what it cost, on one line."""
    line = Text("→ " + verdict_words(report), style=f"bold {COLOURS[report.verdict]}")
    usage = report.usage
    cost = (
        f"{counted(report.samples, 'path')}, {usage.generated_tokens} tokens written, "
        f"{counted(usage.code_runs, 'code run')}, {usage.seconds:.1f} s"
    )
    return line.append(f"  ({one_line(report.model)}, {cost})", style="not bold dim")


def votes(step: StepResult) -> str:
    said = []
    if len(step.paths) > 1:
        yes, no, unread = step.votes
        said += [f"{yes} yes", f"{no} no"] + ([f"{unread} unread"] if unread else [])
    if step.majority != step.label:
        said.append(f"by vote {step.majority}")
    if step.cheaper:
        said.append(f"{len(step.cheaper)} cheaper, unsure")
    return "  " + ", ".join(said) if said else ""


def evidence(path: VerificationPath, *, several: bool) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if path.analysis is not None and path.analysis.strip():
        name = f"analysis (path {path.index})" if several else "analysis"
        parts.append(labelled(name, path.analysis.strip()))
    for run in path.code_runs:
        parts += code_block(run)
    if path.degraded is not None:
        parts.append(labelled("code part given up", DEGRADED[path.degraded]))
    if path.forgotten:
        parts.append(label(f"no longer saw {counted(path.forgotten, 'earlier verification')}"))
    if path.verdict is None:
        wrote = path.text.strip() or "(nothing)"
        parts.append(labelled("the judgement could not be read; the path wrote", wrote))
    return parts


def code_block(run: CodeRun) -> list[RenderableType]:
    lexer = Syntax("", "python", theme="ansi_dark", background_color="default", word_wrap=True)
    source = lexer.highlight(clean(run.code).strip("\n"))
    source.rstrip()
    parts: list[RenderableType] = [label("code"), Padding(source, (0, 0, 0, INDENT + 2), expand=False)]
    if run.status == "not_executed":
        parts.append(label("not executed"))
    elif run.status == "ok":
        parts.append(labelled("output", code_output(run) or "(prints nothing)"))
    else:
        parts.append(labelled(f"output ({run.status})", code_output(run)))
    return parts


def label(name: str) -> RenderableType:
    return indented(Text(name, style="dim italic"))


def labelled(name: str, text: str) -> RenderableType:
    return Group(label(name), Padding(Text(clean(text)), (0, 0, 0, INDENT + 2), expand=False))


def indented(text: Text) -> RenderableType:
    return Padding(text, (0, 0, 0, INDENT), expand=False)
