"""Long work in a thread, ended when its caller is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Check", "in_thread"]

T = TypeVar("T")

Check = Callable[[], None]
"""Called by long work now and then; it raises where the caller has been cancelled."""


class _Cancelled(Exception):
    """Ends the work of a cancelled caller."""


async def in_thread(work: Callable[[Check], T]) -> T:
    """Have work done by a thread.

    A caller who is cancelled waits until the work has noticed and ended, so that nothing of it happens
    afterwards.

    Args:
        work: Is given what it must call now and then.
    """
    cancelled = threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise _Cancelled

    running = asyncio.ensure_future(asyncio.to_thread(work, check))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancelled.set()
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue  # cancelled twice: a thread cannot be left alone
        if not running.cancelled():
            running.exception()  # asked for, or asyncio would report it as lost
        raise
