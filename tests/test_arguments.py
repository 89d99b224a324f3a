"""Arguments of callers: each is refused in one way, whatever it is, and by its name."""

import pytest

from genprm_sdk import InputError
from genprm_sdk.arguments import instance_of, one_of, share, shown, whole_number

HUGE = 10**5000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "n must be a whole number, at least 1, not 0"),
        (True, "n must be a whole number, at least 1, not True"),
        (2.0, r"n must be a whole number, at least 1, not 2\.0"),
        ("x" * 1000, "n must be a whole number, at least 1, not 'x{79}$"),
        pytest.param(
            -HUGE,
            "n must be a whole number, at least 1, not one of type int that is too long to show",
            id="huge",
        ),
    ],
)
def test_what_is_no_whole_number_is_shown_cut(value: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        whole_number(value, "n")


def test_a_whole_number_lies_between_its_bounds() -> None:
    assert [whole_number(value, "n", 0, 1000) for value in (0, 1000)] == [0, 1000]
    for value in (-1, 1001, HUGE):
        with pytest.raises(InputError, match="n must be a whole number from 0 to 1,000, not"):
            whole_number(value, "n", 0, 1000)


@pytest.mark.parametrize(
    "value", [-0.01, 1.01, float("nan"), True, "0.5", None, pytest.param(HUGE, id="huge")]
)
def test_what_is_no_share_is_refused(value: object) -> None:
    for fine in (0, 0.5, 1):
        share(fine, "score")
    with pytest.raises(InputError, match="score must be a number from 0 to 1, not"):
        share(value, "score")


@pytest.mark.parametrize("value", ["third", None, 1, ["first"], pytest.param(HUGE, id="huge")])
def test_what_is_not_known_is_refused_with_what_is(value: object) -> None:
    one_of(("first", "second"), "second", "which")
    with pytest.raises(InputError, match="which must be one of first, second, not"):
        one_of(("first", "second"), value, "which")


def test_a_value_of_another_kind_is_refused() -> None:
    assert instance_of(str, None, "id") is None
    assert instance_of(str, "7", "id") == "7"
    with pytest.raises(InputError, match="id must be of type str, not 7"):
        instance_of(str, 7, "id")


def test_what_is_shown_is_short() -> None:
    assert shown("a") == "'a'"
    assert len(shown(["word"] * 1000)) == 80
    assert "too long" in shown(HUGE)
