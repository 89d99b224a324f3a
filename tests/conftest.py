"""Fixtures every test can use."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """Let interruptions reach the commands under test, though a shell's background job ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests (``@pytest.mark.anyio``) run on asyncio only: the library makes no promise about trio."""
    return "asyncio"
