"""Who is alive when: sessions, workers, the server, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genprm_sdk.errors import ClosedError, SandboxError, SandboxUnavailable
from genprm_sdk.sandbox import Limits, Sandbox, Session, host
from genprm_sdk.sandbox.sandbox import RESTARTS

from ..processes import alive, children

pytestmark = pytest.mark.anyio

FOREVER = "while True: pass"


async def gone(*pids: int) -> bool:
    for _ in range(200):
        if not any(alive(pid) for pid in pids):
            return True
        await asyncio.sleep(0.02)
    return False


def server_pid(sandbox: Sandbox) -> int:
    assert sandbox._starting is not None
    return sandbox._starting.result().pid


async def busy(session: Session) -> tuple[asyncio.Task[object], int]:
    """A session whose worker is in the middle of a block."""
    await session.run("x = 1")
    task: asyncio.Task[object] = asyncio.ensure_future(session.run(FOREVER))
    await asyncio.sleep(0.1)
    assert session.pid is not None
    return task, session.pid


async def test_sessions_run_side_by_side(sandbox: Sandbox) -> None:
    ready = asyncio.Barrier(8)

    async def one(number: int) -> tuple[float, float]:
        async with sandbox.session() as session:
            await session.run(f"import time\nx = {number}")
            await ready.wait()
            block = "begin = time.monotonic()\ntime.sleep(0.3)\nprint(x, begin, time.monotonic())"
            said, begin, end = (await session.run(block)).feedback.split()
            assert int(said) == number
            return float(begin), float(end)

    begins, ends = zip(*await asyncio.gather(*map(one, range(8))), strict=True)
    assert max(ends) - min(begins) < sum(ends) - sum(begins)


async def test_runs_of_one_session_wait_for_each_other(session: Session) -> None:
    await session.run("x = []")
    await asyncio.gather(*(session.run(f"x.append({n})") for n in range(5)))
    assert (await session.run("print(x)")).feedback == "[0, 1, 2, 3, 4]"


async def test_the_event_loop_is_never_blocked(hasty: Sandbox) -> None:
    await hasty.ready()
    gaps, last = [], time.perf_counter()

    async def tick() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    ticking = asyncio.ensure_future(tick())
    async with hasty.session() as session:
        await session.run(FOREVER)
    ticking.cancel()
    assert len(gaps) > 10
    assert max(gaps) < 0.4


async def test_cancelling_a_run_kills_its_worker(sandbox: Sandbox) -> None:
    async with sandbox.session() as session:
        task, pid = await busy(session)
        assert alive(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(pid)
        assert (await session.run("print(x)")).error_type == "NameError"


async def test_cancelling_at_any_moment_leaves_no_worker(sandbox: Sandbox) -> None:
    await sandbox.ready()
    server = server_pid(sandbox)
    for delay in (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016):
        session = sandbox.session()
        task = asyncio.ensure_future(session.run(FOREVER))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await session.close()
    for _ in range(100):  # the reserve is being filled again
        if children(server) == {worker.pid for worker in sandbox._reserve}:
            break
        await asyncio.sleep(0.02)
    assert children(server) == {worker.pid for worker in sandbox._reserve}


async def test_a_callers_own_timeout_works(sandbox: Sandbox) -> None:
    async with sandbox.session() as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await session.run(FOREVER)
        assert (await session.run("print(1)")).feedback == "1"


async def test_closing_a_session_ends_its_run(sandbox: Sandbox) -> None:
    session = sandbox.session()
    task, pid = await busy(session)
    await session.close()
    run = await task
    assert (run.status, run.state_kept) == ("closed", False)  # type: ignore[attr-defined]
    assert not alive(pid)
    await session.close()
    with pytest.raises(ClosedError):
        await session.run("print(1)")
    with pytest.raises(ClosedError):
        await session.run("")


async def test_closing_the_sandbox_ends_everything() -> None:
    async with Sandbox() as sandbox:
        session = sandbox.session()
        task, pid = await busy(session)
        server = server_pid(sandbox)
    assert (await task).status == "closed"  # type: ignore[attr-defined]
    assert not alive(pid)
    assert not alive(server)
    await sandbox.close()
    with pytest.raises(ClosedError):
        sandbox.session()
    for use in (sandbox.__aenter__(), sandbox.ready(), session.run("1")):
        with pytest.raises(ClosedError):
            await use


@pytest.mark.parametrize("seconds", [None, 0, 0.001, 0.01, 0.1])
async def test_a_sandbox_that_is_left_at_once_leaves_nothing(seconds: float | None) -> None:
    before = children(os.getpid())
    started = time.perf_counter()
    async with Sandbox():
        if seconds is not None:
            await asyncio.sleep(seconds)
    assert children(os.getpid()) <= before
    assert time.perf_counter() - started < 5


async def test_a_dead_server_is_replaced_some_times() -> None:
    async with Sandbox() as sandbox, sandbox.session() as first:
        task, worker = await busy(first)
        os.kill(server_pid(sandbox), signal.SIGKILL)
        with pytest.raises(SandboxError):
            await task
        assert await gone(worker)
        async with sandbox.session() as second:
            assert (await second.run("print(1)")).feedback == "1"
        assert (await first.run("print(2)")).feedback == "2"
        for number in range(RESTARTS - 1):
            os.kill(server_pid(sandbox), signal.SIGKILL)
            assert await gone(server_pid(sandbox))
            async with sandbox.session() as another:
                assert (await another.run(f"print({number})")).feedback == str(number)
        os.kill(server_pid(sandbox), signal.SIGKILL)
        assert await gone(server_pid(sandbox))
        with pytest.raises(SandboxUnavailable, match="has failed 4 times in 60 seconds"):
            async with sandbox.session() as last:
                await last.run("print(1)")


async def test_a_server_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "BOOT", "raise SystemExit(3)")
    async with Sandbox() as sandbox, sandbox.session() as session:
        with pytest.raises(SandboxUnavailable, match="did not start"):
            await session.run("print(1)")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    async with Sandbox() as sandbox:
        with pytest.raises(SandboxUnavailable, match="cannot be started"):
            await sandbox.ready()


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    async with Sandbox() as sandbox:
        with pytest.raises(SandboxUnavailable, match=r"No module named"):
            await sandbox.ready()


async def test_no_fork_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    async with Sandbox() as sandbox:
        with pytest.raises(SandboxUnavailable, match="can fork"):
            await sandbox.ready()


HOST = """
import asyncio
from genprm_sdk.sandbox import Sandbox
async def main():
    async with Sandbox() as sandbox, sandbox.session() as session:
        await session.run("x = 1")
        print(sandbox._starting.result().pid, session.pid, flush=True)
        await session.run("while True: pass")
asyncio.run(main())
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
async def test_everything_dies_with_the_host(sent: signal.Signals) -> None:
    root = str(Path(host.__file__).parents[2])
    with subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do
        [sys.executable, "-c", HOST],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=20)
        assert await gone(*pids)
    assert "genprm_inside" not in stderr


async def test_importing_it_is_light() -> None:
    code = (
        "import sys, genprm_sdk.sandbox\n"
        "print([m for m in ('RestrictedPython', 'sympy', 'numpy', 'scipy') if m in sys.modules])"
    )
    root = str(Path(host.__file__).parents[2])
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", code],
        env={"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


async def test_a_workers_open_files_are_few() -> None:
    async with Sandbox(Limits(open_files=16)) as sandbox, sandbox.session() as session:
        assert (await session.run("import scipy.special\nprint(scipy.special.binom(4, 2))")).feedback == "6.0"
