"""Any async callable from chat messages to text is a policy; this one needs no model at all."""

import asyncio
from collections.abc import Sequence

from genprm_sdk.agents import AttemptJudged, Message, RefinementAgent, TurnStarted, open_critic

PROBLEM = "What is 12 * 7 + 5?"
ANSWERS = ["Step 1: 12 * 7 = 74.\n\nStep 2: \\boxed{79}", "Step 1: 12 * 7 = 84.\n\nStep 2: \\boxed{89}"]


async def policy(messages: Sequence[Message]) -> str:
    return ANSWERS[0] if len(messages) == 1 else ANSWERS[1]


async def main() -> None:
    async with open_critic("genprm-mini") as critic:
        async for event in RefinementAgent(policy, critic).stream(PROBLEM):
            if isinstance(event, TurnStarted) and event.turn.challenge is not None:
                print("challenged:", event.turn.challenge.text)
            if isinstance(event, AttemptJudged):
                print("attempt", event.attempt.index, event.attempt.verdict, event.attempt.answer)


asyncio.run(main())
