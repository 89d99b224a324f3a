"""Workers that are started instead of forked, for systems that must not fork: slower, and without copies.

Knows processes. Around each of them stands what the level says: on macOS a Seatbelt profile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from dataclasses import asdict
from typing import Any

from ..errors import SandboxError, SandboxUnavailable
from . import seatbelt
from .host import START_SECONDS, Worker, WorkerGone, interpreter, settle, start_inside
from .limits import Limits
from .wire import WireError

__all__ = ["Spawner"]


class Spawner:
    """Starts and ends workers; make one with ``start``."""

    def __init__(self, level: str) -> None:
        self.isolation = level
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._closed = False

    @classmethod
    async def start(cls, level: str) -> Spawner:
        """Nothing is running yet.

        Raises:
            SandboxUnavailable: Workers cannot be given their connection here, as on Windows.
        """
        if not hasattr(socket, "send_fds"):
            raise SandboxUnavailable(f"the sandbox cannot run on {sys.platform}")
        return cls(level)

    @property
    def alive(self) -> bool:
        return not self._closed

    async def fork(self, limits: Limits) -> Worker:
        """A fresh worker, once it has loaded everything.

        Raises:
            SandboxError: It does not start.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                command = interpreter("solo", theirs, json.dumps(asdict(limits)))
                if self.isolation.startswith("seatbelt"):
                    command = seatbelt.command(command)
                process = await start_inside(command, theirs)
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise SandboxError(f"a worker cannot be started: {error}") from error
            raise
        self._processes[process.pid] = process
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = Worker(self, process.pid, reader, writer, limits)
        try:
            async with asyncio.timeout(START_SECONDS):
                told = await worker.hear()
            if told.get("ready") is not True:
                raise SandboxError(f"a worker cannot be started: {told.get('error')}")
        except (WorkerGone, WireError, TimeoutError) as error:
            await worker.end()
            raise SandboxError(f"a worker cannot be started: {error!r}") from error
        except BaseException:
            await settle(worker.end())
            raise
        return worker

    async def copy(self, worker: Worker) -> Worker:
        """Always raises: a process that was started cannot be copied."""
        raise SandboxUnavailable(f"sessions of level {self.isolation!r} cannot be forked here")

    async def end(self, pid: int) -> dict[str, Any]:
        """Kill a worker and its process group, if they still live; says how it had ended."""
        process = self._processes.pop(pid, None)
        if process is None:
            raise SandboxError(f"no worker {pid}")
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, 9)
        code = await process.wait()
        return {"signal": -code if code < 0 else None, "code": code if code >= 0 else None}

    async def close(self) -> None:
        """End all workers. May be called again."""
        self._closed = True
        for pid in list(self._processes):
            await self.end(pid)
