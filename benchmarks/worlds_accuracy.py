"""How well a verifier judges fresh examples of the generated worlds: first mistake, and single steps.

The examples come from seeds that training does not use. Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import asyncio
import random

from scipy.stats import binomtest

from genprm_sdk import Verifier
from genprm_sdk.training.worlds import WORLDS


def share(hits: int, of: int) -> str:
    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits}/{of} = {hits / of:.1%} ({interval.low:.1%} to {interval.high:.1%})"


async def measure(arguments: argparse.Namespace) -> None:
    async with Verifier(arguments.model, execute=not arguments.no_execute) as verifier:
        for name, world in WORLDS.items():
            first = right = steps = 0
            for number in range(arguments.examples):
                example = world.example(random.Random(f"benchmark/{arguments.seed}/{number}"))
                texts = [step.text for step in example.steps]
                report = await verifier.check(texts, problem=example.problem, samples=arguments.samples)
                first += report.first_error == example.first_error
                for step, result in zip(example.steps, report.steps, strict=True):
                    right += result.label == ("correct" if step.correct else "incorrect")
                steps += len(texts)
            print(f"{name}, {arguments.samples} paths a step")
            print(f"  first mistake exact: {share(first, arguments.examples)}")
            print(f"  steps judged right:  {share(right, steps)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="genprm-mini")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-execute", action="store_true")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
