"""Cancelled once and to the end, by asyncio and by anyio's scopes, which cancel again at every await."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from genprm_sdk import Verifier
from genprm_sdk.cancellation import cancelled_once

pytestmark = pytest.mark.anyio
STEPS = ["Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11."] * 4


class Work:
    """Waits for ever, and cleans up for a while."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.cleaned = False

    async def __call__(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            for _ in range(3):
                await asyncio.sleep(0.01)
            self.cleaned = True


async def test_an_anyio_scope_lets_it_clean_up() -> None:
    work = Work()
    with anyio.move_on_after(0.01) as scope:
        await cancelled_once(work())
    assert scope.cancelled_caught
    assert (work.cancelled, work.cleaned) == (1, True)


async def test_asyncio_cancels_it_as_often_as_it_likes() -> None:
    work = Work()
    task = asyncio.create_task(cancelled_once(work()))
    await asyncio.sleep(0.01)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.005)
    await asyncio.wait([task])
    assert task.cancelled()
    assert (work.cancelled, work.cleaned) == (1, True)


async def test_results_and_errors_come_through() -> None:
    async def fine() -> int:
        return 3

    async def broken() -> int:
        raise ValueError("no")

    assert await cancelled_once(fine()) == 3
    with pytest.raises(ValueError, match="no"):
        await cancelled_once(broken())


async def test_an_error_while_cleaning_up_does_not_hide_the_cancellation() -> None:
    async def broken() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("no")

    with anyio.move_on_after(0.01) as scope:
        await cancelled_once(broken())
    assert scope.cancelled_caught


async def test_checks_that_an_anyio_scope_cancels_leave_no_session() -> None:
    async with Verifier("genprm-mini", threads=1) as verifier:
        for tenths in range(1, 9):
            with anyio.move_on_after(tenths / 20):
                await verifier.check(STEPS, samples=4, seed=tenths)
        sandbox = verifier._sandbox
        assert sandbox is not None
        assert not sandbox._sessions
