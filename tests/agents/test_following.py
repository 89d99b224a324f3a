"""What there is of a problem while its agent works is what the agent itself would say."""

from __future__ import annotations

import pytest

from genprm_sdk.agents import Agent, AttemptJudged, BestOfN, RefinementAgent, StepSearch, TurnFinished
from genprm_sdk.agents.following import Following

from .scripted import PROBLEM, RIGHT, WORSE, WRONG, Marking, Scripted

pytestmark = pytest.mark.anyio


def agents() -> list[Agent]:
    return [
        BestOfN(Scripted([WRONG, RIGHT, "", WORSE]), Marking(), n=4, concurrency=2),
        RefinementAgent(Scripted([WRONG, WORSE, RIGHT]), Marking()),
        StepSearch(Scripted([WRONG, RIGHT]), Marking(), width=1, expand=2),
    ]


@pytest.mark.parametrize("agent", agents(), ids=lambda agent: agent.kind)
async def test_events_come_to_the_agents_own_trajectory(agent: Agent) -> None:
    following, judged = Following(), 0
    assert following.trajectory() is None
    async for event in agent.stream(PROBLEM):
        if isinstance(event, TurnFinished):
            gathered = following.trajectory()
            assert gathered is not None
            own = {"seconds": 0.0, "turns": ()}
            assert gathered.model_copy(update=own) == event.trajectory.model_copy(update=own)
            assert [turn.attempts for turn in gathered.turns] == [
                turn.attempts for turn in event.trajectory.turns
            ]
        following.hear(event)
        if isinstance(event, AttemptJudged):
            judged += 1
            sofar = following.trajectory()
            assert sofar is not None
            assert event.attempt in sofar.attempts
            assert sofar.stopped is None
    assert judged
