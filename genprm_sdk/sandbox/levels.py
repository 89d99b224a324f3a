"""How strongly a block is kept apart, by name, and which level a system is held to unless told otherwise."""

from __future__ import annotations

import sys
from typing import Literal, get_args

from ..errors import InputError, SandboxUnavailable

__all__ = ["Isolation", "chosen_level", "weaker_hint"]

Isolation = Literal["kernel+language", "kernel", "seccomp+language", "seatbelt+language", "language"]
"""What stands between a block and the machine, beside a process of its own and limits on its use.

- ``kernel+language``: seccomp, Landlock and the language policy; what Linux is held to.
- ``kernel``: seccomp and Landlock alone, with all of Python.
- ``seccomp+language``: without Landlock, for kernels that lack it: what the user may read, a block that gets
  past the policy may read too.
- ``seatbelt+language``: a Seatbelt profile and the policy; what macOS is held to. Not tried on a Mac yet.
- ``language``: the policy alone, which is no boundary against code that is written to get past it.
"""


def chosen_level(isolation: Isolation | None) -> Isolation:
    """The level asked for, or this system's own.

    Raises:
        InputError: There is no such level.
        SandboxUnavailable: This system has no kernel wall, and no weaker level was asked for.
    """
    if isolation is not None:
        if isolation not in get_args(Isolation):
            raise InputError(f"isolation must be one of {', '.join(get_args(Isolation))}, not {isolation!r}")
        if (isolation == "seatbelt+language") != (sys.platform == "darwin") and isolation != "language":
            raise SandboxUnavailable(f"{sys.platform} has no isolation {isolation!r}; {weaker_hint()}")
        return isolation
    if sys.platform == "darwin":
        return "seatbelt+language"
    if sys.platform != "linux":
        raise SandboxUnavailable(f"there is no kernel wall on {sys.platform}; {weaker_hint()}")
    return "kernel+language"


def weaker_hint() -> str:
    """What somebody can do who cannot have the level that he needs."""
    return (
        "run without executing code, or choose a weaker level knowingly: isolation='seccomp+language' "
        "(no Landlock) or isolation='language' (the language policy alone, which is no boundary)"
    )
