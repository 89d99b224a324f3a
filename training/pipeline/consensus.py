"""Which solutions are trained on: those on which scores and teacher agree."""

from __future__ import annotations

from typing import Literal

from genprm_sdk.types import Frozen

from .records import Drop, Kept, Labelled, Turn

__all__ = ["ConsensusSettings", "agree"]


class ConsensusSettings(Frozen):
    """What is held against each other.

    Attributes:
        compare: ``every`` step (the paper), or those up to the ``first_error`` of the scores: behind it a
            score of 0 says that the answer is out of reach, while a teacher may find that a step follows.
        failed_code: Whether a rationale whose code failed may be kept, if another block followed.
    """

    compare: Literal["every", "first_error"] = "every"
    failed_code: bool = False


def agree(labelled: Labelled, settings: ConsensusSettings) -> Kept | Drop:
    """Keep a solution with the first path that agrees on every step, or say why not."""
    rationale = labelled.rationale
    labels = [label.correct for label in labelled.labels]
    if settings.compare == "first_error" and labelled.first_error is not None:
        labels = labels[: labelled.first_error + 1]
    for step, correct in enumerate(labels):
        judged = rationale.judged[step]
        if judged is None:
            if step and rationale.judged[step - 1] is False:
                # A writer stops behind the first wrong step: the scores must say no more about the rest.
                if correct:
                    return Drop(
                        reason="the teacher rejects a step that the scores accept", detail=f"step {step - 1}"
                    )
                labels = labels[:step]
                break
            return Drop(reason="the teacher gives no readable verdict", detail=f"step {step}")
        if judged != correct:
            who = (
                "accepts a step that the scores reject" if judged else "rejects a step that the scores accept"
            )
            return Drop(reason=f"the teacher {who}", detail=f"step {step}")
    for path in rationale.paths:
        turns = path[: len(labels)]
        if [turn.correct for turn in turns] == labels and all(_usable(turn, settings) for turn in turns):
            return Kept(
                problem=rationale.problem, rollout=rationale.rollout, labels=labelled.labels, turns=turns
            )
    return Drop(reason="no path has usable code and the right verdict for every step")


def _usable(turn: Turn, settings: ConsensusSettings) -> bool:
    if turn.degraded is not None:
        return False
    if settings.failed_code:
        return not turn.code or turn.code[-1] in ("ok", "not_executed")
    return all(status in ("ok", "not_executed") for status in turn.code)
