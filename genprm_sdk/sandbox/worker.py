"""One session's process: confines itself, then runs the blocks it is sent, in one namespace.

Knows the kernel's limits and how a block's ending becomes a message. Wall-clock time is the host's: this
process may be stuck in C code. Runs in a fork of ``server.py``'s process and never returns to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import random
import resource
import select
import socket
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from . import wire
from .guards import new_namespace, plain_namespace
from .kernel import KernelWall, copy_process, die_with, drop_capabilities
from .output import Output, Silence
from .policy import PolicyError, compile_block, compile_plain

__all__ = ["Walls", "Worker", "limit", "limit_files", "work"]

LINUX = sys.platform == "linux"

MEMORY_RESERVE = 32 * 1024 * 1024
SESSION, GATE = 3, 4
"""The descriptors a worker is left with: its connections to the host and to the server."""


@dataclass(frozen=True)
class Walls:
    """What a worker confines itself with, beside the limits.

    Attributes:
        kernel: The kernel wall, or None.
        language: Whether blocks are held to the language policy.
    """

    kernel: KernelWall | None
    language: bool


def work(descriptor: int, gate: int, limits: dict[str, Any], server_pid: int, walls: Walls) -> NoReturn:
    """Serve one session on a connected socket until the host hangs up.

    Args:
        descriptor: The connection to the host.
        gate: The connection to the server, on which it is told how the confining went.
        limits: As ``limits.py`` has them.
        server_pid: The parent, without which a worker must not live.
        walls: What to confine with.
    """
    try:
        os.setpgid(0, 0)
        with socket.socket(fileno=os.dup(gate)) as server:
            try:
                limit(limits, server_pid)
                listener = walls.kernel.confine() if walls.kernel else None
            except Exception as error:
                server.send(f"{type(error).__name__}: {error}".encode()[: wire.MAX_MESSAGE])
                os._exit(1)
            socket.send_fds(server, [b"ready"], [listener.fileno()] if listener else [])
        _keep_only(descriptor, gate)
        limit_files(limits)  # not sooner: what the server holds of other workers was open here too
        connection, own_gate = socket.socket(fileno=SESSION), socket.socket(fileno=GATE)
        Worker(connection, own_gate, limits, server_pid, walls.language).serve()
    finally:
        os._exit(0)


def _keep_only(connection: int, gate: int) -> None:
    """Move the two descriptors to their places and close all others, the listener among them."""
    beyond = [fcntl.fcntl(each, fcntl.F_DUPFD, GATE + 1) for each in (connection, gate)]
    for descriptor, place in zip(beyond, (SESSION, GATE), strict=True):
        os.dup2(descriptor, place)
    os.closerange(GATE + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def limit(limits: dict[str, Any], server_pid: int) -> None:
    """Bound what this process may use; on Linux it will not outlive its parent, either."""
    if LINUX:
        die_with(server_pid)
        memory = _mapped_bytes() + limits["memory_mb"] * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory + MEMORY_RESERVE))
        _let_fork(False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if LINUX:
        drop_capabilities()


def limit_files(limits: dict[str, Any]) -> None:
    """Bound the descriptors that this process may have open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits["open_files"], limits["open_files"]))


def _let_fork(allowed: bool) -> None:
    """Whether this user may have one more process; means nothing for root, and less than the kernel wall."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (hard if allowed else 0, hard))


def _mapped_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


class Worker:
    """The blocks of one session and the socket they come from."""

    def __init__(
        self,
        connection: socket.socket,
        gate: socket.socket | None,
        limits: dict[str, Any],
        server_pid: int,
        language: bool,
    ) -> None:
        self.connection = connection
        self.gate = gate
        self.limits = limits
        self.server_pid = server_pid
        self.run = ""
        self.namespace = new_namespace(self.abort) if language else plain_namespace()
        self.compile = compile_block if language else compile_plain
        # A fork inherits the server's generators: the same draws in every session make a report repeatable.
        random.seed(0)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(0)

    def serve(self) -> None:
        waiting = select.poll()
        waiting.register(self.connection, select.POLLIN)
        if self.gate is not None:
            waiting.register(self.gate, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in waiting.poll()]
            if self.gate is not None and self.gate.fileno() in ready and not self.copy(self.gate):
                return
            if self.connection.fileno() in ready:
                request, _ = wire.receive(self.connection)
                if request is None:
                    return
                self.run = request["run"]
                self.reply(**self.block(request["code"]))

    def copy(self, gate: socket.socket) -> bool:
        """Become two, where the server asks for it; False where the server is gone."""
        message, descriptors, _, _ = socket.recv_fds(gate, 16, 2)
        if not message:
            return False
        draws = random.getstate()
        _let_fork(True)
        with contextlib.suppress(OSError):  # the server knows by itself whether there is a copy
            if len(descriptors) == 2 and copy_process() == 0:
                random.setstate(draws)  # Python seeds a forked process anew
                os.dup2(descriptors[0], SESSION)
                os.dup2(descriptors[1], GATE)
                die_with(self.server_pid)
                gate.send(b"here")
        _let_fork(False)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def reply(self, **fields: Any) -> None:
        wire.send(self.connection, {"run": self.run, **fields})

    def end(self, **fields: Any) -> NoReturn:
        """Answer and exit at once, past every ``except`` and ``finally`` of the block."""
        self.reply(**fields)
        os._exit(0)

    def abort(self, message: str) -> NoReturn:
        self.end(status="policy", error_type="PolicyError", message=message, truncated=False)

    def overflow(self) -> NoReturn:
        message = f"more than {self.limits['output_stop']} characters were printed"
        self.end(status="output_limit", error_type="OutputLimitError", message=message, truncated=True)

    def block(self, source: str) -> dict[str, Any]:
        """Run one block; says how it ended."""
        output = Output(
            self.limits["output_chars"],
            self.limits["output_stop"],
            lambda text: self.reply(out=text),
            self.overflow,
        )
        self._allow_cpu_time()
        sys.stdout, sys.stderr = output, Silence()
        ending: dict[str, Any] = {"status": "ok"}
        compiled = False
        try:
            code = self.compile(source)
            compiled = True
            exec(code, self.namespace)  # noqa: S102 - this is the inside
        except MemoryError:
            self._memory_is_over(output)
        except SystemExit as error:
            if error.code not in (None, 0):
                ending = _failure("error", error)
        except PolicyError as error:
            ending = _failure("policy", error)
            ending["error_type"] = "PolicyError"
        except SyntaxError as error:
            ending = _failure("error" if compiled else "syntax_error", error)
        except BaseException as error:
            ending = _failure("error", error)
        output.flush()
        return {**ending, "truncated": output.truncated}

    def _allow_cpu_time(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = math.ceil(used.ru_utime + used.ru_stime + self.limits["wall_seconds"]) + 1
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))

    def _memory_is_over(self, output: Output) -> NoReturn:
        if LINUX:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        output.flush()
        message = f"the code needs more than {self.limits['memory_mb']} MB of memory"
        self.end(status="memory", error_type="MemoryError", message=message, truncated=output.truncated)


def _failure(status: str, error: BaseException) -> dict[str, Any]:
    try:
        message = str(error)
    except BaseException:  # a block's own __str__ may raise anything
        message = "<exception str() failed>"
    return {
        "status": status,
        "error_type": type(error).__name__[: wire.MAX_ERROR_TYPE],
        "message": wire.one_line(message, wire.MAX_MESSAGE),
    }
