"""What is opened once for many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from genprm_sdk.mcp.keeping import Kept

pytestmark = pytest.mark.anyio


@dataclass
class Opening:
    """Opens slowly, and fails as often as it is told to."""

    failures: int = 0
    said: list[str] = field(default_factory=list)
    slowly: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        self.said.append("opening")
        try:
            await self.slowly.wait()
            if self.failures:
                self.failures -= 1
                raise ValueError("no")
            yield "it"
        finally:
            self.said.append("closed")


async def test_it_is_opened_once_and_closed_at_the_end() -> None:
    opening = Opening()
    async with Kept(opening) as kept:
        assert opening.said == []
        waiting = [asyncio.create_task(kept.get()) for _ in range(3)]
        await asyncio.sleep(0.01)
        opening.slowly.set()
        assert await asyncio.gather(*waiting) == ["it"] * 3
        assert await kept.get() == "it"
        assert opening.said == ["opening"]
    assert opening.said == ["opening", "closed"]


async def test_who_goes_away_does_not_take_it_from_the_others() -> None:
    opening = Opening()
    async with Kept(opening) as kept:
        first, second = (asyncio.create_task(kept.get()) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait([first])
        opening.slowly.set()
        assert await second == "it"


async def test_what_could_not_be_opened_is_tried_again() -> None:
    opening = Opening(failures=1)
    opening.slowly.set()
    async with Kept(opening) as kept:
        with pytest.raises(ValueError, match="no"):
            await kept.get()
        assert await kept.get() == "it"
    assert opening.said == ["opening", "closed"] * 2


async def test_the_end_does_not_wait_for_what_is_still_opening() -> None:
    opening = Opening()
    async with Kept(opening) as kept:
        waiting = asyncio.create_task(kept.get())
        await asyncio.sleep(0.01)
        waiting.cancel()
    assert opening.said == ["opening", "closed"]
    async with Kept(opening):
        pass
