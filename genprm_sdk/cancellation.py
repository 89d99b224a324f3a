"""Work that is cancelled once and then cleans up in peace, however it is cancelled from outside.

asyncio cancels a task once. anyio's scopes, and with them Starlette, FastAPI, MCP and the portal behind
``genprm_sdk.sync``, cancel it again at every ``await`` until it has ended, so that a ``finally`` that awaits
never gets through and what it was to free stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio

__all__ = ["cancelled_once"]

Result = TypeVar("Result")


async def cancelled_once(work: Coroutine[Any, Any, Result]) -> Result:
    """Await work in a task of its own; a cancellation reaches it once, and returns when it has ended."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain that nobody did
        raise
    return task.result()
