"""Chat policies against a real server: llama-server with the bundled policy behind /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

pytest.importorskip("openai")
pytest.importorskip("xllamacpp")

from genprm_sdk.agents import (
    AgentError,
    AgentFinished,
    ChatPolicy,
    ContinuingPolicy,
    Evidence,
    PolicyRetried,
    PolicyWrote,
    PrefilledChatPolicy,
    RefinementAgent,
    StepSearch,
    Trajectory,
    VerifierCritic,
    open_critic,
    open_policy,
)
from genprm_sdk.errors import BackendError, InputError
from genprm_sdk.models import find_model

from ..backends.llama_server import llama_server, llama_server_process
from .scripted import WRONG, Marking

pytestmark = pytest.mark.anyio
MODEL = find_model("policy-mini")[1]
CONTEXT = 2048
PROBLEM = "There are 6 boxes of 14 pencils each. Nora sells 19 pencils. How many pencils does Nora have now?"
GIVEN = [
    "Step 1: There are 6 boxes of 14 pencils each: 6 * 14 = 84.",
    "Step 2: Nora sells 19 pencils: 84 - 19 = 75.",
    "Step 3: The answer is \\boxed{75}.",
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_server(MODEL, CONTEXT) as address:
        yield f"{address}/v1"


@pytest.fixture
async def critic() -> AsyncIterator[VerifierCritic]:
    async with open_critic(threads=1, evidence=Evidence(conclusion=True)) as opened:
        yield opened


async def test_a_problem_is_solved_and_its_text_streamed(url: str, critic: VerifierCritic) -> None:
    shown: dict[int, str] = {}
    trajectory: Trajectory | None = None
    async with open_policy(url) as policy:
        async for event in RefinementAgent(policy, critic, turns=1).stream(PROBLEM, seed=1):
            if isinstance(event, PolicyWrote):
                shown[event.attempt] = shown.get(event.attempt, "") + event.text
            if isinstance(event, AgentFinished):
                trajectory = event.trajectory
    assert trajectory is not None
    assert trajectory.policy.endswith("policy-mini.gguf")
    assert trajectory.answer is not None
    assert {attempt.index: attempt.text for attempt in trajectory.attempts} == shown
    first = trajectory.attempts[0]
    assert first.verdict is not None
    assert first.spent.policy_tokens > 10
    assert not trajectory.spent.estimated


async def test_a_wrong_solution_is_criticised_and_written_anew(url: str, critic: VerifierCritic) -> None:
    async with open_policy(url) as policy:
        trajectory = await RefinementAgent(policy, critic, turns=1).refine(PROBLEM, GIVEN, seed=3)
    challenge = trajectory.turns[1].challenge
    assert challenge is not None
    assert challenge.step == 1
    assert challenge.reason
    repaired = trajectory.attempts[1]
    assert (repaired.parent, repaired.kept, repaired.fault) == (0, 0, None)
    assert repaired.text


async def test_a_prefix_is_continued_to_the_letter(url: str) -> None:
    async with open_policy(url, prefill=True) as policy:
        assert isinstance(policy, PrefilledChatPolicy)
        asked = [{"role": "user", "content": f"{PROBLEM}\nPlease reason step by step."}]
        shown: list[str] = []
        begun = f"{GIVEN[0]}\n\nStep 2: Nora sells 19 pencils: 84 -"
        reply = await policy.continue_from(asked, begun, seed=1, stop=["\n\n"], show=shown.append)
    assert reply.text.startswith(" 19 = ")
    assert "".join(shown) == reply.text
    assert "Step 3" not in reply.text


async def test_a_repair_keeps_the_steps_before_the_challenged_one(url: str, critic: VerifierCritic) -> None:
    async with open_policy(url, prefill=True) as policy:
        agent = RefinementAgent(policy, critic, turns=1, repair="prefix")
        trajectory = await agent.refine(PROBLEM, GIVEN, seed=3)
    repaired = trajectory.attempts[1]
    assert repaired.kept == 1
    assert repaired.steps[0] == GIVEN[0]
    assert sum(step.startswith("Step 1") for step in repaired.steps) == 1, "not begun twice"


async def test_steps_are_searched_through_the_server(url: str, critic: VerifierCritic) -> None:
    async with open_policy(url, prefill=True) as policy:
        assert isinstance(policy, ContinuingPolicy)
        trajectory = await StepSearch(policy, critic, width=1, expand=2, steps=6).solve(PROBLEM, seed=2)
    assert trajectory.solution is not None
    assert [len(attempt.steps) - attempt.kept for attempt in trajectory.attempts if not attempt.fault]
    assert all(len(each.steps) - each.kept == 1 for each in trajectory.attempts if each.fault is None)


async def test_a_server_that_is_killed_is_asked_again_and_then_surfaces_with_the_trajectory() -> None:
    with llama_server_process(MODEL, CONTEXT) as (address, process):
        endless = ChatPolicy("m", url=f"{address}/v1", retries=1, extra={"ignore_eos": True})
        heard: list[object] = []

        async def followed(policy: ChatPolicy) -> None:
            agent = RefinementAgent(policy, Marking(), turns=1)
            async with aclosing(agent.stream_refine("What is 2 + 2?", WRONG)) as events:
                async for event in events:
                    heard.append(event)
                    if isinstance(event, PolicyWrote) and process.poll() is None:
                        process.kill()
                        process.wait()

        async with endless as policy:
            with pytest.raises(AgentError, match="chat API failed") as caught:
                await followed(policy)
    assert any(isinstance(event, PolicyWrote) for event in heard), "it was killed while it wrote"
    assert any(isinstance(event, PolicyRetried) for event in heard)
    assert isinstance(caught.value.__cause__, BackendError)
    trajectory = caught.value.trajectory
    assert trajectory.stopped == "error"
    assert [attempt.verdict for attempt in trajectory.attempts] == ["incorrect"]
    assert trajectory.turns[1].challenge is not None


async def test_a_server_that_is_not_there_is_named_in_one_line() -> None:
    async with ChatPolicy("m", url="http://127.0.0.1:9/v1", retries=0) as policy:
        with pytest.raises(BackendError, match=r"failed on m: http://127.0.0.1:9/v1 cannot be reached"):
            await policy([{"role": "user", "content": "hi"}])


@pytest.mark.parametrize("name", ["policy-mini", "http://127.0.0.1:9/v1"])
async def test_prefill_is_for_chat_apis(name: str) -> None:
    with pytest.raises(InputError, match="leave it out"):
        async with open_policy(name, prefill=True, completions=True):
            pass
