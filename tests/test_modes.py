"""The two enums that everything agrees on, and how a value becomes one of their members."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.errors import InputError
from genprm_sdk.modes import History, Reasoning, member_of

thorough = settings(max_examples=100, derandomize=True, deadline=None, database=None)


@pytest.mark.parametrize(
    ("value", "analysis", "code", "executes"),
    [
        ("direct", False, False, False),
        ("analysis", True, False, False),
        ("code", False, True, True),
        ("code-unexecuted", False, True, False),
        ("analysis+code", True, True, True),
        ("analysis+code-unexecuted", True, True, False),
    ],
)
def test_what_each_kind_of_reasoning_writes(value: str, analysis: bool, code: bool, executes: bool) -> None:
    reasoning = Reasoning(value)
    assert (reasoning.has_analysis, reasoning.has_code, reasoning.executes) == (analysis, code, executes)


def test_the_kinds_are_those_of_the_paper() -> None:
    """Analysis or none, times no code, code, or code that is not executed: no two are the same."""
    written = {(kind.has_analysis, kind.has_code, kind.executes) for kind in Reasoning}
    assert len(written) == len(Reasoning) == 6
    assert [history.value for history in History] == ["rationales", "shared", "steps"]


@pytest.mark.parametrize("kind", [Reasoning, History])
def test_members_and_their_values_are_taken(kind: type[Reasoning] | type[History]) -> None:
    for member in kind:
        assert member_of(kind, member, "x") is member
        assert member_of(kind, str(member), "x") is member


@thorough
@given(st.text() | st.sampled_from(["Direct", "DIRECT", " direct", "direct ", "analysis + code", "steps"]))
def test_other_texts_are_refused_by_name(value: str) -> None:
    if value in set(Reasoning):
        assert member_of(Reasoning, value, "reasoning") == value
    else:
        with pytest.raises(InputError) as caught:
            member_of(Reasoning, value, "reasoning")
        assert str(caught.value).startswith(
            "reasoning must be one of direct, analysis, code, code-unexecuted,"
        )
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "value",
    [None, 0, True, 10**5000, b"direct", ["direct"], {}, object(), float("nan")],
    ids=lambda value: type(value).__name__,
)
def test_other_things_are_refused_by_name(value: Any) -> None:
    with pytest.raises(InputError, match="history must be one of rationales, shared, steps, not something"):
        member_of(History, value, "history")


def test_a_member_of_the_other_enum_is_none_of_this_one() -> None:
    with pytest.raises(InputError, match="reasoning"):
        member_of(Reasoning, History.STEPS, "reasoning")
