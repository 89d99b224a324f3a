"""API keys as a request's header can hold them."""

from __future__ import annotations

from ..errors import InputError

__all__ = ["header_key"]


def header_key(key: str) -> str:
    """A key without the whitespace around it, such as the newline of the file that it was read from.

    Raises:
        InputError: No header can hold it; the message does not show it.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError("the API key holds a character that no header can hold: give it without")
    return key
