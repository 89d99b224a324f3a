"""Scores against their definitions, and what an interval must always be."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation.datasets import UNCLASSIFIED
from genprm_sdk.evaluation.metrics import (
    METRICS,
    Row,
    Tally,
    estimate,
    estimate_average,
    row_of,
    score,
    score_subsets,
)
from genprm_sdk.evaluation.outcome import Outcome, StepOutcome
from genprm_sdk.evaluation.settings import Settings
from genprm_sdk.evaluation.summary import summarise
from genprm_sdk.types import Label, ReportVerdict


def tally(*times: int) -> Tally:
    """So many records of each of the first five kinds."""
    kinds = np.array([*times, *[0] * (5 - len(times))])
    return Tally(np.eye(len(Row._fields))[:5][kinds > 0], kinds[kinds > 0])


TALLIES = st.builds(tally, *[st.integers(min_value=0, max_value=30)] * 5)
EVERY_METRIC = [(b, n) for b, metrics in METRICS.items() for n in metrics]


def outcome(
    expected: int | None,
    predicted: int | None,
    verdict: ReportVerdict | None = None,
    labelled: bool = True,
) -> Outcome:
    settled: ReportVerdict = verdict or ("correct" if predicted is None else "incorrect")
    return Outcome(
        key="k",
        subset="s",
        labelled=labelled,
        expected=expected,
        predicted=predicted,
        verdict=settled,
        total_steps=3,
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
    metrics = score("processbench", Tally.of(outcomes)).metrics
    if expected is None:
        assert metrics["f1"].value is None
    else:
        assert [m.value for m in metrics.values()] == pytest.approx(expected)


@given(OUTCOMES)
@settings(max_examples=30, deadline=None)
def test_bigbench_mistake_is_its_definition(outcomes: list[Outcome]) -> None:
    metrics = score("bigbench-mistake", Tally.of(outcomes)).metrics
    assert metrics["exact"].value == pytest.approx(sum(o.exact for o in outcomes) / len(outcomes))


@given(OUTCOMES, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_records_does_not_matter(outcomes: list[Outcome], random: object) -> None:
    shuffled = list(outcomes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score("processbench", Tally.of(outcomes), 3) == score("processbench", Tally.of(shuffled), 3)


@given(TALLIES, st.sampled_from(EVERY_METRIC), st.integers(min_value=0, max_value=5))
@settings(max_examples=40, deadline=None)
def test_an_estimate_lies_in_its_interval_and_in_bounds(counts: Tally, which: tuple, seed: int) -> None:  # type: ignore[type-arg]
    metric = METRICS[which[0]][which[1]]
    result = estimate(metric, counts, seed)
    if result.low is None:
        assert result.high is None
    else:
        assert result.value is not None
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
    found = Tally.of([outcome(1, 2), outcome(1, 1), outcome(None, 0), outcome(None, None)])
    assert found.sum[:5].tolist() == [1, 1, 1, 1, 0]
    assert found.total == 4


def test_a_record_without_a_label_is_wrong_in_every_accuracy() -> None:
    metrics = score("bigbench-mistake", tally(1, 0, 1, 0, 1)).metrics
    assert metrics["exact"].value == pytest.approx(2 / 3)
    assert metrics["acc_mistake"].value == metrics["acc_no_mistake"].value == 0.5


def test_the_interval_is_that_of_resampled_records() -> None:
    """The multinomial shortcut against a bootstrap that draws records one by one."""
    counts = tally(18, 12, 14, 6)
    kinds = np.repeat(np.arange(5), [18, 12, 14, 6, 0])
    rng = np.random.default_rng(1)
    drawn = kinds[rng.integers(0, len(kinds), size=(10_000, len(kinds)))]
    table = np.stack([(drawn == kind).sum(axis=1) for kind in range(9)], axis=-1).astype(float)
    for benchmark in ("processbench", "bigbench-mistake"):
        for metric in METRICS[benchmark].values():
            low, high = np.quantile(metric(table), [0.025, 0.975])
            result = estimate(metric, counts, seed=2)
            assert result.low == pytest.approx(low, abs=0.03)
            assert result.high == pytest.approx(high, abs=0.03)


def test_more_records_give_a_narrower_interval() -> None:
    metric = METRICS["bigbench-mistake"]["exact"]
    widths = []
    for factor in (1, 10, 100):
        result = estimate(metric, tally(6 * factor, 4 * factor))
        assert result.value == pytest.approx(0.6)
        assert result.low is not None
        assert result.high is not None
        widths.append(result.high - result.low)
    assert all(b < a / 2 for a, b in itertools.pairwise(widths))


def test_the_average_is_unweighted_and_narrower() -> None:
    metric = METRICS["processbench"]["f1"]
    perfect, small = tally(100, 0, 100, 0), tally(1, 1, 1, 1)
    average = estimate_average(metric, [perfect, small])
    assert average.value == pytest.approx(0.75)
    assert estimate_average(metric, []).value is None
    assert estimate_average(metric, [perfect, tally(1, 0, 0, 0)]).value is None


@pytest.mark.parametrize(("subsets", "records"), [(1, 2), (10, 2), (26, 2), (26, 3)])
def test_where_too_few_resamples_have_both_kinds_there_is_a_value_without_an_interval(
    subsets: int, records: int
) -> None:
    """With one record of a kind, so many resamples lack it that the others speak for a minority."""
    small = tally(1, 0, records - 1)
    average = estimate_average(METRICS["processbench"]["f1"], [small] * subsets)
    assert (average.value, average.low, average.high) == (1.0, None, None)


def test_one_record_of_a_kind_among_many_still_has_an_interval() -> None:
    result = estimate(METRICS["processbench"]["f1"], tally(1, 0, 50, 50))
    assert result.low is not None
    assert result.high is not None


def test_no_hit_at_all_is_zero_not_undefined() -> None:
    assert estimate(METRICS["processbench"]["f1"], tally(0, 3, 0, 3)).value == 0


LABELS: list[Label] = ["correct", "incorrect", "unparsed"]


@st.composite
def stepwise(draw: st.DrawFn) -> Outcome:
    """A record with labelled steps, some of them judged."""
    truth = draw(st.lists(st.booleans(), min_size=1, max_size=6))
    said = draw(st.lists(st.sampled_from(LABELS), min_size=0, max_size=len(truth)))
    expected = truth.index(False) if False in truth else None
    steps = tuple(StepOutcome(index=index, label=label, score=None) for index, label in enumerate(said))
    return Outcome(
        key="k",
        subset=draw(st.sampled_from("st")),
        expected=expected,
        labels=tuple(truth),
        total_steps=len(truth),
        verdict="correct",
        steps=steps,
    )


def plain_f1(pairs: Sequence[tuple[bool, str]], positive: bool) -> float | None:
    """The definition, step by step: an unreadable verdict is the wrong one."""
    judged = [(truth, said == "correct" if said != "unparsed" else not truth) for truth, said in pairs]
    if not any(truth == positive for truth, _ in judged):
        return None
    hits = judged.count((positive, positive))
    precision_of = sum(said == positive for _, said in judged)
    recall_of = sum(truth == positive for truth, _ in judged)
    if not hits:
        return 0.0
    precision, recall = hits / precision_of, hits / recall_of
    return 2 * precision * recall / (precision + recall)


@given(st.lists(stepwise(), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_prmbench_is_its_definition(outcomes: list[Outcome]) -> None:
    pairs = [
        (truth, said)
        for each in outcomes
        for truth, said in zip(each.labels or (), each.step_labels, strict=True)
    ]
    right, wrong = plain_f1(pairs, True), plain_f1(pairs, False)
    metrics = score("prmbench", Tally.of(outcomes)).metrics
    assert metrics["f1_right_steps"].value == (None if right is None else pytest.approx(right))
    assert metrics["f1_wrong_steps"].value == (None if wrong is None else pytest.approx(wrong))
    both = None if right is None or wrong is None else pytest.approx((right + wrong) / 2)
    assert metrics["score"].value == both
    agree = sum(said == ("correct" if truth else "incorrect") for truth, said in pairs)
    assert metrics["step_accuracy"].value == pytest.approx(agree / len(pairs))


def test_steps_behind_the_first_mistake_are_unknown_unless_labelled() -> None:
    judged: tuple[Label, ...] = ("correct", "incorrect", "incorrect")
    steps = tuple(StepOutcome(index=index, label=label, score=None) for index, label in enumerate(judged))
    first = Outcome(
        key="k", subset="s", expected=1, total_steps=3, verdict="incorrect", predicted=1, steps=steps
    )
    assert first.truth == (True, False, None)
    assert row_of(first)[5:] == (1, 0, 1, 0)
    every = first.model_copy(update={"labels": (True, False, True)})
    assert row_of(every)[5:] == (1, 1, 1, 0)


def test_the_mean_of_prmbench_is_over_the_classifications_with_wrong_steps() -> None:
    mixed, all_right = Tally.of_rows([Row(kept=3, caught=1)]), Tally.of_rows([Row(kept=2, alarmed=2)])
    subsets, found = score_subsets("prmbench", {"mixed": mixed, "right": all_right})
    assert found is not None
    assert subsets["right"].metrics["score"].value is None
    assert found["score"].value == 1.0
    assert found["f1_right_steps"].value == pytest.approx((1 + 2 / 3) / 2)
    _, found = score_subsets("processbench", {"both": tally(1, 0, 1), "mistakes": tally(1)})
    assert found is not None
    assert found["f1"].value is None


def test_what_has_no_classification_is_wrong_but_no_class_of_the_average() -> None:
    perfect, unknown = (
        Tally.of_rows([Row(kept=3, caught=1)]),
        Tally.of_rows([Row(unknown=1, alarmed=1, missed=1)]),
    )
    classes = {"a": perfect, "b": perfect, UNCLASSIFIED: unknown}
    scores, found = score_subsets("prmbench", classes)
    assert found is not None
    assert found["score"].value == 1.0
    assert scores[UNCLASSIFIED].metrics["score"].value == 0
    _, alone = score_subsets("prmbench", {UNCLASSIFIED: unknown, "a": perfect})
    assert alone is not None
    assert alone["score"].value == 1.0
    _, files = score_subsets("labelled", classes)
    assert files is not None
    assert files["step_accuracy"].value == pytest.approx(2 / 3)


def test_no_results_are_no_run() -> None:
    with pytest.raises(InputError, match="no result to score"):
        summarise(Settings(benchmark="processbench", model="m"), [])


def test_one_subset_has_no_average() -> None:
    subsets, average = score_subsets("processbench", {"one": tally(1, 1, 1)})
    assert average is None
    assert subsets == {"one": score("processbench", tally(1, 1, 1))}


def test_steps_of_a_record_are_resampled_together() -> None:
    """Ten records of ten equal steps are no surer than ten records of one."""
    few = Tally.of_rows([Row(kept=1)] * 5 + [Row(alarmed=1)] * 5)
    many = Tally.of_rows([Row(kept=10)] * 5 + [Row(alarmed=10)] * 5)
    metric = METRICS["prmbench"]["step_accuracy"]
    assert estimate(metric, few, 1) == estimate(metric, many, 1)
