"""Runs the Python that a verifier writes, in a process of its own, and says how it ended.

    async with Sandbox(Limits(wall_seconds=5, memory_mb=512)) as sandbox, sandbox.session() as session:
        run = await session.run("x = 2")
        run = await session.run("print(x + 1)")     # run.feedback == "3"

Host: ``sandbox.py`` (who is alive), ``session.py`` (a block's ending as a ``CodeRun``), ``host.py``
(processes and sockets), ``limits.py``. Inside: ``server.py`` (forks warm workers), ``worker.py`` (kernel
limits, runs blocks), ``policy.py`` and ``guards.py`` (the language), ``allowed.py`` (its tables),
``output.py``. Both: ``wire.py``. The host never imports the inside.

What stands between a block and this machine: a process without environment, descriptors or a terminal;
rlimits on memory, CPU time, written bytes, open files and (except for root) processes; no new privileges; a
wall-clock kill from outside; the language policy.

What does NOT, in this version:

- No seccomp, no Landlock, no namespaces (future work): a block that gets past the policy is an ordinary
  process of this user. It may read any file the user may read, delete or truncate files, open sockets, signal
  the user's processes, the server among them.
- The policy is no boundary. numpy, scipy and sympy can be made to run text as code (``lambdify`` of a
  string, for one); the doors closed by ``allowed.py`` and ``guards.py`` are the known and easy ones.
- As root RLIMIT_NPROC means nothing, so an escaped block could fork; it is killed with its process group,
  from which it could step out.
- The memory limit is on address space that one worker adds; many sessions together are not bounded.
- Lists of the system's files, times and ids are not hidden. Side channels are not considered.
- macOS: RLIMIT_AS does not work, and nothing kills a worker whose server was killed; untested there. Windows:
  not available.
"""

from __future__ import annotations

from .limits import Limits
from .sandbox import Sandbox
from .session import Session

__all__ = ["Limits", "Sandbox", "Session"]
