"""The tools: what they take, what they do and what they return. Knows nothing of the protocol's package."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..agents import (
    AgentEvent,
    AgentFinished,
    AttemptJudged,
    AttemptWritten,
    Policy,
    RefinementAgent,
    Trajectory,
    VerifierCritic,
)
from ..errors import InputError
from ..events import Finished, StepFinished
from ..modes import Reasoning
from ..options import MOST_SAMPLES, Budget, CheckOptions
from ..report.findings import shown_path
from ..types import Frozen, Report, Solution
from .keeping import Kept

__all__ = ["Offer", "Tell", "Tool", "tools_of"]

MOST_TURNS = 32

Tell = Callable[[float, float | None, str], Awaitable[None]]
"""Tells whoever waits how far it is, of how much if that is known, and what came last."""

Text = list[str] | str


@dataclass(frozen=True)
class Offer:
    """What is served.

    Attributes:
        critic: Opens who judges.
        policy: Opens who repairs; None offers verification alone.
        agent: Makes an agent of both and a number of repairs.
        samples: Verification paths a step, where a call does not say how many.
        turns: Repairs of a solution, at most, where a call does not say how many.
        budget: Of one call.
    """

    critic: Callable[[], AbstractAsyncContextManager[VerifierCritic]]
    policy: Callable[[], AbstractAsyncContextManager[Policy]] | None = None
    agent: Callable[[Policy, VerifierCritic, int], RefinementAgent] = lambda policy, critic, turns: (
        RefinementAgent(policy, critic, turns=turns)
    )
    samples: int = 1
    turns: int = 3
    budget: Budget = field(default_factory=Budget)


class Arguments(BaseModel):
    """What a tool is called with."""

    model_config = ConfigDict(extra="forbid")


class VerifyArguments(Arguments):
    """Of ``verify_steps``."""

    problem: str | None = Field(
        None, description="What was to be solved; without it the steps are judged alone."
    )
    steps: Text = Field(
        description="The solution's steps in order, or one text, which is split at blank lines."
    )
    samples: int | None = Field(
        None, ge=1, le=MOST_SAMPLES, description="Independent verifications of each step, which are averaged."
    )
    reasoning: Reasoning | None = Field(
        None,
        description="What is written before a verdict, by default what the verifier was trained for; code is "
        "executed in a sandbox.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides what is drawn.")


class RefineArguments(Arguments):
    """Of ``refine_solution``."""

    problem: str = Field(description="What is to be solved.")
    solution: Text | None = Field(
        None,
        description="The steps of a solution to repair, or its text; without it the problem is solved first.",
    )
    turns: int | None = Field(None, ge=0, le=MOST_TURNS, description="Repairs, at most.")
    seed: int = Field(0, ge=0, lt=2**63, description="Decides what is drawn.")


class StepVerification(Frozen):
    """What was found of one step."""

    index: int = Field(description="Its place, from 0.")
    text: str = Field(description="The step.")
    label: str = Field(description="correct, incorrect, or unparsed where no verdict could be read.")
    score: float | None = Field(description="How probable it is, by the model, that the step is right.")
    analysis: str | None = Field(description="What the verifier wrote about it.")
    critique: str | None = Field(description="What is said against it, if it is incorrect.")


class Verification(Frozen):
    """What ``verify_steps`` returns."""

    verdict: str = Field(
        description="correct, incorrect, unparsed (a step could not be read and none before it is wrong) or "
        "incomplete (the budget did not suffice)."
    )
    first_error: int | None = Field(description="Index of the first wrong step, from 0.")
    steps: list[StepVerification]
    stopped: str | None = Field(description="What ended the check before its last step.")
    model: str
    samples: int
    seed: int


class AttemptSummary(Frozen):
    """A solution on the way."""

    index: int = Field(description="Its place, from 0.")
    answer: str | None
    score: float | None = Field(description="The score of its least convincing step.")
    verdict: str | None = Field(description="What the verifier says of it.")
    fault: str | None = Field(description="Why it was not used.")
    challenged_step: int | None = Field(description="The step of the attempt before that it was to mend.")
    critique: str | None = Field(description="What was said against that step.")


class Refinement(Frozen):
    """What ``refine_solution`` returns."""

    answer: str | None = Field(description="What stands in the solution's \\boxed{}.")
    solution: str | None = Field(description="The attempt with the best score; null if there is none to use.")
    verified: bool = Field(description="Whether the verifier found no mistake in it.")
    score: float | None
    stopped: str | None = Field(description="Why it ended there.")
    attempts: list[AttemptSummary]
    policy: str
    model: str | None


Given = TypeVar("Given", bound=Arguments)


@dataclass(frozen=True)
class Tool(Generic[Given]):
    """One tool.

    Attributes:
        name: What it is called by.
        title: For people.
        description: For whoever decides whether to call it.
        arguments: What it takes.
        result: What it returns.
        work: Does it.
    """

    name: str
    title: str
    description: str
    arguments: type[Given]
    result: type[Frozen]
    work: Callable[[Given, Tell], Awaitable[Frozen]]

    async def __call__(self, arguments: object, tell: Tell) -> Frozen:
        """Do what the tool does.

        Raises:
            InputError: The arguments cannot be used.
            GenPRMError: It failed.
        """
        try:
            given = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise InputError(f"{self.name} cannot be called like this: {_faults(error)}") from None
        return await self.work(given, tell)


def tools_of(offer: Offer, critic: Kept[VerifierCritic], policy: Kept[Policy] | None) -> list[Tool[Any]]:
    """The tools that are offered, with the models that they ask."""
    works = _Works(offer, critic, policy)
    tools: list[Tool[Any]] = [
        Tool(
            name="verify_steps",
            title="Verify a solution step by step",
            description="Have a process reward model check each step of a solution, with code that it writes "
            "and runs in a sandbox. Returns a verdict, the first wrong step, and a score for each step.",
            arguments=VerifyArguments,
            result=Verification,
            work=works.verify,
        )
    ]
    if policy is not None:
        refine = Tool(
            name="refine_solution",
            title="Repair a solution until no mistake is found",
            description="Have the steps of a solution verified, the first wrong one criticised and the "
            "solution repaired, again and again. Returns the best solution and every attempt on the way.",
            arguments=RefineArguments,
            result=Refinement,
            work=works.refine,
        )
        tools.append(refine)
    return tools


class _Works:
    """What the tools do."""

    def __init__(self, offer: Offer, critic: Kept[VerifierCritic], policy: Kept[Policy] | None) -> None:
        self._offer = offer
        self._critic = critic
        self._policy = policy

    async def verify(self, given: VerifyArguments, tell: Tell) -> Verification:
        solution = Solution.of(given.steps, given.problem)
        critic = await self._critic.get()
        options = CheckOptions(
            samples=given.samples or self._offer.samples,
            reasoning=given.reasoning or critic.verifier.reasoning,
            seed=given.seed,
            budget=self._offer.budget,
        )
        total = len(solution.steps)
        async with aclosing(critic.verifier.stream(solution, **options)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return _verification(solution, event.report, critic)
                if isinstance(event, StepFinished):
                    index = event.result.index
                    await tell(index + 1, total, f"step {index}: {event.result.label}")
        raise RuntimeError("the verifier's events ended without a report")

    async def refine(self, given: RefineArguments, tell: Tell) -> Refinement:
        assert self._policy is not None, "without a policy there is no such tool"
        Solution.of(["-"], given.problem)
        if given.solution is not None:
            Solution.of(given.solution)
        critic, policy = await self._critic.get(), await self._policy.get()
        turns = self._offer.turns if given.turns is None else given.turns
        agent = self._offer.agent(policy, critic, turns)
        budget = self._offer.budget
        events: AsyncGenerator[AgentEvent, None]
        if given.solution is None:
            events = agent.stream(given.problem, budget=budget, seed=given.seed)
        else:
            events = agent.stream_refine(given.problem, given.solution, budget=budget, seed=given.seed)
        told = 0
        async with aclosing(events):
            async for event in events:
                if isinstance(event, AgentFinished):
                    return _refinement(event.trajectory)
                if isinstance(event, AttemptWritten | AttemptJudged):
                    told += 1
                    what = "written" if isinstance(event, AttemptWritten) else "judged"
                    await tell(told, None, f"attempt {event.attempt.index} {what}")
        raise RuntimeError("the agent's events ended without a trajectory")


def _verification(solution: Solution, report: Report, critic: VerifierCritic) -> Verification:
    against = {doubt.step: doubt.reason for doubt in critic.again(solution, report).doubts}
    steps = []
    for step in report.steps:
        path = shown_path(step)
        steps.append(
            StepVerification(
                index=step.index,
                text=step.text,
                label=step.label,
                score=step.score,
                analysis=None if path is None else path.analysis,
                critique=against.get(step.index),
            )
        )
    return Verification(
        verdict=report.verdict,
        first_error=report.first_error,
        steps=steps,
        stopped=report.stopped,
        model=report.model,
        samples=report.samples,
        seed=report.seed,
    )


def _refinement(trajectory: Trajectory) -> Refinement:
    best = trajectory.solution
    challenges = {index: turn.challenge for turn in trajectory.turns for index in turn.attempts}
    attempts = []
    for attempt in trajectory.attempts:
        challenge = challenges.get(attempt.index)
        attempts.append(
            AttemptSummary(
                index=attempt.index,
                answer=attempt.answer,
                score=attempt.score,
                verdict=attempt.verdict,
                fault=None if attempt.fault is None else attempt.fault.message,
                challenged_step=None if challenge is None else challenge.step,
                critique=None if challenge is None else challenge.reason,
            )
        )
    return Refinement(
        answer=trajectory.answer,
        solution=None if best is None else best.text,
        verified=trajectory.verified,
        score=None if best is None else best.score,
        stopped=trajectory.stopped,
        attempts=attempts,
        policy=trajectory.policy,
        model=trajectory.critic,
    )


def _faults(error: ValidationError) -> str:
    """What is wrong with arguments, on one line, without what they hold."""
    said = []
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in fault["loc"][:1])
        said.append(f"{place}: {fault['msg']}" if place else fault["msg"])
    return "; ".join(dict.fromkeys(said))[:500]
