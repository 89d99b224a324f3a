"""Repair a solution from its first wrong step on: the steps before are neither written nor checked again."""

import asyncio

from genprm_sdk import Budget
from genprm_sdk.agents import Evidence, Guard, RefinementAgent, open_critic, open_policy

PROBLEM = "There are 6 boxes of 14 pencils each. Nora sells 19 pencils. How many pencils does Nora have now?"
STEPS = [
    "Step 1: There are 6 boxes of 14 pencils each: 6 * 14 = 84.",
    "Step 2: Nora sells 19 pencils: 84 - 19 = 75.",
    "Step 3: The answer is \\boxed{75}.",
]


async def main() -> None:
    evidence = Evidence(analysis=True, conclusion=True)
    async with open_policy("policy-mini") as policy, open_critic("genprm-mini", evidence=evidence) as critic:
        agent = RefinementAgent(policy, critic, repair="prefix", guard=Guard(score=0.3))
        trajectory = await agent.refine(PROBLEM, STEPS, budget=Budget(seconds=30))
    for attempt in trajectory.attempts:
        print(attempt.index, attempt.kept, attempt.score, attempt.answer, attempt.spent.critic_tokens)
    print(trajectory.stopped, trajectory.answer)


asyncio.run(main())
