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
from .text import clean, one_line

__all__ = ["render_report", "render_step", "shown_path", "verdict_line"]

MARKS = {"correct": ("✓", "green"), "incorrect": ("✗", "red"), "unparsed": ("?", "yellow")}
VERDICTS = {
    "correct": ("no mistake found", "green"),
    "incorrect": ("first mistake: step {first}", "red"),
    "unparsed": ("no verdict: a step's judgement could not be read", "yellow"),
    "incomplete": ("no verdict: not every step was checked", "yellow"),
}
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
    parts += [verdict_line(report), Text()]
    return Group(*parts)


def render_step(step: StepResult) -> RenderableType:
    """One step: mark, score, label, its text, and one path's analysis, code and output."""
    mark, colour = MARKS[step.label]
    score = "no score" if step.score is None else f"{step.score:.2f}"
    head = Text(f"{mark} step {step.index}  {score}  {step.label}", style=f"bold {colour}")
    head.append(votes(step), style="not bold dim")
    parts: list[RenderableType] = [head, indented(Text(clean(step.text)))]
    path = shown_path(step)
    if path is not None:
        parts += evidence(path, several=len(step.paths) > 1)
    return Group(*parts, Text())


def shown_path(step: StepResult) -> VerificationPath | None:
    """The path that speaks most clearly for the step's label, or the first one when none can be read."""
    readable = [path for path in step.paths if path.score is not None]
    if not readable:
        return step.paths[0] if step.paths else None
    sign = 1 if step.label == "incorrect" else -1
    return min(readable, key=lambda path: sign * (path.score or 0.0))


def verdict_line(report: Report) -> Text:
    """The verdict and what it cost, on one line."""
    words, colour = VERDICTS[report.verdict]
    line = Text("→ " + words.format(first=report.first_error), style=f"bold {colour}")
    usage = report.usage
    paths = f"{report.samples} path{'s' if report.samples > 1 else ''}"
    runs = f"{usage.code_runs} code run{'s' if usage.code_runs != 1 else ''}"
    cost = f"{paths}, {usage.generated_tokens} tokens written, {runs}, {usage.seconds:.1f} s"
    return line.append(f"  ({one_line(report.model)}, {cost})", style="not bold dim")


def votes(step: StepResult) -> str:
    if len(step.paths) < 2:
        return ""
    said = [path.verdict for path in step.paths]
    unread = said.count(None)
    return f"  {said.count('yes')} yes, {said.count('no')} no" + (f", {unread} unread" if unread else "")


def evidence(path: VerificationPath, *, several: bool) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if path.analysis is not None and path.analysis.strip():
        name = f"analysis (path {path.index})" if several else "analysis"
        parts.append(labelled(name, path.analysis.strip()))
    for run in path.code_runs:
        parts += code_block(run)
    if path.degraded is not None:
        parts.append(labelled("code part given up", path.degraded))
    if path.verdict is None:
        wrote = path.text.strip() or "(nothing)"
        parts.append(labelled("the judgement could not be read; the path wrote", wrote))
    return parts


def code_block(run: CodeRun) -> list[RenderableType]:
    lexer = Syntax("", "python", theme="ansi_dark", background_color="default")
    source = lexer.highlight(clean(run.code).strip("\n"))
    source.rstrip()
    parts: list[RenderableType] = [label("code"), Padding(source, (0, 0, 0, INDENT + 2), expand=False)]
    if run.status == "not_executed":
        parts.append(label("not executed"))
    elif run.status == "ok":
        parts.append(labelled("output", run.stdout.rstrip("\n") or "(prints nothing)"))
    else:
        said = run.feedback or f"{run.error_type or run.status}: {run.message or ''}"
        before = run.stdout.rstrip("\n")
        text = f"{before}\n{said}" if before and before not in said else said
        parts.append(labelled(f"output ({run.status})", text))
    return parts


def label(name: str) -> RenderableType:
    return indented(Text(name, style="dim italic"))


def labelled(name: str, text: str) -> RenderableType:
    return Group(label(name), Padding(Text(clean(text)), (0, 0, 0, INDENT + 2), expand=False))


def indented(text: Text) -> RenderableType:
    return Padding(text, (0, 0, 0, INDENT), expand=False)
