"""Problems solved by agents, kept, so that experiments share them and a stopped one goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from genprm_sdk.agents import Agent, Answers, SelfConsistency, StepSearch, Trajectory, plain_answer
from genprm_sdk.agents.evaluating import Comparing, ProblemOutcome, Task
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
        once = SelfConsistency(policy, n=1)
        within = Counter[str]()
        seeds: dict[str, int] = {}
        for exercise in self.exercises:
            seeds[exercise.problem] = within[exercise.domain]
            within[exercise.domain] += 1
        return await self._all("first", lambda problem: once.solve(problem, seed=seeds[problem]))

    async def by(self, name: str, agent: Agent, policy: Policy) -> list[Trajectory]:
        """What an agent makes of the first attempts; a search begins anew."""
        first = {begun.problem: begun for begun in await self.first(policy)}

        async def go_on(problem: str) -> Trajectory:
            begun = first[problem]
            if isinstance(agent, StepSearch):
                return await agent.solve(problem, seed=begun.seed)
            return await agent.resume(begun.model_copy(update={"agent": agent.kind, "weights": {}}))

        return await self._all(name, go_on)

    async def outcomes(self, trajectories: Sequence[Trajectory]) -> list[ProblemOutcome]:
        """Which attempts are right, and which agree."""
        async with Answers(symbolic=False) as answers:  # the worlds' answers are plain
            comparing = Comparing(answers)
            return [
                await comparing.outcome(Task(each.problem, each.problem, each.answer), trajectory)
                for each, trajectory in zip(self.exercises, trajectories, strict=True)
            ]

    async def _all(self, name: str, solve: Callable[[str], Awaitable[Trajectory]]) -> list[Trajectory]:
        path = self._folder / f"{name.replace(' ', '-').replace(',', '')}.jsonl"
        found = read(path)
        problems = [each.problem for each in self.exercises]

        async def work(_: int, problem: str) -> None:
            found[problem] = without_reports(await solve(problem))
            with path.open("a", encoding="utf-8") as file:
                file.write(found[problem].model_dump_json() + "\n")
            self._say(f"{name}: {len(found)} problems done")

        async for _ in bounded(work, [each for each in problems if each not in found], AT_ONCE):
            pass
        return [found[problem] for problem in problems]


def read(path: Path) -> dict[str, Trajectory]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [Trajectory.model_validate_json(line) for line in lines]
    return {each.problem: each for each in kept}


def without_reports(trajectory: Trajectory) -> Trajectory:
    """Verifications are most of a trajectory's size, and their scores stand beside them."""
    attempts = tuple(each.model_copy(update={"report": None}) for each in trajectory.attempts)
    return trajectory.model_copy(update={"attempts": attempts})
