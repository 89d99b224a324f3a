"""Critics to hold the verifier against: one that knows the truth, and one that knows nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass

from genprm_sdk.agents import Asked, Doubt, Judgement, final_answer
from genprm_sdk.errors import InputError
from genprm_sdk.training.worlds import WORLDS, Exercise
from genprm_sdk.types import Report, Solution

from .solving import is_right

__all__ = ["OracleCritic", "RandomCritic"]


@dataclass(frozen=True)
class RandomCritic:
    """Challenges a random step, whatever it says."""

    name: str = "random step"

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        step = random.Random(f"{asked.seed}/{solution.steps}").randrange(len(solution.steps))
        return Judgement(0.0, "incorrect", (Doubt(step, None, 1.0, "This step is wrong."),))

    def again(self, solution: Solution, report: Report) -> Judgement:
        raise InputError("a random critic writes no reports")


class OracleCritic:
    """Knows the first wrong step and what is wrong with it; of a solution that its world cannot read, that
    the last step is wrong if the answer is.

    Args:
        exercises: The problems that it will be asked about.
    """

    def __init__(self, exercises: list[Exercise]) -> None:
        self.name = "oracle"
        self._exercises = {exercise.problem: exercise for exercise in exercises}

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        assert solution.problem is not None
        exercise = self._exercises[solution.problem]
        example = WORLDS[exercise.domain].read(solution.problem, solution.steps)
        if example is not None and example.first_error is not None:
            wrong = example.first_error
            reason = example.steps[wrong].rationale.conclusion
        elif is_right(final_answer(solution.steps[-1]), exercise):
            return Judgement(1.0, "correct")
        else:
            wrong, reason = len(solution.steps) - 1, "The answer is wrong."
        return Judgement(0.0, "incorrect", (Doubt(wrong, 0.0, 1.0, reason),))

    def again(self, solution: Solution, report: Report) -> Judgement:
        raise InputError("an oracle writes no reports")
