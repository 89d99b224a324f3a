"""The sandbox: one warm server, workers in reserve, as many sessions as there is room for, an end to all.

Knows who is alive. How a server is started is ``host.py``'s, what a session does ``session.py``'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from types import TracebackType
from typing import Self

from ..errors import ClosedError, InputError, SandboxError, SandboxUnavailable
from .host import Server, Source, Worker, settle
from .levels import Isolation, chosen_level, weaker_hint
from .limits import Limits
from .session import Session
from .spawner import Spawner

__all__ = ["Sandbox"]

RESERVE = 2
"""Workers that wait, already confined, for a session to need one."""

RESTARTS, RESTART_WINDOW = 3, 60.0
"""So many times in so many seconds a server that has died is replaced."""


class Sandbox:
    """Runs Python in processes of its own.

        async with Sandbox(Limits(wall_seconds=5)) as sandbox, sandbox.session() as session:
            run = await session.run("print(6 * 7)")

    Entering it starts the server in the background; the first block waits for what is left of that. Belongs
    to the event loop it was entered in.

    Args:
        limits: What each session's code may use.
        isolation: The level that is required; see ``Isolation``. None requires what this system should have.
        max_sessions: Sessions that may hold a worker at a time; the next one's first block waits until one
            of them is closed.

    Raises:
        InputError: An argument makes no sense.
        SandboxUnavailable: This kind of system has no kernel wall and no weaker level is asked for.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        isolation: Isolation | None = None,
        max_sessions: int = 256,
    ) -> None:
        if max_sessions < 1:
            raise InputError(f"max_sessions must be at least 1, not {max_sessions}")
        self._limits = limits or Limits()
        self._level = chosen_level(isolation)
        self._room = asyncio.Semaphore(max_sessions)
        self._housed: set[Session] = set()
        self._starting: asyncio.Task[Source] | None = None
        self._restarts: deque[float] = deque(maxlen=RESTARTS)
        self._sessions: set[Session] = set()
        self._reserve: list[Worker] = []
        self._filling: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._require_open()
        self._start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def limits(self) -> Limits:
        return self._limits

    async def ready(self) -> str:
        """Wait until the server is warm and a worker confined; returns the isolation that blocks have.

        Raises:
            ClosedError: The sandbox is closed.
            SandboxUnavailable: It cannot be started, or this system does not offer the isolation.
        """
        self._require_open()
        return (await asyncio.shield(self._start())).isolation

    def session(self) -> Session:
        """A new session with no variables; it gets its worker when the first block comes.

        Raises:
            ClosedError: The sandbox is closed.
        """
        self._require_open()
        return self._opened()

    async def close(self) -> None:
        """End every session, every worker and the server. May be called again."""
        self._closed = True
        await settle(self._close())

    # ------------------------------------------------------------------------------- what sessions ask for

    async def worker(self, session: Session) -> Worker:
        """A worker for a session, once there is room; see ``session.Owner``."""
        await self._house(session)
        while True:
            self._require_open()
            starting = self._start()
            server = await asyncio.shield(starting)
            try:
                if not server.alive:
                    raise SandboxError("the sandbox's server has ended")
                worker = self._reserve.pop() if self._reserve else await server.fork(self._limits)
            except SandboxError as error:
                self._require_open()
                if server.alive:
                    raise SandboxUnavailable(f"no worker can be had: {error}") from error
                await self._replace(starting, server, error)
            else:
                self._fill(server)
                return worker

    async def copied(self, worker: Worker) -> Session:
        """A session that goes on from a copy of an idle worker; see ``session.Owner``."""
        self._require_open()
        session = self._opened()
        try:
            await self._house(session)
            session.take_over(await worker.copy())
        except BaseException:
            self.forget(session)
            raise
        return session

    def forget(self, session: Session) -> None:
        """A session is closed; see ``session.Owner``."""
        self._sessions.discard(session)
        if session in self._housed:
            self._housed.discard(session)
            self._room.release()

    # ----------------------------------------------------------------------------------------------- inside

    def _opened(self) -> Session:
        session = Session(self._limits, self)
        self._sessions.add(session)
        return session

    async def _house(self, session: Session) -> None:
        if session not in self._housed:
            await self._room.acquire()
            self._housed.add(session)

    async def _close(self) -> None:
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])
        await asyncio.gather(*(session.close() for session in list(self._sessions)))
        starting, self._starting = self._starting, None
        if starting is None:
            return
        starting.cancel()
        await asyncio.wait([starting])
        await self._drop_reserve()
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().close()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("the sandbox is closed: make another one")

    def _start(self) -> asyncio.Task[Source]:
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._started())
        return self._starting

    async def _started(self) -> Source:
        server: Source
        try:
            server = await (Server if sys.platform == "linux" else Spawner).start(self._level)
        except SandboxUnavailable as error:
            raise SandboxUnavailable(f"{error}; {weaker_hint()}") from error
        try:
            self._reserve.append(await server.fork(self._limits))
        except SandboxError as error:
            await server.close()
            raise SandboxUnavailable(f"{error}; {weaker_hint()}") from error
        except BaseException:
            await server.close()
            raise
        return server

    def _fill(self, server: Source) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.ensure_future(self._filled(server))

    async def _filled(self, server: Source) -> None:
        with contextlib.suppress(SandboxError):  # whoever needs a worker next hears of it
            while len(self._reserve) < RESERVE and not self._closed:
                self._reserve.append(await server.fork(self._limits))

    async def _drop_reserve(self) -> None:
        while self._reserve:
            with contextlib.suppress(SandboxError):
                await self._reserve.pop().end()

    async def _replace(self, starting: asyncio.Task[Source], server: Source, error: SandboxError) -> None:
        # Several sessions may find the same server dead; one restart serves them all.
        if self._starting is not starting:
            return
        self._starting = None
        if self._filling is not None:
            self._filling.cancel()
        await settle(server.close())
        await self._drop_reserve()
        now = time.monotonic()
        if len(self._restarts) == RESTARTS and now - self._restarts[0] < RESTART_WINDOW:
            raise SandboxUnavailable(
                f"the sandbox's server has failed {RESTARTS + 1} times in {RESTART_WINDOW:g} seconds: {error}"
            ) from error
        self._restarts.append(now)
