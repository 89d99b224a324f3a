"""A trajectory as HTML: a page that needs nothing from anywhere, or a piece of one for notebooks.

It has the look of the verification report and holds the reports of its attempts.
"""

from __future__ import annotations

from ..report.findings import counted
from ..report.html_steps import mark, render_steps
from ..report.markup import NONE, Html, Setting, element, facts, fold, joined, score_bar, text
from ..report.page import document, first_named, fragment
from .findings import attempt_words, challenge_words, notes, outcome, shown_verdict, spent_words
from .trajectory import Attempt, Trajectory, Turn

__all__ = ["render_fragment", "render_page"]

UNNAMED = "Trajectory"
INSIDE = Setting(own_page=False)
"""Reports stand inside of attempts: their steps have no anchors, which would occur more than once."""


def render_page(trajectory: Trajectory, title: str | None = None) -> str:
    """A complete HTML document of one trajectory; no script, no network, in light and dark.

    Args:
        trajectory: What to show.
        title: The heading; without one it is the trajectory's own id, if it has one.
    """
    setting = Setting(own_page=True)
    heading = first_named(title, trajectory.id, otherwise=UNNAMED)
    header = element("header", setting.heading(1, text(heading)), _about(trajectory))
    return document(heading, header, *_content(trajectory, setting))


def render_fragment(trajectory: Trajectory) -> str:
    """The same as one ``<div>`` whose style applies to nothing outside it, for a notebook's output."""
    setting = Setting(own_page=False)
    heading = first_named(trajectory.id, otherwise=UNNAMED)
    return fragment(setting.heading(1, text(heading)), _about(trajectory), *_content(trajectory, setting))


def _about(trajectory: Trajectory) -> Html:
    pairs = [("agent", trajectory.agent), ("policy", trajectory.policy)]
    if trajectory.critic is not None:
        pairs.append(("critic", trajectory.critic))
    pairs.append(("seed", str(trajectory.seed)))
    return facts((name, text(value)) for name, value in pairs)


def _content(trajectory: Trajectory, setting: Setting) -> list[Html]:
    best = trajectory.solution
    verdict = "unparsed" if best is None else shown_verdict(best)
    words = joined([mark(verdict), text(f" {outcome(trajectory)}")])
    if best is not None:
        words = setting.link(f"attempt-{best.index}", words)
    result = element(
        "section",
        setting.heading(2, text("Result")),
        element("p", words, cls="words"),
        element("p", text(spent_words(trajectory.spent, trajectory.seconds)), cls="note"),
        cls=f"verdict {verdict}",
    )
    problem = element(
        "section",
        setting.heading(2, text("Problem")),
        element("div", text(trajectory.problem), cls="text", dir="auto"),
    )
    return [result, problem, _votes(trajectory, setting), *_turns(trajectory, setting)]


def _votes(trajectory: Trajectory, setting: Setting) -> Html:
    if not trajectory.weights:
        return NONE
    rows = [
        element(
            "tr", element("th", text(answer), scope="row"), element("td", text(f"{weight:.3g}"), cls="number")
        )
        for answer, weight in sorted(trajectory.weights.items(), key=lambda pair: -pair[1])
    ]
    table = element("table", element("tbody", *rows), cls="numbers", aria_label="votes")
    return element("section", setting.heading(2, text("Votes")), table)


def _turns(trajectory: Trajectory, setting: Setting) -> list[Html]:
    parts = []
    for turn in trajectory.turns:
        attempts = [trajectory.attempts[index] for index in turn.attempts]
        shown = [_attempt(attempt, turn, trajectory, setting) for attempt in attempts]
        listed = element("ol", *(element("li", each) for each in shown), cls="steps", role="list")
        name = setting.heading(2, text(f"Turn {turn.index}"))
        parts.append(element("section", name, _challenge(turn), listed))
    return parts


def _challenge(turn: Turn) -> Html:
    words = challenge_words(turn)
    if turn.challenge is None or words is None:
        return NONE
    said = f"> {turn.challenge.text}\n\n{turn.challenge.reason}".rstrip()
    quoted = element("pre", text(said), role="group", tabindex="0", aria_label="critique", dir="ltr")
    return element("figure", element("figcaption", text(words)), quoted)


def _attempt(attempt: Attempt, turn: Turn, trajectory: Trajectory, setting: Setting) -> Html:
    verdict = shown_verdict(attempt)
    name = setting.heading(3, mark(verdict), text(f" Attempt {attempt.index}: {attempt_words(attempt)}"))
    tags = [name, score_bar(attempt.score, verdict)]
    if attempt.answer is not None:
        tags.append(element("span", text(f"answer {attempt.answer}"), cls="votes"))
    if attempt.index == trajectory.best:
        tags.append(element("span", text("the result"), cls="tag"))
    parts = [element("div", *tags, cls="head")]
    parts += [element("p", text(note), cls="note") for note in notes(attempt, turn)]
    if attempt.text.strip():
        shown = element("div", text(attempt.text.strip()), cls="text", dir="auto")
        is_open = attempt.index == trajectory.best
        parts.append(fold(text(counted(len(attempt.steps), "step")), shown, cls="paths", is_open=is_open))
    if attempt.report is not None and attempt.report.steps and attempt.repeats is None:
        parts.append(fold(text("verification"), render_steps(attempt.report, INSIDE), cls="paths"))
    if attempt.remark:
        remark = element("div", text(attempt.remark), cls="text", dir="auto")
        parts.append(fold(text("what the critic said"), remark, cls="paths"))
    return element("article", *parts, cls=f"step {verdict}", **setting.anchor(f"attempt-{attempt.index}"))
