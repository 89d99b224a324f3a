"""The event loop of all blocking objects: one, in a thread of its own, for as long as somebody holds it.

Because it is one, what a blocking object has opened can be given to another: a verifier to an agent. What is
still open when the interpreter ends is ended with it; in a process that was forked, nothing is open.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from typing import TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from .errors import GenPRMError

__all__ = ["LOOP", "Loop"]

Result = TypeVar("Result")


class Loop:
    """An event loop that is started by the first who holds it, and ended by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._running: tuple[threading.Thread, BlockingPortal] | None = None
        self._open: dict[ExitStack, None] = {}

    def _hold(self) -> BlockingPortal:
        with self._lock:
            if self._running is None:
                self._running = _started()
            self._holders += 1
            return self._running[1]

    def _let_go(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders or self._running is None:
                return
            thread, portal = self._running
            self._running = None
            portal.call(portal.stop)
            thread.join()

    @contextmanager
    def held(self) -> Iterator[BlockingPortal]:
        """The way into the loop, which runs at least as long as this is open."""
        portal = self._hold()
        try:
            yield portal
        finally:
            self._let_go()

    @contextmanager
    def _undone(self) -> Iterator[tuple[BlockingPortal, ExitStack]]:
        """Undone when this is left or the interpreter ends; never in a process that was forked meanwhile."""
        with ExitStack() as stack:
            self._open[stack] = None
            stack.callback(self._open.pop, stack, None)
            portal = self._hold()
            stack.callback(self._let_go)
            yield portal, stack

    @contextmanager
    def opened(self, resource: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
        """What an asynchronous context manager opens, opened and closed in the loop."""
        self._refuse_inside()
        with self._undone() as (portal, stack):
            yield stack.enter_context(portal.wrap_async_context_manager(resource))

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
        with self._undone() as (_, stack):
            iterator = begin()

            async def following() -> tuple[Result] | None:
                try:
                    return (await anext(iterator),)
                except StopAsyncIteration:
                    return None

            stack.callback(self.wait, iterator.aclose)
            while (item := self.wait(following)) is not None:
                yield item[0]

    def _refuse_inside(self) -> None:
        running = self._running
        if running is not None and threading.current_thread() is running[0]:
            raise GenPRMError(
                "a blocking object was used from inside its own event loop, which would wait for itself for "
                "ever: use the asynchronous classes of genprm_sdk there"
            )

    def end(self) -> None:
        """Close all that is open, the last first, because the interpreter ends."""
        with ExitStack() as everything:
            for stack in self._open:
                everything.callback(stack.close)

    def begin_anew(self) -> None:
        """Forget all that is open, because this process was forked: the loop's thread is not in it."""
        for stack in self._open:
            stack.pop_all()
        self.__init__()  # type: ignore[misc]


def _started() -> tuple[threading.Thread, BlockingPortal]:
    started: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    thread = threading.Thread(target=anyio.run, args=(serve,), name="genprm-loop", daemon=True)
    thread.start()
    return thread, started.result()


LOOP = Loop()
atexit.register(LOOP.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOOP.begin_anew)
