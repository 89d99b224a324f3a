"""Several servers of one model: which one a request goes to, and what happens when one fails.

Sequences that begin alike have a home, the server whose prefix cache knows them. A server that fails is left
alone for a while, twice as long each time, and its sequences move to another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

import httpx2
import stamina

from ..errors import BackendError
from .server import Failed, Server

__all__ = ["Fleet", "Home"]

T = TypeVar("T")

FIRST_REST = 1.0
LONGEST_REST = 60.0
"""Seconds that a server is left alone after it failed: the first time, and at most."""

# Where a program has set up no logging, Python would print each retry as a bare name on stderr.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class Home:
    """Where sequences that begin alike are served.

    Attributes:
        server: The server, once one was chosen.
    """

    def __init__(self) -> None:
        self.server: _Member | None = None


class _Member:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.rests_until = 0.0
        self.rest = 0.0
        self.homes = 0
        self.answered = False
        self.absent = False

    def rests(self) -> bool:
        return time.monotonic() < self.rests_until

    def fail(self, wait: float | None) -> None:
        self.rest = min(LONGEST_REST, 2 * self.rest or FIRST_REST)
        self.rests_until = time.monotonic() + (self.rest if wait is None else wait)

    def succeed(self) -> None:
        self.rest = self.rests_until = 0.0
        self.notice(None)

    def notice(self, error: Failed | None) -> None:
        """Take down whether there is a server at all."""
        unreachable = error is not None and isinstance(error.__cause__, httpx2.ConnectError)
        self.answered = self.answered or not unreachable
        self.absent = not self.answered


class Fleet:
    """Servers of one model.

    Args:
        servers: All of them, at least one.
        attempts: How often a request is tried before it has failed.
    """

    def __init__(self, servers: Sequence[Server], attempts: int) -> None:
        self._members = [_Member(server) for server in servers]
        self._attempts = attempts
        self._homes: WeakValueDictionary[Hashable, Home] = WeakValueDictionary()

    @property
    def servers(self) -> list[Server]:
        """All of them."""
        return [member.server for member in self._members]

    def home(self, beginning: Hashable) -> Home:
        """The home of sequences that begin like this."""
        home = self._homes.get(beginning)
        if home is None:
            home = self._homes[beginning] = Home()
        return home

    async def ask(self, home: Home, work: Callable[[Server], Awaitable[T]], attempts: int = 0) -> T:
        """Have something done by a home's server, or another, as often as it takes.

        Args:
            home: Whose server.
            work: What is done; begun anew on every attempt.
            attempts: How often at most; as often as the fleet's requests by default.

        Raises:
            BackendError: It failed every time; or none of the servers can be reached, or ever could.
        """
        attempts = attempts or self._attempts
        forgiven: Failed | None = None

        def wait(error: Exception) -> bool | float:
            # A server that was there may come back; an address where none ever was is a mistake to be told.
            if not isinstance(error, Failed) or all(member.absent for member in self._members):
                return False
            if error is forgiven or any(not member.rests() for member in self._members):
                return 0.0
            return True if error.wait is None else error.wait

        try:
            async for attempt in stamina.retry_context(
                on=wait, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=20.0
            ):
                with attempt:
                    member = self._choose(home)
                    try:
                        result = await work(member.server)
                    except Failed as error:
                        member.notice(error)
                        if error.stale and forgiven is None:
                            forgiven = error
                        else:
                            member.fail(error.wait)
                        raise
                    member.succeed()
                    return result
        except Failed as error:
            if all(member.absent for member in self._members):
                raise BackendError(f"{error}; check the address and that the server runs") from error
            raise BackendError(f"{error} (tried {attempts} times)") from error
        raise AssertionError("an attempt returns or raises")

    def _choose(self, home: Home) -> _Member:
        member = home.server
        if member is None or (member.rests() and not all(each.rests() for each in self._members)):
            awake = [each for each in self._members if not each.rests()]
            if awake:
                chosen = min(awake, key=lambda each: (each.server.outstanding, each.homes))
            else:
                chosen = min(self._members, key=lambda each: each.rests_until)
            chosen.homes += 1
            home.server = member = chosen
        return member

    async def close(self) -> None:
        """Close all connections."""
        for server in self.servers:
            await server.close()
