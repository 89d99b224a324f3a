"""Many blocks in many sessions at once, some of them killed: nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter

import pytest

from genprm_sdk.sandbox import Limits, Sandbox

from ..processes import children, resident_mb

pytestmark = pytest.mark.anyio

BLOCKS = {
    "ok": "print(sum(range(100)))",
    "error": "1 / 0",
    "policy": "import os",
    "syntax_error": "print(",
    "timeout": "while True: pass",
    "memory": "x = [0] * 10**9",
    "output_limit": "while True: print('x' * 1000)",
    "crashed": "from sympy import lambdify\nlambdify([], '__import__(\"os\")._exit(3)')()",
}
WEIGHTS = {"timeout": 0.002, "memory": 0.02, "output_limit": 0.01, "crashed": 0.02}


async def work(sandbox: Sandbox, blocks: int, sessions: int) -> Counter[str]:
    """Run blocks in some sessions at a time; returns how they ended."""
    endings: Counter[str] = Counter()
    numbers = iter(range(blocks))

    async def one(number: int) -> None:
        rng = random.Random(number)
        session = sandbox.session()
        for count, _ in enumerate(numbers):
            kind = rng.choices(list(BLOCKS), [WEIGHTS.get(name, 0.2) for name in BLOCKS])[0]
            run = await session.run(BLOCKS[kind])
            endings[run.status] += 1
            assert run.status == kind, (kind, run.message, count)
            if count % 17 == 16:
                other = await session.fork()
                assert (await other.run("print(1)")).feedback == "1"
                await session.close()
                session = other
            if rng.random() < 0.02 and session.pid is not None:
                os.kill(session.pid, signal.SIGKILL)
                endings[(await session.run(BLOCKS["ok"])).status] += 1
            if rng.random() < 0.05:
                await session.close()
                session = sandbox.session()
        await session.close()

    async with asyncio.TaskGroup() as group:
        for number in range(sessions):
            group.create_task(one(number))
    return endings


async def left_behind(blocks: int) -> None:
    files = len(os.listdir("/proc/self/fd"))
    before = children(os.getpid())
    async with Sandbox(Limits(wall_seconds=1, memory_mb=256)) as sandbox:
        await work(sandbox, blocks // 10, 16)
        assert sandbox._starting is not None
        server = sandbox._starting.result().pid
        memory = resident_mb(server)
        descriptors = len(os.listdir(f"/proc/{server}/fd"))
        endings = await work(sandbox, blocks, 16)
        assert set(endings) == set(BLOCKS)
        await asyncio.sleep(0.2)
        assert children(server) == {worker.pid for worker in sandbox._reserve}
        assert len(os.listdir(f"/proc/{server}/fd")) <= descriptors + 2
        assert resident_mb(server) < memory + 20
        assert sandbox._starting.result().pid == server
    assert children(os.getpid()) <= before
    assert len(os.listdir("/proc/self/fd")) <= files + 2


async def test_a_thousand_blocks_leave_nothing_behind() -> None:
    await left_behind(1000)


@pytest.mark.soak
async def test_ten_thousand_blocks_leave_nothing_behind() -> None:
    await left_behind(10_000)
