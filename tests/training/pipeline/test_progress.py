"""Intervals and labels: hand-made cases of the method, and what must hold for all counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.pipeline.intervals import Counts, posterior_interval, probability_ahead, wilson
from genprm_sdk.training.pipeline.progress import Rule, decided, label_steps
from genprm_sdk.training.pipeline.records import Estimate

RATIO, HARD = Rule(), Rule(kind="hard")
outcomes = st.text("01", min_size=1, max_size=128)
estimates = st.lists(outcomes.map(lambda text: Estimate(outcomes=text)), min_size=1, max_size=8)
rules = st.sampled_from(
    [HARD, RATIO, *(Rule(kind="ratio", threshold=t) for t in (0.1, 0.5, 1.0))]
    + [Rule(kind="difference", threshold=t) for t in (-0.1, -0.3, -0.5)]
)


def share(right: int, drawn: int) -> Estimate:
    return Estimate(outcomes="1" * right + "0" * (drawn - right))


def labels(rule: Rule, *shares: tuple[int, int], start: tuple[int, int] = (8, 10)) -> list[bool]:
    return [label.correct for label in label_steps(share(*start), [share(*each) for each in shares], rule)]


def test_relative_progress_compares_with_the_step_before() -> None:
    # 0.8 -> 0.7 (0.875) -> 0.5 (0.71) -> 0.5 (1.0)
    assert labels(RATIO, (7, 10), (5, 10), (5, 10)) == [True, False, True]
    assert labels(Rule(kind="difference", threshold=-0.1), (7, 10), (5, 10), (5, 10)) == [True, False, True]
    assert labels(HARD, (7, 10), (5, 10), (5, 10)) == [True, True, True]


def test_a_ratio_that_equals_the_threshold_passes_whatever_floats_say() -> None:
    assert (4 / 49) / (5 / 49) < 0.8
    assert labels(RATIO, (4, 49), start=(5, 49)) == [True]


def test_from_the_first_score_of_zero_on_every_step_is_wrong() -> None:
    for rule in (RATIO, HARD, Rule(kind="difference", threshold=-0.5)):
        found = label_steps(share(3, 10), [share(3, 10), share(0, 10), share(9, 10), share(9, 10)], rule)
        assert [label.correct for label in found] == [True, False, False, False]
        assert found[2].value is None
        assert found[2].confidence == found[1].confidence


def test_the_last_step_is_the_answer() -> None:
    found = label_steps(share(8, 10), [share(2, 10), Estimate(known=True)], RATIO)
    assert [label.correct for label in found] == [False, True]
    assert found[1].value == pytest.approx(5.0)
    assert label_steps(share(8, 10), [Estimate(known=False)], RATIO)[0].correct is False


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_narrows(counts: tuple[int, int]) -> None:
    right, drawn = counts
    low, high = wilson(right, drawn)
    assert 0 <= low <= right / drawn <= high <= 1
    further = wilson(4 * right, 4 * drawn)
    assert further[1] - further[0] < high - low
    mirrored = wilson(drawn - right, drawn)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_wilsons_interval_covers() -> None:
    rng = np.random.default_rng(3)
    for true in (0.05, 0.3, 0.8):
        drawn = rng.binomial(32, true, size=2000)
        inside = [low <= true <= high for low, high in (wilson(int(right), 32) for right in drawn)]
        assert 0.92 <= np.mean(inside) <= 0.99


def test_the_posterior_interval_of_a_ratio_covers() -> None:
    rng = np.random.default_rng(5)
    for before, behind in ((0.7, 0.7), (0.6, 0.2), (0.9, 0.8)):
        inside = 0
        for _ in range(150):
            counts = [Counts(int(rng.binomial(32, true)), 32) for true in (before, behind)]
            low, high = posterior_interval("ratio", counts[0], counts[1])
            inside += low <= behind / before <= high
        assert 0.88 <= inside / 150 <= 0.99


@settings(max_examples=60, deadline=None)
@given(outcomes, outcomes, st.sampled_from([("ratio", 0.8), ("difference", -0.3)]))
def test_posteriors_are_probabilities_and_fall_with_the_threshold(
    before: str, behind: str, rule: tuple[str, float]
) -> None:
    kind, threshold = rule
    ends = [Counts(text.count("1"), len(text)) for text in (before, behind)]
    reached = probability_ahead(kind, ends[0], ends[1], threshold)
    assert 0 <= reached <= 1
    assert probability_ahead(kind, ends[0], ends[1], threshold + 0.1) <= reached + 1e-12
    low, high = posterior_interval(kind, ends[0], ends[1])
    assert low <= high


@settings(max_examples=80, deadline=None)
@given(outcomes, estimates, rules)
def test_labels_of_any_scores(start: str, steps: list[Estimate], rule: Rule) -> None:
    first = Estimate(outcomes=start)
    found = label_steps(first, steps, rule)
    assert len(found) == len(steps)
    alive = first.score > 0
    for step, label in zip(steps, found, strict=True):
        alive = alive and step.score > 0
        assert 0 <= label.confidence <= 1
        if not alive:
            assert not label.correct
        if label.value is not None and rule.kind == "hard":
            assert label.correct is (step.score > 0)
    # A prefix's labels do not depend on what follows.
    assert label_steps(first, steps[:1], rule)[0] == found[0]


@settings(max_examples=60, deadline=None)
@given(outcomes, outcomes, st.floats(0.55, 0.99))
def test_whatever_is_decided_has_the_stated_confidence(before: str, behind: str, level: float) -> None:
    ends = [Estimate(outcomes=before), Estimate(outcomes=behind)]
    if decided(RATIO, ends[0], ends[1], level) and ends[0].score:
        assert label_steps(ends[0], [ends[1]], RATIO)[0].confidence >= level


def test_thresholds_that_make_no_sense_are_refused() -> None:
    for wrong in ({"kind": "hard", "threshold": 0.1}, {"kind": "ratio", "threshold": 0}, {"threshold": 3}):
        with pytest.raises(ValueError, match="threshold"):
            Rule.model_validate(wrong)
    with pytest.raises(ValueError, match="from -1 to 1"):
        Rule(kind="difference", threshold=-2)
