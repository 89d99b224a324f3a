"""The fork server: a process that has everything imported and makes a worker out of itself on request.

Started by ``host.py``, with one socket to the host. Knows its children: it alone forks, kills and reaps them,
so a process id is never signalled after it may have been given to somebody else. One thread, no asyncio.
Ends, with all its children, when the host hangs up.

This module and all it imports avoid the rest of genprm_sdk: what is loaded here is in reach of every block.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from . import wire

__all__ = ["main"]

PRELOAD = """
    abc bisect calendar cmath collections.abc copy dataclasses datetime decimal enum fractions functools
    heapq itertools json math numbers operator random re statistics string textwrap time typing _strptime
    numpy numpy.fft numpy.linalg numpy.polynomial numpy.random sympy scipy
"""


def main(descriptor: int) -> None:
    """Load everything, say so, then serve until the host hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    try:
        server = Server(control)
    except Exception as error:
        wire.send(control, {"error": f"{type(error).__name__}: {error}"})
        return
    try:
        server.serve()
    finally:
        server.kill_all()


class Server:
    """The warm interpreter and its children."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: set[int] = set()
        for name in PRELOAD.split():
            importlib.import_module(name)
        _warm_up()
        # Here and not at the top: a missing package has to reach the host as a message.
        self.worker: Any = importlib.import_module(".worker", __package__)
        importlib.import_module(".guards", __package__).guard_sympify()
        os.environ.clear()
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        wire.send(self.control, {"isolation": self.worker.ISOLATION})
        while True:
            request, descriptor = wire.receive(self.control)
            if request is None:
                return
            try:
                if request["op"] == "fork":
                    reply = self.fork(descriptor, request["limits"])
                else:
                    reply = self.end(request["pid"])
            except OSError as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            finally:
                if descriptor is not None:
                    os.close(descriptor)
            wire.send(self.control, reply)

    def fork(self, descriptor: int | None, limits: dict[str, Any]) -> dict[str, Any]:
        """A new worker that serves the socket ``descriptor``."""
        if descriptor is None:
            raise OSError("a worker needs a socket")
        server_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(descriptor, limits, server_pid)
        self.children.add(pid)
        # In both processes, because either may run first and the group must exist before it is killed.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return {"pid": pid}

    def _become_worker(self, descriptor: int, limits: dict[str, Any], server_pid: int) -> NoReturn:
        try:
            self.worker.work(descriptor, limits, server_pid)
        finally:
            os._exit(1)

    def end(self, pid: int) -> dict[str, Any]:
        """Kill a child and its process group; says how it ended, by itself or by this."""
        if pid not in self.children:
            raise OSError(f"no worker {pid}")
        _kill(pid)
        _, status = os.waitpid(pid, 0)
        self.children.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        return {"signal": -code if code < 0 else None, "code": code if code >= 0 else None}

    def kill_all(self) -> None:
        for pid in self.children:
            _kill(pid)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _warm_up() -> None:
    sympy = sys.modules["sympy"]
    x = sympy.Symbol("x")
    sympy.solve(x**2 - 3 * x + 2, x)
    sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2)
    sympy.sympify("x/2 + 1").evalf()
