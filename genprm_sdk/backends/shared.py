"""Loaded models that several users hold together: loaded once, freed after the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager

import anyio

from .base import Backend

__all__ = ["shared_backend"]


class _Holding:
    def __init__(self, loading: asyncio.Task[Backend]) -> None:
        self.loading = loading
        self.users = 0


_holdings: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Holding] = {}


@asynccontextmanager
async def shared_backend(key: Hashable, load: Callable[[], Awaitable[Backend]]) -> AsyncIterator[Backend]:
    """The backend of a key, loaded by whoever comes first in this event loop.

    Args:
        key: What decides the backend.
        load: Loads it.

    Raises:
        Exception: What loading raised, to everybody who waited for it.
    """

    async def loaded() -> Backend:
        return await load()

    place = asyncio.get_running_loop(), key
    holding = _holdings.get(place)
    if holding is None:
        holding = _holdings[place] = _Holding(asyncio.create_task(loaded()))
    holding.users += 1
    try:
        yield await asyncio.shield(holding.loading)
    finally:
        holding.users -= 1
        if not holding.users:
            del _holdings[place]
            with anyio.CancelScope(shield=True):
                await _freed(holding.loading)


async def _freed(loading: asyncio.Task[Backend]) -> None:
    loading.cancel()
    await asyncio.wait([loading])
    if not loading.cancelled() and loading.exception() is None:
        await loading.result().close()
