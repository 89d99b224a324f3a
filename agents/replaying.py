"""A trajectory's own policy and critic: the same agent with them does the same again, without any model."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from ..types import Report, Solution
from .critic import Asked, Critic, Judgement
from .policy import Message, Reply, name_of
from .refinement import SelfRefinement
from .trajectory import Trajectory

__all__ = ["ReplayCritic", "ReplayPolicy"]


class ReplayPolicy:
    """Answers what a trajectory's policy answered, told apart by the draws' seeds.

    Args:
        trajectory: What was recorded, by any agent but ``SelfRefinement``.

    Raises:
        InputError: The policy judged itself, and a trajectory does not hold its reviews.
    """

    def __init__(self, trajectory: Trajectory) -> None:
        if trajectory.agent == SelfRefinement.kind:
            raise InputError(
                "a trajectory of SelfRefinement cannot be done again: it does not hold the policy's reviews"
            )
        self.name = trajectory.policy
        self._attempts = {attempt.seed: attempt for attempt in trajectory.attempts}

    async def __call__(self, messages: Sequence[Message], /, *, seed: int) -> Reply:
        """The recorded answer."""
        return self._reply("", seed)

    async def continue_from(self, messages: Sequence[Message], prefix: str, /, *, seed: int) -> Reply:
        """What was written behind the prefix."""
        return self._reply(prefix, seed)

    def _reply(self, prefix: str, seed: int) -> Reply:
        attempt = self._attempts.get(seed)
        if attempt is None:
            raise InputError("the trajectory holds no such answer: it was recorded with other settings")
        if attempt.fault is not None and attempt.fault.kind in ("raised", "hung"):
            raise RuntimeError(attempt.fault.message)
        cut = attempt.fault is not None and attempt.fault.kind == "unfinished"
        return Reply(
            attempt.text.removeprefix(prefix),
            finish="length" if cut else "end" if attempt.complete else "stop",
            prompt_tokens=attempt.spent.prompt_tokens,
            generated_tokens=attempt.spent.policy_tokens,
        )


class ReplayCritic:
    """Says of a solution what a trajectory's critic said, by reports that were kept.

    Args:
        trajectory: What was recorded.
        critic: Reads the reports; its evidence makes the critiques.
    """

    def __init__(self, trajectory: Trajectory, critic: Critic) -> None:
        self.name = trajectory.critic or name_of(critic)
        self._reports = {each.steps: each.report for each in trajectory.attempts if each.report is not None}
        self._critic = critic

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        """The recorded judgement."""
        report = self._reports.get(solution.steps)
        if report is None:
            raise InputError("the trajectory holds no verification of this solution")
        return self.again(solution, report)

    def again(self, solution: Solution, report: Report) -> Judgement:
        """What a report says."""
        return self._critic.again(solution, report)
