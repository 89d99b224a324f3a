"""Runs the Python that a verifier writes, in a process of its own, and says how it ended.

    async with Sandbox(Limits(wall_seconds=5, memory_mb=512)) as sandbox, sandbox.session() as session:
        run = await session.run("x = 2")
        run = await session.run("print(x + 1)")     # run.feedback == "3"

        other = await session.fork()                # an independent copy of the variables

Host: ``sandbox.py`` (who is alive), ``session.py`` (a block's ending as a ``CodeRun``), ``host.py``
(processes and sockets), ``levels.py``, ``limits.py``. Inside: ``server.py`` (forks warm workers),
``worker.py`` (confines itself, runs blocks), ``kernel.py`` (the kernel wall), ``policy.py`` and
``guards.py`` (the language wall), ``allowed.py`` (its tables), ``output.py``. Both: ``wire.py``. The host
never imports the inside.

What stands between a block and this machine, what does not, and how to choose less: ``docs/sandbox.md``.
"""

from __future__ import annotations

from .levels import Isolation
from .limits import Limits
from .sandbox import Sandbox
from .session import Session

__all__ = ["Isolation", "Limits", "Sandbox", "Session"]
