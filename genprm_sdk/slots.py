"""Room for sequences, divided among the checks that run at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["Slots", "slots_of"]


class Slots:
    """A number of places; who comes first is served first.

    Args:
        capacity: How many there are.
    """

    def __init__(self, capacity: int) -> None:
        self._free = capacity
        self._capacity = capacity
        self._queue = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def reserve(self, least: int, most: int) -> AsyncIterator[int]:
        """Hold between ``least`` and ``most`` places, as many as are free once ``least`` are.

        Yields:
            How many are held.

        Raises:
            ValueError: There are not ``least`` places at all.
        """
        if least > self._capacity:
            raise ValueError(f"{least} of {self._capacity} places cannot be had")
        async with self._queue:
            while self._free < least:
                self._freed.clear()
                await self._freed.wait()
            held = min(most, self._free)
            self._free -= held
        try:
            yield held
        finally:
            self._free += held
            self._freed.set()


_slots: WeakKeyDictionary[Any, Slots] = WeakKeyDictionary()


def slots_of(owner: Any, capacity: int) -> Slots:
    """The places that belong to an object, the same for whoever asks; they go when it goes."""
    return _slots.setdefault(owner, Slots(capacity))
