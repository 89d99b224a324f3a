"""Fixtures every test can use."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests (``@pytest.mark.anyio``) run on asyncio only: the library makes no promise about trio."""
    return "asyncio"
