"""Check many solutions, a few at a time; what cannot be checked does not stop the others."""

import asyncio
from collections.abc import Iterator

from genprm_sdk import Diagnostics, Solution, Verifier


def solutions() -> Iterator[Solution | list[str]]:
    for boxes in range(3, 7):
        said = 14 * boxes + (boxes == 5)
        yield Solution(
            id=f"{boxes} boxes",
            problem=f"There are {boxes} boxes of 14 pencils each. How many pencils are there?",
            steps=(f"There are {boxes} * 14 = {said} pencils.",),
        )
    yield [" "]


async def main() -> None:
    reports = []
    async with Verifier("genprm-mini") as verifier:
        async for checked in verifier.check_many(solutions(), concurrency=3, ordered=True, samples=2):
            if checked.report is None:
                print(f"{checked.index}: {checked.error}")
            else:
                print(f"{checked.index}: {checked.report.id}: {checked.report.verdict}")
                reports.append(checked.report)
    print(Diagnostics.of(reports))


asyncio.run(main())
