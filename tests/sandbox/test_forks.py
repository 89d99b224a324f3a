"""Copies of sessions: they start alike, go apart, and nobody becomes two who was not asked to."""

from __future__ import annotations

import asyncio
import os

import pytest

from genprm_sdk.errors import ClosedError, InputError, SandboxError
from genprm_sdk.sandbox import Sandbox, Session

pytestmark = pytest.mark.anyio


async def test_a_fork_goes_its_own_way(session: Session) -> None:
    await session.run("import math\nx = [1]\ndef f(n):\n    return n + len(x)")
    async with await session.fork() as other:
        assert (await other.run("x.append(2)\nprint(f(0), x)")).feedback == "2 [1, 2]"
        assert (await session.run("print(f(0), x)")).feedback == "1 [1]"
        assert other.pid != session.pid
    assert (await session.run("print(x)")).feedback == "[1]"


async def test_forks_of_forks_outlive_what_they_come_from(sandbox: Sandbox) -> None:
    first = sandbox.session()
    await first.run("x = 1")
    second = await first.fork()
    await first.close()
    assert (await second.run("x += 1\nprint(x)")).feedback == "2"
    third = await second.fork()
    await second.close()
    assert (await third.run("x += 1\nprint(x)")).feedback == "3"
    await third.close()


async def test_many_forks_at_once(session: Session) -> None:
    await session.run("x = list(range(1000))")
    forks = await asyncio.gather(*(session.fork() for _ in range(12)))
    runs = await asyncio.gather(
        *(fork.run(f"x.append({number})\nprint(len(x), x[-1])") for number, fork in enumerate(forks))
    )
    assert [run.feedback for run in runs] == [f"1001 {number}" for number in range(12)]
    assert len({fork.pid for fork in forks}) == 12
    await asyncio.gather(*(fork.close() for fork in forks))


async def test_a_fork_draws_the_same_random_numbers(session: Session) -> None:
    await session.run("import random\nrandom.random()")
    async with await session.fork() as other:
        draws = [await each.run("print(random.random())") for each in (session, other)]
    assert draws[0].feedback == draws[1].feedback


async def test_a_fork_has_limits_of_its_own(hasty: Sandbox) -> None:
    async with hasty.session() as session:
        await session.run("x = 1")
        async with await session.fork() as other:
            assert (await other.run("while True: pass")).status == "timeout"
            assert (await session.run("print(x)")).feedback == "1"


async def test_forking_waits_for_the_block_that_runs(session: Session) -> None:
    running = asyncio.ensure_future(session.run("import time\ntime.sleep(0.3)\nx = 5"))
    await asyncio.sleep(0.1)
    async with await session.fork() as other:
        assert (await other.run("print(x)")).feedback == "5"
    await running


async def test_a_session_without_variables_forks_into_another(session: Session) -> None:
    async with await session.fork() as other:
        assert (await other.run("print(1)")).feedback == "1"


async def test_a_closed_session_does_not_fork(sandbox: Sandbox) -> None:
    session = sandbox.session()
    await session.run("x = 1")
    await session.close()
    with pytest.raises(ClosedError):
        await session.fork()


STUBBORN = """
import ctypes, os, select
poll = select.poll
class Deaf:
    def register(self, *a): pass
    def poll(self, *a): return []
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "Worker":
        type(thing).copy = lambda self: self.gate.recv(16) and True
"""


async def test_a_worker_that_does_not_do_as_asked_is_ended() -> None:
    async with Sandbox(isolation="kernel") as sandbox, sandbox.session() as session:
        run = await session.run(STUBBORN)
        assert run.status == "ok", run
        pid = session.pid
        with pytest.raises(SandboxError, match="could not be copied"):
            await session.fork()
        assert not os.path.exists(f"/proc/{pid}")  # noqa: ASYNC240
        assert (await session.run("print(1)")).feedback == "1"


async def test_sessions_beyond_the_bound_wait(anyio_backend: str) -> None:
    async with Sandbox(max_sessions=2) as sandbox:
        first, second, third = (sandbox.session() for _ in range(3))
        await first.run("x = 1")
        await second.run("x = 2")
        waiting = asyncio.ensure_future(third.run("print(3)"))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await first.close()
        assert (await waiting).feedback == "3"

        fourth = sandbox.session()
        impatient = asyncio.ensure_future(fourth.run("print(4)"))
        await asyncio.sleep(0.1)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await second.close()
        assert (await fourth.run("print(4)")).feedback == "4"
    with pytest.raises(InputError, match="max_sessions"):
        Sandbox(max_sessions=0)
