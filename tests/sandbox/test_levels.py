"""What a system offers decides what a sandbox may be: on kernels and in containers that offer less, too.

Such systems are made here: a process that a seccomp filter keeps from Landlock or from seccomp itself sees
what an older kernel or a container's profile would show it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from genprm_sdk.errors import InputError, SandboxUnavailable
from genprm_sdk.sandbox import Isolation, Sandbox, levels

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel wall is Linux's"),
]

PROGRAM = """
import asyncio, errno, os, sys
import seccompy
from genprm_sdk.errors import SandboxUnavailable
from genprm_sdk.sandbox import Sandbox

WITHOUT = {
    "landlock": [("landlock_create_ruleset", errno.ENOSYS)],
    "seccomp": [("seccomp", errno.EPERM)],
    "nothing": [],
}
made = seccompy.Filter()
for name, error in WITHOUT[sys.argv[1]]:
    made.errno(name, error)
if WITHOUT[sys.argv[1]]:
    made.load()
if sys.argv[3] != "root":
    os.setgid(65534)
    os.setuid(65534)

async def main():
    level = None if sys.argv[2] == "default" else sys.argv[2]
    try:
        async with Sandbox(isolation=level) as sandbox, sandbox.session() as session:
            run = await session.run("import sympy\\nprint(sympy.factor('x**2 - 1'))")
            other = await session.fork()
            copied = await other.run("print(sympy.Integer(3))")
            print(run.isolation, run.feedback, copied.feedback)
    except SandboxUnavailable as error:
        print("unavailable:", error)

asyncio.run(main())
"""


def outcome(without: str, level: str, user: str = "root") -> str:
    """What a sandbox of a level does where something is missing."""
    program = [sys.executable, "-c", PROGRAM, without, level, user]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WORKS = "(x - 1)*(x + 1) 3"


@pytest.mark.parametrize("level", ["kernel+language", "kernel", "seccomp+language", "language"])
def test_every_level_works_here(level: str) -> None:
    assert outcome("nothing", level) == f"{level} {WORKS}"


def test_by_default_it_is_the_kernel_wall_or_nothing() -> None:
    assert outcome("nothing", "default") == f"kernel+language {WORKS}"
    refusal = outcome("landlock", "default")
    assert refusal.startswith("unavailable: ")
    assert "Landlock is not available: it needs Linux 5.13" in refusal
    assert "isolation='seccomp+language'" in refusal
    refusal = outcome("seccomp", "default")
    assert refusal.startswith("unavailable: ")
    assert "seccomp" in refusal
    assert "isolation='language'" in refusal


def test_a_weaker_level_can_be_asked_for_by_name() -> None:
    assert outcome("landlock", "seccomp+language") == f"seccomp+language {WORKS}"
    assert outcome("seccomp", "language") == f"language {WORKS}"
    assert outcome("seccomp", "seccomp+language").startswith("unavailable: ")


def readable_by_everybody(path: str) -> bool:
    path = os.path.realpath(path)
    while path != "/":
        if not os.stat(path).st_mode & 0o005:
            return False
        path = os.path.dirname(path)
    return True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(
    not all(
        readable_by_everybody(os.path.realpath(p)) for p in (sys.executable, os.__file__, levels.__file__)
    ),
    reason="another user cannot read this Python",
)
@pytest.mark.parametrize("level", ["kernel+language", "seccomp+language", "language"])
def test_an_ordinary_user_has_the_same(level: str) -> None:
    assert outcome("nothing", level, "nobody") == f"{level} {WORKS}"


def test_a_level_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="isolation must be one of kernel"):
        Sandbox(isolation="docker")  # type: ignore[arg-type]


def test_a_system_without_a_kernel_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels.sys, "platform", "freebsd14")
    with pytest.raises(SandboxUnavailable, match=r"no kernel wall on freebsd14.*isolation='language'"):
        Sandbox()
    level: Isolation = "language"
    Sandbox(isolation=level)
