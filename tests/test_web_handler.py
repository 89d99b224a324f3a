"""The web service of the examples: what a client who goes away leaves behind, and who must wait."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import httpx2
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import uvicorn

from genprm_sdk import Verifier

pytestmark = pytest.mark.anyio
FILE = Path(__file__).parent.parent / "examples" / "web_handler.py"
LONG = {"problem": "Calculate.", "steps": ["Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11."] * 60}
SHORT = {"problem": "Calculate.", "steps": LONG["steps"][:1]}


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_handler", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def serving(module: ModuleType) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        server = uvicorn.Server(uvicorn.Config(module.app, log_level="warning"))
        task = asyncio.create_task(server.serve([door]))
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def test_a_client_that_goes_away_takes_its_check_along(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Verifier] = []

    def noted(name: str) -> Verifier:
        opened.append(Verifier(name, threads=1))
        return opened[0]

    module = example()
    monkeypatch.setattr(module, "Verifier", noted)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    async with serving(module) as address, httpx2.AsyncClient(base_url=address, timeout=60) as client:
        assert (await client.post("/check", json=SHORT)).status_code == 200
        (verifier,) = opened
        sandbox = verifier._sandbox
        assert sandbox is not None
        for path in ("/check", "/solve"):
            begun = asyncio.create_task(client.post(path, json=LONG))
            while not sandbox._sessions:  # noqa: ASYNC110 - nothing tells when a check has begun
                await asyncio.sleep(0.01)
            waiting = asyncio.create_task(client.post("/check", json=SHORT))
            begun.cancel()
            await asyncio.wait([begun])
            assert (await waiting).json()["total_steps"] == 1, "its place was free again"
            assert not sandbox._sessions
        assert verifier._opened.snapshot().open == 0  # type: ignore[attr-defined]
