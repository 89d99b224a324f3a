"""The host's ends: the fork server as a subprocess, and a worker as a connection.

Knows asyncio, sockets and how a server is started. What a block's ending means to a caller is
``session.py``'s.

Requests to the server are few and answered at once, so one lock and one question at a time suffice. A
question once asked is always heard to its answer, also when the asker is cancelled: otherwise the next asker
would read the wrong one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from ..errors import SandboxError, SandboxUnavailable
from . import wire
from .limits import Limits

__all__ = ["Server", "Source", "Worker", "WorkerGone", "interpreter", "settle", "start_inside"]

T = TypeVar("T")

FOLDER = str(Path(__file__).resolve().parent)

START_SECONDS = 60.0
ANSWER_SECONDS = 20.0
MAX_ANSWER = 64 * 1024

# The inside's modules are imported under a name of their own, so that neither genprm_sdk nor pydantic is
# loaded there. The host's search path is handed over instead of `site`, which reads files to find it.
BOOT = """
import sys
entry, descriptor, option, folder, *sys.path[:] = sys.argv[1:]
import importlib, types
package = sys.modules["genprm_inside"] = types.ModuleType("genprm_inside")
package.__path__ = [folder]
importlib.import_module("genprm_inside." + entry).main(int(descriptor), option)
"""

# A fixed hash seed prints sets in the same order every time; more BLAS threads would not survive a fork.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


# A copy of this program that is forked while a process is being started holds the pipe whose end tells that
# it has started, and who waits for that waits as long as the copy lives: other threads' forks wait meanwhile.
_FORKS = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_FORKS.acquire, after_in_parent=_FORKS.release, after_in_child=_FORKS.release)


def interpreter(entry: str, connection: socket.socket, option: str) -> list[str]:
    """The command line of a process of the inside.

    Args:
        entry: Which of the inside's modules is run.
        connection: What it talks on.
        option: Whatever else it must know.
    """
    search = [path for path in sys.path if os.path.isabs(path)]
    flags = ("-s", "-S", "-P", "-B", "-c", BOOT)
    return [sys.executable, *flags, entry, str(connection.fileno()), option, FOLDER, *search]


async def start_inside(command: list[str], connection: socket.socket) -> asyncio.subprocess.Process:
    """Start a process of the inside: no terminal, no environment, one connection."""
    with _FORKS:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=[connection.fileno()],
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )


class WorkerGone(Exception):
    """The worker hung up before it had answered."""


async def settle(work: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
    """Wait for something short to end, even if the caller is cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


class Source(Protocol):
    """Where workers come from, and who ends them."""

    isolation: str

    @property
    def alive(self) -> bool:
        """Whether workers can still be had."""
        ...

    async def fork(self, limits: Limits) -> Worker:
        """A fresh worker."""
        ...

    async def copy(self, worker: Worker) -> Worker:
        """An independent copy of a worker that runs nothing."""
        ...

    async def end(self, pid: int) -> dict[str, Any]:
        """Kill a worker, if it still lives; says how it had ended."""
        ...

    async def close(self) -> None:
        """End all of them. May be called again."""
        ...


class Server:
    """A running fork server; make one with ``start``."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lock = asyncio.Lock()
        self._closed = False
        self._workers: WeakSet[Worker] = WeakSet()
        self.isolation = ""

    @classmethod
    async def start(cls, level: str) -> Server:
        """Start a server and wait until it is warm.

        Args:
            level: The isolation of its workers; see ``levels.py``.

        Raises:
            SandboxUnavailable: It cannot be started here, or this system does not offer the level.
        """
        if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
            raise SandboxUnavailable(f"the sandbox needs a system that can fork, which {sys.platform} cannot")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await start_inside(interpreter("server", theirs, level), theirs)
        except OSError as error:
            ours.close()
            raise SandboxUnavailable(f"the sandbox's server cannot be started: {error}") from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        server = cls(process, ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                server.isolation = str((await server._answer())["isolation"])
        except (SandboxError, OSError) as error:
            await server.close()
            reason = str(error) or f"it was not ready after {START_SECONDS:g} seconds"
            raise SandboxUnavailable(f"the sandbox's server did not start: {reason}") from error
        except BaseException:
            await server.close()
            raise
        return server

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still holds its end of the line."""
        if self._closed:
            return False
        if self._lock.locked():  # somebody is talking to it, and will hear of its end
            return True
        try:
            return self._control.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def fork(self, limits: Limits) -> Worker:
        """A fresh worker.

        Raises:
            SandboxError: The server is gone, or cannot fork.
        """
        return await self._new({"op": "fork", "limits": asdict(limits)}, limits)

    async def copy(self, worker: Worker) -> Worker:
        """An independent copy of a worker that runs nothing, with all its state.

        Raises:
            SandboxError: The server or the worker is gone, or the worker does not let itself be copied.
        """
        return await self._new({"op": "copy", "pid": worker.pid}, worker.limits)

    async def _new(self, request: dict[str, Any], limits: Limits) -> Worker:
        making = asyncio.ensure_future(self._make(request, limits))
        try:
            return await settle(making)
        except asyncio.CancelledError:
            if not making.cancelled() and making.exception() is None:
                with contextlib.suppress(SandboxError):
                    await making.result().end()
            raise

    async def _make(self, request: dict[str, Any], limits: Limits) -> Worker:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                answer = await self._ask(request, theirs.fileno())
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        worker = Worker(self, int(answer["pid"]), reader, writer, limits)
        self._workers.add(worker)
        return worker

    async def end(self, pid: int) -> dict[str, Any]:
        """Kill a worker and its process group, if they still live; says how it had ended."""
        return await self._ask({"op": "end", "pid": pid})

    async def close(self) -> None:
        """Kill the server and its workers. May be called again."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        # Hung up on, a server kills its own and leaves; one that still imports, or is stuck, does not notice.
        if self.isolation:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._process.wait()
        self._kill()
        await self._process.wait()
        async with self._lock:
            self._control.close()

    def _kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        for worker in self._workers:  # they die with their server, unless one has seen to it that it does not
            worker.kill()

    async def _ask(self, request: dict[str, Any], descriptor: int | None = None) -> dict[str, Any]:
        async with self._lock:
            if self._closed:
                raise SandboxError("the sandbox's server is closed")
            try:
                # Whatever was sent before has been answered, so the buffer is empty and this cannot block.
                descriptors = [] if descriptor is None else [descriptor]
                socket.send_fds(self._control, [wire.encode(request)], descriptors)
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._answer()
            except OSError as error:
                # A late answer would be taken for the next one's.
                self._closed = True
                self._kill()
                reason = str(error) or f"no answer in {ANSWER_SECONDS:g} seconds"
                raise SandboxError(f"the sandbox's server is gone: {reason}") from error

    async def _answer(self) -> dict[str, Any]:
        try:
            header = await self._exactly(wire.HEADER_SIZE)
            answer = wire.decode(await self._exactly(wire.length_of(header, MAX_ANSWER)))
        except wire.WireError as error:
            raise SandboxError(f"the sandbox's server sent something unreadable: {error}") from error
        if "error" in answer:
            raise SandboxError(str(answer["error"]))
        return answer

    async def _exactly(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = bytearray()
        while len(parts) < count:
            part = await loop.sock_recv(self._control, count - len(parts))
            if not part:
                raise ConnectionResetError("it ended")
            parts += part
        return bytes(parts)


class Worker:
    """One session's process, seen from the host. Whatever it sends is untrusted."""

    def __init__(
        self,
        server: Source,
        pid: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: Limits,
    ) -> None:
        self.pid = pid
        self.isolation = server.isolation
        self.limits = limits
        self._server = server
        self._reader = reader
        self._writer = writer
        # A character is at most twelve bytes of JSON; the rest is for the other fields.
        self._max_message = 12 * limits.output_chars + 64 * 1024
        self._ending: asyncio.Future[dict[str, Any]] | None = None
        # A number may be given to another process one day; this stands for this one for good.
        self._process = _handle_of(pid)

    async def ask(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Send one request and yield messages as they come; the caller knows which is the last.

        Raises:
            WorkerGone: It ended.
            wire.WireError: It sent something that is no message.
        """
        try:
            self._writer.write(wire.encode(request))
            await self._writer.drain()
        except OSError as error:
            raise WorkerGone from error
        while True:
            yield await self.hear()

    async def hear(self) -> dict[str, Any]:
        """The next message; raises as ``ask`` does."""
        try:
            header = await self._reader.readexactly(wire.HEADER_SIZE)
            length = wire.length_of(header, self._max_message)
            return wire.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerGone from error

    def rest(self) -> None:
        """Let it have no processor time until it is woken: a block that has ended has ended."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process without asking anybody."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    async def copy(self) -> Worker:
        """See ``Server.copy``."""
        return await self._server.copy(self)

    async def end(self) -> dict[str, Any]:
        """Kill the process, unless it has ended, and say how it ended; may be called again.

        Raises:
            SandboxError: The server is gone (and its workers with it).
        """
        if self._ending is None:
            self.kill()
            if self._process is not None:
                os.close(self._process)
                self._process = None
            self._writer.close()
            self._ending = asyncio.ensure_future(self._server.end(self.pid))
        return await settle(self._ending)


def _handle_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a container that forbids it
        return None


def describe_ending(ending: dict[str, Any]) -> str:
    """How a process ended, in words."""
    number = ending.get("signal")
    if number is None:
        return f"the process exited with code {ending.get('code')} before the code had ended"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"the process was ended by {name}"
