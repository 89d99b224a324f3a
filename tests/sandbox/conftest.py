"""One warm sandbox a test: servers are real processes, so tests of blocks share what they can."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from genprm_sdk.sandbox import Limits, Sandbox, Session


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    async with Sandbox(Limits(wall_seconds=5, memory_mb=256)) as shared:
        yield shared


@pytest.fixture(scope="module")
async def hasty(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """For blocks that are to run out of time."""
    async with Sandbox(Limits(wall_seconds=0.5, memory_mb=256)) as shared:
        yield shared


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[Session]:
    async with sandbox.session() as opened:
        yield opened
