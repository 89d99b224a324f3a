"""Listening to a training's process, whatever the libraries in it print."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from genprm_sdk.training.tuning import launching

WORKER = """
for line in ("Loading", "7", "null", "[1]", "[" * 100_000, "'quoted'", '{"step": 1.0}', ""):
    print(line, flush=True)
"""


def test_what_a_library_prints_is_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chatty_worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launching, "MODULE", "chatty_worker")
    heard: list[dict[str, float]] = []
    asyncio.run(launching.run_worker({}, tmp_path / "out", hear=heard.append))
    assert heard == [{"step": 1.0}]
