"""Loading beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["loaded_in_thread"]

T = TypeVar("T")


async def loaded_in_thread(load: Callable[[], T], abandon: Callable[[T], None]) -> T:
    """Have something loaded by a thread of its own.

    Args:
        load: Loads it.
        abandon: Called with what was loaded for a caller who was cancelled meanwhile.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="genprm-load")
    loading = thread.submit(load)
    thread.shutdown(wait=False)

    def let_go(done: Future[T]) -> None:
        if not done.cancelled() and done.exception() is None:
            abandon(done.result())

    try:
        return await asyncio.shield(asyncio.wrap_future(loading))
    except asyncio.CancelledError:
        loading.add_done_callback(let_go)
        raise
