"""A session: blocks of code run one after another, with the variables kept in between.

Knows how each ending of a block becomes a ``CodeRun``, and the exact text that goes back to the model. Who
runs the code and where is the worker's and the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, cast

from ..errors import ClosedError, SandboxError, SandboxUnavailable
from ..types import CodeRun, CodeStatus
from .host import Worker, WorkerGone, describe_ending
from .limits import Limits
from .wire import MAX_ERROR_TYPE, MAX_MESSAGE, WireError, one_line, printable

__all__ = ["Session"]

FROM_WORKER = frozenset({"ok", "error", "syntax_error", "policy", "memory", "output_limit"})
"""What a worker may say about a block; the rest only the host can know."""

ENDS_WORKER = frozenset({"memory", "output_limit", "timeout", "crashed", "closed"})


@dataclass
class Outcome:
    """What is known of a block while it runs, and at its end."""

    status: CodeStatus = "ok"
    stdout: list[str] = field(default_factory=list)
    truncated: bool = False
    error_type: str | None = None
    message: str | None = None

    def fail(self, status: CodeStatus, error_type: str, message: str) -> None:
        self.status, self.error_type, self.message = status, error_type, message


class Owner(Protocol):
    """Who makes sessions and knows which are alive."""

    async def worker(self, session: Session) -> Worker:
        """A fresh worker for a session, once there is room for one."""
        ...

    async def copied(self, worker: Worker) -> Session:
        """A session that goes on from a copy of an idle worker."""
        ...

    def session(self) -> Session:
        """A session with no variables."""
        ...

    def forget(self, session: Session) -> None:
        """A session is closed."""
        ...


class Session:
    """Code with a memory; made by ``Sandbox.session``, used as ``async with``.

    Blocks of one session run one at a time; a second ``run`` waits for the first.
    """

    def __init__(
        self,
        limits: Limits,
        owner: Owner,
    ) -> None:
        self._limits = limits
        self._owner = owner
        self._worker: Worker | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The worker's process id while there is one; for looking at, not for signalling."""
        return None if self._worker is None else self._worker.pid

    def take_over(self, worker: Worker) -> None:
        """Go on with a worker that has run blocks for another session."""
        worker.rest()
        self._worker = worker

    async def run(self, code: str) -> CodeRun:
        """Run one block. However it ends, that is a ``CodeRun``.

        After ``timeout``, ``memory``, ``crashed`` and ``output_limit`` the variables are lost and the next
        block starts with none. Cancelling this call kills the worker, with the same effect.

        Raises:
            ClosedError: The session or its sandbox is closed.
            SandboxUnavailable: No worker can be had.
            SandboxError: The sandbox itself failed while the block ran.
        """
        self._require_open()
        if not code.strip():
            return self._report(
                code, Outcome("error", error_type="FormatError", message="No code found."), 0.0
            )
        if len(code) > self._limits.source_chars:
            outcome = Outcome()
            longest = self._limits.source_chars
            outcome.fail(
                "policy", "PolicyError", f"the code has {len(code)} characters; {longest} are allowed"
            )
            return self._report(code, outcome, 0.0)
        async with self._lock:
            self._require_open()
            if self._worker is None:
                worker = await self._owner.worker(self)
                if self._closed:
                    await self._end(worker)
                    self._require_open()
                self._worker = worker
            worker = self._worker
            started = time.perf_counter()
            outcome = Outcome()
            worker.wake()
            try:
                await self._exchange(worker, code, outcome)
            except BaseException:
                self._worker = None
                await self._end(worker)
                raise
            duration = time.perf_counter() - started
            if outcome.status in ENDS_WORKER:
                self._worker = None
                await self._end(worker)
            else:
                worker.rest()
            return self._report(code, outcome, duration, worker.isolation)

    async def fork(self) -> Session:
        """An independent session that goes on from this one's variables; waits for a block that is running.

        Raises:
            ClosedError: The session or its sandbox is closed.
            SandboxUnavailable: This system's workers cannot be copied.
            SandboxError: The worker could not be copied; this session's variables are then lost.
        """
        self._require_open()
        async with self._lock:
            self._require_open()
            if self._worker is None:
                return self._owner.session()
            self._worker.wake()
            try:
                copied = await self._owner.copied(self._worker)
                self._worker.rest()
                return copied
            except SandboxUnavailable:
                raise
            except SandboxError:
                worker, self._worker = self._worker, None
                await self._end(worker)
                raise

    async def close(self) -> None:
        """Kill the worker; a block that is running ends with status ``closed``. May be called again."""
        self._closed = True
        self._owner.forget(self)
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._end(worker)

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("the sandbox session is closed: open another one")

    async def _end(self, worker: Worker) -> None:
        # A server that is gone has taken its workers along.
        with contextlib.suppress(SandboxError):
            await worker.end()

    async def _exchange(self, worker: Worker, code: str, outcome: Outcome) -> None:
        seconds = self._limits.wall_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._listen(worker, code, outcome)
        except TimeoutError:
            outcome.fail("timeout", "TimeoutError", f"no result within {seconds:g} seconds")
        except WireError as error:
            outcome.fail("crashed", "SandboxCrash", f"the worker's answer could not be read: {error}")
        except WorkerGone:
            if self._closed:
                outcome.fail("closed", "ClosedError", "the session was closed while the code ran")
                return
            ending = await worker.end()
            if ending.get("signal") == signal.SIGXCPU:
                outcome.fail("timeout", "TimeoutError", f"no result within {seconds:g} seconds")
            else:
                outcome.fail("crashed", "SandboxCrash", describe_ending(ending))

    async def _listen(self, worker: Worker, code: str, outcome: Outcome) -> None:
        # A block that escaped into the interpreter could leave answers lying for later blocks.
        run = secrets.token_hex(16)
        room = self._limits.output_chars
        async with aclosing(worker.ask({"run": run, "code": code})) as messages:
            async for message in messages:
                if message.get("run") != run:
                    raise WireError("it belongs to another block")
                if "out" not in message:
                    self._conclude(message, outcome)
                    return
                text = _text(message, "out")
                room -= len(text)
                if room < 0:
                    raise WireError("more output than was asked for")
                outcome.stdout.append(text)

    def _conclude(self, message: dict[str, Any], outcome: Outcome) -> None:
        status = message.get("status")
        if not isinstance(status, str) or status not in FROM_WORKER:
            raise WireError("no status")
        outcome.truncated = message.get("truncated") is True
        if status != "ok":
            error_type = one_line(_text(message, "error_type"), MAX_ERROR_TYPE)
            outcome.fail(
                cast(CodeStatus, status), error_type, one_line(_text(message, "message"), MAX_MESSAGE)
            )

    def _report(self, code: str, outcome: Outcome, duration: float, isolation: str = "") -> CodeRun:
        stdout = printable("".join(outcome.stdout))
        message = None if outcome.message is None else printable(outcome.message)
        error_type = None if outcome.error_type is None else printable(outcome.error_type)
        return CodeRun(
            code=printable(code),
            status=outcome.status,
            stdout=stdout,
            truncated=outcome.truncated,
            error_type=error_type,
            message=message,
            duration=duration,
            isolation=isolation,
            state_kept=outcome.status not in ENDS_WORKER,
            feedback=_feedback(outcome.status, stdout, error_type, message),
        )


def _text(message: dict[str, Any], name: str, most: int = 1_000_000) -> str:
    value = message.get(name)
    if not isinstance(value, str) or len(value) > most:
        raise WireError(f"no usable {name}")
    return value


def _feedback(status: CodeStatus, stdout: str, error_type: str | None, message: str | None) -> str:
    if status == "ok":
        return stdout.rstrip("\n")
    if status == "timeout":
        return f"Code execute time out: {message}"
    if error_type == "FormatError":
        return f"Code format error: {message}"
    return f"Code execute Error: {error_type}: {message}"
