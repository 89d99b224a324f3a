"""Scores held against labels: the numbers by their definitions, the temperature by what made the scores."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import binomtest

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation.calibration import (
    CLIP,
    Binning,
    Judgement,
    fit_temperature,
    judgements_of,
    reliability,
    rescaled,
)
from genprm_sdk.protocol import score_of
from genprm_sdk.types import Report, StepResult, VerificationPath

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

SCORES = st.floats(min_value=0, max_value=1) | st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0])
JUDGEMENTS = st.lists(st.builds(Judgement, SCORES, st.booleans()), min_size=1, max_size=40)
BINS = st.integers(min_value=1, max_value=50)
BINNING = st.sampled_from(["width", "count"])


def drawn(count: int, temperature: float, seed: int) -> list[Judgement]:
    """Labels drawn at probabilities whose log-odds the scores show multiplied by ``temperature``."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.4, 1.5, count)
    labels = rng.random(count) < expit(truth)
    return [
        Judgement(float(score), bool(label))
        for score, label in zip(expit(truth * temperature), labels, strict=True)
    ]


def report_of(scores: Sequence[Sequence[float | None]], total: int | None = None) -> Report:
    """A report with these paths' scores, a sequence a step."""
    steps = []
    for index, members in enumerate(scores):
        paths = tuple(
            VerificationPath(
                index=number,
                verdict=None if score is None else "yes" if score >= 0.5 else "no",
                score=score,
                text="",
            )
            for number, score in enumerate(members)
        )
        read = [score for score in members if score is not None]
        mean = sum(read) / len(read) if read else None
        label = "unparsed" if mean is None else "correct" if mean >= 0.5 else "incorrect"
        steps.append(StepResult(index=index, text="s", label=label, score=mean, paths=paths))
    return Report(
        steps=tuple(steps),
        first_error=None,
        verdict="correct",
        model="m",
        samples=2,
        seed=0,
        total_steps=total,
    )


# -------------------------------------------------------------------------------------------- pairing labels


@pytest.mark.parametrize(
    ("first_error", "expected"),
    [
        (None, [(0.75, True), (0.5, True), (0.25, True)]),
        (0, [(0.75, False)]),
        (1, [(0.75, True)]),
        (2, [(0.75, True), (0.5, False)]),
        (3, [(0.75, True), (0.5, True), (0.25, False)]),
        (4, [(0.75, True), (0.5, True), (0.25, True)]),
    ],
)
def test_steps_up_to_the_first_error_are_labelled(
    first_error: int | None, expected: list[tuple[float, bool]]
) -> None:
    """Step 1 cannot be read, steps behind the label are unknown, step 4 was not judged."""
    report = report_of([[0.5, 1.0], [None, None], [0.5, None], [0.25, 0.25]], total=5)
    assert judgements_of(report, first_error) == expected


def test_paths_share_their_step_s_label() -> None:
    report = report_of([[0.9, 0.2], [None, 0.4], [1.0, 1.0]])
    assert judgements_of(report, 1, "paths") == [(0.9, True), (0.2, True), (0.4, False)]


@pytest.mark.parametrize("label", [-1, 3, 1.0, True, "1"])
def test_a_label_that_is_no_step_is_refused(label: Any) -> None:
    with pytest.raises(InputError, match=r"first_error .* 3 steps"):
        judgements_of(report_of([[0.5], [0.5], [0.5]]), label)


def test_only_steps_and_paths_have_scores() -> None:
    with pytest.raises(InputError, match="of must be one of steps, paths, not 'step'"):
        judgements_of(report_of([[0.5]]), None, "step")  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------------- the table


def plain_errors(judged: Sequence[Judgement], bins: int) -> tuple[float, float]:
    """ECE and MCE as their definitions say, a pass over the judgements for every bin."""
    gaps = []
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [j for j in judged if low <= j.score < high or (j.score == 1 and number == bins - 1)]
        if inside:
            share = sum(j.correct for j in inside) / len(inside)
            gaps.append((len(inside), abs(share - sum(j.score for j in inside) / len(inside))))
    return sum(n * gap for n, gap in gaps) / len(judged), max(gap for _, gap in gaps)


@thorough
@given(JUDGEMENTS, BINS)
def test_calibration_errors_are_their_definitions(judged: list[Judgement], bins: int) -> None:
    table = reliability(judged, bins)
    assert (table.expected_error, table.maximum_error) == pytest.approx(plain_errors(judged, bins), abs=1e-12)


@thorough
@given(JUDGEMENTS)
def test_brier_score_and_log_loss_are_their_definitions(judged: list[Judgement]) -> None:
    table = reliability(judged)
    score, label = np.array(judged, dtype=float).T
    clipped = np.clip(score, CLIP, 1 - CLIP)
    assert table.brier == pytest.approx(np.mean((score - label) ** 2), abs=1e-12)
    loss = -np.mean(label * np.log(clipped) + (1 - label) * np.log1p(-clipped))
    assert table.log_loss == pytest.approx(loss, rel=1e-9, abs=1e-12)


@thorough
@given(JUDGEMENTS, BINS, BINNING)
def test_every_judgement_is_in_one_bin(judged: list[Judgement], bins: int, binning: Binning) -> None:
    table = reliability(judged, bins, binning)
    assert table.count == sum(row.count for row in table.bins) == len(judged)
    assert len(table.bins) <= bins
    assert sum(row.correct * row.count for row in table.bins) == pytest.approx(sum(j.correct for j in judged))
    assert sum(row.score * row.count for row in table.bins) == pytest.approx(sum(j.score for j in judged))
    for row in table.bins:
        assert row.low - 1e-12 <= row.score <= row.high + 1e-12
    for before, after in itertools.pairwise(table.bins):
        assert before.high <= after.low
        assert before.score <= after.score
    assert 0 <= table.expected_error <= table.maximum_error + 1e-12
    assert table.maximum_error <= 1


@thorough
@given(JUDGEMENTS, BINS, BINNING, st.randoms(use_true_random=False))
def test_the_order_of_judgements_does_not_matter(
    judged: list[Judgement], bins: int, binning: Binning, rng: random.Random
) -> None:
    shuffled = list(judged)
    rng.shuffle(shuffled)
    assert reliability(shuffled, bins, binning) == reliability(judged, bins, binning)


@thorough
@given(JUDGEMENTS, BINS)
def test_equal_width_bins_hold_their_lower_end(judged: list[Judgement], bins: int) -> None:
    for row in reliability(judged, bins).bins:
        inside = [j for j in judged if row.low <= j.score and (j.score < row.high or row.high == 1)]
        assert row.count == len(inside)
        assert row.correct == sum(j.correct for j in inside) / len(inside)


def test_a_score_of_one_half_is_with_the_scores_that_are_labelled_correct() -> None:
    rows = reliability([Judgement(0.5, True), Judgement(0.7, True), Judgement(0.499, False)], bins=2).bins
    assert [(row.low, row.high, row.count) for row in rows] == [(0, 0.5, 1), (0.5, 1, 2)]


@thorough
@given(st.lists(SCORES, min_size=1, max_size=40, unique=True), BINS)
def test_bins_of_equal_count_differ_by_one_at_most(scores: list[float], bins: int) -> None:
    table = reliability([Judgement(score, score > 0.3) for score in scores], bins, "count")
    sizes = [row.count for row in table.bins]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == min(bins, len(scores))


@thorough
@given(JUDGEMENTS, BINS)
def test_equal_scores_are_never_in_two_bins(judged: list[Judgement], bins: int) -> None:
    rows = reliability(judged, bins, "count").bins
    assert all(before.high < after.low for before, after in itertools.pairwise(rows))


@given(st.integers(min_value=1, max_value=400), st.data())
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
def test_intervals_are_wilson_s(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(min_value=0, max_value=count))
    judged = [Judgement(0.5, number < hits) for number in range(count)]
    (row,) = reliability(judged, 1).bins
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert (row.correct_low, row.correct_high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= row.correct_low <= row.correct <= row.correct_high <= 1


@pytest.mark.parametrize("binning", ["width", "count"])
def test_perfect_calibration_has_no_error(binning: Binning) -> None:
    """In every bin exactly the promised share is correct."""
    judged = [Judgement(tenth / 10, number < tenth) for tenth in range(11) for number in range(10)]
    table = reliability(judged, 11, binning)
    assert table.expected_error == pytest.approx(0, abs=1e-12)
    assert table.maximum_error == pytest.approx(0, abs=1e-12)
    assert reliability([Judgement(1 - score, correct) for score, correct in judged]).expected_error > 0.1


def test_labels_drawn_at_their_scores_have_little_error_and_sharper_scores_more() -> None:
    assert reliability(drawn(20_000, 1.0, seed=1)).expected_error < 0.015
    assert reliability(drawn(20_000, 3.0, seed=1)).expected_error > 0.1


def test_scores_that_are_surely_wrong_have_every_error() -> None:
    table = reliability([Judgement(0.0, True), Judgement(1.0, False)])
    assert table.expected_error == table.maximum_error == table.brier == 1
    assert table.log_loss == pytest.approx(-math.log(CLIP), rel=1e-6)


# -------------------------------------------------------------------------------------------- the temperature


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_made_the_scores_is_found(temperature: float, seed: int) -> None:
    judged = drawn(10_000, temperature, seed)
    fit = fit_temperature(judged)
    assert fit.temperature == fit.factor == pytest.approx(temperature, rel=0.08)
    assert fit.log_loss_after <= fit.log_loss_before
    assert fit.expected_error_after < 0.02
    assert fit.expected_error_before == reliability(judged).expected_error
    assert fit.expected_error_after == reliability(rescaled(judged, fit.factor)).expected_error
    assert fit.count == 10_000


@thorough
@given(JUDGEMENTS)
def test_no_other_temperature_fits_better(judged: list[Judgement]) -> None:
    label = np.array([1 if j.correct else -1 for j in judged])
    odds = logit(np.clip([j.score for j in judged], CLIP, 1 - CLIP))
    margin = label * odds
    assume(len(set(label)) == 2 and margin.min() < -1e-6 and margin.sum() > 1e-3)
    fit = fit_temperature(judged)

    def loss(log_factor: float) -> float:
        return float(np.mean(np.logaddexp(0, -margin / np.exp(log_factor))))

    found = loss(math.log(fit.factor))
    assert fit.log_loss_after == pytest.approx(found, rel=1e-9, abs=1e-12)
    assert fit.log_loss_before == pytest.approx(loss(0.0), rel=1e-9, abs=1e-12)
    bounds = (math.log(fit.factor) - 4, math.log(fit.factor) + 4)
    assert found <= minimize_scalar(loss, bounds=bounds, method="bounded").fun + 1e-9
    assert found <= loss(0.0) + 1e-12


@pytest.mark.parametrize("made_at", [0.6, 1.0, 2.0])
def test_the_temperature_is_one_for_a_verifier_whatever_the_scores_were_made_at(made_at: float) -> None:
    """Scores are made the way a verifier makes them; the best temperature is the same for all."""
    rng = np.random.default_rng(5)
    yes = expit(rng.normal(0.3, 3.0, 500)) * 0.9
    no = 0.9 - yes
    labels = rng.random(500) < expit(np.log(yes / no) / 1.7)

    def scores_at(temperature: float) -> list[Judgement]:
        made = [score_of(p, q, temperature) for p, q in zip(yes, no, strict=True)]
        return [Judgement(s, bool(y)) for s, y in zip(made, labels, strict=True) if s is not None]

    fit = fit_temperature(scores_at(made_at), made_at)
    assert fit.temperature == pytest.approx(fit_temperature(scores_at(1.0)).temperature, rel=1e-6)
    assert fit.factor == pytest.approx(fit.temperature / made_at)
    assert fit.temperature == pytest.approx(1.7, rel=0.25)
    anew = scores_at(fit.temperature)
    assert reliability(anew).log_loss == pytest.approx(fit.log_loss_after, rel=1e-9)
    assert fit_temperature(anew, fit.temperature).factor == pytest.approx(1, rel=1e-6)


@thorough
@given(JUDGEMENTS, st.floats(min_value=0.2, max_value=20))
def test_a_temperature_moves_scores_but_not_their_ranking(judged: list[Judgement], factor: float) -> None:
    moved = rescaled(judged, factor)
    assert [j.correct for j in moved] == [j.correct for j in judged]
    for (a, _), (b, _) in zip(judged, moved, strict=True):
        assert (a >= 0.5) == (b >= 0.5) or abs(a - 0.5) < 1e-12
        assert abs(b - 0.5) <= abs(a - 0.5) + 1e-7 if factor >= 1 else abs(b - 0.5) >= abs(a - 0.5) - 1e-7
    by_score = [b for _, b in sorted(zip([a for a, _ in judged], [b for b, _ in moved], strict=True))]
    assert by_score == sorted(by_score)


def test_a_factor_of_one_leaves_scores_as_they_are() -> None:
    assert [score for score, _ in rescaled([Judgement(0.2, True), Judgement(1.0, True)], 1)] == pytest.approx(
        [0.2, 1 - CLIP], rel=1e-12
    )


# -------------------------------------------------------------------------------------------------- refusals

GOOD = [Judgement(0.9, True), Judgement(0.2, False), Judgement(0.4, True), Judgement(0.6, False)]


@pytest.mark.parametrize("function", [reliability, fit_temperature, lambda judged: rescaled(judged, 2.0)])
@pytest.mark.parametrize(
    ("judged", "message"),
    [
        ([], "there are no judgements"),
        ([*GOOD, Judgement(1.0000001, True)], "judgement 4 has the score 1.0000001"),
        ([Judgement(-1e-9, True), *GOOD], "judgement 0 has the score -1e-09"),
        ([*GOOD[:2], Judgement(math.nan, True)], "judgement 2 has the score nan"),
        ([Judgement(math.inf, False)], "judgement 0 has the score inf"),
        ([*GOOD, (None, True)], r"judgement 4 is \(None, True\): give a score and whether"),
        ([(0.5, "incorrect")], "judgement 0 is .*: give a score and whether"),
        ([(0.5, None)], "judgement 0 is"),
        ([(0.5,)], "judgement 0 is"),
        ([0.5], "judgement 0 is"),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(
    function: Any, judged: list[Judgement], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        function(judged)


def test_pairs_of_any_kind_of_number_are_judgements() -> None:
    expected = reliability(GOOD), fit_temperature(GOOD), rescaled(GOOD, 2.0)
    scores, correct = zip(*GOOD, strict=True)
    for made in (
        lambda: zip(scores, correct, strict=True),
        lambda: zip(np.array(scores), map(int, correct), strict=True),
    ):
        assert (reliability(made()), fit_temperature(made()), rescaled(made(), 2.0)) == expected
    assert rescaled(zip(scores, np.array(correct), strict=True), 2.0) == expected[2]


@pytest.mark.parametrize("function", [reliability, lambda *given: fit_temperature(given[0], 1.0, *given[1:])])
@pytest.mark.parametrize("bins", [0, -1, 10_001, 2.0, "10", True, None])
def test_bins_are_counted(function: Any, bins: Any) -> None:
    with pytest.raises(InputError, match="bins must be a whole number"):
        function(GOOD, bins)


def test_there_are_two_kinds_of_bins() -> None:
    with pytest.raises(InputError, match="binning must be one of width, count, not 'depth'"):
        reliability(GOOD, 10, "depth")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf])
def test_temperatures_are_above_zero(value: float) -> None:
    with pytest.raises(InputError, match="made_at must be a finite number above 0"):
        fit_temperature(GOOD, value)
    with pytest.raises(InputError, match="factor must be a finite number above 0"):
        rescaled(GOOD, value)


@pytest.mark.parametrize(("correct", "kind"), [(True, "correct"), (False, "wrong")])
def test_one_kind_of_step_has_no_temperature(correct: bool, kind: str) -> None:
    judged = [Judgement(score, correct) for score in (0.1, 0.6, 0.9)]
    with pytest.raises(InputError, match=f"every judgement is of a {kind} step"):
        fit_temperature(judged)


@pytest.mark.parametrize(
    ("judged", "message"),
    [
        ([(0.9, True), (0.5, True), (0.5, False), (0.1, False)], "wrong side of 0.5"),
        ([(0.9, False), (0.2, True)], "do not lean"),
        ([(0.5, False), (0.5, True)], "do not lean"),
        ([(0.75, True), (0.75, False)], "do not lean"),
    ],
)
def test_where_no_temperature_is_best_there_is_none(judged: list[tuple[float, bool]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_temperature([Judgement(*one) for one in judged])


@pytest.mark.parametrize("size", [1e-12, 1e-3, 0.3])
def test_the_least_lean_to_the_labels_is_enough_for_a_temperature(size: float) -> None:
    """Very large and very small temperatures are found too."""
    judged = [Judgement(0.5 + size, True)] * 3 + [Judgement(0.5 + size, False)] * 2
    factor = fit_temperature(judged).factor
    assert expit(logit(0.5 + size) / factor) == pytest.approx(0.6)
    near = [*[Judgement(0.9, True)] * 1000, *[Judgement(0.9, False)] * 999]
    assert expit(logit(0.9) / fit_temperature(near).factor) == pytest.approx(1000 / 1999)


def test_certain_mistakes_do_not_break_the_fit() -> None:
    judged = [Judgement(1.0, True)] * 9 + [Judgement(1.0, False)] + [Judgement(0.0, False)] * 10
    fit = fit_temperature(judged)
    assert fit.log_loss_before == pytest.approx(-math.log(CLIP) / 20, rel=1e-3)
    assert expit(logit(1 - CLIP) / fit.factor) == pytest.approx(19 / 20)


# ----------------------------------------------------------------------------------------------- what it is


def test_the_table_is_markdown() -> None:
    table = reliability([Judgement(0.25, False), Judgement(0.25, True), Judgement(1.0, True)], 2)
    assert table.to_markdown() == (
        "| score | steps | mean score | correct | 95% interval |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| 0.000 to 0.500 | 2 | 0.250 | 0.500 | 0.095 to 0.905 |\n"
        "| 0.500 to 1.000 | 1 | 1.000 | 1.000 | 0.207 to 1.000 |\n"
        "\n"
        "ECE 0.1667, MCE 0.2500, Brier score 0.2083, log loss 0.5580, of 3 judgements\n"
    )


@given(JUDGEMENTS)
@settings(max_examples=30, derandomize=True, deadline=None, database=None)
def test_tables_survive_json(judged: list[Judgement]) -> None:
    table = reliability(judged)
    assert type(table).model_validate_json(table.model_dump_json()) == table


def test_calibration_loads_neither_numpy_nor_scipy() -> None:
    program = (
        "import sys, genprm_sdk.evaluation.calibration as c; c.reliability([c.Judgement(0.5, True)]); "
        "sys.exit(len({'numpy', 'scipy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
