"""A worker that was not forked: a process of its own from the start, for systems that must not fork.

Loads everything, says so, and serves one session. What confines it, beside its limits, was put around it
when it was started.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import Any

from . import wire
from .warm import load_everything

__all__ = ["main"]


def main(descriptor: int, option: str) -> None:
    """Serve one session on a connected socket until the host hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=descriptor)
    limits: dict[str, Any] = json.loads(option)
    try:
        worker: Any = load_everything(language=True)
        worker.limit(limits, os.getppid())
        worker.limit_files(limits)
    except Exception as error:
        wire.send(connection, {"error": f"{type(error).__name__}: {error}"})
        return
    wire.send(connection, {"ready": True})
    worker.Worker(connection, None, limits, os.getppid(), True).serve()
