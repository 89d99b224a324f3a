"""One loaded model for several users: loaded once, freed after the last."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from genprm_sdk import Verifier
from genprm_sdk.backends.shared import _holdings, shared_backend

pytestmark = pytest.mark.anyio


class Loaded:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class Loader:
    def __init__(self, error: Exception | None = None) -> None:
        self.loaded: list[Loaded] = []
        self.error = error

    async def __call__(self) -> Any:
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        self.loaded.append(Loaded())
        return self.loaded[-1]


async def test_users_of_one_key_share_what_is_freed_after_the_last() -> None:
    load = Loader()

    async def use(seconds: float) -> Loaded:
        async with shared_backend("key", load) as backend:
            await asyncio.sleep(seconds)
            assert not backend.closed  # type: ignore[attr-defined]
            return backend  # type: ignore[return-value]

    first, second = await asyncio.gather(use(0.0), use(0.05))
    assert first is second is load.loaded[0]
    assert first.closed
    assert await use(0.0) is load.loaded[1]
    assert not _holdings


async def test_different_keys_are_loaded_apart() -> None:
    load = Loader()
    async with shared_backend("a", load) as one, shared_backend("b", load) as other:
        assert one is not other


async def test_an_error_of_loading_reaches_everybody_and_the_next_one_tries_again() -> None:
    load = Loader(OSError("torn"))

    async def use() -> None:
        async with shared_backend("key", load):
            pass

    results = await asyncio.gather(use(), use(), return_exceptions=True)
    assert [type(result) for result in results] == [OSError, OSError]
    load.error = None
    await use()


async def test_one_who_stops_waiting_does_not_stop_the_others() -> None:
    load = Loader()

    async def use() -> Loaded:
        async with shared_backend("key", load) as backend:
            return backend  # type: ignore[return-value]

    leaver, stayer = asyncio.create_task(use()), asyncio.create_task(use())
    await asyncio.sleep(0)
    leaver.cancel()
    assert (await stayer).closed
    await asyncio.wait([leaver])
    assert leaver.cancelled()
    assert not _holdings


async def test_two_verifiers_share_one_model() -> None:
    async with Verifier("genprm-mini", threads=1) as one, Verifier("genprm-mini", threads=1) as other:
        assert one._opened is other._opened
        async with Verifier("genprm-mini", threads=1, exact=True) as third:
            assert third._opened is not one._opened
        together = await asyncio.gather(one.check(["1 + 1 = 2"]), other.check(["1 + 1 = 2"]))
    assert {report.model for report in together} == {"genprm-mini"}
