"""Fixtures for the tests of models: a hub on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .hub_server import HubServer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub without any repository, that nobody has a token for."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("genprm_sdk.models.transfer.RETRY_SECONDS", 0.001)
    monkeypatch.setattr("genprm_sdk.models.transfer.LOCK_SECONDS", 0.005)
    with HubServer() as server:
        yield server
