"""Turns of the protocol as training text: which of their characters a teacher wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from genprm_sdk import wording
from genprm_sdk.types import CodeRun, VerificationPath

from .records import Turn

__all__ = ["assembled_turn", "turn_of_path", "written_spans"]


def written_spans(text: str, step: int, runs: Sequence[CodeRun]) -> tuple[tuple[int, int], ...] | None:
    """The spans of a turn that are neither forced nor printed by code.

    Args:
        text: The turn.
        step: Which step it verifies, from 0.
        runs: Its code blocks, in order.

    Returns:
        The spans in order; None where the turn does not hold what its code printed.
    """
    forced: list[tuple[int, int]] = []
    at = 0

    def take(piece: str, start: int) -> int:
        forced.append((start, start + len(piece)))
        return start + len(piece)

    opening = wording.analysis_opening(step)
    if text.startswith(opening):
        at = take(opening, 0)
        at = text.find(wording.ANALYSIS_CLOSE, at) + len(wording.ANALYSIS_CLOSE)
    if text.startswith(wording.VERIFY_OPENING, at):
        at = take(wording.VERIFY_OPENING, at)
        for run in runs:
            if run.status == "not_executed":
                continue
            piece = wording.code_output(run.feedback)
            found = text.find(piece, at)
            if found < 0:
                return None
            at = take(piece, found)
    elif text.startswith(wording.VERDICT_OPENING, at):
        take(wording.VERDICT_OPENING, at)
    starts = [0, *(end for _, end in forced)]
    ends = [*(start for start, _ in forced), len(text)]
    return tuple((start, end) for start, end in zip(starts, ends, strict=True) if start < end)


def turn_of_path(path: VerificationPath, step: int) -> Turn:
    """A verifier's path as a turn."""
    spans = written_spans(path.text, step, path.code_runs)
    return Turn(
        text=path.text,
        correct=None if path.verdict is None or spans is None else path.verdict == "yes",
        written=spans or (),
        code=tuple(run.status for run in path.code_runs),
        degraded=path.degraded,
    )


def assembled_turn(
    step: int, correct: bool, analysis: str, code: str | None, runs: Iterable[CodeRun]
) -> Turn:
    """A turn from the parts of a rationale that was written outside the protocol.

    Args:
        step: Which step it verifies, from 0.
        correct: Its verdict.
        analysis: What stands between the tags.
        code: From the first line of the first code block to the end of the part, outputs included; None for
            no code.
        runs: The code blocks in it, in order.
    """
    ran = tuple(runs)
    text = f"{wording.analysis_opening(step)}{analysis.strip()}\n{wording.ANALYSIS_CLOSE}"
    if code is not None:
        text += f"{wording.VERIFY_OPENING}{code.strip()}\n{wording.VERIFY_CLOSE}"
    text += wording.VERDICT_OPENING + wording.verdict(correct)
    spans = written_spans(text, step, ran)
    return Turn(
        text=text,
        correct=None if spans is None else correct,
        written=spans or (),
        code=tuple(run.status for run in ran),
    )
