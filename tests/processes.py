"""Looking at processes from outside, for tests of what is left behind; Linux's /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["alive", "children", "descendants", "resident_mb"]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def children(pid: int) -> set[int]:
    """A process's own children, by all of its threads, zombies too; none of a process that is gone."""
    found: set[int] = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that ended since
            found.update(map(int, listed.read_text(encoding="ascii").split()))
    return found


def descendants(pid: int) -> set[int]:
    """A process's children, and theirs, and so on."""
    found = children(pid)
    return found.union(*map(descendants, found))


def resident_mb(pid: int) -> float:
    """Memory of a process that is not swapped out, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
