"""What an agent may spend and what it has spent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from ..arguments import whole_number
from ..errors import InputError
from ..options import Budget
from ..types import Frozen

__all__ = ["AgentBudget", "Enough", "Purse", "Spent", "Stopped"]

Stopped = Literal[
    "verified",
    "unchallenged",
    "finished",
    "circle",
    "turns",
    "samples",
    "tokens",
    "seconds",
    "policy",
    "error",
]
"""Why an agent ended: an attempt was ``verified``; no step was doubted enough to be challenged; it did all it
set out to; it went in a circle; part of the budget was spent; the policy failed and left something to return;
an error, which carries the trajectory."""


@dataclass(frozen=True)
class AgentBudget(Budget):
    """What an agent may spend; a ``Budget`` does too, without turns.

    Attributes:
        samples: Verifications, over all attempts.
        tokens: Written tokens, of the policy and the verifier together.
        seconds: Wall-clock time; what is under way at its end is cancelled.
        turns: Rounds behind the first, or of a resumed trajectory behind those that it has: repairs of a
            refinement, further levels of a search. Agents that write all their attempts in one do not count.
    """

    turns: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.turns is not None:
            whole_number(self.turns, "AgentBudget.turns", 0)

    @classmethod
    def of(cls, budget: Budget | None) -> AgentBudget:
        """Any budget as one with turns."""
        if budget is None:
            return cls()
        if isinstance(budget, cls):
            return budget
        if not isinstance(budget, Budget):
            raise InputError(f"budget must be a Budget, not {type(budget).__name__}")
        return cls(budget.samples, budget.tokens, budget.seconds)


class Spent(Frozen):
    """What was spent.

    Attributes:
        calls: Of the policy.
        prompt_tokens: That the policy read.
        policy_tokens: That the policy wrote.
        estimated: Whether the policy does not count its tokens, so that these are four characters each.
        verifications: Paths that judged a step, those that were remembered left out.
        critic_tokens: That the critic wrote.
        policy_seconds: Waited for the policy, summed over its calls.
        critic_seconds: Waited for the critic, summed over the attempts.
    """

    calls: int = Field(0, ge=0)
    prompt_tokens: int = Field(0, ge=0)
    policy_tokens: int = Field(0, ge=0)
    estimated: bool = False
    verifications: int = Field(0, ge=0)
    critic_tokens: int = Field(0, ge=0)
    policy_seconds: float = Field(0.0, ge=0.0)
    critic_seconds: float = Field(0.0, ge=0.0)

    @property
    def tokens(self) -> int:
        """Written by the policy and the critic."""
        return self.policy_tokens + self.critic_tokens

    def __add__(self, other: Spent) -> Spent:
        mine, theirs = dict(self), dict(other)
        summed = {name: mine[name] + theirs[name] for name in mine if name != "estimated"}
        return Spent(**summed, estimated=self.estimated or other.estimated)


class Enough(Exception):
    """An agent ends before it is through."""

    def __init__(self, why: Stopped) -> None:
        self.why = why


class Purse:
    """A budget and what is left of it."""

    def __init__(self, budget: AgentBudget) -> None:
        self.budget = budget
        self.spent = Spent()
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning, by the clock."""
        return time.monotonic() - self._started

    def pay(self, spent: Spent) -> None:
        """Count what was spent."""
        self.spent += spent

    def left(self, name: Literal["samples", "tokens"]) -> int | None:
        """What is left, or None if it is not limited.

        Raises:
            Enough: Nothing.
        """
        limit: int | None = getattr(self.budget, name)
        if limit is None:
            return None
        used = self.spent.tokens if name == "tokens" else self.spent.verifications
        if used >= limit:
            raise Enough(name)
        return limit - used
