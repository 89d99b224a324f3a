"""The fork server: a process that has everything imported and makes a worker out of itself on request.

Started by ``host.py``, with one socket to the host. Knows its children: it alone forks, kills and reaps them,
so a process id is never signalled after it may have been given to somebody else. A session is copied by
its worker, in place, when the server asks it to; any other wish to become two is refused. One thread, no
asyncio. Ends, with all its children, when the host hangs up.

This module and all it imports avoid the rest of genprm_sdk: what is loaded here is in reach of every block.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from . import wire
from .kernel import KernelWall
from .warm import load_everything

__all__ = ["main"]

LEVELS = {
    "kernel+language": (True, True, True),
    "kernel": (True, True, False),
    "seccomp+language": (True, False, True),
    "language": (False, False, True),
}
"""By the level's name: whether there are seccomp, Landlock and the language policy."""

COPY_SECONDS = 1.0
CONFINE_SECONDS = 20.0


def main(descriptor: int, level: str) -> None:
    """Load everything, say so, then serve until the host hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    control = socket.socket(fileno=descriptor)
    try:
        server = Server(control, level)
    except Exception as error:
        wire.send(control, {"error": f"{type(error).__name__}: {error}"})
        return
    try:
        server.serve()
    finally:
        server.kill_all()


@dataclass
class Child:
    """A worker as its server knows it.

    Attributes:
        gate: The connection on which it is asked to copy itself.
        listener: Where the kernel reports its requests to be copied; shared with its copies.
    """

    gate: socket.socket
    listener: Any


class Server:
    """The warm interpreter and its children."""

    def __init__(self, control: socket.socket, level: str) -> None:
        self.control = control
        self.level = level
        self.children: dict[int, Child] = {}
        seccomp, landlock, language = LEVELS[level]
        self.worker: Any = load_everything(language)
        self.wall = KernelWall(files=landlock) if seccomp else None
        self.walls = self.worker.Walls(self.wall, language)
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        wire.send(self.control, {"isolation": self.level})
        while True:
            listeners = {child.listener.fileno(): child.listener for child in self._listening()}
            waiting = select.poll()
            for descriptor in (self.control.fileno(), *listeners):
                waiting.register(descriptor, select.POLLIN)
            for descriptor, event in waiting.poll():
                if descriptor in listeners:
                    self._refuse(listeners[descriptor], event)
                elif not self._hear():
                    return

    def _listening(self) -> list[Child]:
        return [child for child in self.children.values() if child.listener is not None]

    def _refuse(self, listener: Any, event: int) -> None:
        """Answer a worker that wants to become two and was not asked to."""
        if listener.closed:  # its last worker has been ended since
            return
        if event & select.POLLIN and self.wall is not None:
            self.wall.answer(listener, None)
        else:  # whoever could ask has ended
            for child in self._listening():
                if child.listener is listener:
                    child.listener = None
            listener.close()

    def _hear(self) -> bool:
        """Answer one request of the host; False where it has hung up."""
        request, descriptor = wire.receive(self.control)
        if request is None:
            return False
        try:
            if request["op"] == "fork":
                reply = self.fork(descriptor, request["limits"])
            elif request["op"] == "copy":
                reply = self.copy(request["pid"], descriptor)
            else:
                reply = self.end(request["pid"])
        except OSError as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        finally:
            if descriptor is not None:
                os.close(descriptor)
        wire.send(self.control, reply)
        return True

    def fork(self, descriptor: int | None, limits: dict[str, Any]) -> dict[str, Any]:
        """A new, confined worker that serves the socket ``descriptor``."""
        if descriptor is None:
            raise OSError("a worker needs a socket")
        ours, theirs = socket.socketpair()
        server_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(descriptor, theirs.fileno(), limits, server_pid)
        theirs.close()
        self._adopt(pid, Child(ours, None))
        try:
            ours.settimeout(CONFINE_SECONDS)
            told, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        except TimeoutError:
            told, descriptors = b"it took too long", []
        if told != b"ready":
            self.end(pid)
            raise OSError(f"a worker could not be confined: {told.decode('utf-8', 'replace')}")
        if descriptors and self.wall is not None:
            self.children[pid].listener = self.wall.listener(descriptors[0])
        return {"pid": pid}

    def _adopt(self, pid: int, child: Child) -> None:
        self.children[pid] = child
        # In both processes, because either may run first and the group must exist before it is killed.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)

    def _become_worker(self, descriptor: int, gate: int, limits: dict[str, Any], server_pid: int) -> NoReturn:
        try:
            self.worker.work(descriptor, gate, limits, server_pid, self.walls)
        finally:
            os._exit(1)

    def copy(self, pid: int, descriptor: int | None) -> dict[str, Any]:
        """A copy of an idle worker, with all its state, that serves the socket ``descriptor``."""
        original = self.children.get(pid)
        if original is None or descriptor is None:
            raise OSError(f"no worker {pid} to copy")
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(COPY_SECONDS)
        try:
            with theirs:
                socket.send_fds(original.gate, [b"copy"], [descriptor, theirs.fileno()])
            self._let_through(pid, original.listener)
            copied = _sender(ours)
            if copied in self.children or not _is_child(copied):
                raise OSError(f"process {copied} is no copy")
        except OSError as error:
            # Whatever this worker does, it does not do what it was asked: it is not ours any more.
            ours.close()
            _kill(pid)
            self._end_strays()
            raise OSError(f"the session could not be copied: {error}") from error
        self._adopt(copied, Child(ours, original.listener))
        return {"pid": copied}

    def _let_through(self, pid: int, listener: Any) -> None:
        if listener is None or self.wall is None:
            return
        waiting = select.poll()
        waiting.register(listener.fileno(), select.POLLIN)
        deadline = time.monotonic() + COPY_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if waiting.poll(1000 * left) and self.wall.answer(listener, pid):
                return
        raise OSError("it does not copy itself")

    def _end_strays(self) -> None:
        own = os.getpid()
        with open(f"/proc/{own}/task/{own}/children", encoding="ascii") as file:
            strays = {int(pid) for pid in file.read().split()} - self.children.keys()
        for pid in strays:
            _kill(pid)
            os.waitpid(pid, 0)

    def end(self, pid: int) -> dict[str, Any]:
        """Kill a child and its process group; says how it ended, by itself or by this."""
        if pid not in self.children:
            raise OSError(f"no worker {pid}")
        _kill(pid)
        _, status = os.waitpid(pid, 0)
        child = self.children.pop(pid)
        child.gate.close()
        if child.listener is not None and all(
            child.listener is not one.listener for one in self._listening()
        ):
            child.listener.close()
        code = os.waitstatus_to_exitcode(status)
        return {"signal": -code if code < 0 else None, "code": code if code >= 0 else None}

    def kill_all(self) -> None:
        for pid in self.children:
            _kill(pid)


def _sender(connection: socket.socket) -> int:
    """Who has sent the next message, by the kernel's word."""
    size = struct.calcsize("3i")
    _, notes, _, _ = connection.recvmsg(16, socket.CMSG_SPACE(size))
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int(struct.unpack("3i", data[:size])[0])
    raise OSError("nobody has answered")


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
