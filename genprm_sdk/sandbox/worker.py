"""One session's process: confines itself, then runs the blocks it is sent, in one namespace.

Knows the kernel's limits and how a block's ending becomes a message. Wall-clock time is the host's: this
process may be stuck in C code. Runs in a fork of ``server.py``'s process and never returns to it.
"""

from __future__ import annotations

import ctypes
import math
import os
import random
import resource
import socket
import sys
from typing import Any, NoReturn

from . import wire
from .guards import new_namespace
from .output import Output, Silence
from .policy import PolicyError, compile_block

__all__ = ["ISOLATION", "work"]

LINUX = sys.platform == "linux"
ISOLATION = "process+rlimits+restricted" if LINUX else "process+restricted"

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
SIGKILL = 9
MAX_MESSAGE = 500
MEMORY_RESERVE = 32 * 1024 * 1024

# Bound before the fork: looking up a C library opens files.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if LINUX else None


def work(descriptor: int, limits: dict[str, Any], server_pid: int) -> NoReturn:
    """Serve one session on a connected socket until the host hangs up."""
    try:
        os.setpgid(0, 0)
        os.dup2(descriptor, 3)
        os.closerange(4, 4096)
        _confine(limits, server_pid)
        Worker(socket.socket(fileno=3), limits).serve()
    finally:
        os._exit(0)


def _confine(limits: dict[str, Any], server_pid: int) -> None:
    if _prctl is not None:
        for option, value in ((PR_SET_PDEATHSIG, SIGKILL), (PR_SET_NO_NEW_PRIVS, 1)):
            if _prctl(option, value, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")
        # The signal is for a death that is still to come.
        if os.getppid() != server_pid:
            raise OSError("the server is gone")
        memory = _mapped_bytes() + limits["memory_mb"] * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory + MEMORY_RESERVE))
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits["open_files"], limits["open_files"]))


def _mapped_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


class Worker:
    """The blocks of one session and the socket they come from."""

    def __init__(self, connection: socket.socket, limits: dict[str, Any]) -> None:
        self.connection = connection
        self.limits = limits
        self.run = 0
        self.namespace = new_namespace(self.abort)
        # A fork inherits the server's generators: the same draws in every session make a report repeatable.
        random.seed(0)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(0)

    def serve(self) -> None:
        while True:
            request, _ = wire.receive(self.connection)
            if request is None:
                return
            self.run = request["run"]
            self.reply(**self.block(request["code"]))

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
            code = compile_block(source)
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
    return {"status": status, "error_type": type(error).__name__[:100], "message": _one_line(message)}


def _one_line(text: str) -> str:
    line = " ".join(part.strip() for part in text[: 4 * MAX_MESSAGE].splitlines()) if "\n" in text else text
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
