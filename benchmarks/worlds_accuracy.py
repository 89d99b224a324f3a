"""How well a verifier judges fresh examples of the worlds: first mistakes, single steps, kinds of mistake.

The examples come from seeds that training does not use; ``--held-out`` draws the phrasing style that training
never drew. Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

from _shares import Table, options, run, share, show

from genprm_sdk import Solution, Verifier
from genprm_sdk.training.worlds import WORLDS, World


async def measure(arguments: argparse.Namespace) -> Table:
    table = {}
    async with Verifier(arguments.model, reasoning=arguments.reasoning) as verifier:
        for name in arguments.domains or WORLDS:
            table[name] = await measure_world(verifier, WORLDS[name], arguments)
            show(name, table[name])
    return table


async def measure_world(verifier: Verifier, world: World, arguments: argparse.Namespace) -> dict[str, str]:
    style = world.held_out_style if arguments.held_out else None
    examples = [
        world.example(random.Random(f"benchmark/{arguments.seed}/{world.name}/{number}"), style)
        for number in range(arguments.examples)
    ]
    solutions = [
        Solution(problem=example.problem, steps=tuple(step.text for step in example.steps))
        for example in examples
    ]
    first = beyond = 0
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    async for checked in verifier.check_many(solutions, samples=arguments.samples):
        report, example = checked.report, examples[checked.index]
        if report is None or report.stopped == "context":
            beyond += 1
            continue
        first += report.first_error == example.first_error
        for step, result in zip(example.steps, report.steps, strict=True):
            for kind in ("all steps", step.mistake or ("right" if step.correct else "unplanted")):
                hits[kind] += result.label == ("correct" if step.correct else "incorrect")
                totals[kind] += 1
    row = {"first mistake": share(first, arguments.examples)}
    row |= {kind: share(hits[kind], totals[kind]) for kind in sorted(totals)}
    if beyond:
        row["longer than the context"] = str(beyond)
    return row


def main() -> None:
    parser = options(__doc__, "genprm-mini")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--held-out", action="store_true", help="draw the style that training never drew")
    parser.add_argument("--reasoning", default="analysis+code")
    run(parser, measure)


if __name__ == "__main__":
    main()
