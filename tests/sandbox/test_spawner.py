"""Workers that are started instead of forked, and the profile that confines them on macOS.

Starting works anywhere and is tested here without the profile; the profile is tested as text.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest

from genprm_sdk.errors import SandboxError, SandboxUnavailable
from genprm_sdk.sandbox import Limits, Sandbox, host, seatbelt
from genprm_sdk.sandbox import sandbox as sandbox_module
from genprm_sdk.sandbox.spawner import Spawner

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def spawning(anyio_backend: str) -> AsyncIterator[Sandbox]:
    patch = pytest.MonkeyPatch()
    patch.setattr(sandbox_module, "Server", Spawner)
    async with Sandbox(Limits(wall_seconds=1, memory_mb=256), isolation="language") as made:
        await made.ready()
        yield made
    patch.undo()


async def test_state_errors_and_hard_ends(spawning: Sandbox) -> None:
    async with spawning.session() as session:
        assert (await session.run("import sympy\nx = sympy.Integer(6)")).status == "ok"
        run = await session.run("print(x * 7)")
        assert (run.feedback, run.isolation) == ("42", "language")
        assert (await session.run("1 / 0")).error_type == "ZeroDivisionError"
        assert (await session.run("import os")).status == "policy"
        assert (await session.run("print(x)")).feedback == "6"
        pid = session.pid
        assert (await session.run("while True: pass")).status == "timeout"
        assert (await session.run("print(x)")).error_type == "NameError"
        assert session.pid != pid


async def test_a_session_that_cannot_be_copied_keeps_its_variables(spawning: Sandbox) -> None:
    async with spawning.session() as session:
        await session.run("x = 1")
        with pytest.raises(SandboxUnavailable, match="cannot be forked here"):
            await session.fork()
        assert (await session.run("print(x)")).feedback == "1"


async def test_a_started_worker_has_the_same_limits(spawning: Sandbox) -> None:
    """Asked through a known way past the language policy."""
    async with spawning.session() as session:
        run = await session.run(
            "from sympy import lambdify\n"
            "limits = \"[__import__('resource').getrlimit(kind)[0] for kind in (1, 4, 7)]\"\n"
            "print(lambdify([], limits)())"
        )
    assert run.feedback == f"[0, 0, {spawning.limits.open_files}]"


async def test_closing_ends_every_process() -> None:
    spawner = await Spawner.start("language")
    worker = await spawner.fork(Limits())
    starting = asyncio.ensure_future(spawner.fork(Limits()))
    await asyncio.sleep(0.05)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    left = await spawner.fork(Limits())
    await worker.end()
    await spawner.close()
    assert not spawner.alive
    for each in (worker, left):
        with pytest.raises(ProcessLookupError):
            os.kill(each.pid, 0)
    with pytest.raises(SandboxError, match="no worker"):
        await left.end()


async def test_a_worker_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    spawner = await Spawner.start("language")
    monkeypatch.setattr(host, "BOOT", "raise SystemExit(3)")
    with pytest.raises(SandboxError, match="cannot be started"):
        await spawner.fork(Limits())
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(SandboxError, match="cannot be started"):
        await spawner.fork(Limits())


def test_the_profile_denies_by_default() -> None:
    text = seatbelt.profile(["/usr/lib", '/a "quoted" folder'], "/usr/bin/python3")
    lines = text.splitlines()
    assert lines[:2] == ["(version 1)", "(deny default)"]
    assert text.count("(") == text.count(")")
    assert '(subpath "/a \\"quoted\\" folder")' in text
    allowed = [line for line in lines if line.startswith("(allow")]
    assert [line.split()[1].rstrip(")") for line in allowed] == [
        "process-exec", "file-read-metadata", "file-read*", "file-write-data", "sysctl-read",
    ]  # fmt: skip
    for kind in ("network*", "process-fork", "file-write*"):
        assert f"(deny {kind})" in lines
    assert allowed[0] == '(allow process-exec (literal "/usr/bin/python3"))'
    assert allowed[3] == '(allow file-write-data (literal "/dev/null"))'


def test_what_may_be_read_is_libraries_alone() -> None:
    folders = seatbelt.readable()
    assert any(folder.endswith("/sympy") for folder in folders)
    assert all(os.path.isabs(folder) for folder in folders)
    assert not {"/", "/Users", os.path.expanduser("~"), os.getcwd()} & set(folders)


def test_the_command_wraps_another() -> None:
    found = seatbelt.command([sys.executable, "-c", "pass"])
    assert found[:2] == ["/usr/bin/sandbox-exec", "-p"]
    assert json.dumps(os.path.realpath(sys.executable)) in found[2]
    assert found[3:] == [sys.executable, "-c", "pass"]


def test_a_mac_is_held_to_its_own_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Sandbox()._level == "seatbelt+language"
    with pytest.raises(SandboxUnavailable, match=r"darwin has no isolation 'kernel\+language'"):
        Sandbox(isolation="kernel+language")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SandboxUnavailable, match=r"linux has no isolation 'seatbelt\+language'"):
        Sandbox(isolation="seatbelt+language")
