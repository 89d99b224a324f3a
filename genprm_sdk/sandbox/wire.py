"""Messages between the host, the fork server and a worker: four bytes of length, then a JSON object.

Knows the framing and the blocking side of it (server and worker). The host's side is asyncio's and lives in
``host.py``. Whether a message *means* anything is for its reader to check: bytes from a worker are untrusted.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

__all__ = [
    "HEADER_SIZE",
    "MAX_ERROR_TYPE",
    "MAX_MESSAGE",
    "WireError",
    "decode",
    "encode",
    "length_of",
    "one_line",
    "printable",
    "receive",
    "send",
]

HEADER = struct.Struct(">I")
HEADER_SIZE = HEADER.size
MAX_REQUEST = 64 * 1024 * 1024
MAX_ERROR_TYPE, MAX_MESSAGE = 100, 500
"""Characters of an error that go back to the model: a worker cuts there, and the host does not rely on it."""


class WireError(Exception):
    """The other side sent something that is no message."""


def printable(text: str) -> str:
    """The text with lone surrogates spelled out, so that it can be encoded as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str, most: int) -> str:
    """The text without line breaks, cut at so many characters."""
    line = (
        " ".join(part.strip() for part in text[: 4 * most].splitlines()) if not text.isprintable() else text
    )
    return line if len(line) <= most else line[: most - 1] + "…"


def encode(message: dict[str, Any]) -> bytes:
    """One message as bytes; JSON's escapes carry any character, lone surrogates too."""
    body = json.dumps(message).encode("ascii")
    return HEADER.pack(len(body)) + body


def length_of(header: bytes, limit: int) -> int:
    """The length that a header announces.

    Raises:
        WireError: It is over the limit.
    """
    length = int(HEADER.unpack(header)[0])
    if length > limit:
        raise WireError(f"a message of {length} bytes is over the limit of {limit}")
    return length


def decode(body: bytes) -> dict[str, Any]:
    """A message's body as a JSON object.

    Raises:
        WireError: It is no JSON object.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise WireError(f"a JSON {type(message).__name__} instead of an object")
    return message


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send one message on a blocking socket."""
    connection.sendall(encode(message))


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, int | None]:
    """The next message on a blocking socket and the file descriptor that came with it.

    A message of None means that the other side is gone. At most one descriptor travels with a message; the
    caller owns it.
    """
    header, descriptors, _, _ = socket.recv_fds(connection, HEADER_SIZE, 1)
    descriptor = descriptors[0] if descriptors else None
    rest = _exactly(connection, HEADER_SIZE - len(header)) if header else None
    body = None if rest is None else _exactly(connection, length_of(header + rest, MAX_REQUEST))
    if body is None:
        if descriptor is not None:
            os.close(descriptor)
        return None, None
    return decode(body), descriptor


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
