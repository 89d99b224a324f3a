"""Best-of-N and step search against a vote without a verifier, on one problem."""

import asyncio

from genprm_sdk.agents import BestOfN, SelfConsistency, StepSearch, open_critic, open_policy

PROBLEM = (
    "Grace earns $2 an hour for 6 hours and $3 an hour for another 4 hours. How many dollars does Grace have?"
)


async def main() -> None:
    async with open_policy("policy-mini") as policy, open_critic("genprm-mini") as critic:
        agents = [
            SelfConsistency(policy, n=6),
            BestOfN(policy, critic, n=6),
            BestOfN(policy, critic, n=6, select="vote"),
            StepSearch(policy, critic, width=2, expand=3),
        ]
        for agent in agents:
            found = await agent.solve(PROBLEM, seed=1)
            print(f"{agent.kind}: {found.answer} ({found.spent.tokens} tokens)")


asyncio.run(main())
