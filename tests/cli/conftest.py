"""Fixtures for the command line's tests: a verifier without a model, and input files."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("fake_verifier.py")


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """The module of the fake verifier."""
    spec = importlib.util.spec_from_file_location("fake_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def verifier(fake: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fake verifier that every command of this test gets."""
    from genprm_sdk.cli import opening

    made = fake.FakeVerifier()
    monkeypatch.setattr(opening, "open_verifier", lambda *_: made)
    return made


@pytest.fixture
def lines_file(tmp_path: Path) -> Callable[..., str]:
    """Write records, or raw lines, to a file; returns its path."""

    def write(*lines: object, name: str = "traces.jsonl") -> str:
        path = tmp_path / name
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts) + "\n")
        return str(path)

    return write


@pytest.fixture
def start_fake() -> Callable[..., subprocess.Popen[str]]:
    """Start ``genprm`` on the fake verifier as a process of its own."""

    def start(*arguments: str, **extra: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONWARNINGS": "error"}
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            **extra,
        )

    return start
