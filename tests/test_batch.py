"""Bounded concurrency: how many run, in what order results come, and what an error or a leaver ends."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.batch import AHEAD, bounded

pytestmark = pytest.mark.anyio


class Worker:
    """Counts what runs; an item is how many turns of the loop it takes, a negative one fails."""

    def __init__(self) -> None:
        self.running = self.most = self.finished = self.cancelled = 0

    async def __call__(self, number: int, turns: int) -> tuple[int, int]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for _ in range(abs(turns)):
                await asyncio.sleep(0)
            if turns < 0:
                raise ValueError(f"item {number}")
            self.finished += 1
            return number, turns
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(st.integers(0, 9), max_size=25), st.integers(1, 6), st.booleans())
def test_every_item_has_one_result_and_no_more_than_so_many_run(
    items: list[int], concurrency: int, ordered: bool
) -> None:
    worker = Worker()

    async def run() -> list[tuple[int, int]]:
        return [result async for result in bounded(worker, items, concurrency, ordered=ordered)]

    results = asyncio.run(run())
    assert sorted(results) == list(enumerate(items))
    assert not ordered or results == list(enumerate(items))
    assert worker.most <= concurrency
    assert worker.running == 0


async def test_results_come_as_they_finish_unless_they_are_to_be_in_order() -> None:
    items = [50, 0, 0]
    assert [n async for n, _ in bounded(Worker(), items, 3)][-1] == 0
    assert [n async for n, _ in bounded(Worker(), items, 3, ordered=True)] == [0, 1, 2]


async def test_items_are_taken_only_as_there_is_room() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield 0

    results = bounded(Worker(), items(), 3)
    for _ in range(10):
        await anext(results)
    assert taken <= 10 + 2 * 3
    await results.aclose()  # type: ignore[attr-defined]

    async def stuck_at_first(number: int, item: int) -> int:
        if number == 0:
            await asyncio.Event().wait()
        return number

    taken = 0
    waiting = asyncio.ensure_future(anext(bounded(stuck_at_first, items(), 2, ordered=True)))
    await asyncio.sleep(0.05)
    assert taken == 2 * AHEAD + 1
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_an_asynchronous_source_will_do() -> None:
    async def items() -> AsyncIterator[int]:
        for turns in (3, 1, 2):
            await asyncio.sleep(0)
            yield turns

    assert [t async for _, t in bounded(Worker(), items(), 2, ordered=True)] == [3, 1, 2]


async def test_an_error_of_the_work_ends_it_and_cancels_the_rest() -> None:
    worker = Worker()
    with pytest.raises(ValueError, match="item 1"):
        async for _ in bounded(worker, [10_000, -1, 10_000, 0], 3):
            pass
    assert worker.running == 0
    assert worker.cancelled == 2


async def test_an_error_of_the_source_comes_behind_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield 0
        yield 0
        raise OSError("the disk is gone")

    results = bounded(Worker(), items(), 1)
    assert [await anext(results), await anext(results)] == [(0, 0), (1, 0)]
    with pytest.raises(OSError, match="the disk"):
        await anext(results)


@pytest.mark.parametrize("turns", range(6))
async def test_leaving_at_any_moment_leaves_nothing_running(turns: int) -> None:
    worker, before = Worker(), asyncio.all_tasks()

    async def consume() -> None:
        async for _ in bounded(worker, [10_000] * 20, 4):
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = asyncio.create_task(consume())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gc.collect()
    assert worker.running == 0
    assert asyncio.all_tasks() == before


async def test_a_scope_of_anyio_leaves_nothing_running() -> None:
    """It cancels again at every await, those behind the first cancellation too."""
    worker, before = Worker(), asyncio.all_tasks()
    with anyio.move_on_after(0.01) as scope:
        async for _ in bounded(worker, [10_000] * 20, 4):
            raise AssertionError("nothing is finished as soon as that")
    assert scope.cancelled_caught
    assert worker.running == 0
    assert asyncio.all_tasks() == before
