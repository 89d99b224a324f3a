"""Agents for scripts and notebooks: the same names without ``async``.

    from genprm_sdk.agents.sync import RefinementAgent, open_critic, open_policy

    with open_policy("policy-mini") as policy, open_critic("genprm-mini") as critic:
        trajectory = RefinementAgent(policy, critic, turns=3).solve(problem)

All of it runs in the event loop of ``genprm_sdk.sync``, whose open ``Verifier`` does as a critic too. A
policy of one's own is an async callable here as everywhere; it is called in that loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from .. import sync
from ..blocking import LOOP
from ..options import Budget
from ..verifier import Steps
from . import agent, opening, refinement, sampling, search
from .critic import VerifierCritic
from .events import AgentEvent
from .policy import Policy
from .trajectory import Trajectory

__all__ = [
    "BestOfN",
    "RefinementAgent",
    "SelfConsistency",
    "SelfRefinement",
    "StepSearch",
    "open_critic",
    "open_policy",
]


@contextmanager
def open_policy(*arguments: Any, **named: Any) -> Iterator[Policy]:
    """Open a policy to give to agents; takes the arguments of ``genprm_sdk.agents.open_policy``."""
    with LOOP.opened(opening.open_policy(*arguments, **named)) as policy:
        yield policy


@contextmanager
def open_critic(*arguments: Any, **named: Any) -> Iterator[VerifierCritic]:
    """Open a critic to give to agents; takes the arguments of ``genprm_sdk.agents.open_critic``."""
    with LOOP.opened(opening.open_critic(*arguments, **named)) as critic:
        yield critic


class _Blocking:
    """What all blocking agents share; Ctrl-C during a call cancels it and leaves nothing running."""

    _kind: ClassVar[type[agent.Agent]]
    _agent: agent.Agent

    def __init__(self, *arguments: Any, **named: Any) -> None:
        given = [_behind(argument) for argument in arguments]
        self._agent = self._kind(*given, **{name: _behind(value) for name, value in named.items()})

    def solve(
        self, problem: str, *, budget: Budget | None = None, seed: int = 0, id: str | None = None
    ) -> Trajectory:
        """Solve a problem; see ``genprm_sdk.agents.Agent.solve``."""
        return LOOP.wait(lambda: self._agent.solve(problem, budget=budget, seed=seed, id=id))

    def stream(
        self, problem: str, *, budget: Budget | None = None, seed: int = 0, id: str | None = None
    ) -> Iterator[AgentEvent]:
        """Solve a problem and say what happens meanwhile; see ``genprm_sdk.agents.Agent.stream``."""
        return LOOP.iterate(lambda: self._agent.stream(problem, budget=budget, seed=seed, id=id))

    def resume(self, trajectory: Trajectory, *, budget: Budget | None = None) -> Trajectory:
        """Go on where a trajectory ended; see ``genprm_sdk.agents.Agent.resume``."""
        return LOOP.wait(lambda: self._agent.resume(trajectory, budget=budget))


class RefinementAgent(_Blocking):
    """A blocking ``genprm_sdk.agents.RefinementAgent``; takes the same arguments."""

    _kind: ClassVar[type[refinement.RefinementAgent]] = refinement.RefinementAgent
    _agent: refinement.RefinementAgent

    def refine(
        self,
        problem: str,
        solution: Steps,
        *,
        budget: Budget | None = None,
        seed: int = 0,
        id: str | None = None,
    ) -> Trajectory:
        """Refine a given solution; see ``genprm_sdk.agents.RefinementAgent.refine``."""
        return LOOP.wait(lambda: self._agent.refine(problem, solution, budget=budget, seed=seed, id=id))

    def stream_refine(
        self,
        problem: str,
        solution: Steps,
        *,
        budget: Budget | None = None,
        seed: int = 0,
        id: str | None = None,
    ) -> Iterator[AgentEvent]:
        """Refine a given solution and say what happens meanwhile; leaving early cancels it."""
        return LOOP.iterate(
            lambda: self._agent.stream_refine(problem, solution, budget=budget, seed=seed, id=id)
        )


class SelfRefinement(RefinementAgent):
    """A blocking ``genprm_sdk.agents.SelfRefinement``; takes the same arguments."""

    _kind = refinement.SelfRefinement


class BestOfN(_Blocking):
    """A blocking ``genprm_sdk.agents.BestOfN``; takes the same arguments."""

    _kind = sampling.BestOfN


class SelfConsistency(_Blocking):
    """A blocking ``genprm_sdk.agents.SelfConsistency``; takes the same arguments."""

    _kind = sampling.SelfConsistency


class StepSearch(_Blocking):
    """A blocking ``genprm_sdk.agents.StepSearch``; takes the same arguments."""

    _kind = search.StepSearch


def _behind(argument: Any) -> Any:
    return argument.asynchronous if isinstance(argument, sync.Verifier) else argument
