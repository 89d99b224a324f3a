"""Check a solution with the bundled model and say where it goes wrong."""

import asyncio

from genprm_sdk import Verifier

PROBLEM = (
    "There are 6 boxes of 14 pencils each. Then Nora sells 19 pencils. How many pencils does Nora have now?"
)
STEPS = ["At first there are 6 * 14 = 84 pencils.", "After selling 19, Nora has 84 - 19 = 75 pencils."]


async def main() -> None:
    async with Verifier("genprm-mini") as verifier:
        report = await verifier.check(STEPS, problem=PROBLEM, samples=4, seed=7)
    print(report.first_error, [step.score for step in report.steps])


asyncio.run(main())
