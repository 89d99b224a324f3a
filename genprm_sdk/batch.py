"""Many pieces of work with a bound on how many run at once, over ``asyncio-pool``.

The pool alone returns errors as values, swallows cancellation where it waits for room, joins instead of
cancelling where it is left, and forgets work that is cancelled before it began. Here results and errors come
back by a queue, leaving cancels what still runs, and work that never began leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio
from asyncio_pool import AioPool

__all__ = ["bounded"]

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""In order, so many times the bound may be finished and waiting behind one that is not."""


@dataclass(frozen=True)
class _Lazy:
    """An awaitable whose coroutine is made only when it is awaited, so that dropping it is harmless."""

    make: Callable[[], Awaitable[None]]

    def __await__(self) -> Generator[Any, None, None]:
        return self.make().__await__()

    def close(self) -> None:
        """What the pool calls where it drops it."""


@dataclass(frozen=True)
class _Done(Generic[Result]):
    number: int
    result: Result


async def bounded(
    work: Callable[[int, Item], Awaitable[Result]],
    items: Iterable[Item] | AsyncIterable[Item],
    concurrency: int,
    *,
    ordered: bool = False,
) -> AsyncGenerator[Result, None]:
    """Results of ``work`` on each item, as they finish or in the order of the items.

    An item is taken only when there is room for it, and no more than a few results wait for whoever consumes
    them: memory does not grow with the number of items.

    Args:
        work: Called with an item's number, from 0, and the item. An error of it ends the iteration.
        items: What is worked on.
        concurrency: How many at a time.
        ordered: Whether a result waits for those before it.

    Raises:
        Exception: What ``work`` raised, or the iteration over the items; what still runs is cancelled.
    """
    arrived: asyncio.Queue[_Done[Result] | Exception | None] = asyncio.Queue()
    window = asyncio.Semaphore(concurrency * AHEAD if ordered else concurrency)
    pool = AioPool(size=concurrency)

    async def one(number: int, item: Item) -> None:
        try:
            arrived.put_nowait(_Done(number, await work(number, item)))
        except Exception as error:
            arrived.put_nowait(error)

    async def feed() -> tuple[int, Exception | None]:
        number = 0
        try:
            async for item in _each(items):
                await window.acquire()
                pool.spawn_n(_Lazy(lambda number=number, item=item: one(number, item)))  # type: ignore[misc]
                number += 1
        except Exception as error:
            return number, error
        return number, None

    feeding = asyncio.create_task(feed())
    feeding.add_done_callback(lambda _: arrived.put_nowait(None))
    early: dict[int, Result] = {}
    given, total = 0, -1
    fault: Exception | None = None
    try:
        while given != total:
            came = await arrived.get()
            if isinstance(came, Exception):
                raise came
            if came is None:
                total, fault = feeding.result()
                continue
            early[came.number if ordered else given] = came.result
            while given in early:
                window.release()
                yield early.pop(given)
                given += 1
        if fault is not None:
            raise fault
    finally:
        feeding.cancel()
        with anyio.CancelScope(shield=True):  # a scope of anyio's would cancel these awaits, too
            await asyncio.wait([feeding])
            await pool.cancel()


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
