"""Refinement with scripted policies: what is sent, when it ends, what is returned."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from genprm_sdk import Budget
from genprm_sdk.agents import (
    Agent,
    AgentBudget,
    AgentError,
    AgentFinished,
    Asked,
    AttemptJudged,
    AttemptWritten,
    BestOfN,
    Corrections,
    Doubt,
    Evidence,
    Guard,
    Judgement,
    PolicyRetried,
    PolicyWrote,
    RefinementAgent,
    ReplayPolicy,
    Reply,
    SelfRefinement,
    Templates,
    Trajectory,
    TurnFinished,
    TurnStarted,
    replay,
)
from genprm_sdk.errors import BackendError, InputError
from genprm_sdk.types import Solution
from genprm_sdk.wording import SOLVING_REQUEST, critique

from .scripted import PROBLEM, RIGHT, WORSE, WRONG, Continuing, Marking, Scripted

pytestmark = pytest.mark.anyio
WRONG_STEPS = WRONG.split("\n\n")


async def test_a_wrong_solution_is_criticised_and_repaired_in_the_papers_words() -> None:
    policy, critic = Scripted([WRONG, RIGHT]), Marking()
    trajectory = await RefinementAgent(policy, critic).solve(PROBLEM, seed=5, id="p")
    assert (trajectory.stopped, trajectory.best, trajectory.answer) == ("verified", 1, "4")
    question = {"role": "user", "content": PROBLEM + SOLVING_REQUEST}
    assert policy.asked[0] == (question,)
    assert policy.asked[1] == (
        question,
        {"role": "assistant", "content": WRONG},
        {"role": "user", "content": critique(WRONG_STEPS[1], "look at step 1")},
    )
    assert [turn.challenge and turn.challenge.step for turn in trajectory.turns] == [None, 1]
    assert {asked.seed for asked in critic.asked} == {5}
    assert trajectory.spent.calls == 2
    assert trajectory.spent.verifications == 5
    assert trajectory.spent.estimated
    assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["best"], 2, "it names attempt 2 and holds 2 attempts"),
        (["best"], -1, "it names attempt -1 and holds 2 attempts"),
        (["turns", 1, "attempts"], [1, 5], "it names attempt 5 and holds 2 attempts"),
        (["attempts", 1, "index"], 77, "attempt 1 says that it is number 77"),
        (["attempts", 1, "parent"], 1, "the parent of attempt 1 is 1, which is none before it"),
        (["attempts", 1, "repeats"], -3, "the repeats of attempt 1 is -3, which is none before it"),
    ],
)
async def test_a_trajectory_that_contradicts_itself_is_not_read(
    path: list[str | int], value: object, complaint: str
) -> None:
    trajectory = await RefinementAgent(Scripted([WRONG, RIGHT]), Marking()).solve(PROBLEM)
    place: Any = (said := trajectory.model_dump(mode="json"))
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError, match=complaint):
        Trajectory.model_validate(said)


async def test_the_best_attempt_is_returned_not_the_last() -> None:
    trajectory = await RefinementAgent(Scripted([WRONG, WORSE]), Marking(), turns=1).solve(PROBLEM)
    assert (trajectory.stopped, trajectory.best, trajectory.answer) == ("turns", 0, "5")
    assert trajectory.attempts[1].score is not None
    assert trajectory.attempts[1].score < (trajectory.attempts[0].score or 0)
    last = await RefinementAgent(Scripted([WRONG, WORSE]), Marking(), turns=1, keep="last").solve(PROBLEM)
    assert last.answer == "6"


async def test_a_given_solution_is_refined_and_needs_no_box() -> None:
    agent = RefinementAgent(Scripted(["Step 1: fine.\n\nStep 2: fine too."]), Marking())
    trajectory = await agent.refine(PROBLEM, ["fine", "WRONG"])
    assert (trajectory.given, trajectory.stopped, trajectory.best) == (True, "verified", 1)
    assert trajectory.attempts[0].steps == ("fine", "WRONG")
    boxed = await agent.refine(PROBLEM, WRONG)
    assert [attempt.fault and attempt.fault.kind for attempt in boxed.attempts[1:]] == ["no_answer"] * 3
    assert boxed.best == 0


@pytest.mark.parametrize("given", ["text", "steps"])
async def test_the_verified_prefix_is_kept_by_a_policy_that_continues(given: str) -> None:
    policy, critic = Continuing(["Step 2: 2 + 2 = 4.\n\nStep 3: The answer is \\boxed{4}."]), Marking()
    agent = RefinementAgent(policy, critic, repair="prefix")
    trajectory = await agent.refine(PROBLEM, WRONG if given == "text" else WRONG_STEPS)
    assert policy.prefixes == ["Step 1: fine.\n\n"]
    repaired = trajectory.attempts[1]
    assert (repaired.kept, repaired.parent, repaired.answer) == (1, 0, "4")
    assert repaired.steps[0] == WRONG_STEPS[0]
    assert policy.asked[0][-1]["content"].startswith("There might be some problem")


@pytest.mark.parametrize("repeats_it", [True, False])
async def test_a_chat_policy_gets_the_prefix_as_a_request(repeats_it: bool) -> None:
    rest = "Step 2: 2 + 2 = 4.\n\nStep 3: The answer is \\boxed{4}."
    policy = Scripted([f"Step 1: fine.\n\n{rest}" if repeats_it else rest])
    trajectory = await RefinementAgent(policy, Marking(), repair="prefix").refine(PROBLEM, WRONG)
    assert policy.asked[0][-1]["content"].endswith("behind them:\n\nStep 1: fine.")
    assert trajectory.attempts[1].text == f"Step 1: fine.\n\n{rest}"


async def test_nothing_is_kept_where_the_first_step_is_wrong() -> None:
    policy = Continuing([RIGHT])
    trajectory = await RefinementAgent(policy, Marking(), repair="prefix").refine(PROBLEM, WORSE)
    assert policy.prefixes == []
    assert trajectory.attempts[1].kept == 0


async def test_the_guard_leaves_unsure_steps_alone() -> None:
    policy = Scripted([WRONG])
    unsure = await RefinementAgent(policy, Marking(), guard=Guard(score=0.2)).solve(PROBLEM)
    assert (unsure.stopped, len(unsure.attempts)) == ("unchallenged", 1)
    few = await RefinementAgent(policy, Marking(), guard=Guard(confidence=0.9)).solve(PROBLEM)
    assert (few.stopped, len(few.attempts)) == ("unchallenged", 1)
    with pytest.raises(InputError, match="from 0 to 1"):
        Guard(score=2)


async def test_going_in_a_circle_ends_it() -> None:
    critic = Marking()
    trajectory = await RefinementAgent(Scripted([WRONG]), critic, turns=9).solve(PROBLEM)
    assert (trajectory.stopped, len(trajectory.attempts)) == ("circle", 3)
    assert [attempt.repeats for attempt in trajectory.attempts] == [None, 0, 0]
    assert [turn.ignored for turn in trajectory.turns] == [False, True, True]
    assert len(critic.judged) == 1, "what is the same is not judged again"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("", "empty"),
        (None, "empty"),
        (" \n\n ", "empty"),
        ("no box", "no_answer"),
        (Reply("cut off", finish="length"), "unfinished"),
        ("x " * 60_000, "too_long"),
        ("a\n\n" * 600 + "\\boxed{1}", "too_long"),
        ("UNJUDGEABLE \\boxed{1}", "unreadable"),
        ("w" * 10_001 + " \\boxed{1}", "unreadable"),
        ("half a character \ud800 and no box", "no_answer"),
    ],
)
async def test_an_unusable_answer_is_a_fault_and_the_best_attempt_stays(said: str, kind: str) -> None:
    trajectory = await RefinementAgent(Scripted([WRONG, said]), Marking(), turns=2).solve(PROBLEM)
    assert (trajectory.stopped, trajectory.best) == ("turns", 0)
    faults = [attempt.fault for attempt in trajectory.attempts if attempt.fault is not None]
    assert [fault.kind for fault in faults] == [kind] * 2
    assert len(trajectory.model_dump_json()) < 100_000
    assert faults[0].message in trajectory.to_text(width=200)
    assert kind.split("_")[0] in trajectory.to_html()


@pytest.mark.parametrize("count", [-1, "x", 1.5, True])
async def test_a_count_of_tokens_that_is_none_is_estimated(count: int) -> None:
    policy = Scripted([Reply(RIGHT, prompt_tokens=count, generated_tokens=count)])
    trajectory = await RefinementAgent(policy, Marking()).solve(PROBLEM)
    assert trajectory.spent.estimated
    assert (trajectory.stopped, trajectory.spent.policy_tokens) == ("verified", -(-len(RIGHT) // 4))


async def test_a_policy_that_never_answers_anything_usable_has_no_best() -> None:
    trajectory = await RefinementAgent(Scripted([""]), Marking(), turns=1).solve(PROBLEM)
    assert (trajectory.best, trajectory.answer, trajectory.stopped) == (None, None, "turns")
    assert "no usable attempt" in trajectory.to_text()


async def test_a_policy_that_raises_is_tried_again_and_then_ends_it() -> None:
    error = ValueError("broken pipe")
    policy = Scripted([WRONG, error, RIGHT])
    trajectory = await RefinementAgent(policy, Marking()).solve(PROBLEM)
    assert (trajectory.stopped, len(policy.asked)) == ("verified", 3)
    ended = await RefinementAgent(Scripted([WRONG, error]), Marking(), tries=2).solve(PROBLEM)
    assert (ended.stopped, ended.best) == ("policy", 0)
    fault = ended.attempts[1].fault
    assert fault is not None
    assert fault.message == "ValueError: broken pipe"
    with pytest.raises(AgentError, match="broken pipe") as caught:
        await RefinementAgent(Scripted([error]), Marking(), tries=1).solve(PROBLEM)
    assert caught.value.trajectory.stopped == "policy"


async def test_an_api_error_surfaces_with_the_trajectory() -> None:
    policy = Scripted([WRONG, BackendError("the API is down")])
    with pytest.raises(AgentError, match="the API is down") as caught:
        await RefinementAgent(policy, Marking()).solve(PROBLEM)
    trajectory = caught.value.trajectory
    assert isinstance(caught.value.__cause__, BackendError)
    assert (trajectory.stopped, trajectory.best, len(policy.asked)) == ("error", 0, 2)
    resumed = await RefinementAgent(Scripted([RIGHT]), Marking()).resume(trajectory)
    assert (resumed.stopped, resumed.answer) == ("verified", "4")
    assert resumed.attempts[0] == trajectory.attempts[0]
    assert resumed.spent.calls == 2


async def test_turns_in_which_the_policy_gave_no_answer_are_done_again() -> None:
    waiting = [0.0, 60.0]
    said = [WRONG, RIGHT]

    async def policy(messages: object, /) -> str:
        await asyncio.sleep(waiting[0])
        waiting[:1] = []
        return said.pop(0)

    waiting += [60.0] * 2
    agent = RefinementAgent(policy, Marking(), turns=3, patience=0.05)
    hung = await agent.solve(PROBLEM)
    assert (hung.stopped, hung.answer, len(hung.turns)) == ("turns", "5", 4)
    waiting[:] = [0.0]
    resumed = await agent.resume(Trajectory.model_validate_json(hung.model_dump_json()))
    assert (resumed.stopped, resumed.answer, len(resumed.turns)) == ("verified", "4", 2)
    assert resumed.turns[1].challenge == hung.turns[1].challenge


async def test_a_policy_that_hangs_is_given_up() -> None:
    before = asyncio.all_tasks()

    async def hangs(messages: object, /) -> str:
        await asyncio.sleep(60)
        return RIGHT

    agent = RefinementAgent(hangs, Marking(), turns=1, patience=0.05)
    trajectory = await agent.refine(PROBLEM, WRONG)
    assert trajectory.attempts[1].fault is not None
    assert trajectory.attempts[1].fault.kind == "hung"
    patient = RefinementAgent(hangs, Marking())
    timed = await patient.refine(PROBLEM, WRONG, budget=Budget(seconds=0.1))
    assert (timed.stopped, timed.best, timed.answer) == ("seconds", 0, "5")
    assert asyncio.all_tasks() == before


async def test_budgets_hold_and_leave_the_best_attempt() -> None:
    agent = RefinementAgent(Scripted([WRONG, WORSE, WRONG + " ", RIGHT]), Marking(), turns=9, circles=9)
    turns = await agent.solve(PROBLEM, budget=AgentBudget(turns=1))
    assert (turns.stopped, len(turns.turns), turns.answer) == ("turns", 2, "5")
    tokens = await RefinementAgent(Scripted([WRONG]), Marking(), circles=99).solve(
        PROBLEM, budget=Budget(tokens=40)
    )
    assert (tokens.stopped, tokens.answer) == ("tokens", "5")
    samples = await RefinementAgent(Scripted([WRONG, WORSE]), Marking(), turns=99, circles=99).solve(
        PROBLEM, budget=Budget(samples=3)
    )
    assert (samples.stopped, samples.attempts[1].score, samples.best) == ("samples", None, 0)


async def test_events_tell_all_and_replay_tells_them_again() -> None:
    agent = RefinementAgent(Continuing([WRONG, ValueError("once"), RIGHT]), Marking())
    events = [event async for event in agent.stream(PROBLEM)]
    kinds = [type(event) for event in events if not isinstance(event, PolicyRetried | PolicyWrote)]
    a_turn = [TurnStarted, AttemptWritten, AttemptJudged, TurnFinished]
    assert kinds == [*a_turn, *a_turn, AgentFinished]
    assert sum(isinstance(event, PolicyRetried) for event in events) == 1
    final = events[-1]
    assert isinstance(final, AgentFinished)
    again = list(replay(final.trajectory))
    assert [type(event) for event in again] == kinds
    assert again[-1] == final
    judged = [event for event in events if isinstance(event, AttemptJudged)]
    assert judged == [event for event in again if isinstance(event, AttemptJudged)]


async def test_what_a_thread_shows_is_told_at_once() -> None:
    told = threading.Event()

    def writes(show: Callable[[str], None]) -> str:
        time.sleep(0.1)  # until the loop sleeps too
        show("Step 1")
        assert told.wait(10), "the event came only when the answer was there"
        return RIGHT

    async def policy(messages: object, /, *, show: Callable[[str], None]) -> str:
        return await asyncio.to_thread(writes, show)

    kinds: list[type] = []
    async for event in RefinementAgent(policy, Marking()).stream(PROBLEM):
        kinds.append(type(event))
        if isinstance(event, PolicyWrote):
            told.set()
    assert kinds == [TurnStarted, PolicyWrote, AttemptWritten, AttemptJudged, TurnFinished, AgentFinished]


async def test_a_policy_may_show_also_where_nobody_listens() -> None:
    given: list[object] = []

    async def shows(messages: object, /, *, show: Callable[[str], None], max_tokens: int | None) -> str:
        show("Step 1")
        given.append(max_tokens)
        return RIGHT

    async def streams(messages: object, /, *, show: Callable[[str], None] | None = None) -> str:
        given.append(show)
        return RIGHT

    async def takes_all(messages: object, /, **named: Any) -> str:
        named["show"]("Step 1")
        return RIGHT

    for policy in (shows, streams, takes_all):
        assert (await RefinementAgent(policy, Marking()).solve(PROBLEM)).verified
    assert given == [None, None]


async def test_leaving_a_stream_early_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()
    policy = Scripted([WRONG, WORSE, WRONG])
    async with aclosing(RefinementAgent(policy, Marking(), turns=99, circles=99).stream(PROBLEM)) as events:
        async for event in events:
            if isinstance(event, TurnFinished):
                break
    asked = len(policy.asked)
    await asyncio.sleep(0.02)
    assert len(policy.asked) == asked
    assert asyncio.all_tasks() == before


async def test_a_stopped_trajectory_goes_on_as_if_it_had_not_stopped() -> None:
    said = [WRONG, WORSE, RIGHT]
    whole = await RefinementAgent(Scripted(said), Marking()).solve(PROBLEM, seed=3)
    policy = Scripted(said)
    agent = RefinementAgent(policy, Marking())
    begun = await agent.solve(PROBLEM, seed=3, budget=AgentBudget(turns=0))
    assert begun.stopped == "turns"
    resumed = await agent.resume(Trajectory.model_validate_json(begun.model_dump_json()))
    bare = {"seconds": 0.0, "spent": whole.spent}
    assert [each.text for each in resumed.attempts] == [each.text for each in whole.attempts]
    assert [each.seed for each in resumed.attempts] == [each.seed for each in whole.attempts]
    assert resumed.model_copy(update={**bare, "attempts": ()}) == whole.model_copy(
        update={**bare, "attempts": ()}
    )


@pytest.mark.parametrize(
    ("review", "stopped", "attempts"),
    [
        ("Verdict: correct", "verified", 1),
        ("`Verdict: step 2`\nno", "turns", 2),
        ("Step 1: other.\n\n\\boxed{7}", "turns", 2),
        ("Hm, \\boxed{5}", "verified", 1),
        ("Hm.", "unchallenged", 1),
    ],
)
async def test_a_policy_reviews_itself(review: str, stopped: str, attempts: int) -> None:
    policy = Scripted([WRONG, review, RIGHT, review])
    trajectory = await SelfRefinement(policy, turns=1).solve(PROBLEM)
    assert (trajectory.agent, trajectory.stopped, len(trajectory.attempts)) == (
        "self-refine",
        stopped,
        attempts,
    )
    assert trajectory.best == attempts - 1, "the last one counts"
    if attempts == 2:
        challenge = trajectory.turns[1].challenge
        assert challenge is not None
        assert challenge.step == (1 if "step 2" in review else 0)
        assert trajectory.spent.critic_tokens > 0


async def test_a_policy_that_reviews_itself_has_the_settings_of_its_agent() -> None:
    limits: list[int | None] = []
    reviews = 0

    async def policy(messages: Sequence[object], /, *, max_tokens: int | None) -> str:
        nonlocal reviews
        limits.append(max_tokens)
        if len(messages) == 1:
            return WRONG
        reviews += 1
        if reviews == 1:
            raise ValueError("once")
        await asyncio.sleep(60)
        return "Verdict: correct"

    once = await SelfRefinement(policy, tries=1, max_tokens=50).solve(PROBLEM)
    assert (reviews, once.attempts[0].remark) == (1, "ValueError: once")
    late = await SelfRefinement(policy, patience=0.05, max_tokens=50).solve(PROBLEM)
    assert (reviews, late.attempts[0].remark) == (2, "no answer within 0.05 seconds")
    assert limits == [50] * 4


async def test_a_review_that_is_not_kept_cannot_be_done_again() -> None:
    recorded = await SelfRefinement(Scripted([RIGHT, "Verdict: correct"])).solve(PROBLEM)
    with pytest.raises(InputError, match="does not hold the policy's reviews"):
        ReplayPolicy(recorded)


@dataclass
class Judging:
    """A critic without a name that does as it is told."""

    judge: Callable[[Solution, Asked], object]


async def raises(solution: Solution, asked: Asked) -> Judgement:
    raise ValueError("boom")


async def returns_a_score(solution: Solution, asked: Asked) -> float:
    return 0.7


async def scores_too_high(solution: Solution, asked: Asked) -> Judgement:
    return Judgement(1.7, "correct")


async def doubts_no_step(solution: Solution, asked: Asked) -> Judgement:
    return Judgement(0.1, "incorrect", (Doubt(-1, 0.1, 0.9, "no"),))


@pytest.mark.parametrize(
    ("judge", "complaint", "cause"),
    [
        (raises, "the critic Judging failed: ValueError: boom", ValueError),
        (returns_a_score, "the critic Judging must return a Judgement, not 0.7", InputError),
        (
            lambda solution, asked: Judgement(1.0, "correct"),
            "judge of the critic Judging must be",
            InputError,
        ),
        (scores_too_high, "Judgement.score must be a number from 0 to 1, not 1.7", InputError),
        (doubts_no_step, "Doubt.step must be a whole number", InputError),
    ],
)
async def test_a_critic_that_fails_loses_nothing_that_was_written(
    judge: Any, complaint: str, cause: type[Exception]
) -> None:
    agents: list[Agent] = [
        RefinementAgent(Scripted([RIGHT]), Judging(judge)),  # type: ignore[arg-type]
        BestOfN(Scripted([RIGHT]), Judging(judge), n=2),  # type: ignore[arg-type]
    ]
    for agent in agents:
        with pytest.raises(AgentError, match=complaint) as caught:
            await agent.solve(PROBLEM)
        left = caught.value.trajectory
        assert isinstance(caught.value.__cause__, cause)
        assert (left.stopped, left.critic, left.answer) == ("error", "Judging", "4")
        agent.critic = Marking()
        assert (await agent.resume(Trajectory.model_validate_json(left.model_dump_json()))).verified


@pytest.mark.parametrize(
    ("score", "verdict", "complaint"),
    [
        (float("nan"), "correct", "Judgement.score"),
        (True, "correct", "Judgement.score"),
        ("1", "correct", "Judgement.score"),
        (None, "right", "Judgement.verdict must be one of correct, incorrect"),
    ],
)
def test_a_judgement_is_not_made_of_what_no_trajectory_holds(
    score: Any, verdict: Any, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        Judgement(score, verdict)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (3, "the policy returned int: return its text, e.g. response"),
        (b"4", "the policy returned bytes"),
        ({"content": RIGHT}, "the policy returned dict"),
        (Reply(b"4"), "the policy returned bytes"),  # type: ignore[arg-type]
    ],
)
async def test_a_policy_that_returns_no_text_is_refused(said: Any, complaint: str) -> None:
    policy = Scripted([said])
    with pytest.raises(InputError, match=complaint):
        await RefinementAgent(policy, Marking()).solve(PROBLEM)
    assert len(policy.asked) == 1


async def test_a_policy_that_yields_is_told_what_to_do_instead() -> None:
    async def yields(messages: object, /) -> AsyncIterator[str]:
        yield RIGHT

    async def returns_a_stream(messages: object, /) -> AsyncIterator[str]:
        return yields(messages)

    for policy in (yields, returns_a_stream):
        with pytest.raises(InputError, match="call `show` for each piece and return the whole"):
            await RefinementAgent(policy, Marking()).solve(PROBLEM)  # type: ignore[arg-type]


@pytest.mark.parametrize("finish", ["eos", None, []])
def test_a_reply_ends_in_a_way_that_is_known(finish: Any) -> None:
    with pytest.raises(InputError, match="finish must be one of end, length, stop"):
        Reply(RIGHT, finish=finish)


@pytest.mark.parametrize("begun", [{"agent": "refine"}, None, "{}"])
async def test_only_a_trajectory_is_resumed(begun: Any) -> None:
    with pytest.raises(InputError, match="read it with Trajectory"):
        await RefinementAgent(Scripted([RIGHT]), Marking()).resume(begun)


async def test_right_answers_may_be_numbers() -> None:
    solved = await RefinementAgent(Scripted([RIGHT]), Marking()).solve(PROBLEM)
    assert (await Corrections.of([(solved, 4), (solved, 4.0), (solved, 5)])).kept == 2
    with pytest.raises(InputError, match="an answer must be text or a number, not None"):
        await Corrections.of([(solved, None)])  # type: ignore[list-item]


async def test_what_was_made_wrong_is_counted() -> None:
    solved = [
        await RefinementAgent(Scripted([first, second]), Marking(), turns=1, keep="last").solve(PROBLEM)
        for first, second in ((RIGHT, RIGHT), (WRONG, RIGHT), (WRONG, WORSE))
    ]
    doubted = RIGHT.replace("fine", "x").replace("2 + 2 =", "WRONG 2 + 2 =")
    agent = RefinementAgent(Scripted([doubted, WORSE]), Marking(), turns=1, keep="last")
    solved.append(await agent.solve(PROBLEM))
    found = await Corrections.of((trajectory, "4") for trajectory in solved)
    assert found == Corrections(total=4, kept=1, broken=1, repaired=1, wrong=1, challenged=1)
    assert (found.broken_share, found.repaired_share) == (0.5, 0.5)


async def test_what_cannot_be_used_is_refused_before_anything_runs() -> None:
    policy = Scripted([RIGHT])
    for problem, options in ((" ", {}), (PROBLEM, {"seed": 2**70}), (PROBLEM, {"budget": 3})):
        with pytest.raises(InputError):
            await RefinementAgent(policy, Marking()).solve(problem, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no steps"):
        await RefinementAgent(policy, Marking()).refine(PROBLEM, [])
    with pytest.raises(InputError, match="critic"):
        RefinementAgent(policy, "genprm-mini")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="async callable"):
        RefinementAgent("policy-mini", Marking())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be async"):
        await RefinementAgent(lambda messages: RIGHT, Marking()).solve(PROBLEM)  # type: ignore[arg-type,return-value]
    begun = await SelfRefinement(policy).solve(PROBLEM)
    with pytest.raises(InputError, match="self-refine"):
        await RefinementAgent(policy, Marking()).resume(begun)
    assert len(policy.asked) == 2


async def test_foreign_text_stays_text_in_a_page() -> None:
    nasty = "<script>alert(1)</script> \x1b[31m \u202e \\boxed{<b>}"
    trajectory = await RefinementAgent(Scripted([nasty]), Marking()).solve("<img src=x>")
    for page in (trajectory.to_html(), trajectory._repr_html_()):
        assert "<script" not in page
        assert "<img" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
    assert "\x1b" not in trajectory.to_text()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"guard": 3}, "guard must be of type Guard"),
        ({"templates": "x"}, "templates must be of type Templates"),
        ({"patience": "long"}, "patience must be"),
        ({"patience": float("nan")}, "patience must be"),
    ],
)
def test_an_agent_is_not_made_of_what_it_could_not_use(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        RefinementAgent(Scripted([RIGHT]), Marking(), **settings)


def test_texts_that_are_none_are_named() -> None:
    with pytest.raises(InputError, match="the template solve must be text"):
        Templates(solve=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="evidence must be text"):
        Evidence.of(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("problem", "more", "complaint"),
    [
        (None, {}, "problem must be text"),
        (3, {}, "problem must be text"),
        (" \n", {}, "problem is blank"),
        (PROBLEM, {"id": 3}, "id must be of type str"),
        (PROBLEM, {"seed": "x"}, "seed must be"),
    ],
)
async def test_what_is_no_problem_is_refused_in_one_line(
    problem: Any, more: dict[str, Any], complaint: str
) -> None:
    policy = Scripted([RIGHT])
    with pytest.raises(InputError, match=complaint) as refused:
        await RefinementAgent(policy, Marking()).solve(problem, **more)
    assert "\n" not in str(refused.value)
    assert not policy.asked


async def test_a_review_has_the_usual_templates_where_none_are_given() -> None:
    trajectory = await SelfRefinement(Scripted([RIGHT, "Verdict: correct"]), templates=None).solve(PROBLEM)  # type: ignore[arg-type]
    assert trajectory.verified
