"""Scores against their definitions, and what an interval must always be."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.evaluation.metrics import METRICS, Counts, count, estimate, estimate_average, score
from genprm_sdk.evaluation.outcome import Outcome
from genprm_sdk.types import ReportVerdict

COUNTS = st.builds(Counts, *[st.integers(min_value=0, max_value=30)] * 5)
EVERY_METRIC = [(b, n) for b, metrics in METRICS.items() for n in metrics]


def outcome(
    expected: int | None,
    predicted: int | None,
    verdict: ReportVerdict | None = None,
    labelled: bool = True,
) -> Outcome:
    settled: ReportVerdict = verdict or ("correct" if predicted is None else "incorrect")
    return Outcome(
        key="k", subset="s", labelled=labelled, expected=expected, predicted=predicted, verdict=settled
    )


OUTCOMES = st.lists(
    st.builds(
        outcome,
        st.sampled_from([None, 0, 1, 2]),
        st.sampled_from([None, 0, 1, 2]),
        st.sampled_from([None, None, None, "unparsed", "incomplete"]),
        st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=25,
)


def plain_processbench(outcomes: Sequence[Outcome]) -> tuple[float, float, float] | None:
    """The definition, word for word; None where a subset lacks one of the two kinds."""
    wrong = [o.exact for o in outcomes if not o.labelled or o.expected is not None]
    right = [o.exact for o in outcomes if not o.labelled or o.expected is None]
    if not wrong or not right:
        return None
    a, b = sum(wrong) / len(wrong), sum(right) / len(right)
    return a, b, 2 * a * b / (a + b) if a + b else 0.0


@given(OUTCOMES)
@settings(max_examples=30, deadline=None)
def test_processbench_is_its_definition(outcomes: list[Outcome]) -> None:
    expected = plain_processbench(outcomes)
    metrics = score("processbench", count(outcomes)).metrics
    if expected is None:
        assert metrics["f1"].value is None
    else:
        assert [m.value for m in metrics.values()] == pytest.approx(expected)


@given(OUTCOMES)
@settings(max_examples=30, deadline=None)
def test_bigbench_mistake_is_its_definition(outcomes: list[Outcome]) -> None:
    metrics = score("bigbench-mistake", count(outcomes)).metrics
    assert metrics["exact"].value == pytest.approx(sum(o.exact for o in outcomes) / len(outcomes))


@given(OUTCOMES, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_records_does_not_matter(outcomes: list[Outcome], random: object) -> None:
    shuffled = list(outcomes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score("processbench", count(outcomes), 3) == score("processbench", count(shuffled), 3)


@given(COUNTS, st.sampled_from(EVERY_METRIC), st.integers(min_value=0, max_value=5))
@settings(max_examples=40, deadline=None)
def test_an_estimate_lies_in_its_interval_and_in_bounds(counts: Counts, which: tuple, seed: int) -> None:  # type: ignore[type-arg]
    metric = METRICS[which[0]][which[1]]
    result = estimate(metric, counts, seed)
    if result.value is None:
        assert result.low is None
        assert result.high is None
    else:
        assert result.low is not None
        assert result.high is not None
        assert 0 <= result.low <= result.high <= 1
        assert result.low - 0.15 <= result.value <= result.high + 0.15
        assert estimate(metric, counts, seed) == result


def test_an_undecided_verdict_is_never_right() -> None:
    assert outcome(None, None).exact
    for verdict in ("unparsed", "incomplete"):
        assert not outcome(None, None, verdict).exact
        assert not outcome(2, 2, verdict).exact
    assert not Outcome(key="k", subset="s", error="it broke").exact
    assert not outcome(None, None, labelled=False).exact


def test_the_right_kind_at_the_wrong_step_is_wrong() -> None:
    assert astuple(count([outcome(1, 2), outcome(1, 1), outcome(None, 0), outcome(None, None)])) == (
        1,
        1,
        1,
        1,
        0,
    )


def test_a_record_without_a_label_is_wrong_in_every_accuracy() -> None:
    metrics = score("bigbench-mistake", Counts(mistake_hit=1, correct_hit=1, unknown=1)).metrics
    assert metrics["exact"].value == pytest.approx(2 / 3)
    assert metrics["acc_mistake"].value == metrics["acc_no_mistake"].value == 0.5


def test_the_interval_is_that_of_resampled_records() -> None:
    """The multinomial shortcut against a bootstrap that draws records one by one."""
    counts = Counts(mistake_hit=18, mistake_miss=12, correct_hit=14, correct_miss=6)
    kinds = np.repeat(np.arange(5), astuple(counts))
    rng = np.random.default_rng(1)
    drawn = kinds[rng.integers(0, len(kinds), size=(10_000, len(kinds)))]
    table = np.stack([(drawn == kind).sum(axis=1) for kind in range(5)], axis=-1).astype(float)
    for metrics in METRICS.values():
        for metric in metrics.values():
            low, high = np.quantile(metric(table), [0.025, 0.975])
            result = estimate(metric, counts, seed=2)
            assert result.low == pytest.approx(low, abs=0.02)
            assert result.high == pytest.approx(high, abs=0.02)


def test_more_records_give_a_narrower_interval() -> None:
    metric = METRICS["bigbench-mistake"]["exact"]
    widths = []
    for factor in (1, 10, 100):
        result = estimate(metric, Counts(6 * factor, 4 * factor))
        assert result.value == pytest.approx(0.6)
        assert result.low is not None
        assert result.high is not None
        widths.append(result.high - result.low)
    assert all(b < a / 2 for a, b in itertools.pairwise(widths))


def test_the_average_is_unweighted_and_narrower() -> None:
    metric = METRICS["processbench"]["f1"]
    perfect, small = Counts(100, 0, 100, 0), Counts(1, 1, 1, 1)
    average = estimate_average(metric, [perfect, small])
    assert average.value == pytest.approx(0.75)
    assert estimate_average(metric, []).value is None
    assert estimate_average(metric, [perfect, Counts(1, 0, 0, 0)]).value is None


def test_no_hit_at_all_is_zero_not_undefined() -> None:
    assert estimate(METRICS["processbench"]["f1"], Counts(0, 3, 0, 3)).value == 0


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Counts(-1)
