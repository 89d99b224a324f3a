"""JSON objects of files and servers, which may hold anything: refused in one way where they are none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from typing import Any

__all__ = ["json_object", "read_whole"]


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        ValueError: It is no JSON, holds something else than an object, or is nested too deeply.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it holds no object")
    return value


async def read_whole(pieces: AsyncIterable[bytes], most: int) -> bytes:
    """What comes in pieces, of so many bytes at most.

    Raises:
        ValueError: It is longer; the rest is not read.
    """
    whole = bytearray()
    async for piece in pieces:
        whole += piece
        if len(whole) > most:
            raise ValueError(f"it is longer than {most:,} bytes")
    return bytes(whole)
