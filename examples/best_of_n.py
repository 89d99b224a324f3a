"""Best-of-N: rank several solutions of one problem by their least convincing step."""

import asyncio

from genprm_sdk import Verifier

PROBLEM = "Omar has 96 cards. Omar packs the cards evenly into 8 boxes. How many cards is one share?"
SOLUTIONS = [["Dividing by 8 gives 96 / 8 = 14 cards."], ["Dividing by 8 gives 96 / 8 = 12 cards."]]


async def main() -> None:
    async with Verifier("genprm-mini") as verifier:
        ranked = await verifier.rank(SOLUTIONS, problem=PROBLEM, by="min", samples=2)
    for place in ranked:
        print(f"{place.score:.3f}  {SOLUTIONS[place.index]}")


asyncio.run(main())
