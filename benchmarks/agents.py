"""What refinement, sampling and search bring: accuracies on fresh problems, with paired bootstrap intervals.

All agents but the search go on from one first attempt at each problem, and the votes are held among the
attempts of Best-of-N. Refinement is looked at after 0 to 3 repairs; its critics
are the verifier, the policy itself, and one that challenges a random step of every solution. Differences are
of the same problems; their intervals go from the 2.5th to the 97.5th percentile of 10,000 bootstrap samples.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genprm_sdk.agents import (
    Agent,
    Asked,
    BestOfN,
    Corrections,
    Critic,
    Doubt,
    Evidence,
    Judgement,
    Policy,
    RefinementAgent,
    SelfConsistency,
    SelfRefinement,
    StepSearch,
    Trajectory,
    open_critic,
    open_policy,
    plain_answer,
)
from genprm_sdk.errors import InputError
from genprm_sdk.training.sampling import draw_exercises
from genprm_sdk.training.worlds import WORLDS, Exercise
from genprm_sdk.types import Report, Solution

TURNS = 3
BOOTSTRAP = 10_000
AT_ONCE = 12


@dataclass(frozen=True)
class RandomCritic:
    """Challenges a random step, whatever it says."""

    name: str = "random step"

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        step = random.Random(f"{asked.seed}/{solution.steps}").randrange(len(solution.steps))
        return Judgement(0.0, "incorrect", (Doubt(step, None, 1.0, "This step is wrong."),))

    def again(self, solution: Solution, report: Report) -> Judgement:
        raise InputError("a random critic writes no reports")


def agents_of(policy: Policy, critic: Critic, n: int) -> dict[str, Agent]:
    refined = {
        "genprm, whole": RefinementAgent(policy, critic, turns=TURNS),
        "genprm, prefix": RefinementAgent(policy, critic, turns=TURNS, repair="prefix"),
        "self": SelfRefinement(policy, turns=TURNS, circles=TURNS + 1),
        "random step": RefinementAgent(policy, RandomCritic(), turns=TURNS, keep="last", circles=TURNS + 1),
    }
    return {
        **refined,
        f"best of {n}": BestOfN(policy, critic, n=n),
        "step search 2 x 4": StepSearch(policy, critic, width=2, expand=4),
    }


async def voted(trajectories: Sequence[Trajectory], policy: Policy, n: int) -> dict[str, list[Trajectory]]:
    """What a vote makes of the attempts of Best-of-N, with the scores as weights and without."""
    voters: dict[str, Agent] = {
        f"best of {n}, vote": BestOfN(policy, RandomCritic(), n=n, select="vote"),
        f"self-consistency of {n}": SelfConsistency(policy, n=n),
    }
    return {
        name: [await agent.resume(each.model_copy(update={"agent": agent.kind})) for each in trajectories]
        for name, agent in voters.items()
    }


def answer_after(trajectory: Trajectory, turn: int, *, last: bool) -> str | None:
    """What would have been returned after so many repairs."""
    seen = [trajectory.attempts[index] for each in trajectory.turns[: turn + 1] for index in each.attempts]
    usable = [attempt for attempt in seen if attempt.fault is None]
    if not usable:
        return None
    if last:
        return usable[-1].answer
    return max(usable, key=lambda each: (-1.0 if each.score is None else each.score, -each.index)).answer


def is_right(answer: str | None, exercise: Exercise) -> bool:
    return answer is not None and plain_answer(answer) == plain_answer(exercise.answer)


def interval(values: Sequence[float]) -> str:
    """A mean in percent with its bootstrap interval."""
    sample = np.asarray(values, dtype=float)
    draws = np.random.default_rng(0).integers(len(sample), size=(BOOTSTRAP, len(sample)))
    low, high = np.percentile(sample[draws].mean(axis=1), [2.5, 97.5])
    return f"{100 * sample.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def difference(one: Sequence[bool], other: Sequence[bool]) -> str:
    """How much more often one is right than the other, of the same problems."""
    return interval([float(a) - float(b) for a, b in zip(one, other, strict=True)])


async def solved(agent: Agent, begun: Sequence[Trajectory]) -> list[Trajectory]:
    """What an agent makes of first attempts; a search begins anew."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(each: Trajectory) -> Trajectory:
        async with room:
            if isinstance(agent, StepSearch):
                return await agent.solve(each.problem, seed=each.seed)
            return await agent.resume(each.model_copy(update={"agent": agent.kind, "weights": {}}))

    return await asyncio.gather(*(one(each) for each in begun))


async def measure(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    exercises = draw_exercises(arguments.domains, arguments.problems, "agents")
    table: dict[str, dict[str, str]] = {}
    right: dict[str, list[bool]] = {}
    async with open_policy(arguments.policy, threads=arguments.threads) as policy:
        once = SelfConsistency(policy, n=1)
        begun = [await once.solve(each.problem, seed=number) for number, each in enumerate(exercises)]
        for name in agents_of(policy, RandomCritic(), arguments.n):
            # Each with a critic of its own, so that none profits from what another's remembers.
            async with open_critic(
                arguments.model, evidence=Evidence(conclusion=True), threads=arguments.threads
            ) as critic:
                agent = agents_of(policy, critic, arguments.n)[name]
                started = time.monotonic()
                trajectories = await solved(agent, begun)
                seconds = time.monotonic() - started
            row = await described(name, agent, trajectories, exercises, right)
            if isinstance(agent, BestOfN):
                for other, chosen in (await voted(trajectories, policy, arguments.n)).items():
                    table[other] = await described(other, None, chosen, exercises, right)
                    print(other, *(f"  {key}: {value}" for key, value in table[other].items()), sep="\n")
            tokens = sum(each.spent.tokens for each in trajectories) / len(trajectories)
            row["tokens a problem"] = f"{tokens:.0f}"
            row["seconds a problem"] = f"{seconds / len(trajectories):.2f}"
            table[name] = row
            print(name, *(f"  {key}: {value}" for key, value in row.items()), sep="\n", flush=True)
    table["differences"] = differences(right, arguments.n)
    print("differences", *(f"  {key}: {value}" for key, value in table["differences"].items()), sep="\n")
    return table


async def described(
    name: str,
    agent: Agent | None,
    trajectories: Sequence[Trajectory],
    exercises: Sequence[Exercise],
    right: dict[str, list[bool]],
) -> dict[str, str]:
    pairs = list(zip(trajectories, exercises, strict=True))
    right[name] = [is_right(trajectory.answer, exercise) for trajectory, exercise in pairs]
    if not isinstance(agent, RefinementAgent):
        return {"right": interval(right[name])}
    last = name in ("self", "random step")
    row = {}
    for turn in range(TURNS + 1):
        after = [is_right(answer_after(each, turn, last=last), exercise) for each, exercise in pairs]
        right[f"{name} after {turn}"] = after
        row[f"right after {turn}"] = interval(after)
    found = await Corrections.of((trajectory, exercise.answer) for trajectory, exercise in pairs)
    row["gain"] = difference(right[f"{name} after {TURNS}"], right[f"{name} after 0"])
    row["repaired"] = f"{found.repaired} of {found.repaired + found.wrong}"
    row["made wrong"] = f"{found.broken} of {found.broken + found.kept}"
    row["right ones challenged"] = f"{found.challenged} of {found.broken + found.kept}"
    return row


def differences(right: dict[str, list[bool]], n: int) -> dict[str, str]:
    wanted = [
        ("genprm, whole", "self"),
        ("genprm, whole", "random step"),
        ("genprm, prefix", "genprm, whole"),
        (f"best of {n}", f"self-consistency of {n}"),
        (f"best of {n}, vote", f"self-consistency of {n}"),
        ("step search 2 x 4", f"best of {n}"),
    ]
    return {f"{one} - {other}": difference(right[one], right[other]) for one, other in wanted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="policy-mini")
    parser.add_argument("--model", default="genprm-mini")
    parser.add_argument("--problems", type=int, default=40, help="of each domain")
    parser.add_argument(
        "--domains", nargs="*", choices=sorted(WORLDS), default=["arithmetic", "word_problems", "tracking"]
    )
    parser.add_argument("--n", type=int, default=8, help="attempts of the sampling agents")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the table as JSON")
    arguments = parser.parse_args()
    table = asyncio.run(measure(arguments))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
