"""What is kept of a turn for a verifier that writes less (arXiv 2504.00891, table 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from genprm_sdk import wording
from genprm_sdk.modes import Reasoning

from .records import Span, Turn

__all__ = ["TRAINABLE", "reduced"]

TRAINABLE = (Reasoning.DIRECT, Reasoning.ANALYSIS, Reasoning.CODE, Reasoning.ANALYSIS_CODE)
"""What a verifier can be trained to write; that code is not executed is a matter of how it is used."""


@dataclass(frozen=True)
class _Part:
    text: str
    written: tuple[Span, ...]

    def then(self, other: _Part) -> _Part:
        shift = len(self.text)
        return _Part(
            self.text + other.text,
            (*self.written, *((start + shift, end + shift) for start, end in other.written)),
        )


def reduced(turn: Turn, step: int, reasoning: Reasoning) -> Turn | None:
    """The turn as a verifier of that kind of reasoning would write it.

    Args:
        turn: A whole turn, with a verdict.
        step: Which step it verifies, from 0.
        reasoning: One of ``TRAINABLE``.

    Returns:
        The turn; None if it lacks a part that is wanted.
    """
    if turn.correct is None:
        return None
    analysis_end = _analysis_end(turn.text, step)
    has_code = turn.text.startswith(wording.VERIFY_OPENING, analysis_end)
    if (reasoning.has_analysis and not analysis_end) or (reasoning.has_code and not has_code):
        return None
    if reasoning is Reasoning.ANALYSIS_CODE:
        return turn
    part = _cut(turn, 0, analysis_end) if reasoning.has_analysis else _Part("", ())
    code = _cut(turn, analysis_end, len(turn.text)) if reasoning.has_code else None
    part = part.then(code or _verdict(turn.correct))
    return turn.model_copy(
        update={
            "text": part.text,
            "written": tuple(_joined(part.written)),
            "code": turn.code if reasoning.has_code else (),
        }
    )


def _analysis_end(text: str, step: int) -> int:
    """Where the analysis ends; 0 where there is none."""
    opening = wording.analysis_opening(step)
    if not text.startswith(opening):
        return 0
    found = text.find(wording.ANALYSIS_CLOSE, len(opening))
    return found + len(wording.ANALYSIS_CLOSE) if found >= 0 else 0


def _cut(turn: Turn, first: int, last: int) -> _Part:
    spans = ((max(start, first) - first, min(end, last) - first) for start, end in turn.written)
    return _Part(turn.text[first:last], tuple((start, end) for start, end in spans if start < end))


def _verdict(correct: bool) -> _Part:
    """A verdict that is asked for: its opening is forced."""
    opening = wording.VERDICT_OPENING
    text = opening + wording.verdict(correct)
    return _Part(text, ((len(opening), len(text)),))


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
