"""From paths to labels, when enough of them have voted, and from steps to verdicts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from genprm_sdk.options import Adaptive
from genprm_sdk.types import Label, StepResult, VerificationPath
from genprm_sdk.voting import combine_paths, first_error, report_verdict, settled, soonest

thorough = settings(max_examples=400, derandomize=True, deadline=None, database=None)

VOTES = (0.0, 0.3, 0.5, 0.7, 1.0, None)
# Decimal fractions whose sums round, the neighbours of a half, and what is hardly anything.
SCORE = (
    st.none()
    | st.floats(min_value=0, max_value=1)
    | st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    | st.sampled_from([0.5 - 2**-54, 0.5 + 2**-53, 1 - 2**-53, 5e-324, 1e-300])
)
SCORES = st.lists(SCORE, min_size=1, max_size=12)
ERRORS = st.floats(min_value=0, max_value=0.5, exclude_min=True, exclude_max=True)
RULES = st.builds(Adaptive, st.none() | ERRORS)


def path(index: int, score: float | None) -> VerificationPath:
    verdict = None if score is None else "yes" if score >= 0.5 else "no"
    return VerificationPath(index=index, verdict=verdict, score=score, text="")


def step(index: int, label: Label) -> StepResult:
    return StepResult(index=index, text="s", label=label, score=None, paths=())


def label_of(scores: Sequence[float | None]) -> Label:
    return combine_paths([path(index, score) for index, score in enumerate(scores)])[0]


def one_by_one(scores: Sequence[float | None], rule: Adaptive) -> int:
    """How many paths have voted when the rule first says that this is enough."""
    return next(n for n in range(len(scores) + 1) if settled(scores[:n], len(scores) - n, rule))


# --------------------------------------------------------------------------------------------------- the mean


def test_unreadable_paths_are_no_evidence() -> None:
    assert combine_paths([path(0, 0.9), path(1, None), path(2, None)]) == ("correct", 0.9)
    assert combine_paths([path(0, None)]) == ("unparsed", None)
    assert combine_paths([]) == ("unparsed", None)


def test_a_half_is_correct() -> None:
    assert combine_paths([path(0, 1.0), path(1, 0.0)]) == ("correct", 0.5)


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.3, 0.4, 0.9, 1.0, 0.6], [0.1] * 5 + [0.9] * 5])
def test_a_half_is_correct_however_its_parts_round(scores: list[float]) -> None:
    for order in (scores, scores[::-1], sorted(scores, key=lambda score: abs(score - 0.5))):
        assert combine_paths([path(i, score) for i, score in enumerate(order)]) == ("correct", 0.5)


@thorough
@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_paths_does_not_matter(scores: list[float | None], rng: random.Random) -> None:
    members = [path(index, score) for index, score in enumerate(scores)]
    label, mean = combine_paths(members)
    rng.shuffle(members)
    assert combine_paths(members) == (label, mean)
    shuffled = [member.score for member in members]
    assert combine_paths([path(index, score) for index, score in enumerate(shuffled)]) == (label, mean)
    assert (mean is None) == (label == "unparsed")
    if mean is not None:
        assert 0 <= mean <= 1
        assert (label == "correct") == (mean >= 0.5)


# ------------------------------------------------------------------------------------------------ early stops


@thorough
@given(SCORES)
@example([0.5] * 8)
@example([1.0, 0.0])
@example([1.0, 0.0, None, 0.5])
@example([None] * 6)
@example([None, None, 0.5])
@example([0.1] * 5 + [0.9] * 5)
@example([0.7, 0.1, 0.2, 1.0])
@example([0.5 - 2**-54] * 7)
def test_stopping_when_settled_changes_no_label(scores: list[float | None]) -> None:
    stop = one_by_one(scores, Adaptive())
    assert label_of(scores[:stop]) == label_of(scores)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.lists(SCORE, max_size=7), st.integers(min_value=1, max_value=5))
def test_exactly_what_no_completion_can_change_is_settled(scores: list[float | None], missing: int) -> None:
    """Zeros and ones and unreadable votes are the extreme completions; that they agree is the definition."""
    labels = {
        label_of([*scores, *[0.0] * low, *[1.0] * high, *[None] * (missing - low - high)])
        for low in range(missing + 1)
        for high in range(missing + 1 - low)
    }
    assert settled(scores, missing, Adaptive()) == (len(labels) == 1)


@pytest.mark.parametrize(
    ("scores", "missing", "expected"),
    [
        ([1.0], 1, True),  # a tie is correct
        ([0.0], 1, False),
        ([0.0, 0.0], 1, True),
        ([0.0, 0.0], 2, False),
        ([1.0, 1.0], 2, True),
        ([1.0, 1.0], 3, False),
        ([None, None], 1, False),
        ([None], 0, True),
        ([], 3, False),
        ([None, 1.0], 1, True),
        ([0.5], 1, False),
    ],
)
def test_settled_by_hand(scores: list[float | None], missing: int, expected: bool) -> None:
    assert settled(scores, missing, Adaptive()) is expected


@thorough
@given(SCORES, st.integers(min_value=0, max_value=9), ERRORS, st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(
    scores: list[float | None], missing: int, error: float, rng: random.Random
) -> None:
    shuffled = list(scores)
    rng.shuffle(shuffled)
    for rule in (Adaptive(), Adaptive(error)):
        assert settled(shuffled, missing, rule) == settled(scores, missing, rule)
        assert soonest(shuffled, missing + 1, rule) == soonest(scores, missing + 1, rule)


@thorough
@given(SCORES, ERRORS)
def test_an_error_bound_is_on_the_posterior_probability(scores: list[float | None], error: float) -> None:
    """Far from the end, where nothing is settled exactly."""
    label = label_of(scores)
    said = [("correct" if score >= 0.5 else "incorrect") == label for score in scores if score is not None]
    posterior = float(beta.cdf(0.5, said.count(True) + 1, said.count(False) + 1)) if said else 1.0
    assume(abs(posterior - error) > 1e-12)
    assert settled(scores, 10_000, Adaptive(error)) == (posterior < error)


@thorough
@given(st.integers(min_value=0, max_value=60), st.integers(min_value=0, max_value=60))
def test_the_posterior_is_scipy_s(yes: int, no: int) -> None:
    """An error bound is met just above the posterior probability and missed just below it."""
    scores = [1.0] * yes + [0.0] * no
    posterior = float(beta.cdf(0.5, max(yes, no) + 1, min(yes, no) + 1))
    assert not settled(scores, 10_000, Adaptive(posterior * (1 - 1e-9)))
    if yes != no:
        assert settled(scores, 10_000, Adaptive(posterior * (1 + 1e-9)))


def test_votes_that_do_not_agree_with_the_label_do_not_settle_it() -> None:
    """Most votes say no, and one that is surer makes the mean say yes."""
    scores = [0.45, 0.45, 0.45, 0.45, 1.0]
    assert label_of(scores) == "correct"
    assert float(beta.cdf(0.5, 5, 2)) < 0.2
    assert not settled(scores, 1000, Adaptive(0.2))
    assert settled([0.45] * 4, 1000, Adaptive(0.2))


@thorough
@given(SCORES, st.integers(min_value=1, max_value=9), ERRORS, ERRORS)
def test_a_larger_error_settles_no_later(
    scores: list[float | None], missing: int, one: float, other: float
) -> None:
    strict, loose = Adaptive(min(one, other)), Adaptive(max(one, other))
    assert settled(scores, missing, Adaptive()) <= settled(scores, missing, strict)
    assert settled(scores, missing, strict) <= settled(scores, missing, loose)
    assert soonest(scores, missing, Adaptive()) >= soonest(scores, missing, strict)
    assert soonest(scores, missing, strict) >= soonest(scores, missing, loose)


# --------------------------------------------------------------------------------------- how many to run next


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(VOTES) | SCORE, max_size=6), st.integers(min_value=1, max_value=9), RULES)
@example([], 6, Adaptive())
@example([0.5, 0.5], 5, Adaptive())
@example([1.0, 0.0, None], 6, Adaptive(0.2))
def test_no_continuation_decides_sooner(scores: list[float | None], missing: int, rule: Adaptive) -> None:
    """All continuations of fewer votes than ``soonest`` leave the label open, and one of as many does not."""
    count = soonest(scores, missing, rule)
    assert 1 <= count <= missing
    if settled(scores, missing, rule):
        assert count == 1
    else:
        for fewer in range(1, count):
            for votes in itertools.combinations_with_replacement(VOTES, fewer):
                assert not settled([*scores, *votes], missing - fewer, rule)
    assert any(settled([*scores, *[vote] * count], missing - count, rule) for vote in (0.0, 1.0))


@thorough
@given(SCORES, RULES)
def test_runs_of_the_soonest_size_stop_where_single_paths_would(
    scores: list[float | None], rule: Adaptive
) -> None:
    done = 0
    while not settled(scores[:done], len(scores) - done, rule):
        done += soonest(scores[:done], len(scores) - done, rule)
    assert done == one_by_one(scores, rule)


def test_without_a_rule_all_paths_run() -> None:
    assert soonest([1.0, 1.0], 30, None) == 30


@pytest.mark.parametrize(
    ("scores", "missing", "error", "expected"),
    [
        ([], 8, None, 4),  # four of eight at 1 are a half already
        ([], 1, None, 1),
        ([1.0], 7, None, 3),
        ([0.0], 7, None, 4),
        ([], 8, 0.1, 3),  # (1/2)^4 is at most 0.1
        ([1.0, 0.0], 100, 0.1, 4),
    ],
)
def test_the_soonest_by_hand(
    scores: list[float | None], missing: int, error: float | None, expected: int
) -> None:
    assert soonest(scores, missing, Adaptive(error)) == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize("error", [None, 1e-9, 1e-300, 0.49])
def test_as_many_paths_as_can_be_asked_for_are_no_trouble(error: float | None) -> None:
    rule = Adaptive(error)
    tied = [0.0, 1.0] * 2040
    assert not settled(tied, 16, rule)
    assert 1 <= soonest(tied, 16, rule) <= 16
    assert 1 <= soonest([], 4096, rule) <= 2048


# ------------------------------------------------------------------------------------------------ the verdict


@pytest.mark.parametrize(
    ("labels", "total", "verdict", "first"),
    [
        (["correct", "correct"], 2, "correct", None),
        (["correct", "incorrect", "unparsed"], 3, "incorrect", 1),
        (["unparsed", "incorrect"], 2, "unparsed", 1),
        (["correct"], 2, "incomplete", None),
        (["incorrect"], 2, "incorrect", 0),
        ([], 1, "incomplete", None),
    ],
)
def test_the_report_s_verdict(labels: list[Label], total: int, verdict: str, first: int | None) -> None:
    steps = [step(index, label) for index, label in enumerate(labels)]
    assert report_verdict(steps, total) == verdict
    assert first_error(steps) == first
