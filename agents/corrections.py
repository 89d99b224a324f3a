"""What an agent made of right and wrong answers: how often it repaired, and how often it over-corrected."""

from __future__ import annotations

from collections.abc import Iterable

from ..types import Frozen
from .answers import Answers
from .trajectory import Trajectory

__all__ = ["Corrections"]


class Corrections(Frozen):
    """First answers against the answers that were returned in the end.

    Attributes:
        total: Trajectories.
        kept: Right at first and in the end.
        broken: Right at first, wrong in the end: over-corrections.
        repaired: Wrong at first, right in the end.
        wrong: Wrong at first and in the end.
        challenged: Of those right at first, how many the critic challenged.
    """

    total: int = 0
    kept: int = 0
    broken: int = 0
    repaired: int = 0
    wrong: int = 0
    challenged: int = 0

    @property
    def broken_share(self) -> float | None:
        """Of the answers that were right at first, those that were made wrong."""
        right = self.kept + self.broken
        return self.broken / right if right else None

    @property
    def repaired_share(self) -> float | None:
        """Of the answers that were wrong at first, those that were repaired."""
        wrong = self.repaired + self.wrong
        return self.repaired / wrong if wrong else None

    @classmethod
    async def of(cls, trajectories: Iterable[tuple[Trajectory, str | float]]) -> Corrections:
        """Count pairs of a trajectory and the right answer, as text or a number.

        Raises:
            InputError: A right answer is neither.
        """
        counts = dict.fromkeys(("total", "kept", "broken", "repaired", "wrong", "challenged"), 0)
        async with Answers() as answers:

            async def right(answer: str | None, expected: str | float) -> bool:
                return answer is not None and await answers.same(answer, expected)

            for trajectory, expected in trajectories:
                first = trajectory.attempts[0].answer if trajectory.attempts else None
                before, after = await right(first, expected), await right(trajectory.answer, expected)
                counts["total"] += 1
                counts[("kept" if after else "broken") if before else ("repaired" if after else "wrong")] += 1
                challenged = any(turn.challenge is not None for turn in trajectory.turns[:2])
                counts["challenged"] += before and challenged
        return cls(**counts)
