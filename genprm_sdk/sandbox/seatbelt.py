"""The wall of macOS: a Seatbelt profile around each worker, and the command that starts it there.

Written from Apple's published profiles and tested as text; **it has not run on a Mac yet**. What it must say:
nothing but reading the libraries, no network, no writing, no other programs.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

__all__ = ["command", "profile", "readable"]

SYSTEM = ("/usr/lib", "/System/Library", "/Library/Preferences/Logging", "/private/var/db/dyld")
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "RestrictedPython")


def readable() -> list[str]:
    """The folders that a worker must read: Python, what blocks may import, the system's libraries."""
    found = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sys.base_prefix}
    found.add(os.path.dirname(__file__))
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None:
            found.update(spec.submodule_search_locations or ())
    return sorted({os.path.realpath(path) for path in found if path} | set(SYSTEM))


def profile(folders: Iterable[str], program: str) -> str:
    """A profile that lets a program start, read some folders and compute."""
    files = "".join(f" (literal {json.dumps(file)})" for file in ("/dev/null", "/dev/urandom", program))
    reading = "".join(f"\n  (subpath {json.dumps(folder)})" for folder in folders)
    return (
        "(version 1)\n"
        "(deny default)\n"
        f"(allow process-exec (literal {json.dumps(program)}))\n"
        "(allow file-read-metadata)\n"
        f"(allow file-read*{files}{reading})\n"
        '(allow file-write-data (literal "/dev/null"))\n'
        "(allow sysctl-read)\n"
        "(deny network*)\n"
        "(deny process-fork)\n"
        "(deny file-write*)\n"
    )


def command(arguments: Sequence[str]) -> list[str]:
    """The command line that runs another one inside the profile."""
    program = os.path.realpath(arguments[0])
    return ["/usr/bin/sandbox-exec", "-p", profile(readable(), program), *arguments]
