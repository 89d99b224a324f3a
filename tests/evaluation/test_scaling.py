"""Fewer paths out of many: what they say, and that one run holds the whole curve."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk import Verifier
from genprm_sdk.evaluation import Item, Settings, run, summarise
from genprm_sdk.evaluation.outcome import Outcome
from genprm_sdk.evaluation.scaling import AVERAGE, doublings, scaling_curves
from genprm_sdk.types import Solution

from .outcomes import outcome_of_scores, outcomes

SETTINGS = Settings(benchmark="processbench", model="m", samples=4)


@given(outcomes())
@settings(max_examples=25, deadline=None)
def test_all_paths_say_what_the_run_says(made: list[Outcome]) -> None:
    assert [each.with_first_paths(4) for each in made] == made
    curves = scaling_curves(SETTINGS, made)
    summary = summarise(SETTINGS, made)
    for subset, points in curves.items():
        assert [point.samples for point in points] == [1, 2, 4]
        scores = summary.average if subset == AVERAGE else summary.subsets[subset].metrics
        assert scores is not None
        assert points[-1].value.value == pytest.approx(scores["f1"].value)


@given(outcomes(), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_fewer_paths_are_the_first_ones(made: list[Outcome], count: int) -> None:
    for each in made:
        scores = [[path.score for path in step.paths[:count]] for step in each.steps]
        fewer = outcome_of_scores(each.key, each.subset, scores, each.expected)
        assert each.with_first_paths(count) == fewer


def test_the_numbers_of_a_curve() -> None:
    assert doublings(1) == [1]
    assert doublings(8) == [1, 2, 4, 8]
    assert doublings(6) == [1, 2, 4, 6]


def test_there_is_no_curve_of_one_path_or_of_a_check_that_stopped() -> None:
    made = [outcome_of_scores("k", "s", [[0.9]], None)]
    assert scaling_curves(SETTINGS.model_copy(update={"samples": 1}), made) == {}
    assert scaling_curves(SETTINGS.model_copy(update={"stop_at_first_error": True}), made) == {}


@pytest.mark.anyio
async def test_the_first_path_of_two_is_a_run_with_one(tmp_path: Path) -> None:
    solution = Solution(
        problem="3 + 4 * 5 =", steps=("Step 1: 4 * 5 = 20. Now 3 + 20.", "Step 2: 3 + 20 = 24.")
    )
    items = [Item("s/k", "s", solution, 1, "here")]
    async with Verifier("genprm-mini", exact=True) as verifier:
        one, two = [
            await run(
                verifier,
                items,
                Settings.of("processbench", "genprm-mini", samples=count, seed=3, adaptive="off"),
            )
            for count in (1, 2)
        ]
    fewer = two[0].with_first_paths(1)
    assert (fewer.predicted, fewer.verdict) == (one[0].predicted, one[0].verdict)
    assert [step.score for step in fewer.steps] == [step.score for step in one[0].steps]
    assert all(path.generated_tokens > 0 for step in two[0].steps for path in step.paths)
