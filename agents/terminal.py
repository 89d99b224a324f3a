"""A trajectory as rich renderables: each turn with its critique and attempts, and the result."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ..report.findings import MARKS
from ..report.text import clean, one_line
from .findings import attempt_words, challenge_words, notes, outcome, shown_verdict, spent_words
from .trajectory import Attempt, Trajectory, Turn

__all__ = ["plain_text", "render_trajectory"]

COLOURS = {"correct": "green", "incorrect": "red", "unparsed": "yellow", "incomplete": "yellow"}
INDENT = 4


def render_trajectory(trajectory: Trajectory, title: str | None = None) -> RenderableType:
    """The whole trajectory, with an empty line at its end.

    Args:
        trajectory: What to show.
        title: The heading; without one it is the trajectory's own id, if it has one.
    """
    heading = title if title is not None else trajectory.id
    parts: list[RenderableType] = []
    if heading is not None:
        parts.append(Text(one_line(heading), style="bold underline"))
    parts.append(_indented(trajectory.problem))
    for turn in trajectory.turns:
        parts += _turn(turn, trajectory)
    for answer, weight in sorted(trajectory.weights.items(), key=lambda pair: -pair[1]):
        parts.append(Text(f"  {weight:.3g} for {one_line(answer)}", style="dim"))
    best = trajectory.solution
    colour = COLOURS["unparsed" if best is None else shown_verdict(best)]
    line = Text(f"→ {one_line(outcome(trajectory))}", style=f"bold {colour}")
    line.append(f"  ({spent_words(trajectory.spent, trajectory.seconds)})", style="not bold dim")
    return Group(*parts, line, Text())


def plain_text(trajectory: Trajectory, width: int = 100) -> str:
    """The same without colours."""
    written = StringIO()
    console = Console(
        file=written, width=width, highlight=False, markup=False, emoji=False, color_system=None
    )
    console.print(render_trajectory(trajectory))
    return written.getvalue()


def _turn(turn: Turn, trajectory: Trajectory) -> list[RenderableType]:
    parts: list[RenderableType] = []
    words = challenge_words(turn)
    if turn.challenge is not None and words is not None:
        said = f"> {turn.challenge.text}\n{turn.challenge.reason}".rstrip()
        parts += [Text(f"↻ {one_line(words)}", style="yellow"), _indented(said, style="dim")]
    for index in turn.attempts:
        parts += _attempt(trajectory.attempts[index], turn)
    return parts


def _attempt(attempt: Attempt, turn: Turn) -> list[RenderableType]:
    verdict = shown_verdict(attempt)
    score = "" if attempt.score is None else f"  {attempt.score:.2f}"
    head = Text(f"{MARKS[verdict]} attempt {attempt.index}{score}  {attempt_words(attempt)}")
    head.stylize(f"bold {COLOURS[verdict]}")
    if attempt.answer is not None:
        head.append(f"  answer {one_line(attempt.answer)}", style="not bold")
    parts: list[RenderableType] = [head]
    parts += [_indented(note, style="dim italic") for note in notes(attempt, turn)]
    if attempt.text.strip() and attempt.repeats is None:
        parts.append(_indented(attempt.text.strip()))
    return parts


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(clean(text), style=style), (0, 0, 0, INDENT), expand=False)
