"""Many problems at once in one process: is any lost, how much faster is it, how much memory does it take?

Each problem is solved by ``RefinementAgent`` with ``policy-mini`` and ``genprm-mini``. Every run has models
of its own, so that none profits from what another's critic remembers; the first problems are also solved one
at a time. Beside the time by the clock stands the processor's, of this process without its sandboxes, which
says more on a machine that does other things too. The peak of the memory is the process's high-water mark
(VmHWM), set back before each run; Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genprm_sdk.agents import Evidence, RefinementAgent, Trajectory, open_critic, open_policy
from genprm_sdk.training.worlds import WORLDS

DOMAINS = ("arithmetic", "word_problems", "tracking")


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        problems: How many.
        seconds: By the clock, models loaded before.
        processor: Seconds of the processor.
        before: Resident MiB before the first problem, models loaded.
        peak: Resident MiB at most.
        tokens: Written.
        outcomes: Why the trajectories ended, and how many for each reason.
    """

    problems: int
    seconds: float
    processor: float
    before: float
    peak: float
    tokens: int
    outcomes: Counter[str]


def problems(count: int) -> list[str]:
    rng = random.Random("agents at once")
    return [WORLDS[DOMAINS[number % len(DOMAINS)]].exercise(rng).problem for number in range(count)]


def memory(field: str) -> float:
    """A line of /proc/self/status, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def forget_peak() -> None:
    """Let the high-water mark of this process's memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


async def solved(wanted: Sequence[str], at_once: int, arguments: argparse.Namespace) -> Measured:
    """Solve all; every one must come to an end, and nothing may be held afterwards."""
    options = {"threads": arguments.threads, "capacity": arguments.capacity}
    critic_opened = open_critic("genprm-mini", evidence=Evidence(conclusion=True), **options)
    async with open_policy("policy-mini", **options) as policy, critic_opened as critic:
        agent = RefinementAgent(policy, critic, turns=3)
        room = asyncio.Semaphore(at_once)

        async def one(number: int, problem: str) -> Trajectory:
            async with room:
                return await agent.solve(problem, seed=number, id=str(number))

        forget_peak()
        before, started, worked = memory("VmRSS"), time.monotonic(), time.process_time()
        found = await asyncio.gather(*(one(number, problem) for number, problem in enumerate(wanted)))
        seconds, processor = time.monotonic() - started, time.process_time() - worked
        peak = memory("VmHWM")
    for number, (problem, trajectory) in enumerate(zip(wanted, found, strict=True)):
        assert (trajectory.id, trajectory.problem) == (str(number), problem), "a problem was mixed up"
        assert trajectory.stopped is not None, "a problem was lost"
        assert trajectory.attempts, "a problem was lost"
    assert len(asyncio.all_tasks()) == 1, "something still runs"
    return Measured(
        problems=len(wanted),
        seconds=seconds,
        processor=processor,
        before=before,
        peak=peak,
        tokens=sum(each.spent.tokens for each in found),
        outcomes=Counter(each.stopped or "" for each in found),
    )


async def measure(arguments: argparse.Namespace) -> None:
    wanted = problems(max(*arguments.levels, arguments.alone))
    alone = await solved(wanted[: arguments.alone], 1, arguments)
    show("one at a time", alone, alone)
    for level in arguments.levels:
        show(f"{level} at once", await solved(wanted[:level], level, arguments), alone)


def show(name: str, run: Measured, alone: Measured) -> None:
    def faster(seconds: float, than: float) -> str:
        return f"{(than / alone.problems) / (seconds / run.problems):.2f} x"

    print(
        f"{name}: {run.problems} problems, {run.tokens / run.problems:.0f} tokens each, "
        f"{run.seconds:.1f} s ({faster(run.seconds, alone.seconds)} one at a time), "
        f"{run.processor:.1f} s of the processor ({faster(run.processor, alone.processor)}); "
        f"memory {run.before:.0f} MiB before, {run.peak:.0f} MiB at most; "
        + ", ".join(f"{count} {why}" for why, count in run.outcomes.most_common()),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", type=int, default=40, help="problems that are solved one at a time")
    parser.add_argument("--levels", type=int, nargs="+", default=[50, 100, 200], help="problems at once")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--capacity", type=int, help="sequences that each model evaluates at once")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        parser.error("the memory is read from Linux's /proc")
    asyncio.run(measure(arguments))


if __name__ == "__main__":
    main()
