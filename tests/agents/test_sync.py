"""Blocking agents, also inside a running event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Sequence

import anyio
import pytest

from genprm_sdk import ClosedError, GenPRMError, InputError, sync
from genprm_sdk import agents as asynchronous
from genprm_sdk.agents import AgentBudget, AgentError, AgentFinished, Message, TurnStarted
from genprm_sdk.agents import sync as agents
from genprm_sdk.blocking import LOOP

from .scripted import PROBLEM, RIGHT, WRONG, Marking, Scripted

QUESTION = "What is 12 * 7 + 5?"


def test_a_problem_is_solved_without_async() -> None:
    with agents.open_policy(threads=1) as policy, agents.open_critic(threads=1) as critic:
        agent = agents.RefinementAgent(policy, critic, turns=1)
        trajectory = agent.solve(QUESTION, seed=1)
        assert trajectory.agent == "refine"
        assert trajectory.attempts[0].verdict is not None
        refined = agent.refine(QUESTION, ["Step 1: 12 * 7 = 85.", "Step 2: \\boxed{90}"])
        assert refined.given
        assert LOOP._holders == 2
    assert LOOP._holders == 0


def test_a_blocking_verifier_is_a_critic() -> None:
    with sync.Verifier("genprm-mini", threads=1) as verifier:
        trajectory = agents.BestOfN(Scripted([RIGHT, WRONG]), critic=verifier, n=2).solve(PROBLEM)
    assert trajectory.critic == "genprm-mini"
    assert all(attempt.report is not None for attempt in trajectory.attempts)


def test_it_works_inside_a_running_loop() -> None:
    async def notebook_cell() -> str | None:
        return agents.RefinementAgent(Scripted([WRONG, RIGHT]), Marking()).solve(PROBLEM).answer

    assert anyio.run(notebook_cell) == "4"


def test_all_agents_are_there() -> None:
    made = [
        agents.RefinementAgent(Scripted([RIGHT]), Marking()),
        agents.SelfRefinement(Scripted([RIGHT, "Verdict: correct"])),
        agents.BestOfN(Scripted([RIGHT]), Marking(), n=2),
        agents.SelfConsistency(Scripted([RIGHT]), n=2),
        agents.StepSearch(Scripted([RIGHT]), Marking(), width=1, expand=1),
    ]
    for agent in made:
        trajectory = agent.solve(PROBLEM, budget=AgentBudget(turns=2), id="x")
        assert (trajectory.answer, trajectory.id) == ("4", "x")
    kinds = {
        name
        for name, kind in vars(asynchronous).items()
        if inspect.isclass(kind)
        and issubclass(kind, asynchronous.Agent)
        and not inspect.isabstract(kind)
        and name in asynchronous.__all__
    }
    assert kinds <= set(agents.__all__)


def test_events_come_as_they_happen_and_leaving_early_ends_the_work() -> None:
    began, ended = threading.Event(), threading.Event()

    async def slow(messages: Sequence[Message]) -> str:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return RIGHT

    events = agents.RefinementAgent(slow, Marking()).stream_refine(PROBLEM, WRONG)
    for event in events:
        if isinstance(event, TurnStarted):
            break
    began.wait(10)
    events.close()  # type: ignore[attr-defined]
    assert ended.is_set()
    assert LOOP._holders == 0
    finished = list(agents.SelfConsistency(Scripted([RIGHT]), n=1).stream(PROBLEM))[-1]
    assert isinstance(finished, AgentFinished)


def test_a_trajectory_is_resumed() -> None:
    agent = agents.RefinementAgent(Scripted([WRONG, RIGHT]), Marking())
    cut = agent.solve(PROBLEM, budget=AgentBudget(turns=0))
    assert cut.answer == "5"
    assert agent.resume(cut).answer == "4"


def test_errors_come_through() -> None:
    with pytest.raises(InputError, match="turns must be"):
        agents.RefinementAgent(Scripted([RIGHT]), Marking(), turns=-1)
    with pytest.raises(AgentError) as caught:
        agents.SelfConsistency(Scripted([ValueError("no")]), n=1, tries=1).solve(PROBLEM)
    assert caught.value.trajectory.stopped == "policy"
    with agents.open_policy(threads=1) as policy:
        pass
    with pytest.raises(AgentError) as closed:
        agents.SelfConsistency(policy, n=1).solve(PROBLEM)
    assert isinstance(closed.value.__cause__, ClosedError)


def test_a_policy_that_calls_a_blocking_agent_is_told() -> None:
    inner = agents.SelfConsistency(Scripted([RIGHT]), n=1)

    async def nested(messages: Sequence[Message]) -> str:
        return inner.solve(PROBLEM).answer or ""

    with pytest.raises(AgentError, match="its own event loop") as caught:
        agents.SelfConsistency(nested, n=1).solve(PROBLEM)
    assert isinstance(caught.value.__cause__, GenPRMError)
