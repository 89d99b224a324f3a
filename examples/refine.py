"""Solve a problem, have the solution verified, criticised and repaired, and save the trajectory as a page."""

import asyncio
import tempfile
from pathlib import Path

from genprm_sdk.agents import Evidence, RefinementAgent, open_critic, open_policy

PROBLEM = "Omar has 96 cards. Omar packs the cards evenly into 8 boxes. How many cards is one share?"


async def main() -> None:
    evidence = Evidence(analysis=True, conclusion=True)
    async with open_policy("policy-mini") as policy, open_critic("genprm-mini", evidence=evidence) as critic:
        agent = RefinementAgent(policy, critic, turns=3)
        trajectory = await agent.solve(PROBLEM, seed=0)
    print(trajectory.to_text())
    page = Path(tempfile.mkdtemp()) / "trajectory.html"
    page.write_text(trajectory.to_html("Cards"), encoding="utf-8")
    print(f"{page}, stopped: {trajectory.stopped}")


asyncio.run(main())
