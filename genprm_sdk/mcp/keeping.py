"""Something that is opened when it is first asked for, by whoever comes first, and closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Kept"]

Resource = TypeVar("Resource")


class Kept(Generic[Resource]):
    """Opens something once for many; what could not be opened is tried again by the next who asks.

    Opened and closed by one task of its own: whoever asks may be cancelled meanwhile.

    Args:
        open: Opens it.
    """

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[Resource]]) -> None:
        self._open = open
        self._opened: asyncio.Future[Resource] | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def get(self) -> Resource:
        """It, opened.

        Raises:
            Exception: What opening it raised.
        """
        if self._opened is None or (self._opened.done() and self._opened.exception() is not None):
            self._opened = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._keep(self._opened))
        return await asyncio.shield(self._opened)

    async def _keep(self, opened: asyncio.Future[Resource]) -> None:
        try:
            async with self._open() as resource:
                opened.set_result(resource)
                await self._over.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)
            opened.exception()  # looked at, because everybody who asked may be gone

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None or self._opened is None:
            return
        self._over.set()
        if not self._opened.done():
            self._task.cancel()
        await asyncio.wait([self._task])
