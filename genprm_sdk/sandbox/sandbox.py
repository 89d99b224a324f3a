"""The sandbox: one warm server, as many sessions as wanted, and an end to all of them.

Knows who is alive. How a server is started is ``host.py``'s, what a session does ``session.py``'s.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from ..errors import ClosedError, SandboxError, SandboxUnavailable
from .host import Server, Worker, settle
from .limits import Limits
from .session import Session

__all__ = ["Sandbox"]

RESTARTS = 1


class Sandbox:
    """Runs Python in processes of its own.

        async with Sandbox(Limits(wall_seconds=5)) as sandbox, sandbox.session() as session:
            run = await session.run("print(6 * 7)")

    Entering it starts the server in the background; the first block waits for what is left of that. Belongs
    to the event loop it was entered in.

    Args:
        limits: What each session's code may use.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._starting: asyncio.Task[Server] | None = None
        self._restarts = 0
        self._sessions: set[Session] = set()
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
        """Wait until the server is warm; returns the isolation that blocks will have.

        Raises:
            ClosedError: The sandbox is closed.
            SandboxUnavailable: It cannot be started.
        """
        self._require_open()
        return (await asyncio.shield(self._start())).isolation

    def session(self) -> Session:
        """A new session with no variables; its worker is forked when the first block comes.

        Raises:
            ClosedError: The sandbox is closed.
        """
        self._require_open()
        session = Session(self._limits, self._fork, self._sessions.discard)
        self._sessions.add(session)
        return session

    async def close(self) -> None:
        """End every session, every worker and the server. May be called again."""
        self._closed = True
        await settle(self._close())

    async def _close(self) -> None:
        await asyncio.gather(*(session.close() for session in list(self._sessions)))
        starting, self._starting = self._starting, None
        if starting is None:
            return
        starting.cancel()
        await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().close()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("the sandbox is closed: make another one")

    def _start(self) -> asyncio.Task[Server]:
        if self._starting is None:
            self._starting = asyncio.ensure_future(Server.start())
        return self._starting

    async def _fork(self) -> Worker:
        while True:
            self._require_open()
            starting = self._start()
            server = await asyncio.shield(starting)
            try:
                return await server.fork(self._limits)
            except SandboxError as error:
                self._require_open()
                # Several sessions may find the same server dead; one restart serves them all.
                if self._starting is starting:
                    await settle(server.close())
                    if self._restarts >= RESTARTS:
                        raise SandboxUnavailable(
                            f"the sandbox's server failed again after a restart: {error}"
                        ) from error
                    self._restarts += 1
                    self._starting = None
