"""Failure signatures: counted by hand, by brute force, and against votes whose correlation is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway

from genprm_sdk.diagnostics import Diagnostics
from genprm_sdk.types import CodeRun, CodeStatus, Report, StepResult, Verdict, VerificationPath

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

VERDICTS = st.sampled_from(["yes", "no", None])
GROUPS = st.lists(st.lists(VERDICTS, max_size=6), max_size=6)


def path(verdict: Verdict | None, *statuses: CodeStatus, **more: Any) -> VerificationPath:
    score = None if verdict is None else 1.0 if verdict == "yes" else 0.0
    runs = tuple(CodeRun(code="", status=status) for status in statuses)
    return VerificationPath(index=0, verdict=verdict, score=score, text="", code_runs=runs, **more)


def report(*steps: Sequence[VerificationPath], **more: Sequence[VerificationPath]) -> Report:
    results = [
        StepResult(
            index=index,
            text="s",
            label="correct",
            score=None,
            paths=tuple(paths),
            **{name: tuple(extra) for name, extra in more.items()},
        )
        for index, paths in enumerate(steps)
    ]
    return Report(steps=tuple(results), first_error=None, verdict="correct", model="m", samples=1, seed=0)


VOTERS: dict[Verdict | None, VerificationPath] = {"yes": path("yes"), "no": path("no"), None: path(None)}


def voted(groups: Sequence[Sequence[Verdict | None]]) -> Diagnostics:
    return Diagnostics.of([report(*[[VOTERS[verdict] for verdict in group] for group in groups])])


def effective(groups: Sequence[Sequence[bool]]) -> float:
    """The effective votes of steps, where there must be some."""
    found = voted([["yes" if vote else "no" for vote in group] for group in groups]).effective_votes
    assert found is not None
    return found


# --------------------------------------------------------------------------------------------------- counting


def test_nothing_comes_of_nothing() -> None:
    empty = Diagnostics(
        steps=0,
        paths=0,
        code_runs=0,
        code_failed=None,
        code_failures={},
        unparsed=None,
        degraded={},
        forgetful=0,
        agreement=None,
        effective_votes=None,
        verdict_mass=None,
    )
    assert Diagnostics.of([]) == Diagnostics.of([report()]) == empty
    assert Diagnostics.of(iter([report([])])) == empty.model_copy(update={"steps": 1})


def test_signatures_by_hand() -> None:
    """Every kind of path counts: those that decided, a cascade's cheaper ones, and those on the way."""
    one = report(
        [
            path("yes", "ok", "error", verdict_mass=0.5),
            path("no", "timeout", forgotten=3, verdict_mass=1.0),
            path(None, "not_executed", degraded="tokens"),
        ],
        cheaper=[path("no", verdict_mass=0.75)],
        extra=[path("no", "error", degraded="rounds", forgotten=1)],
    )
    other = report([path("yes", "ok", "ok", degraded="tokens", verdict_mass=0.0)])
    assert Diagnostics.of([one, other]) == Diagnostics(
        steps=2,
        paths=6,
        code_runs=6,
        code_failed=0.5,
        code_failures={"error": 2, "timeout": 1},
        unparsed=1 / 6,
        degraded={"tokens": 2, "rounds": 1},
        forgetful=2,
        agreement=1 / 3,  # yes, no and the extra no; a cheaper one is of another kind
        effective_votes=None,
        verdict_mass=2.25 / 4,
    )


@thorough
@given(st.lists(GROUPS, max_size=3))
def test_several_reports_are_one_long_one(reports: list[list[list[Verdict | None]]]) -> None:
    many = [report(*[[VOTERS[verdict] for verdict in group] for group in groups]) for groups in reports]
    assert Diagnostics.of(many) == voted([group for groups in reports for group in groups])


def test_a_report_has_its_own() -> None:
    one = report([path("yes", "ok"), path("no", "error")], [path("yes"), path("yes")])
    assert one.diagnostics == Diagnostics.of([one])
    assert Diagnostics.model_validate_json(one.diagnostics.model_dump_json()) == one.diagnostics


# -------------------------------------------------------------------------------------------------- agreement


@thorough
@given(GROUPS)
def test_agreement_is_over_pairs(groups: list[list[Verdict | None]]) -> None:
    pairs = [
        one == other
        for group in groups
        for one, other in itertools.combinations([verdict for verdict in group if verdict is not None], 2)
    ]
    assert voted(groups).agreement == (sum(pairs) / len(pairs) if pairs else None)


@thorough
@given(GROUPS)
def test_the_order_of_votes_and_steps_does_not_matter(groups: list[list[Verdict | None]]) -> None:
    one, other = voted(groups), voted([group[::-1] for group in groups[::-1]])
    assert one.agreement == other.agreement
    assert (one.effective_votes is None) == (other.effective_votes is None)
    assert (one.effective_votes or 0.0) == pytest.approx(other.effective_votes or 0.0)


# -------------------------------------------------------------------------------------------- effective votes


@pytest.mark.parametrize(
    "groups",
    [
        [["yes"] * 8],
        [["yes"] * 4, ["no"] * 8],
        [["yes"] * 3] * 5,
        [["no", None, "no"], ["yes"], [None]],
    ],
)
def test_unanimous_votes_are_one(groups: list[list[Verdict | None]]) -> None:
    assert voted(groups).effective_votes == 1


@pytest.mark.parametrize("groups", [[], [["yes"], ["no"]], [["yes", None], [None]], [["yes", "no"], ["yes"]]])
def test_where_nothing_can_be_told_there_is_no_number(groups: list[list[Verdict | None]]) -> None:
    assert voted(groups).effective_votes is None


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_independent_votes_count_in_full(size: int, share: float) -> None:
    rng = np.random.default_rng(3)
    assert effective((rng.random((3000, size)) < share).tolist()) == pytest.approx(size, rel=0.12)


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.9])
def test_a_known_correlation_gives_kish_s_number(size: int, correlation: float) -> None:
    """Each step's share is drawn from a beta distribution, so verdicts correlate by 1 / (a + b + 1)."""
    rng = np.random.default_rng(4)
    both = (1 / correlation - 1) / 2
    shares = rng.beta(both, both, (4000, 1))
    votes = rng.random((4000, size)) < shares
    assert effective(votes.tolist()) == pytest.approx(size / (1 + (size - 1) * correlation), rel=0.08)


def test_votes_that_always_differ_count_in_full_and_no_more() -> None:
    assert effective([[True, False]] * 10) == 2
    assert effective([[True, True, False, False]] * 10) == 4


def test_copied_votes_add_nothing() -> None:
    rng = np.random.default_rng(5)
    votes = rng.random((3000, 3)) < rng.beta(1, 1, (3000, 1))
    single = effective(votes.tolist())
    doubled = effective(np.repeat(votes, 2, axis=1).tolist())
    assert doubled == pytest.approx(single, rel=0.1)


@thorough
@given(st.lists(st.lists(st.booleans(), min_size=2, max_size=7), min_size=2, max_size=8))
def test_effective_votes_follow_from_the_f_statistic(groups: list[list[bool]]) -> None:
    found = effective(groups)
    size = sum(map(len, groups)) / len(groups)
    assert 1 <= found <= size + 1e-12
    if all(len(set(group)) == 1 for group in groups):
        assert found == 1
        return
    ratio = f_oneway(*[np.array(group, dtype=float) for group in groups]).statistic
    lengths = np.array([len(group) for group in groups], dtype=float)
    typical = (lengths.sum() - (lengths**2).sum() / lengths.sum()) / (len(groups) - 1)
    correlation = max(0.0, (ratio - 1) / (ratio - 1 + typical))
    assert found == pytest.approx(size / (1 + (size - 1) * correlation), rel=1e-9)
