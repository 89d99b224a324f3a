"""Where a block's prints go: a text stream that keeps the first so many characters and counts the rest.

Knows limits, and sends what it keeps line by line, so that it outlives a block that is killed. Where it is
sent and what happens to a block that never stops printing is the caller's.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NoReturn

__all__ = ["Output", "Silence"]


class Output(io.TextIOBase):
    """Standard output of one block.

    Args:
        keep: Characters that are passed on; the rest is dropped.
        stop: Characters at which ``overflow`` is called.
        emit: Takes the text as it comes.
        overflow: Ends the worker.
    """

    def __init__(
        self, keep: int, stop: int, emit: Callable[[str], None], overflow: Callable[[], NoReturn]
    ) -> None:
        self.__keep, self.__stop, self.__emit, self.__overflow = keep, stop, emit, overflow
        self.__total = 0
        self.__pending: list[str] = []

    @property
    def truncated(self) -> bool:
        return self.__total > self.__keep

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"string argument expected, got {type(text).__name__!r}")
        room = self.__keep - self.__total
        self.__total += len(text)
        if room > 0:
            self.__pending.append(text[:room])
            if "\n" in text:
                self.flush()
        if self.__total > self.__stop:
            self.flush()
            self.__overflow()
        return len(text)

    def flush(self) -> None:
        if self.__pending:
            pending, self.__pending = "".join(self.__pending), []
            self.__emit(pending)


class Silence(io.TextIOBase):
    """Standard error: everything is dropped."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)
