"""Scores and differences, against the metric written out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reproduction.scoring import Hit, difference, f1, mean, mean_difference

hits = st.lists(
    st.builds(Hit, st.sampled_from(["a", "b"]), st.booleans(), st.booleans()), min_size=60, max_size=90
).map(lambda found: [Hit(g, m, e) for g in "ab" for m in (True, False) for e in (True, False)] + found)


def plain_f1(found: list[Hit]) -> float:
    def exact(group: str, mistaken: bool) -> float:
        mine = [hit.exact for hit in found if (hit.group, hit.mistaken) == (group, mistaken)]
        return sum(mine) / len(mine)

    by_group = []
    for group in {hit.group for hit in found}:
        one, other = exact(group, True), exact(group, False)
        by_group.append(2 * one * other / (one + other) if one + other else 0.0)
    return sum(by_group) / len(by_group)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(hits)
def test_f1_is_the_metrics(found: list[Hit]) -> None:
    scored = f1(found)
    assert scored.value == pytest.approx(plain_f1(found))
    assert 0 <= scored.low <= scored.high <= 1


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(hits, st.randoms(use_true_random=False))
def test_a_difference_is_of_the_same_solutions(found: list[Hit], rng: object) -> None:
    other = [Hit(hit.group, hit.mistaken, rng.random() < 0.5) for hit in found]  # type: ignore[attr-defined]
    gap = difference(found, other)
    assert gap.value == pytest.approx(plain_f1(found) - plain_f1(other))
    back = difference(other, found)
    assert (back.low, back.high) == (pytest.approx(-gap.high, abs=0.05), pytest.approx(-gap.low, abs=0.05))
    same = difference(found, found)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_without_one_kind_of_solution_a_score_is_unknown() -> None:
    assert str(f1([Hit("a", True, True)] * 5)) == "–"


def test_other_solutions_are_an_error() -> None:
    with pytest.raises(ValueError, match="not the same solutions of a"):
        difference([Hit("a", True, True)], [Hit("a", False, True)])


def test_an_interval_covers_as_often_as_it_says() -> None:
    import random

    rng = random.Random(1)
    inside = 0
    for _ in range(200):
        interval = mean([float(rng.random() < 0.3) for _ in range(150)])
        inside += interval.low <= 0.3 <= interval.high
    assert 180 <= inside <= 199


def test_paired_differences_are_narrower_than_their_parts() -> None:
    one = [float(number % 3 == 0) for number in range(120)]
    other = [float(number % 3 == 0 and number > 10) for number in range(120)]
    gap = mean_difference(one, other)
    assert gap.low > 0
    assert gap.high - gap.low < mean(one).high - mean(one).low
