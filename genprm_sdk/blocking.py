"""The event loop of all blocking objects: one, in a thread of its own, for as long as somebody holds it.

Because it is one, what a blocking object has opened can be given to another: a verifier to an agent.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .errors import GenPRMError

__all__ = ["LOOP", "Loop"]

Result = TypeVar("Result")


class Loop:
    """An event loop that is started by the first who holds it, and ended by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._running = ExitStack()
        self._portal: BlockingPortal | None = None
        self._thread: int | None = None

    @contextmanager
    def held(self) -> Iterator[BlockingPortal]:
        """The way into the loop, which runs at least as long as this is open."""
        with self._lock:
            portal = self._portal or self._start()
            self._holders += 1
        try:
            yield portal
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._portal = self._thread = None
                    self._running.close()

    def _start(self) -> BlockingPortal:
        self._portal = self._running.enter_context(start_blocking_portal())
        self._thread = self._portal.call(threading.get_ident)
        return self._portal

    @contextmanager
    def opened(self, resource: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
        """What an asynchronous context manager opens, opened and closed in the loop."""
        self._refuse_inside()
        with self.held() as portal, portal.wrap_async_context_manager(resource) as opened:
            yield opened

    def wait(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of work that is done in the loop.

        An exception here, such as Ctrl-C's, cancels the work and goes on when that has ended.

        Raises:
            GenPRMError: This thread is the loop's own.
        """
        self._refuse_inside()

        ended = threading.Event()

        async def run() -> Result:
            try:
                return await work()
            finally:
                ended.set()

        with self.held() as portal:
            future = portal.start_task_soon(run)
            try:
                return future.result()
            except BaseException:
                future.cancel()
                ended.wait()
                raise

    def iterate(self, begin: Callable[[], AsyncGenerator[Result, None]]) -> Iterator[Result]:
        """The items of an asynchronous generator; leaving early closes it."""
        with self.held():
            iterator = begin()

            async def following() -> tuple[Result] | None:
                try:
                    return (await anext(iterator),)
                except StopAsyncIteration:
                    return None

            try:
                while (item := self.wait(following)) is not None:
                    yield item[0]
            finally:
                self.wait(iterator.aclose)

    def _refuse_inside(self) -> None:
        if threading.get_ident() == self._thread:
            raise GenPRMError(
                "a blocking object was used from inside its own event loop, which would wait for itself for "
                "ever: use the asynchronous classes of genprm_sdk there"
            )


LOOP = Loop()
