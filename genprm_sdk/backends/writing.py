"""What a generation has written so far: where it stops, what is taken back, what can be shown.

Works on bytes, because a token may end inside a character and a stop string inside a token.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Kept", "Writing", "first_stop"]


@dataclass(frozen=True)
class Kept:
    """What is left of the tokens after a stop.

    Attributes:
        whole: How many of the tokens stay as they are.
        tail: Text behind those that must be tokenised again.
    """

    whole: int
    tail: str


class Writing:
    """The bytes of a generation.

    Args:
        stops: Strings that end it; the one that is complete first counts.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [text.encode("utf-8", "replace") for text in stops]
        self._longest = max(map(len, self._stops), default=0)
        self._written = bytearray()
        self._ends: list[int] = []
        self._end: int | None = None
        self._shown = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def text(self) -> str:
        """All of it, up to the stop."""
        return bytes(self._written[: self._end]).decode("utf-8", "replace")

    def add(self, piece: bytes) -> int | None:
        """Add a token's bytes; returns which stop string is complete now, if one is."""
        before = len(self._written)
        self._written += piece
        self._ends.append(len(self._written))
        hit = first_stop(self._written, self._stops, max(0, before - self._longest))
        if hit is None:
            return None
        self._end, which = hit
        return which

    def fresh(self, *, last: bool = False) -> str:
        """What can be shown and was not shown before; whole characters only until the last call."""
        end = len(self._written) if self._end is None else self._end
        piece = bytes(self._written[self._shown : end])
        self._shown = end
        return self._decoder.decode(piece, last)

    def kept(self) -> Kept:
        """What a stop inside a token leaves of the tokens."""
        end = self._end
        if end is None or self._ends[-1] == end:
            return Kept(len(self._ends), "")
        at = next(index for index, offset in enumerate(self._ends) if offset > end)
        while True:
            tail = bytes(self._written[self._ends[at - 1] if at else 0 : end])
            try:
                return Kept(at, tail.decode("utf-8"))
            except UnicodeDecodeError:
                if at == 0:
                    return Kept(0, tail.decode("utf-8", "replace"))
                at -= 1


def first_stop(written: bytearray, stops: Sequence[bytes], begin: int) -> tuple[int, int] | None:
    """Where the first complete stop string ends, and which it is; of several, the one that ends first."""
    hits = [
        (at + len(text), index) for index, text in enumerate(stops) if (at := written.find(text, begin)) >= 0
    ]
    return min(hits) if hits else None
