"""Solve, verify, criticise, repair, repeat: the critic refinement of arXiv 2504.00891."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, Unpack

from ..arguments import instance_of, one_of, share, whole_number
from ..options import Budget
from ..types import Solution
from ..types import Stopped as CheckStopped
from ..verifier import Steps, Verifier
from ..wording import STEP_SEPARATOR
from .agent import Agent, AgentSettings, Run, Wanted, normal
from .critic import Critic, Judgement, SelfCritic
from .events import AgentEvent
from .policy import Message, Policy, assistant, user
from .spending import Stopped
from .steps import final_answer, split_solution, text_before
from .trajectory import Attempt, Challenge, Trajectory, Turn

__all__ = ["Guard", "RefinementAgent", "SelfRefinement"]

ENDED: dict[CheckStopped, Stopped] = {"samples": "samples", "tokens": "tokens", "seconds": "seconds"}


@dataclass(frozen=True)
class Guard:
    """Which steps are challenged: against over-correction, right answers that a critique makes wrong.

    Attributes:
        score: Only steps that score below this.
        confidence: Only steps of which it is at least this probable that most of infinitely many
            verifications would call them wrong; one verification alone comes to 0.75, four to 0.97.
    """

    score: float = 0.5
    confidence: float = 0.0

    def __post_init__(self) -> None:
        for name in ("score", "confidence"):
            share(getattr(self, name), f"Guard.{name}")

    def challenge(self, judgement: Judgement, steps: tuple[str, ...], critic: str) -> Challenge | None:
        """The first step that is doubted enough, or None."""
        for doubt in judgement.doubts:
            low = doubt.score is None or doubt.score < self.score
            if low and doubt.confidence >= self.confidence and doubt.step < len(steps):
                return Challenge(
                    step=doubt.step,
                    text=steps[doubt.step],
                    score=doubt.score,
                    confidence=doubt.confidence,
                    reason=doubt.reason,
                    critic=critic,
                )
        return None


class RefinementAgent(Agent):
    """Repairs a solution for as long as its critic doubts a step of it.

        agent = RefinementAgent(policy, critic, turns=3)
        trajectory = await agent.solve(problem)

    It ends when the critic finds no mistake, or none that the guard lets pass; when the turns or the budget
    are spent; or when it has gone in a circle. The result is the attempt with the best score, the first of
    equal ones, so that it is never worse than the first by that score.

    Args:
        policy: Who writes.
        critic: Who judges: a critic or an open ``Verifier``.
        turns: Repairs, at most.
        repair: ``whole`` has the solution written anew, as the paper does; ``prefix`` keeps the steps before
            the challenged one and has the rest written.
        guard: Which steps are challenged.
        circles: Ends when so many attempts have said what an earlier one said.
        keep: ``best`` by score, or ``last`` as refinement without scores has it.
        settings: See ``Agent``.
    """

    kind = "refine"

    def __init__(
        self,
        policy: Policy,
        critic: Critic | Verifier,
        *,
        turns: int = 3,
        repair: Literal["whole", "prefix"] = "whole",
        guard: Guard | None = None,
        circles: int = 2,
        keep: Literal["best", "last"] = "best",
        **settings: Unpack[AgentSettings],
    ) -> None:
        super().__init__(policy, critic, **settings)
        whole_number(turns, "turns", 0)
        whole_number(circles, "circles")
        one_of(("whole", "prefix"), repair, "repair")
        one_of(("best", "last"), keep, "keep")
        self._turns = turns
        self._repair = repair
        self._guard = instance_of(Guard, guard, "guard") or Guard()
        self._circles = circles
        self._keep = keep

    async def refine(
        self,
        problem: str,
        solution: Steps,
        *,
        budget: Budget | None = None,
        seed: int = 0,
        id: str | None = None,
    ) -> Trajectory:
        """Refine a given solution; see ``solve``. One without a boxed answer asks none of its repairs."""
        return await self._run(self._given(problem, solution, seed, id), budget, None)

    async def stream_refine(
        self,
        problem: str,
        solution: Steps,
        *,
        budget: Budget | None = None,
        seed: int = 0,
        id: str | None = None,
    ) -> AsyncGenerator[AgentEvent, None]:
        """Refine a given solution and say what happens meanwhile; leaving early cancels it."""
        begun = self._given(problem, solution, seed, id)
        async with aclosing(self._streamed(begun, budget)) as events:
            async for event in events:
                yield event

    def _given(self, problem: str, solution: Steps, seed: int, id: str | None) -> Trajectory:
        steps = split_solution(solution) if isinstance(solution, str) else solution
        checked = Solution.of(steps) if not isinstance(steps, Solution) else steps
        text = solution if isinstance(solution, str) else STEP_SEPARATOR.join(checked.steps)
        first = Attempt(index=0, text=text, steps=checked.steps, answer=final_answer(text))
        begun = self._new(problem, seed, id, given=True)
        turn = Turn(index=0, attempts=(0,))
        return begun.model_copy(update={"attempts": (first,), "turns": (turn,)})

    async def _work(self, run: Run) -> Stopped:
        question = user(self.templates.solving(run.problem))
        if not run.turns:
            run.begin_turn()
        if not run.turns[-1].attempts:
            await run.ask(self._wanted(run, question, run.turns[-1].challenge))
        while True:
            current, challenge = self._usable(run), None
            ended: Stopped | None = None
            if current is not None:
                current = await run.judge(current)
                judgement = None if current.fault else await run.judgement(current)
                if current.fault is None:
                    ended, challenge = self._decided(run, current, judgement)
            run.end_turn(ignored=self._ignored(run))
            if ended is not None:
                return ended
            if sum(attempt.repeats is not None for attempt in run.attempts) >= self._circles:
                return "circle"
            if len(run.turns) > self._turns or run.turns_spent:
                return "turns"
            run.begin_turn(challenge)
            await run.ask(self._wanted(run, question, challenge))

    def _usable(self, run: Run) -> Attempt | None:
        """The latest attempt that can be judged and repaired."""
        return next((each for each in reversed(run.attempts) if each.fault is None), None)

    def _decided(
        self, run: Run, current: Attempt, judgement: Judgement | None
    ) -> tuple[Stopped | None, Challenge | None]:
        if current.verdict == "correct":
            return "verified", None
        if judgement is None:
            return "unchallenged", None
        challenge = self._guard.challenge(judgement, current.steps, self.critic_name or "")
        if challenge is None:
            why = None if current.report is None else current.report.stopped
            return (ENDED.get(why, "unchallenged") if why is not None else "unchallenged"), None
        return None, challenge

    def _wanted(self, run: Run, question: Message, challenge: Challenge | None) -> Wanted:
        current = self._usable(run)
        if current is None or challenge is None:
            return Wanted([question])
        critique = self.templates.criticising(challenge.text, challenge.step + 1, challenge.reason)
        messages = [question, assistant(current.text), user(critique)]
        prefix = ""
        if self._repair == "prefix":
            prefix = _prefix(current, challenge.step)
        kept = challenge.step if prefix else 0
        return Wanted(messages, parent=current.index, prefix=prefix, kept=kept)

    def _ignored(self, run: Run) -> bool:
        turn = run.turns[-1]
        if turn.challenge is None or not turn.attempts:
            return False
        steps = run.attempts[turn.attempts[-1]].steps
        same = steps[turn.challenge.step : turn.challenge.step + 1]
        return normal(same) == normal([turn.challenge.text])

    async def _settle(self, run: Run) -> None:
        last = self._usable(run)
        if self._keep == "last" and last is not None:
            run.preferred = last.index


def _prefix(attempt: Attempt, step: int) -> str:
    if split_solution(attempt.text) == attempt.steps:
        return text_before(attempt.text, step)
    return "".join(f"{text}{STEP_SEPARATOR}" for text in attempt.steps[:step])


class SelfRefinement(RefinementAgent):
    """The baseline without a verifier: the policy is its own critic, and the last attempt counts.

    The settings hold for its reviews too.

    Args:
        policy: Who writes and judges.
        turns: Repairs, at most.
        circles: Ends when so many attempts have said what an earlier one said.
        settings: See ``Agent``.
    """

    kind = "self-refine"

    def __init__(
        self, policy: Policy, *, turns: int = 3, circles: int = 2, **settings: Unpack[AgentSettings]
    ) -> None:
        super().__init__(policy, SelfCritic(policy), turns=turns, circles=circles, keep="last", **settings)
        asked = self.speaker
        self.critic = SelfCritic(policy, self.templates, self.max_tokens, asked.tries, asked.patience)
