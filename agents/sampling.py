"""Several attempts and a choice among them: Best-of-N by a verifier, and a vote without one."""

from __future__ import annotations

import math
from typing import Literal, Unpack

from ..arguments import one_of, whole_number
from ..verifier import Verifier
from .agent import Agent, AgentSettings, Run, Wanted
from .answers import Answers
from .critic import Critic
from .policy import Policy, user
from .spending import Stopped
from .trajectory import Attempt

__all__ = ["BestOfN", "SelfConsistency"]

MOST_ATTEMPTS = 1024


class _Sampling(Agent):
    """Writes ``n`` attempts, a few at a time, each wave judged before the next."""

    def __init__(
        self, policy: Policy, critic: Critic | Verifier | None, n: int, settings: AgentSettings
    ) -> None:
        super().__init__(policy, critic, **settings)
        self._n = whole_number(n, "n", most=MOST_ATTEMPTS)

    async def _work(self, run: Run) -> Stopped:
        wanted = Wanted([user(self.templates.solving(run.problem))])
        if not run.turns:
            run.begin_turn()
        await run.judge_all(run.attempts)
        while len(run.attempts) < self._n:
            wave = min(run.at_once, self._n - len(run.attempts))
            await run.judge_all(await run.ask_all([wanted] * wave))
        run.end_turn()
        return "finished"

    async def _vote(self, run: Run, weights: dict[int, float]) -> None:
        """Let attempts vote for their answers; the best one of the winner's is the result."""
        voters = [run.attempts[index] for index in weights if run.attempts[index].answer is not None]
        if not voters:
            return
        async with Answers() as answers:
            groups = await answers.grouped([attempt.answer or "" for attempt in voters])
        sides = [[voters[place] for place in group] for group in groups]
        sums = [math.fsum(weights[attempt.index] for attempt in side) for side in sides]
        run.weights = {side[0].answer or "": value for side, value in zip(sides, sums, strict=True)}
        winner = sides[max(range(len(sides)), key=lambda place: (sums[place], -place))]
        run.preferred = max(winner, key=_strength).index


def _strength(attempt: Attempt) -> tuple[float, int]:
    return (-1.0 if attempt.score is None else attempt.score, -attempt.index)


class BestOfN(_Sampling):
    """Writes ``n`` attempts and takes the one that the critic scores best, or the answer that scores best.

    Args:
        policy: Who writes.
        critic: Who judges: a critic or an open ``Verifier``.
        n: Attempts.
        select: ``best`` takes the best-scoring attempt; ``vote`` adds up the scores of attempts with equal
            answers and takes the best of the heaviest.
        settings: See ``Agent``.
    """

    kind = "best-of-n"

    def __init__(
        self,
        policy: Policy,
        critic: Critic | Verifier,
        *,
        n: int = 8,
        select: Literal["best", "vote"] = "best",
        **settings: Unpack[AgentSettings],
    ) -> None:
        super().__init__(policy, critic, n, settings)
        one_of(("best", "vote"), select, "select")
        self._select = select

    async def _settle(self, run: Run) -> None:
        if self._select == "vote":
            judged = [each for each in run.attempts if each.fault is None and each.score is not None]
            await self._vote(run, {each.index: each.score or 0.0 for each in judged})


class SelfConsistency(_Sampling):
    """The baseline without a verifier: the answer that most attempts come to (arXiv 2203.11171).

    Args:
        policy: Who writes.
        n: Attempts.
        settings: See ``Agent``.
    """

    kind = "self-consistency"

    def __init__(self, policy: Policy, *, n: int = 8, **settings: Unpack[AgentSettings]) -> None:
        super().__init__(policy, None, n, settings)

    async def _settle(self, run: Run) -> None:
        await self._vote(run, {each.index: 1.0 for each in run.attempts if each.fault is None})
