"""Problems with known answers through an agent, a few at a time: what its attempts came to, one result each.

The room of ``evaluation`` keeps results and draws pages and knows no agents; here is what joins the two. What
the attempts would have come to with fewer of them is ``accuracy.py``'s business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from ..batch import bounded
from ..errors import ClosedError, GenPRMError, ModelError
from ..evaluation.reading import encodable
from ..evaluation.settings import library_version
from ..evaluation.store import FORMAT, Format, ResultStore
from ..options import Budget
from ..types import Frozen
from .agent import Agent
from .answers import Answers
from .spending import Spent, Stopped
from .trajectory import Trajectory

__all__ = [
    "AgentRunSettings",
    "AttemptOutcome",
    "Comparing",
    "ProblemOutcome",
    "Task",
    "is_agent_kind",
    "run_agent",
]

AT_ONCE = 2

AgentKind = Literal["best-of-n", "refine"]
"""What may be measured."""


def is_agent_kind(name: object) -> bool:
    """Whether that is one of them."""
    return name in get_args(AgentKind)


class AgentRunSettings(Frozen):
    """Everything but the problem that decides a result.

    Attributes:
        format: Of the folder.
        benchmark: What is measured.
        policy: Who writes.
        policy_file: A fingerprint of its file, or None.
        model: Who judges.
        model_file: A fingerprint of its file, or None.
        attempts: Of best-of-n: how many are drawn; of refine: how many repairs there may be.
        others: The agent's further options, as the command line names them.
        seed: Decides what is drawn.
        version: This library's.
    """

    format: Format = FORMAT
    benchmark: AgentKind
    policy: str
    policy_file: str | None = None
    model: str
    model_file: str | None = None
    attempts: int
    others: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    seed: int = 0
    version: str = Field(default_factory=library_version)


@dataclass(frozen=True)
class Task:
    """A problem and its answer, or why there is none.

    Attributes:
        key: Unique within a run.
        problem: Its text.
        answer: What comes out.
        fault: Why it cannot be used; it counts as wrong.
    """

    key: str
    problem: str = ""
    answer: str = ""
    fault: str | None = None

    @property
    def digest(self) -> str:
        """Of what it says."""
        return hashlib.sha256(f"{self.problem}\n{self.answer}".encode()).hexdigest()[:16]


class AttemptOutcome(Frozen):
    """One attempt, without its text.

    Attributes:
        turn: The round of the agent that it was written in, from 0.
        answer: What stands in its box, or None.
        right: Whether that is the problem's answer.
        group: The first attempt with an equal answer, itself included; None without a usable answer.
        score: What it is ranked by, or None.
        fault: Why it is not used, or None.
        tokens: That the policy and the critic wrote for it.
    """

    turn: int = Field(ge=0)
    answer: str | None
    right: bool
    group: int | None
    score: float | None
    fault: str | None = None
    tokens: int = 0


class ProblemOutcome(Frozen):
    """One problem's result, as it is also kept in ``results.jsonl``.

    Attributes:
        key: The problem's.
        digest: Of its content.
        expected: Its answer.
        attempts: In the order in which they were written.
        best: The attempt that the agent returned, or None.
        stopped: Why it ended, or None if it failed.
        spent: What it cost.
        error: Why there is no result.
    """

    key: str
    digest: str = ""
    expected: str = ""
    attempts: tuple[AttemptOutcome, ...] = ()
    best: int | None = None
    stopped: Stopped | None = None
    spent: Spent = Spent()
    error: str | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.best is not None and not 0 <= self.best < len(self.attempts):
            raise ValueError(f"there is no attempt {self.best}")
        return self

    @property
    def right(self) -> bool:
        """Whether the agent's own choice is right."""
        return self.best is not None and self.attempts[self.best].right

    def until(self, turn: int) -> list[AttemptOutcome]:
        """The attempts up to a turn."""
        return [each for each in self.attempts if each.turn <= turn]


class Comparing:
    """Turns a trajectory into a result; needs the answers compared."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def outcome(self, task: Task, trajectory: Trajectory) -> ProblemOutcome:
        """Say of each attempt whether it is right, and which ones agree."""
        usable = [
            (each.index, each.answer)
            for each in trajectory.attempts
            if each.fault is None and each.answer is not None
        ]
        groups = await self._answers.grouped([answer for _, answer in usable])
        group_of = {usable[place][0]: usable[group[0]][0] for group in groups for place in group}
        right = {
            first: await self._answers.same(trajectory.attempts[first].answer or "", task.answer)
            for first in set(group_of.values())
        }
        turn_of = {index: turn.index for turn in trajectory.turns for index in turn.attempts}
        return ProblemOutcome(
            key=task.key,
            digest=task.digest,
            expected=task.answer,
            attempts=tuple(
                AttemptOutcome(
                    turn=turn_of.get(each.index, 0),
                    answer=each.answer,
                    right=right.get(group_of.get(each.index, -1), False),
                    group=group_of.get(each.index),
                    score=each.score,
                    fault=None if each.fault is None else each.fault.kind,
                    tokens=each.spent.tokens,
                )
                for each in trajectory.attempts
            ),
            best=trajectory.best,
            stopped=trajectory.stopped,
            spent=trajectory.spent,
        )


async def run_agent(
    agent: Agent,
    tasks: Sequence[Task],
    *,
    seed: int = 0,
    budget: Budget | None = None,
    store: ResultStore[ProblemOutcome] | None = None,
    on_outcome: Callable[[ProblemOutcome], None] = lambda outcome: None,
    at_once: int = AT_ONCE,
) -> list[ProblemOutcome]:
    """Have an agent solve every problem that has no result yet; ``on_outcome`` hears of old ones too.

    An error of one problem is that problem's outcome; the others go on.

    Args:
        agent: Who solves.
        tasks: What is solved.
        seed: Decides what is drawn.
        budget: What may be spent on a problem.
        store: Where results are kept, and each trajectory as a page.
        on_outcome: Called with each result, in the order in which they come.
        at_once: Problems at a time.

    Returns:
        The results, in the order of the problems.

    Raises:
        InputError: The store cannot be written to, or another process is at work in it.
        ModelError: A model cannot be used at all.
        ClosedError: The policy or the critic was closed.
    """
    outcomes: dict[int, ProblemOutcome] = {}
    async with Answers() as answers:
        comparing = Comparing(answers)

        async def work(number: int, task: Task) -> None:
            earlier = None if store is None else store.finished(task.key, task.digest)
            if task.fault is not None:
                outcome = ProblemOutcome(key=task.key, error=encodable(task.fault))
            elif earlier is not None:
                outcome = earlier
            else:
                outcome, page = await solved(task)
                if store is not None:
                    store.add(outcome, page)
            outcomes[number] = outcome
            on_outcome(outcome)

        async def solved(task: Task) -> tuple[ProblemOutcome, str | None]:
            try:
                trajectory = await agent.solve(task.problem, budget=budget, seed=seed, id=task.key)
            except (ClosedError, ModelError):
                raise
            except GenPRMError as error:
                reason = encodable(str(error) or type(error).__name__)
                failed = ProblemOutcome(key=task.key, digest=task.digest, expected=task.answer, error=reason)
                return failed, None
            return await comparing.outcome(task, trajectory), trajectory.to_html(task.key)

        with nullcontext() if store is None else store.alone():
            async for _ in bounded(work, tasks, at_once):
                pass
    return [outcomes[number] for number in range(len(tasks))]
