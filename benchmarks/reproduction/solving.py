"""Problems solved by agents, kept, so that experiments share them and a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from genprm_sdk.agents import Agent, SelfConsistency, StepSearch, Trajectory, plain_answer
from genprm_sdk.agents.policy import Policy
from genprm_sdk.batch import bounded
from genprm_sdk.training.sampling import draw_exercises
from genprm_sdk.training.worlds import Exercise

__all__ = ["POLICY", "Solving", "is_right"]

POLICY = "policy-mini"
AT_ONCE = 4


def is_right(answer: str | None, exercise: Exercise) -> bool:
    """Whether an answer is the exercise's."""
    return answer is not None and plain_answer(answer) == plain_answer(exercise.answer)


class Solving:
    """Has agents go on from the same first attempts, or reads what they did before.

    Args:
        exercises: The problems.
        folder: Where the trajectories lie, a file for each agent.
        say: Told of progress.
    """

    def __init__(self, exercises: Sequence[Exercise], folder: Path, say: Callable[[str], None]) -> None:
        self.exercises = list(exercises)
        self._folder = folder
        self._say = say
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of(cls, domains: Sequence[str], count: int, folder: Path, say: Callable[[str], None]) -> Solving:
        return cls(draw_exercises(domains, count, "agents"), folder, say)

    async def first(self, policy: Policy) -> list[Trajectory]:
        """The first attempt at every problem."""
        return await self._all("first", lambda number: self._begun(policy, number))

    async def by(self, name: str, agent: Agent, policy: Policy) -> list[Trajectory]:
        """What an agent makes of the first attempts; a search begins anew."""
        first = await self.first(policy)

        async def go_on(number: int) -> Trajectory:
            begun = first[number]
            if isinstance(agent, StepSearch):
                return await agent.solve(begun.problem, seed=begun.seed)
            return await agent.resume(begun.model_copy(update={"agent": agent.kind, "weights": {}}))

        return await self._all(name, go_on)

    async def _begun(self, policy: Policy, number: int) -> Trajectory:
        exercise = self.exercises[number]
        within = [each.problem for each in self.exercises if each.domain == exercise.domain]
        return await SelfConsistency(policy, n=1).solve(exercise.problem, seed=within.index(exercise.problem))

    async def _all(self, name: str, make: Callable[[int], Awaitable[Trajectory]]) -> list[Trajectory]:
        path = self._folder / f"{name.replace(' ', '-').replace(',', '')}.jsonl"
        found = read(path)
        missing = [each for each in self.exercises if each.problem not in found]
        numbers = {each.problem: number for number, each in enumerate(self.exercises)}

        async def work(_: int, exercise: Exercise) -> None:
            trajectory = without_reports(await make(numbers[exercise.problem]))
            found[exercise.problem] = trajectory
            with path.open("a", encoding="utf-8") as file:
                file.write(trajectory.model_dump_json() + "\n")
            self._say(f"{name}: {len(found)} problems done")

        async for _ in bounded(work, missing, AT_ONCE):
            pass
        return [found[each.problem] for each in self.exercises]


def read(path: Path) -> dict[str, Trajectory]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [Trajectory.model_validate(json.loads(line)) for line in lines]
    return {each.problem: each for each in kept}


def without_reports(trajectory: Trajectory) -> Trajectory:
    """Verifications are most of a trajectory's size, and their scores stand beside them."""
    attempts = tuple(each.model_copy(update={"report": None}) for each in trajectory.attempts)
    return trajectory.model_copy(update={"attempts": attempts})
