"""Watch a check while it runs: every path as it finishes, with the code it wrote and what came out."""

import asyncio

from genprm_sdk import Finished, PathFinished, Verifier

PROBLEM = "((7 - 2 * 3) + (4 * -2 - 5)) ="
STEPS = [
    'This equation can be written as "A + B", where A = (7 - 2 * 3) and B = (4 * -2 - 5).',
    "Let's calculate A = (7 - 2 * 3) = (7 - 6) = 1.",
    "Let's calculate B = (4 * -2 - 5) = (-8 - 5) = -3.",
]


async def main() -> None:
    async with Verifier("genprm-mini") as verifier:
        async for event in verifier.stream(STEPS, problem=PROBLEM, samples=2):
            if isinstance(event, PathFinished):
                path = event.path
                outputs = [run.feedback for run in path.code_runs]
                print(f"step {event.index}, path {path.index}: {path.verdict} {path.score:.3f} {outputs}")
            elif isinstance(event, Finished):
                report = event.report
                print(f"first mistake: {report.first_error}, {report.usage.generated_tokens} tokens")


asyncio.run(main())
