"""JSON objects of others: whatever a text holds, one kind of error says that it is none."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from genprm_sdk.json_objects import json_object, read_whole

NONE = ["", "{", "[]", "null", "7", '{"a": 1} x', "[" * 100_000, '{"a":' * 100_000, "9" * 5000, b"\xff\xfe{"]


@pytest.mark.parametrize("text", NONE, ids=range(len(NONE)))
def test_what_holds_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        json_object(text)


@pytest.mark.parametrize("text", ['{"a": [1, null]}', b' {"a": [1, null]}\n'])
def test_an_object_is_what_it_says(text: str | bytes) -> None:
    assert json_object(text) == {"a": [1, None]}


def test_what_comes_in_pieces_is_read_up_to_its_bound() -> None:
    taken = []

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"abc", b"def", b"ghi"):
            taken.append(piece)
            yield piece

    assert asyncio.run(read_whole(pieces(), 9)) == b"abcdefghi"
    taken.clear()
    with pytest.raises(ValueError, match="longer than 5 bytes"):
        asyncio.run(read_whole(pieces(), 5))
    assert taken == [b"abc", b"def"]
