"""Stops across tokens, what is taken back, and text that is never broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genprm_sdk.backends.writing import Kept, Writing, first_stop


@pytest.mark.parametrize(
    ("written", "stops", "expected"),
    [
        (b"abcde", [b"cd"], (4, 0)),
        (b"abcde", [b"de", b"bc"], (3, 1)),
        (b"abcde", [b"x"], None),
        (b"aXbX", [b"X"], (2, 0)),
    ],
)
def test_the_stop_that_ends_first_wins(
    written: bytes, stops: list[bytes], expected: tuple[int, int] | None
) -> None:
    assert first_stop(bytearray(written), stops, 0) == expected


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]


TEXTS = st.text(alphabet="abé€😀", max_size=20)


@given(
    TEXTS,
    st.lists(st.integers(0, 80)),
    st.lists(st.text(alphabet="abé😀", min_size=1, max_size=3), max_size=3),
)
def test_the_text_ends_at_the_first_stop_however_it_is_cut_into_tokens(
    text: str, cuts: list[int], stops: list[str]
) -> None:
    writing, shown, hit = Writing(stops), "", None
    tokens = pieces(text.encode(), cuts)
    for count, piece in enumerate(tokens, start=1):  # noqa: B007
        hit = writing.add(piece)
        shown += writing.fresh()
        if hit is not None:
            break
    shown += writing.fresh(last=True)
    ends = [
        (at + len(stop.encode()), which)
        for which, stop in enumerate(stops)
        if (at := text.encode().find(stop.encode())) >= 0
    ]
    expected = text.encode()[: min(ends)[0]].decode() if ends else text
    assert writing.text == expected
    assert shown == expected
    assert hit == (min(ends)[1] if ends else None)
    if hit is not None:
        kept = writing.kept()
        assert b"".join(tokens[: kept.whole]).decode() + kept.tail == expected
        assert kept.whole <= count


@given(st.binary(max_size=20), st.lists(st.integers(0, 80)))
def test_what_is_shown_is_the_text_also_where_it_is_no_text(data: bytes, cuts: list[int]) -> None:
    writing, shown = Writing([]), ""
    for piece in pieces(data, cuts):
        writing.add(piece)
        shown += writing.fresh()
    shown += writing.fresh(last=True)
    assert shown == writing.text == data.decode("utf-8", "replace")


def test_a_token_that_is_cut_inside_a_character_takes_the_one_before_with_it() -> None:
    writing = Writing(["b"])
    for piece in (b"a\xc3", b"\xa9b!"):
        writing.add(piece)
    assert writing.kept() == Kept(0, "aéb")
