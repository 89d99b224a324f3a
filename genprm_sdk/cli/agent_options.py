"""The options of the commands with agents, and the policies, critics and agents that they ask for.

Every command's start reads this, so agents are imported where they are used.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from ..options import Budget, CheckOptions
from .agent_kinds import RepairKind
from .opening import DEFAULT_MODEL
from .options import (
    Exact,
    IsolationOption,
    Limit,
    Model,
    Samples,
    Seed,
    Threads,
    budget_option,
    folder_name,
)

if TYPE_CHECKING:
    from ..agents import Critic, Evidence, Guard, Policy, RefinementAgent, VerifierCritic

__all__ = ["AgentOptions", "JudgedOptions", "PolicyName", "ResultOptions"]

PolicyName = Annotated[
    str,
    typer.Option(
        "--policy",
        help="Who solves: a model as --model takes it, or the address of a chat API (http://…/v1).",
    ),
]


@dataclass(frozen=True)
class JudgedOptions:
    """Who writes and judges, and for how much: the options of every command with an agent."""

    policy_model: Annotated[
        str | None,
        typer.Option("--policy-model", help="The model's name at that address, if it serves several."),
    ] = None
    prefill: Annotated[
        bool,
        typer.Option(
            "--prefill", help="The chat API goes on behind the assistant's message, so kept steps stay."
        ),
    ] = False
    model: Model = DEFAULT_MODEL
    samples: Samples = 1
    max_samples: Annotated[
        int | None, typer.Option("--max-samples", min=1, help="Verifications of a problem, at most.")
    ] = None
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Written tokens of a problem, at most.")
    ] = None
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Seconds of a problem, at most.")
    ] = None
    isolation: IsolationOption = None
    threads: Threads = None
    exact: Exact = False


@dataclass(frozen=True)
class AgentOptions(JudgedOptions):
    """And how solutions are repaired: the options of ``refine``, ``solve`` and ``mcp``."""

    turns: Annotated[int, typer.Option("--turns", min=0, help="Repairs of a solution, at most.")] = 3
    repair: Annotated[
        RepairKind,
        typer.Option(
            "--repair", help="Write the whole solution anew, or keep the steps before the challenged one."
        ),
    ] = RepairKind.WHOLE
    evidence: Annotated[
        str,
        typer.Option(
            "--evidence",
            metavar="NAMES",
            help="What a critique says: some of analysis, code, output, conclusion, with commas between "
            "them.",
        ),
    ] = "analysis,conclusion"
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", min=0.0, max=1.0, help="Only steps that score below this are challenged."
        ),
    ] = 0.5
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", min=0.0, max=1.0, help="And only where the paths are at least this sure of it."
        ),
    ] = 0.0

    def check(self, policy: str | None) -> None:
        """Refuse what cannot be used, before anything is downloaded or loaded.

        Args:
            policy: Who writes.

        Raises:
            InputError: One of the options cannot be used.
        """
        from ..agents.opening import is_chat

        if policy is not None:
            is_chat(policy, model=self.policy_model, prefill=self.prefill)
        elif self.prefill or self.policy_model is not None:
            raise InputError("--prefill and --policy-model say more about a --policy: give one, or neither")
        self.said_against_steps()
        self.guard()
        self.budget()

    def budget(self) -> Budget:
        """What may be spent on one problem."""
        return budget_option(self.max_samples, self.max_tokens, self.max_seconds)

    def said_against_steps(self) -> Evidence:
        """What goes into a critique."""
        from ..agents import Evidence

        return Evidence.of(self.evidence)

    def guard(self) -> Guard:
        """Which steps are challenged."""
        from ..agents import Guard

        return Guard(self.threshold, self.confidence)

    def open_policy(self, name: str) -> AbstractAsyncContextManager[Policy]:
        """A policy that is loaded when it is entered."""
        from ..agents import open_policy

        return open_policy(
            name, model=self.policy_model, prefill=self.prefill, threads=self.threads, exact=self.exact
        )

    def open_critic(self) -> AbstractAsyncContextManager[VerifierCritic]:
        """A critic that is loaded when it is entered."""
        from ..agents import open_critic

        return open_critic(
            self.model,
            evidence=self.said_against_steps(),
            options=CheckOptions(samples=self.samples),
            threads=self.threads,
            exact=self.exact,
            isolation=self.isolation,
        )

    def refinement(self, policy: Policy, critic: Critic, turns: int | None = None) -> RefinementAgent:
        """The agent that repairs; with so many turns as are asked for, else as many as the option says."""
        from ..agents import RefinementAgent

        return RefinementAgent(
            policy,
            critic,
            turns=self.turns if turns is None else turns,
            repair=self.repair.value,
            guard=self.guard(),
        )


@dataclass(frozen=True)
class ResultOptions:
    """Which problems of a file, and how their results are shown: the options of ``refine`` and ``solve``."""

    seed: Seed = 0
    json: Annotated[bool, typer.Option("--json", help="One JSON object a problem on stdout.")] = False
    limit: Limit = None
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            parser=folder_name,
            metavar="PATH",
            help="Folder for one self-contained page a problem.",
        ),
    ] = None
