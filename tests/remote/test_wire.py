"""What servers write, read: whatever it holds, an object or one kind of error."""

from __future__ import annotations

from contextlib import suppress

import pytest

from genprm_sdk.remote.wire import MalformedAnswer, object_of


@pytest.mark.parametrize("data", [b"", b"[1]", b"null", b"\xff", '{"a"', '{"a":' * 100_000, "9" * 5000])
def test_what_is_no_object_is_a_malformed_answer(data: bytes | str) -> None:
    with pytest.raises(MalformedAnswer, match="no JSON object: "):
        object_of(data)


def test_halves_of_characters_become_question_marks() -> None:
    assert object_of(r'{"a": "x\ud800y", "b": ["\ude00"]}') == {"a": "x?y", "b": ["?"]}
    assert object_of(r'{"a": "\ud83d\ude00"}') == {"a": "😀"}


@pytest.mark.parametrize("depth", range(900, 1010, 5))
def test_an_object_of_any_depth_is_read_or_refused(depth: int) -> None:
    """For its halves of characters it is written and read again, which has limits of its own."""
    with suppress(MalformedAnswer):
        assert object_of('{"a":' + "[" * depth + r'"\ud800"' + "]" * depth + "}")
