"""Critic refinement over three turns (table 2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from genprm_sdk.agents import (
    Agent,
    Corrections,
    Evidence,
    Policy,
    RefinementAgent,
    SelfRefinement,
    Trajectory,
    open_critic,
    open_policy,
)
from genprm_sdk.agents.accuracy import best_is_right, latest_is_right

from .. import published
from ..critics import OracleCritic, RandomCritic
from ..results import Claim, Picture, Result, Rows
from ..scoring import Interval, mean, mean_difference
from ..solving import POLICY, Solving
from .experiment import BUNDLED, Experiment, Work

__all__ = ["EXPERIMENT"]

TURNS = 3
GENPRM, PREFIX, SELF, WORDS, RANDOM, ORACLE = (
    "genprm",
    "genprm, keeping the prefix",
    "the policy itself",
    "genprm without code",
    "a random step",
    "an oracle",
)
LAST = (SELF, RANDOM)
"""Their scores are not worth comparing: the last attempt counts."""


@dataclass(frozen=True)
class Found:
    """What one critic led to.

    Attributes:
        right: Whether the answer was right, by turn and problem.
        corrections: What became of right and wrong first answers.
        tokens: Written by policy and critic, a problem, the first attempt included.
    """

    right: list[list[float]]
    corrections: Corrections
    tokens: float

    @property
    def gain(self) -> Interval:
        return mean_difference(self.right[-1], self.right[0])


async def run(work: Work) -> Result:
    solving = Solving.of(work.scale.domains, work.scale.problems, work.folder / "solved", work.say)
    found: dict[str, Found] = {}
    async with open_policy(POLICY) as policy:
        for name in (GENPRM, PREFIX, SELF, WORDS, RANDOM, ORACLE):
            async with agent_of(name, policy, solving) as agent:
                trajectories = await solving.by(f"refined by {name}", agent, policy)
            found[name] = await what_became(name, trajectories, solving)
    genprm, oracle = found[GENPRM], found[ORACLE]
    broken = [
        float(before > after)
        for before, after in zip(genprm.right[0], genprm.right[-1], strict=True)
        if before
    ]
    of_paper = "; ".join(
        f"{name}: {', '.join(map(str, turns))}" for name, turns in published.REFINEMENT.items()
    )
    half_of_oracle = [
        (mine - first) - (best - first) / 2
        for mine, best, first in zip(genprm.right[-1], oracle.right[-1], genprm.right[0], strict=True)
    ]
    return Result(
        how=(
            f"{work.scale.problems} fresh problems of each of {', '.join(work.scale.domains)}: policy-mini "
            f"at temperature 0.7 writes a first solution, and all critics go on from the same one. The "
            f"verifier judges with one path, and its analysis and conclusion are the critique. The oracle "
            f"knows the first wrong step. 'genprm without code' stands where the paper has an independent "
            f"critic model. With the policy as its own critic, and with a random step, the last attempt "
            f"counts; else the best-scored one."
        ),
        paper=f"Right answers before and after 1, 2 and 3 turns, in percent: {of_paper}.",
        tables=(
            Rows(
                "Right answers in percent",
                (
                    ("critic", *(f"after {turn}" for turn in range(TURNS + 1)), "gain"),
                    *(
                        (name, *(str(mean(turn)) for turn in each.right), str(each.gain))
                        for name, each in found.items()
                    ),
                ),
            ),
            Rows(
                "What became of first answers, and what it cost",
                (
                    (
                        "critic",
                        "wrong and repaired",
                        "right and challenged",
                        "right and made wrong",
                        "tokens",
                    ),
                    *((name, *counted(each)) for name, each in found.items()),
                ),
            ),
        ),
        claims=(
            Claim(
                "After three turns the verifier's critiques beat self-refinement.", gap(genprm, found[SELF])
            ),
            Claim("The verifier's critiques beat challenges of a random step.", gap(genprm, found[RANDOM])),
            Claim("The verifier's critiques beat its own without code.", gap(genprm, found[WORDS])),
            Claim("Refinement gains more than half of what an oracle's critiques do.", mean(half_of_oracle)),
            Claim(
                "Refinement makes fewer than 2% of right answers wrong.",
                mean([0.02 - each for each in broken]),
            ),
            Claim(
                "Refinement that keeps the verified prefix beats writing anew.", gap(found[PREFIX], genprm)
            ),
        ),
        pictures=(
            Picture(
                "right answers in percent",
                "solutions written (1: before the first turn)",
                {
                    name: tuple((turn + 1, 100 * mean(right).value) for turn, right in enumerate(each.right))
                    for name, each in found.items()
                },
            ),
        ),
    )


@asynccontextmanager
async def agent_of(name: str, policy: Policy, solving: Solving) -> AsyncIterator[Agent]:
    if name == SELF:
        yield SelfRefinement(policy, turns=TURNS, circles=TURNS + 1)
    elif name == RANDOM:
        yield RefinementAgent(policy, RandomCritic(), turns=TURNS, keep="last", circles=TURNS + 1)
    elif name == ORACLE:
        yield RefinementAgent(policy, OracleCritic(solving.exercises), turns=TURNS)
    else:
        reasoning = "analysis" if name == WORDS else "analysis+code"
        evidence = Evidence(conclusion=name != WORDS)
        async with open_critic(BUNDLED, evidence=evidence, reasoning=reasoning) as critic:
            yield RefinementAgent(policy, critic, turns=TURNS, repair="prefix" if name == PREFIX else "whole")


async def what_became(name: str, trajectories: list[Trajectory], solving: Solving) -> Found:
    is_right = latest_is_right if name in LAST else best_is_right
    outcomes = await solving.outcomes(trajectories)
    answers = [exercise.answer for exercise in solving.exercises]
    return Found(
        [[float(is_right(each.until(turn))) for each in outcomes] for turn in range(TURNS + 1)],
        await Corrections.of(zip(trajectories, answers, strict=True)),
        sum(each.spent.tokens for each in trajectories) / len(trajectories),
    )


def counted(found: Found) -> tuple[str, str, str, str]:
    made = found.corrections
    right, wrong = made.kept + made.broken, made.repaired + made.wrong
    return (
        f"{made.repaired} of {wrong}",
        f"{made.challenged} of {right}",
        f"{made.broken} of {right}",
        f"{found.tokens:,.0f}",
    )


def gap(one: Found, other: Found) -> Interval:
    return mean_difference(one.right[-1], other.right[-1])


EXPERIMENT = Experiment("refinement", "Critic refinement over three turns (table 2)", run)
