"""Options: what is filled in, and that whatever cannot be used is refused by its name."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.errors import InputError
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.options import MOST_SAMPLES, Adaptive, Budget, Cascade, CheckOptions, Plan

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

HUGE = 10**5000  # Python refuses to write it out
OWN = Reasoning.ANALYSIS_CODE

SHARES = st.floats(min_value=0, max_value=1)
KINDS = st.lists(st.sampled_from(list(Reasoning)), min_size=2, max_size=6, unique=True)
COUNTS = st.none() | st.integers(min_value=1, max_value=10**12)
ADAPTIVES = st.builds(
    Adaptive,
    st.none() | st.floats(min_value=0, max_value=0.5, exclude_min=True, exclude_max=True),
)
CASCADES = st.builds(
    Cascade,
    KINDS | KINDS.map(lambda kinds: tuple(kind.value for kind in kinds)),
    st.tuples(st.floats(min_value=0, max_value=0.5), st.floats(min_value=0.5, max_value=1)),
)
BUDGETS = st.builds(
    Budget, COUNTS, COUNTS, st.none() | st.floats(min_value=1e-9, max_value=1e9) | st.just(sys.float_info.max)
)
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "samples": st.integers(min_value=1, max_value=MOST_SAMPLES),
    "seed": st.integers(min_value=-(2**64) + 1, max_value=2**64 - 1),
    "reasoning": st.sampled_from(list(Reasoning)) | st.sampled_from([kind.value for kind in Reasoning]),
    "adaptive": st.booleans() | st.just("auto") | ADAPTIVES,
    "cascade": st.none() | CASCADES,
    "stop_at_first_error": st.booleans(),
    "budget": st.none() | BUDGETS,
}


def kind_of(value: object) -> str:
    """A test's name; ``HUGE`` has no text of its own."""
    return value if isinstance(value, str) else type(value).__name__


def plan(options: Any, *, auto: bool = False) -> Plan:
    return Plan.of(options, OWN, auto_adaptive=auto)


# ------------------------------------------------------------------------------------------------ good values


def test_every_option_is_tried_here() -> None:
    assert OPTIONS.keys() == CheckOptions.__annotations__.keys() == BAD.keys()


@pytest.mark.parametrize("auto", [True, False])
def test_what_is_left_out_is_filled_in(auto: bool) -> None:
    assert plan({}, auto=auto) == Plan(
        samples=1,
        seed=0,
        stages=(OWN,),
        cascade=None,
        adaptive=Adaptive() if auto else None,
        stop_at_first_error=False,
        budget=Budget(None, None, None),
    )
    explicit = {"adaptive": "auto", "cascade": None, "budget": None}
    assert plan(explicit, auto=auto) == plan({}, auto=auto)


@thorough
@given(st.fixed_dictionaries({}, optional=OPTIONS), st.booleans())
def test_what_is_given_is_kept(options: dict[str, Any], auto: bool) -> None:
    cascade = options.get("cascade")
    if cascade is not None:
        options.pop("reasoning", None)
    made = plan(options, auto=auto)
    for name in ("samples", "seed", "stop_at_first_error"):
        if name in options:
            assert getattr(made, name) == options[name]
            assert type(getattr(made, name)) is type(options[name])
    assert made.cascade is cascade
    expected = (options.get("reasoning", OWN),) if cascade is None else cascade.stages
    assert made.stages == expected
    assert all(type(stage) is Reasoning for stage in made.stages)
    assert made.budget == (options.get("budget") or Budget())
    given = options.get("adaptive", "auto")
    if isinstance(given, Adaptive):
        assert made.adaptive is given
    else:
        assert made.adaptive == (Adaptive() if given is True or (given == "auto" and auto) else None)


@thorough
@given(KINDS, st.floats(min_value=0, max_value=0.5), st.floats(min_value=0.5, max_value=1))
def test_a_cascade_is_the_same_however_it_is_written(kinds: list[Reasoning], low: float, high: float) -> None:
    made = Cascade(kinds, (low, high))
    assert made == Cascade([kind.value for kind in kinds], [low, high])  # type: ignore[arg-type]
    assert made.stages == tuple(kinds)
    assert hash(made) == hash(Cascade(iter(kinds), (low, high)))  # type: ignore[arg-type]
    assert all(type(stage) is Reasoning for stage in made.stages)


@thorough
@given(CASCADES, SHARES)
def test_a_score_is_unsure_strictly_between_the_limits(cascade: Cascade, score: float) -> None:
    low, high = cascade.unsure
    assert cascade.is_sure(score) == (score <= low or score >= high)
    assert cascade.is_sure(low)
    assert cascade.is_sure(high)
    assert not cascade.is_sure(None)


@pytest.mark.parametrize("made", [Adaptive(), Cascade(), Budget(), plan({})])
def test_options_cannot_be_changed(made: Any) -> None:
    for field in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, None)


# ------------------------------------------------------------------------------------------------- bad values

NO_NUMBERS: list[Any] = ["1", b"1", [1], {}, object(), 1j]
NO_COUNTS: list[Any] = [*NO_NUMBERS, 0, -1, -HUGE, 1.0, 1.5, math.nan, math.inf, True, False]

BAD: dict[str, list[Any]] = {
    "samples": [*NO_COUNTS, None, MOST_SAMPLES + 1, HUGE],
    "seed": [*NO_NUMBERS, None, 0.0, math.nan, True, 2**64, -(2**64), HUGE, -HUGE],
    "reasoning": [None, "", "Direct", "analysis+", "steps", History.STEPS, 1, HUGE, ["direct"], b"direct"],
    "adaptive": [None, "Auto", "", "true", 0, 1, 0.1, HUGE, [], {}, Budget(), Adaptive],
    "cascade": ["direct", True, False, 0, HUGE, [], (Reasoning.DIRECT, Reasoning.CODE), Budget(), Cascade],
    "stop_at_first_error": [None, 0, 1, "no", "false", "", [], HUGE],
    "budget": [0, 10, HUGE, 1.5, True, "10", {"samples": 3}, Adaptive(), Budget],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values], ids=kind_of
)
def test_a_bad_value_is_one_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{name} must be ") as caught:
        plan({name: value})
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_a_long_value_is_not_written_out() -> None:
    for name in BAD:
        with pytest.raises(InputError, match=f"^{name} must be ") as caught:
            plan({name: "x" * 10_000})
        assert len(str(caught.value)) < 300


class Ambiguous:
    """As an array does, it compares element by element, and no truth value can be had of that."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", BAD)
def test_values_that_cannot_be_compared_are_refused_too(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name} must be "):
        plan({name: Ambiguous()})


@pytest.mark.parametrize("name", ["sample", "Samples", "", "budget ", "temperature"])
def test_an_option_that_there_is_not_is_named_beside_those_there_are(name: str) -> None:
    with pytest.raises(InputError) as caught:
        plan({"samples": 3, name: 1})
    assert str(caught.value).startswith(f"there is no option {name!r}; there are samples, seed, reasoning, ")


@pytest.mark.parametrize("reasoning", ["direct", Reasoning.ANALYSIS_CODE, None])
def test_a_cascade_takes_the_place_of_reasoning(reasoning: Any) -> None:
    with pytest.raises(InputError, match="give reasoning or cascade, not both"):
        plan({"reasoning": reasoning, "cascade": Cascade()})


@pytest.mark.parametrize(
    "error", [*NO_NUMBERS, 0, 0.0, -0.1, 0.5, 1, math.nan, math.inf, True, False, HUGE], ids=kind_of
)
def test_an_adaptive_error_is_below_a_half(error: Any) -> None:
    with pytest.raises(InputError, match=r"^Adaptive\.error must be "):
        Adaptive(error)


@pytest.mark.parametrize("name", ["samples", "tokens"])
@pytest.mark.parametrize("value", NO_COUNTS, ids=kind_of)
def test_budgets_are_counted(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^Budget\.{name} must be a whole number, at least 1, not "):
        Budget(**{name: value})


@pytest.mark.parametrize(
    "value", [*NO_NUMBERS, 0, 0.0, -1, math.nan, math.inf, -math.inf, True, HUGE, 10**400], ids=kind_of
)
def test_a_budget_s_seconds_are_finite(value: Any) -> None:
    with pytest.raises(InputError, match=r"^Budget\.seconds must be a finite number above 0, not "):
        Budget(seconds=value)


@pytest.mark.parametrize(
    "stages",
    [
        None,
        3,
        "direct",
        Reasoning.DIRECT,
        b"direct",
        [],
        ["direct"],
        ["direct", "direct"],
        ["direct", Reasoning.DIRECT],
        ["direct", "thinking"],
        ["direct", None],
        ["direct", ["code"]],
        ["direct", HUGE],
        ["direct", History.STEPS],
    ],
    ids=kind_of,
)
def test_a_cascade_has_different_stages(stages: Any) -> None:
    with pytest.raises(InputError, match=r"^Cascade\.stages must be "):
        Cascade(stages)


@pytest.mark.parametrize(
    "unsure",
    [
        None,
        0.1,
        "01",
        (),
        (0.5,),
        (0.1, 0.5, 0.9),
        {0.1, 0.9},
        (0.6, 0.9),
        (0.1, 0.4),
        (0.9, 0.1),
        (-0.1, 0.9),
        (0.1, 1.1),
        (math.nan, 0.9),
        (0.1, math.nan),
        (None, 0.9),
        ("0.1", "0.9"),
        (False, True),
        (0.1, HUGE),
    ],
    ids=kind_of,
)
def test_a_cascade_is_unsure_around_a_half(unsure: Any) -> None:
    with pytest.raises(
        InputError, match=r"^Cascade\.unsure must be two numbers from 0 to 1, around 0\.5, not "
    ):
        Cascade(unsure=unsure)
