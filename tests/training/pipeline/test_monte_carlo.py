"""Trees of prefixes: what is drawn, what sequential sampling leaves out, and that draws can be repeated."""

from __future__ import annotations

import random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.backends import Sampling
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.models import find_model
from genprm_sdk.training.pipeline.answers import Answers
from genprm_sdk.training.pipeline.monte_carlo import MonteCarloSettings, Sequential, Tree, estimate
from genprm_sdk.training.pipeline.policy import Policy, question, split_numbered
from genprm_sdk.training.pipeline.problems import world_problems
from genprm_sdk.training.pipeline.progress import Rule, at_most, label_steps
from genprm_sdk.training.pipeline.records import Drop, Estimates, Problem, Rollout, Rollouts
from genprm_sdk.training.pipeline.rollouts import NO_ANSWER, RolloutSettings, roll_out

pytestmark = pytest.mark.anyio

PROBLEM = Problem(text="What is 3 + 4 + 5?", answer="12")
FULL = MonteCarloSettings(schedule=(), completions=32, start=16, sequential=None)
EARLY = FULL.model_copy(update={"sequential": Sequential(confidence=0.9, least=4, wave=4)})


def rollouts(*solutions: str, outcomes: str = "1" * 8) -> Rollouts:
    """Solutions as letters, a step each; a capital at the end is a right answer."""
    made = tuple(
        Rollout(steps=tuple(text), separator="\n\n", correct=text[-1].isupper(), number=number)
        for number, text in enumerate(solutions)
    )
    return Rollouts(problem=PROBLEM, rollouts=made, outcomes=outcomes, unanswered=0, tokens=0)


def drawn(tree: Tree, shares: dict[str, float], seed: int = 0) -> Estimates:
    """Draw all that is wanted, with these chances behind these prefixes."""
    while wanted := tree.wanted():
        for prefix, count in wanted:
            name = "".join(piece.strip() for piece in prefix.pieces)
            first = len(prefix.outcomes)
            chances = (
                random.Random(f"{seed}/{name}/{number}").random() < shares.get(name, 0.5)
                for number in range(first, first + count)
            )
            tree.add(prefix, "".join("01"[chance] for chance in chances))
    return tree.estimates(0)


def test_shared_prefixes_are_scored_once() -> None:
    tree = Tree(rollouts("abC", "abd", "ae"), FULL, Rule(), own=True)
    found = drawn(tree, {"": 1.0, "a": 1.0, "ab": 1.0})
    assert found.drawn == 24 + 32 + 32  # the start has 8 of its 32 already; a and ab count once
    assert found.full == found.drawn
    assert found.solutions[0].steps[:2] == found.solutions[1].steps[:2]
    assert [step.known for step in found.solutions[2].steps] == [None, False]


def test_k_follows_the_schedule() -> None:
    paper = MonteCarloSettings()
    assert [paper.most(share) for share in (0.0, 0.09, 0.1, 0.89, 0.9, 1.0)] == [128, 128, 64, 64, 32, 32]
    tree = Tree(
        rollouts("aB", outcomes="0" * 99 + "1"), MonteCarloSettings(sequential=None), Rule(), own=True
    )
    assert drawn(tree, {"": 0.01, "a": 0.5}).most == 128


def test_nothing_is_drawn_behind_a_score_of_zero() -> None:
    found = drawn(Tree(rollouts("abcd", "E"), FULL, Rule(), own=True), {"a": 0.0, "ab": 1.0})
    assert [step.drawn for step in found.solutions[0].steps] == [32, 0, 0, 0]


def test_the_policys_own_draws_count_only_for_itself() -> None:
    wanted = Tree(rollouts("aB"), FULL, Rule(), own=False).wanted()
    assert [(prefix.pieces, count) for prefix, count in wanted] == [((), 16)]


def test_what_is_clear_stops_early_and_what_is_not_goes_to_k() -> None:
    clear = drawn(Tree(rollouts("abC"), EARLY, Rule(), own=True), {"": 1.0, "a": 1.0, "ab": 0.0})
    assert clear.drawn < clear.full / 2
    unclear = [
        drawn(Tree(rollouts("aB"), EARLY, Rule(), own=True), {"": 0.5, "a": 0.4}, seed) for seed in range(9)
    ]
    assert 32 in [found.solutions[0].steps[0].drawn for found in unclear]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("ab", min_size=1, max_size=5).map(lambda text: text + "C"), min_size=1, max_size=3),
    st.dictionaries(st.text("ab", max_size=5), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
    st.integers(0, 1000),
)
def test_sequential_sampling_draws_the_first_of_what_full_k_draws(
    solutions: list[str], shares: dict[str, float], seed: int
) -> None:
    made = rollouts(*solutions)
    full = drawn(Tree(made, FULL, Rule(), own=True), shares, seed)
    early = drawn(Tree(made, EARLY, Rule(), own=True), shares, seed)
    assert early.drawn <= early.full
    assert early.drawn <= full.drawn
    for mine, theirs in zip(early.solutions, full.solutions, strict=True):
        for less, more in zip(mine.steps, theirs.steps, strict=True):
            assert more.outcomes.startswith(less.outcomes)


def test_smaller_k_is_read_off_the_same_outcomes() -> None:
    full = drawn(Tree(rollouts("abC"), FULL, Rule(), own=True), {})
    less = at_most(full, 8)
    assert [step.drawn for step in less.solutions[0].steps] == [8, 8, 0]
    assert label_steps(less.start, less.solutions[0].steps, Rule())


async def test_draws_are_the_models_and_close_what_they_open(sums: ModuleType) -> None:
    model = sums.Sums()
    policy = Policy.of(model, Sampling(), 100, None, 1)
    async with Answers(mathematics=False) as answers:
        found = await roll_out(PROBLEM, policy, answers, RolloutSettings(correct=2, incorrect=2), 0)
        assert isinstance(found, Rollouts)
        assert sorted(rollout.correct for rollout in found.rollouts) == [False, False, True, True]
        again = await roll_out(PROBLEM, policy, answers, RolloutSettings(correct=2, incorrect=2), 0)
        other = await roll_out(PROBLEM, policy, answers, RolloutSettings(correct=2, incorrect=2), 1)
        assert again == found != other
        scored = await estimate(found, policy, answers, EARLY, Rule(), 0, own=True)
        more = await estimate(found, policy, answers, FULL, Rule(), 0, own=True)
    assert isinstance(scored, Estimates)
    assert isinstance(more, Estimates)
    for mine, theirs in zip(scored.solutions, more.solutions, strict=True):
        assert theirs.steps[0].outcomes.startswith(mine.steps[0].outcomes)
    assert model.open_now == 0
    assert model.most_open <= model.capacity + 1


async def test_problems_that_give_nothing_are_dropped_with_a_reason(sums: ModuleType) -> None:
    settings = RolloutSettings(draws=16, wave=8, unanswered=8)
    cases = {
        "are right": sums.Sums(slip=0),
        NO_ANSWER: sums.Sums(boxes=False),
        "context": sums.Sums(context=9),
    }
    async with Answers(mathematics=False) as answers:
        for reason, model in cases.items():
            policy = Policy.of(model, Sampling(), 100, None, 1)
            dropped = await roll_out(PROBLEM, policy, answers, settings, 0)
            assert isinstance(dropped, Drop)
            assert reason in dropped.reason


def test_steps_must_count_from_one() -> None:
    assert split_numbered("Step 1: a\n\nStep 2: b\nmore\n\n") == (("Step 1: a", "Step 2: b\nmore"), "\n\n")
    assert split_numbered("Step 1: a\nStep 2: b") == (("Step 1: a", "Step 2: b"), "\n")
    for wrong in ("", "a", "Step 2: a", "Step 1: a\nStep 3: b", "Step 1: a\nStep 2:  ", " Step 1: a"):
        assert split_numbered(wrong) is None


async def test_the_bundled_policy_reads_what_it_was_trained_on_and_draws_the_same_again() -> None:
    from genprm_sdk.training.solving import question as trained

    _, file = find_model("policy-mini")
    async with await LlamaCppBackend.load(file, exact=True, capacity=8) as backend:
        problem = next(world_problems({"arithmetic": 1}, 0))
        texts = ["".join(s.text for s in q) for q in (question(backend.frame, "P", None), trained("P"))]
        assert texts[0] == texts[1]
        policy = Policy.of(backend, Sampling(0.7, 1.0, 0), 200, None, 1)
        async with Answers() as answers:
            settings = RolloutSettings(correct=1, incorrect=1, draws=8)
            first, second = [await roll_out(problem, policy, answers, settings, 4) for _ in range(2)]
    assert first == second


def test_other_chat_templates_are_asked_without_a_system_turn(sums: ModuleType) -> None:
    assert question(sums.FRAME, "P", None)[0].text == "<s>user\n"
    assert question(sums.FRAME, "P", "S")[1].text == "S"
