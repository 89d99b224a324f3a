"""The lines of stdin, for a server that can be interrupted.

A read cannot be cancelled. The protocol's package reads in a thread that it waits for, so that Ctrl-C would
do nothing until the client sends its next line; here nobody waits for the thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import BinaryIO

__all__ = ["StdinLines"]


class StdinLines:
    """An asynchronous iterator over the lines that come on stdin from now on.

    Whatever else reads stdin in this process, or in one that it starts, finds it at its end.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        pipe = os.fdopen(os.dup(0), "rb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        threading.Thread(target=self._read, args=(pipe,), name="stdin", daemon=True).start()

    def __aiter__(self) -> StdinLines:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def _read(self, pipe: BinaryIO) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nobody to tell
            with pipe, suppress(OSError):
                for line in pipe:
                    self._loop.call_soon_threadsafe(self._lines.put_nowait, line.decode("utf-8", "replace"))
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)
