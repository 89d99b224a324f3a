"""From paths to a step's label and score, and from steps to the report's verdict. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from .types import Label, ReportVerdict, StepResult, VerificationPath

__all__ = ["combine_paths", "first_error", "report_verdict"]


def combine_paths(paths: Sequence[VerificationPath]) -> tuple[Label, float | None]:
    """Label and score of a step: the mean of the readable paths' scores against 0.5.

    A path whose verdict cannot be read is no evidence and is left out (arXiv 2504.00891, section 3.3, where
    the reference counts it as 0.5).
    """
    scores = [path.score for path in sorted(paths, key=lambda path: path.index) if path.score is not None]
    if not scores:
        return "unparsed", None
    mean = sum(scores) / len(scores)
    return ("correct" if mean >= 0.5 else "incorrect"), mean


def first_error(steps: Sequence[StepResult]) -> int | None:
    """Index of the first step that is labelled ``incorrect``."""
    return next((step.index for step in steps if step.label == "incorrect"), None)


def report_verdict(steps: Sequence[StepResult], total: int) -> ReportVerdict:
    """What the steps judged so far say about a solution of ``total`` steps."""
    decisive = next((step for step in steps if step.label != "correct"), None)
    if decisive is not None:
        return "incorrect" if decisive.label == "incorrect" else "unparsed"
    return "correct" if len(steps) == total else "incomplete"
