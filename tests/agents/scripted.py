"""Policies and a critic that do as they are told: no model behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from genprm_sdk.agents import Asked, Doubt, Judgement, Message, Reply, Spent
from genprm_sdk.errors import InputError
from genprm_sdk.types import Report, Solution

PROBLEM = "What is 2 + 2?"
RIGHT = "Step 1: 2 + 2 = 4.\n\nStep 2: The answer is \\boxed{4}."
WRONG = "Step 1: fine.\n\nStep 2: WRONG 2 + 2 = 5.\n\nStep 3: The answer is \\boxed{5}."
WORSE = "Step 1: WRONG WRONG.\n\nStep 2: The answer is \\boxed{6}."

Said = str | Reply | BaseException | None


@dataclass
class Scripted:
    """Says one thing after the other, the last one for ever; raises what is an exception."""

    said: Sequence[Said]
    name: str = "scripted"
    asked: list[tuple[Message, ...]] = field(default_factory=list)

    async def __call__(self, messages: Sequence[Message], /) -> str | Reply:
        says = self.said[min(len(self.asked), len(self.said) - 1)]
        self.asked.append(tuple(messages))
        await asyncio.sleep(0)
        if isinstance(says, BaseException):
            raise says
        return says  # type: ignore[return-value]


@dataclass
class Continuing(Scripted):
    """One that can continue a text, and streams; notes what it was given."""

    prefixes: list[str] = field(default_factory=list)
    given: list[dict[str, object]] = field(default_factory=list)

    async def continue_from(
        self,
        messages: Sequence[Message],
        prefix: str,
        /,
        *,
        seed: int,
        stop: Sequence[str],
        show: Callable[[str], None] | None = None,
    ) -> str | Reply:
        self.prefixes.append(prefix)
        self.given.append({"seed": seed, "stop": tuple(stop)})
        said = await self(messages)
        if show is not None and isinstance(said, str):
            show(said)
        return said


@dataclass
class Marking:
    """A critic to whom a step is the worse the more often it says WRONG."""

    name: str = "marking"
    judged: list[Solution] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        self.judged.append(solution)
        self.asked.append(asked)
        await asyncio.sleep(0)
        if any("UNJUDGEABLE" in step for step in solution.steps):
            raise InputError("it cannot be judged")
        scores = [0.9 / (1 + 2 * step.count("WRONG")) for step in solution.steps]
        doubts = tuple(
            Doubt(index, score, 0.75, f"look at step {index}")
            for index, score in enumerate(scores)
            if score < 0.5
        )
        spent = Spent(verifications=len(scores), critic_tokens=10 * len(scores))
        return Judgement(min(scores), "incorrect" if doubts else "correct", doubts, spent=spent)

    def again(self, solution: Solution, report: Report) -> Judgement:
        raise InputError("it writes no reports")
