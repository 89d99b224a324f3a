"""The steps of a report as HTML: what was said about each, path by path.

Knows how a step, a path and a block of code are laid out; what a block's ending is called is ``findings``'s
business, and how text is escaped ``markup``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..types import CodeRun, Label, Report, ReportVerdict, StepResult, Usage, Verdict, VerificationPath
from .findings import CODE_ENDINGS, DEGRADED, MARKS, code_output, counted, shown_path
from .markup import NONE, Html, Setting, element, facts, fold, joined, score_bar, text

__all__ = ["PHASES", "mark", "phase_seconds", "render_steps", "step_links"]

PHASES = ("prompt", "generate", "code", "verdict")
"""What a path's time goes to, in the order in which it mostly does."""

MANY_STEPS = 40
"""Of more steps than these, the browser lays out those that are in sight."""

CHEAPER = "of a cheaper stage; unsure, not counted"
EXTRA = "run only to come to a later step; not counted"
LABELS: dict[Verdict | None, Label] = {"yes": "correct", "no": "incorrect", None: "unparsed"}


def phase_seconds(usage: Usage) -> list[tuple[str, float]]:
    """The phases and their seconds."""
    seconds = (usage.prompt_seconds, usage.generate_seconds, usage.code_seconds, usage.verdict_seconds)
    return list(zip(PHASES, seconds, strict=True))


def step_links(report: Report, setting: Setting) -> Html:
    """A short way to every step, with the mark of its label; nothing where there are no anchors."""
    if not setting.own_page or len(report.steps) < 2:
        return NONE
    links = [
        setting.link(
            f"step-{step.index}",
            mark(step.label),
            text(f" {step.index}"),
            cls=step.label,
            aria_label=f"step {step.index}, {step.label}",
        )
        for step in report.steps
    ]
    return element("nav", element("ol", *(element("li", link) for link in links)), aria_label="steps")


def render_steps(report: Report, setting: Setting) -> Html:
    """All judged steps in order; the first wrong one is unfolded."""
    steps = [_step(step, setting, is_open=step.index == report.first_error) for step in report.steps]
    size = "steps many" if len(steps) > MANY_STEPS else "steps"
    return element("ol", *(element("li", step) for step in steps), cls=size, role="list")


def _step(step: StepResult, setting: Setting, *, is_open: bool) -> Html:
    name = setting.heading(3, mark(step.label), text(f" Step {step.index}: {step.label}"))
    head = element(
        "div", name, score_bar(step.score, step.label), element("span", _votes(step), cls="votes"), cls="head"
    )
    shown = element("div", text(step.text), cls="text", dir="auto")
    return element(
        "article",
        head,
        shown,
        _paths(step, is_open=is_open),
        _aside(step.cheaper, CHEAPER),
        _aside(step.extra, EXTRA),
        cls=f"step {step.label}",
        **setting.anchor(f"step-{step.index}"),
    )


def mark(verdict: ReportVerdict) -> Html:
    """The sign of a verdict or label; the words stand beside it."""
    return element("span", text(MARKS[verdict]), cls="mark", aria_hidden="true")


def _votes(step: StepResult) -> Html:
    yes, no, unparsed = step.votes
    said = f"votes: {yes} yes, {no} no, {unparsed} unparsed"
    return text(said if step.majority == step.label else f"{said}; by vote {step.majority}")


def _paths(step: StepResult, *, is_open: bool) -> Html:
    if not step.paths:
        return element("p", text("No path judged this step."), cls="note")
    clearest = shown_path(step)
    folds = [_path(path, is_open=is_open and path is clearest) for path in step.paths]
    if len(folds) == 1:
        return folds[0]
    return fold(text(counted(len(folds), "path")), *folds, cls="paths", is_open=is_open)


def _aside(paths: Sequence[VerificationPath], why: str) -> Html:
    if not paths:
        return NONE
    summary = text(f"{counted(len(paths), 'path')} {why}")
    return fold(summary, *(_path(path, is_open=False) for path in paths), cls="paths aside")


def _path(path: VerificationPath, *, is_open: bool) -> Html:
    label = LABELS[path.verdict]
    said = "could not be read" if path.verdict is None else f"wrote {path.verdict}"
    summary = [mark(label), text(f"path {path.index} {said}")]
    if path.score is not None:
        summary.append(score_bar(path.score, label))
    if path.code_runs:
        summary.append(element("span", text(_codes(path.code_runs)), cls="votes"))
    if path.degraded is not None or path.forgotten:
        summary.append(element("span", text("with notes"), cls="tag"))
    return fold(
        joined(summary, " "),
        *_notes(path),
        *_analysis(path),
        *(_code_block(number, run) for number, run in enumerate(path.code_runs, start=1)),
        *_unread(path),
        _path_facts(path),
        cls=f"path {label}",
        is_open=is_open,
    )


def _codes(runs: Sequence[CodeRun]) -> str:
    failed = sum(run.status not in ("ok", "not_executed") for run in runs)
    return counted(len(runs), "code block") + (f", {failed} failed" if failed else "")


def _notes(path: VerificationPath) -> list[Html]:
    said = []
    if path.degraded is not None:
        said.append(f"The code part was given up: {DEGRADED[path.degraded]}.")
    if path.forgotten:
        forgotten = counted(path.forgotten, "earlier verification")
        said.append(f"It no longer saw {forgotten}: the context could not hold more.")
    return [element("p", text(note), cls="note") for note in said]


def _analysis(path: VerificationPath) -> list[Html]:
    if path.analysis is None or not path.analysis.strip():
        return []
    return [_quoted(text("analysis"), element("div", text(path.analysis.strip()), cls="text", dir="auto"))]


def _unread(path: VerificationPath) -> list[Html]:
    if path.verdict is not None:
        return []
    wrote = _scrolled(path.text.strip("\n") or "(nothing)", "what the path wrote")
    return [_quoted(text("the verdict could not be read; the path wrote"), wrote)]


def _code_block(number: int, run: CodeRun) -> Html:
    ended = CODE_ENDINGS[run.status]
    caption = [text(f"code {number} {ended}")]
    if run.status != "not_executed":
        caption.append(text(f" ({run.duration:.2f} s)"))
    parts = [_quoted(joined(caption), _scrolled(run.code.strip("\n") or "(no code)", f"code {number}"))]
    output = code_output(run)
    if run.status != "not_executed":
        name = "output, cut at the limit" if run.truncated else "output"
        shown = output or "(prints nothing)"
        parts.append(_quoted(text(name), _scrolled(shown, f"output of code {number}")))
        if not run.state_kept:
            parts.append(element("p", text("Its variables were lost afterwards."), cls="note"))
    return element("div", *parts, cls="code")


def _quoted(caption: Html, content: Html) -> Html:
    return element("figure", element("figcaption", caption), content)


def _scrolled(foreign: str, name: str) -> Html:
    return element("pre", text(foreign), role="group", tabindex="0", aria_label=name, dir="ltr")


def _path_facts(path: VerificationPath) -> Html:
    usage = path.usage
    pairs = [("verdict", text(path.verdict or "not readable"))]
    if path.score is not None:
        pairs.append(("score", text(f"{path.score:.4f}")))
    if path.verdict_mass is not None:
        pairs.append(("P(Yes) + P(No)", text(f"{path.verdict_mass:.4f}")))
    pairs.append(("reasoning", text(path.reasoning.value)))
    pairs.append(("tokens written", text(f"{usage.generated_tokens:,}")))
    spent = [*phase_seconds(usage), ("queued", usage.queued_seconds)]
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent if seconds)
    if times:
        pairs.append(("time", text(times)))
    isolation = sorted({run.isolation for run in path.code_runs if run.isolation})
    if isolation:
        pairs.append(("code isolated by", text(", ".join(isolation))))
    return facts(pairs)
