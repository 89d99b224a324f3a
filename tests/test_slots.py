"""Places for sequences are never given twice, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random

import pytest

from genprm_sdk.slots import Slots

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", range(5))
async def test_no_place_is_given_twice_and_everybody_gets_one(seed: int) -> None:
    rng, slots, held, peak = random.Random(seed), Slots(5), 0, 0

    async def hold(least: int, most: int) -> None:
        nonlocal held, peak
        async with slots.reserve(least, most) as got:
            assert least <= got <= most
            held += got
            peak = max(peak, held)
            try:
                await asyncio.sleep(rng.random() * 0.003)
            finally:
                held -= got

    tasks = [asyncio.create_task(hold(*sorted((rng.randint(1, 5), rng.randint(1, 9))))) for _ in range(60)]
    for task in rng.sample(tasks, 15):
        asyncio.get_running_loop().call_later(rng.random() * 0.02, task.cancel)
    await asyncio.wait(tasks, timeout=20)
    assert all(task.done() for task in tasks)
    assert not [task for task in tasks if not task.cancelled() and task.exception()]
    assert peak <= 5
    async with slots.reserve(5, 5) as everything:
        assert everything == 5


async def test_who_comes_first_is_served_first() -> None:
    slots, order = Slots(2), []

    async def hold(name: str, least: int) -> None:
        async with slots.reserve(least, least):
            order.append(name)
            await asyncio.sleep(0.001)

    async with slots.reserve(1, 1):
        waiting = [asyncio.create_task(hold("large", 2)), asyncio.create_task(hold("small", 1))]
        await asyncio.sleep(0.005)
    await asyncio.gather(*waiting)
    assert order == ["large", "small"]


async def test_more_than_there_is_cannot_be_had() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        async with Slots(2).reserve(3, 3):
            pass
