"""From the scores of steps to that of a solution."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.errors import InputError
from genprm_sdk.scoring import Aggregate, SolutionScores

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

SCORES = st.lists(
    st.none() | st.floats(min_value=0, max_value=1) | st.sampled_from([0.1, 0.2, 0.3]), max_size=12
)


@pytest.mark.parametrize(
    ("scores", "last", "mean", "least", "product"),
    [
        ([], None, None, None, None),
        ([None, None], None, None, None, None),
        ([0.5], 0.5, 0.5, 0.5, 0.5),
        ([0.5, 1.0], 1.0, 0.75, 0.5, 0.5),
        ([0.5, None, 0.25], 0.25, 0.375, 0.25, 0.125),
        ([0.5, 0.25, None], None, 0.375, 0.25, 0.125),
        ([0.0, 1.0], 1.0, 0.5, 0.0, 0.0),
    ],
)
def test_aggregates_by_hand(
    scores: list[float | None],
    last: float | None,
    mean: float | None,
    least: float | None,
    product: float | None,
) -> None:
    assert SolutionScores.of(scores) == SolutionScores(tuple(scores), last, mean, least, product)


@thorough
@given(SCORES)
def test_aggregates_are_their_definitions(scores: list[float | None]) -> None:
    found = SolutionScores.of(scores)
    read = [score for score in scores if score is not None]
    assert found.steps == tuple(scores)
    assert found.last == (scores[-1] if scores else None)
    if not read:
        assert (found.mean, found.min, found.product) == (None, None, None)
        return
    assert found.mean == pytest.approx(statistics.fmean(read), rel=1e-15, abs=0)
    assert found.min == sorted(read)[0]
    assert found.product == pytest.approx(float(math.prod(map(Fraction, read))), rel=1e-12, abs=1e-300)
    assert found.mean is not None
    assert found.min is not None
    assert found.product is not None
    assert 0 <= found.product <= found.min <= found.mean * (1 + 1e-15) + 1e-300
    assert found.mean <= 1


@thorough
@given(SCORES, st.permutations(range(12)))
def test_only_the_last_depends_on_the_order(scores: list[float | None], order: list[int]) -> None:
    one, other = SolutionScores.of(scores), SolutionScores.of([scores[i] for i in order if i < len(scores)])
    assert (one.mean, one.min) == (other.mean, other.min)
    assert (one.product is None) == (other.product is None)
    assert (one.product or 0.0) == pytest.approx(other.product or 0.0, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("aggregate", get_args(Aggregate))
@pytest.mark.parametrize("scores", [[0.9, 0.2, 0.6], [None]])
def test_an_aggregate_is_had_by_its_name(aggregate: Aggregate, scores: list[float | None]) -> None:
    found = SolutionScores.of(scores)
    assert found.by(aggregate) == getattr(found, aggregate)


def test_the_names_are_of_four_different_numbers() -> None:
    found = SolutionScores.of([0.9, 0.2, 0.6])
    assert len({found.by(aggregate) for aggregate in get_args(Aggregate)}) == 4


@pytest.mark.parametrize("name", ["steps", "of", "by", "max", "", "Last", None, 0, ["last"]])
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(InputError, match="aggregate must be one of last, mean, min, product, not "):
        SolutionScores.of([0.5]).by(name)
