"""Spend less: stop voting when it is settled, go deeper only where it is unsure, or set a budget."""

import asyncio

from genprm_sdk import Adaptive, Budget, Cascade, Verifier

PROBLEM = "((7 - 2 * 3) + (4 * -2 - 5)) ="
STEPS = [
    'This equation can be written as "A + B", where A = (7 - 2 * 3) and B = (4 * -2 - 5).',
    "Let's calculate A = (7 - 2 * 3) = (7 - 6) = 1.",
    "Let's calculate B = (4 * -2 - 5) = (-8 - 5) = -3.",
    "Then, the final equation is A + B = 1 + -3 = -2. So the answer is -2.",
]


async def main() -> None:
    ways = {
        "8 paths a step": {"adaptive": False},
        "until no missing path could change a label": {"adaptive": Adaptive()},
        "until that is unlikely (at most 10%)": {"adaptive": Adaptive(error=0.1)},
        "nothing behind the first mistake": {"stop_at_first_error": True},
        "at most 10 verifications": {"budget": Budget(samples=10)},
        "verdicts alone first": {"cascade": Cascade(stages=("direct", "analysis+code"))},
    }
    async with Verifier("genprm-mini") as verifier:
        for name, options in ways.items():
            report = await verifier.check(STEPS, problem=PROBLEM, samples=8, **options)
            paths = [len(step.paths) for step in report.steps]
            print(
                f"{name}: first mistake {report.first_error}, paths {paths}, "
                f"{report.usage.generated_tokens} tokens, stopped: {report.stopped}"
            )


asyncio.run(main())
