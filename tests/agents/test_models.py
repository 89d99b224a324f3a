"""The agents on the bundled models: nothing here depends on what a particular model writes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from genprm_sdk import Sampling, Verifier
from genprm_sdk.agents import (
    Agent,
    Attempt,
    BackendPolicy,
    BestOfN,
    ContinuingPolicy,
    Evidence,
    Policy,
    PolicyWrote,
    RefinementAgent,
    ReplayCritic,
    ReplayPolicy,
    SelfConsistency,
    SelfRefinement,
    StepSearch,
    Trajectory,
    VerifierCritic,
    open_critic,
    open_policy,
)
from genprm_sdk.agents.backend_policy import chat_segments, user_opening
from genprm_sdk.agents.critic import confidence
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.errors import InputError, ModelFileError, UnknownModelError
from genprm_sdk.prompt import ChatFrame
from genprm_sdk.training.solving import conversation, question
from genprm_sdk.training.worlds import WORLDS
from genprm_sdk.types import StepResult, VerificationPath
from genprm_sdk.wording import critique

pytestmark = pytest.mark.anyio
EXERCISES = [WORLDS[name].exercise(random.Random(name)) for name in ("arithmetic", "word_problems")]
PROBLEM = EXERCISES[1].problem
GIVEN = ["Step 1: 2 + 2 = 4.", "Step 2: 4 * 3 = 13.", "Step 3: The answer is \\boxed{13}."]


@pytest.fixture
async def policy() -> AsyncIterator[Policy]:
    async with open_policy("policy-mini", threads=1, exact=True) as opened:
        yield opened


@pytest.fixture
async def critic() -> AsyncIterator[VerifierCritic]:
    async with open_critic(threads=1, exact=True, evidence=Evidence(conclusion=True)) as opened:
        yield opened


def settled(attempts: tuple[Attempt, ...]) -> list[tuple[object, ...]]:
    return [(each.text, each.score, each.verdict, each.answer, each.repeats) for each in attempts]


async def test_refinement_is_never_worse_than_its_first_attempt(
    policy: Policy, critic: VerifierCritic
) -> None:
    agent = RefinementAgent(policy, critic, turns=2)
    for seed, exercise in enumerate(EXERCISES):
        trajectory = await agent.solve(exercise.problem, seed=seed)
        first, best = trajectory.first, trajectory.solution
        assert first is not None
        assert best is not None
        assert (best.score or 0.0) >= (first.score or 0.0)
        assert trajectory.spent.policy_tokens > 0
        assert not trajectory.spent.estimated
        assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory
        again = await agent.solve(exercise.problem, seed=seed)
        assert settled(again.attempts) == settled(trajectory.attempts)
        if trajectory.attempts[0].verdict == "incorrect":
            assert trajectory.turns[1].challenge is not None


async def test_a_kept_prefix_is_not_written_again(policy: Policy, critic: VerifierCritic) -> None:
    trajectory = await RefinementAgent(policy, critic, turns=1, repair="prefix").refine("Calculate.", GIVEN)
    challenge = trajectory.turns[1].challenge
    assert challenge is not None
    repaired = trajectory.attempts[1]
    if repaired.fault is None and repaired.report is not None and challenge.step:
        kept = repaired.report.steps[: challenge.step]
        assert [step.text for step in kept] == GIVEN[: challenge.step]
        written = repaired.report.usage.generated_tokens
        again = sum(path.usage.generated_tokens for step in kept for path in step.paths)
        assert again > 0
        first = trajectory.attempts[0].report
        assert first is not None
        assert [step.score for step in kept] == [step.score for step in first.steps[: challenge.step]]
        assert repaired.spent.critic_tokens == written - again


async def test_the_same_steps_are_judged_from_memory(critic: VerifierCritic) -> None:
    from genprm_sdk.agents import Asked
    from genprm_sdk.types import Solution

    solution = Solution.of(GIVEN, problem="Calculate.")
    fresh = await critic.judge(solution, Asked(seed=3))
    again = await critic.judge(solution, Asked(seed=3))
    assert fresh.spent.critic_tokens > 0
    assert (again.spent.critic_tokens, again.spent.verifications) == (0, 0)
    assert fresh.report is not None
    assert again.report is not None
    assert [path.text for step in again.report.steps for path in step.paths] == [
        path.text for step in fresh.report.steps for path in step.paths
    ]
    other = await critic.judge(solution, Asked(seed=4))
    assert other.spent.critic_tokens > 0


async def test_an_open_verifier_is_a_critic(policy: Policy) -> None:
    async with Verifier("genprm-mini", threads=1) as verifier:
        trajectory = await RefinementAgent(policy, verifier, turns=0).refine("Calculate.", GIVEN)
    assert trajectory.critic == "genprm-mini"
    assert trajectory.attempts[0].report is not None


async def test_every_agent_solves_and_shows_it(policy: Policy, critic: VerifierCritic) -> None:
    agents: list[Agent] = [
        BestOfN(policy, critic, n=3, select="vote"),
        SelfConsistency(policy, n=3),
        SelfRefinement(policy, turns=1),
        StepSearch(policy, critic, width=1, expand=2, steps=6),
    ]
    for agent in agents:
        trajectory = await agent.solve(PROBLEM, seed=1)
        assert trajectory.attempts
        assert trajectory.agent in trajectory.to_html("A title")
        assert trajectory.to_text()
        assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory


async def test_a_trajectory_is_replayed_without_models(policy: Policy, critic: VerifierCritic) -> None:
    settings = {"turns": 2}
    recorded = await RefinementAgent(policy, critic, **settings).solve(PROBLEM, seed=2)
    agent = RefinementAgent(ReplayPolicy(recorded), ReplayCritic(recorded, critic), **settings)
    again = await agent.solve(PROBLEM, seed=2)
    assert settled(again.attempts) == settled(recorded.attempts)
    assert (again.best, again.stopped, again.turns) == (recorded.best, recorded.stopped, recorded.turns)


async def test_cancelling_leaves_no_sequence_behind(critic: VerifierCritic) -> None:
    async with open_policy("policy-mini", threads=1) as policy:
        assert isinstance(policy, BackendPolicy)
        backend = policy._backend
        assert isinstance(backend, LlamaCppBackend)
        task = asyncio.create_task(BestOfN(policy, critic, n=32).solve(PROBLEM))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        now = backend.snapshot()
        assert (now.open, now.running, now.waiting) == (0, 0, 0)


async def test_a_policy_streams_counts_and_continues(policy: Policy) -> None:
    assert isinstance(policy, BackendPolicy)
    assert isinstance(policy, ContinuingPolicy)
    messages = [{"role": "user", "content": PROBLEM}]
    shown: list[str] = []
    reply = await policy(messages, seed=1, max_tokens=40, show=shown.append)  # type: ignore[arg-type]
    assert "".join(shown) == reply.text
    assert reply.generated_tokens is not None
    assert 0 < reply.generated_tokens <= 40
    more = await policy.continue_from(messages, "Step 1: ", seed=1, stop=["\n\n"])  # type: ignore[arg-type]
    assert not more.text.startswith("Step 1")
    assert "\n\n" not in more.text
    events = [event async for event in SelfConsistency(policy, n=1).stream(PROBLEM)]
    assert any(isinstance(event, PolicyWrote) for event in events)
    with pytest.raises(InputError, match="take turns"):
        await policy([{"role": "assistant", "content": "hi"}])


async def test_the_chat_is_the_one_the_policy_was_trained_on() -> None:
    async with open_policy("policy-mini", threads=1) as policy:
        assert isinstance(policy, BackendPolicy)
        frame = policy._backend.frame
    from genprm_sdk.agents import Templates
    from genprm_sdk.agents.policy import assistant, user

    asked = user(Templates().solving("P"))
    assert chat_segments(frame, [asked]) == question("P")
    whole = [asked, assistant("a\n\nb"), user(critique("b", "why"))]
    assert chat_segments(frame, whole) == conversation("P", ["a", "b"], "b", "why")


def test_a_frame_without_the_word_gets_a_blank_system_message() -> None:
    frame = ChatFrame("<s>", "<U>", "<A>", "<U>", "<A>", "")
    assert user_opening(frame) == "<s><U>"


def test_a_vote_is_worth_what_its_posterior_says() -> None:
    def step(*scores: float) -> StepResult:
        paths = tuple(
            VerificationPath(index=index, verdict="yes" if score >= 0.5 else "no", score=score, text="")
            for index, score in enumerate(scores)
        )
        return StepResult(index=0, text="s", label="incorrect", score=0.1, paths=paths)

    assert confidence(step()) == 0.5
    assert confidence(step(0.1)) == 0.75
    assert confidence(step(0.1, 0.2, 0.3, 0.4)) == pytest.approx(31 / 32)
    assert confidence(step(0.1, 0.9)) == 0.5


async def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(UnknownModelError):
        async with open_policy("no-such-model"):
            pass
    with pytest.raises(InputError, match="leave it out"):
        async with open_policy("policy-mini", model="x"):
            pass
    with pytest.raises(InputError, match="evidence must be"):
        Evidence.of("analysis,gossip")
    async with open_policy("policy-mini", threads=1, sampling=Sampling(temperature=0.0)) as policy:
        agent = SelfConsistency(policy, n=2)
        trajectory = await agent.solve(PROBLEM)
        assert [attempt.repeats for attempt in trajectory.attempts] in ([None, 0], [None, None])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"options": {"samples": 300}}, "samples must be a whole number from 1 to 256"),
        ({"options": {"sample": 3}}, "there is no option 'sample'"),
        ({"options": {"seed": 2**64}}, "seed must be"),
        ({"options": ["samples"]}, "options must be a dictionary"),
        ({"by": "foo"}, "by must be one of last, mean, min, product"),
        ({"evidence": "analysis"}, "evidence must be an Evidence"),
    ],
)
async def test_a_critic_is_not_opened_with_what_no_check_could_use(
    arguments: dict[str, Any], complaint: str, critic: VerifierCritic
) -> None:
    with pytest.raises(InputError, match=complaint):
        VerifierCritic(critic.verifier, **arguments)
    with pytest.raises(InputError, match=complaint):
        async with open_critic("nowhere.gguf", **arguments):
            pass


async def test_a_verifier_is_no_policy_and_a_policy_no_verifier() -> None:
    with pytest.raises(ModelFileError, match=r"policy-mini is a policy, not a verifier.*genprm-mini"):
        async with open_critic("policy-mini", threads=1):
            pass
    with pytest.raises(ModelFileError, match=r"genprm-mini.*is a verifier.*policy-mini"):
        async with open_policy("genprm-mini", threads=1):
            pass
    with pytest.raises(InputError, match="name must be"):
        async with open_policy(3):  # type: ignore[arg-type]
            pass
