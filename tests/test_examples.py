"""Every example runs as a user would run it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NEEDED = {"grpo_reward.py": "trl", "web_handler.py": "fastapi"}
SAID = {"grpo_reward.py": "3 steps;", "web_handler.py": "20 of 20 answered"}


def run(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100, cwd=ROOT / "docs")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_its_result(path: Path) -> None:
    needed = NEEDED.get(path.name)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    said = run([sys.executable, str(path)])
    assert said.strip()
    assert SAID.get(path.name, "") in said
