"""From paths to labels, from steps to verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genprm_sdk import StepResult, VerificationPath
from genprm_sdk.types import Label
from genprm_sdk.voting import combine_paths, first_error, report_verdict


def path(index: int, score: float | None) -> VerificationPath:
    verdict = None if score is None else "yes" if score >= 0.5 else "no"
    return VerificationPath(index=index, verdict=verdict, score=score, text="")


def step(index: int, label: Label) -> StepResult:
    return StepResult(index=index, text="s", label=label, score=None, paths=())


def test_unreadable_paths_are_no_evidence() -> None:
    assert combine_paths([path(0, 0.9), path(1, None), path(2, None)]) == ("correct", 0.9)
    assert combine_paths([path(0, None)]) == ("unparsed", None)


def test_a_half_is_correct() -> None:
    assert combine_paths([path(0, 1.0), path(1, 0.0)]) == ("correct", 0.5)


@given(st.lists(st.none() | st.floats(min_value=0, max_value=1), min_size=1, max_size=9), st.randoms())
def test_the_order_in_which_paths_finish_does_not_matter(scores: list[float | None], rng: object) -> None:
    members = [path(index, score) for index, score in enumerate(scores)]
    shuffled = list(members)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert combine_paths(shuffled) == combine_paths(members)
    label, mean = combine_paths(members)
    assert (mean is None) == (label == "unparsed")
    if mean is not None:
        assert 0 <= mean <= 1
        assert (label == "correct") == (mean >= 0.5)


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
