"""A run that is killed (SIGKILL) at many random moments ends as one that is not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from genprm_sdk.training.pipeline import run_pipeline

SCRIPT = Path(__file__).with_name("sums.py")
PROBLEMS = 10
AT_ONCE = 4


def rows(folder: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "pipeline.sqlite")
    columns = "key, lineage, stage, parent, number, state, reason, units, body"
    found = connection.execute(f"SELECT {columns} FROM records ORDER BY key").fetchall()
    connection.close()
    return found


def test_killed_at_random_moments_it_ends_the_same(sums: ModuleType, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
        sums.write_problems(folder / "problems.jsonl", PROBLEMS)
    done = subprocess.run(
        [sys.executable, SCRIPT, killed, "11"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lives) >= 8, "killed too seldom to say anything"
    assert max(life["again"] for life in lives) == 0, "a finished record was made again"
    assert max(life["lost"] for life in lives) <= AT_ONCE, "more than the records in flight were lost"
    assert max(life["gone"] for life in lives) == 0, "a finished record is gone"
    asyncio.run(run_pipeline(sums.sums_recipe(whole / "problems.jsonl"), whole, load=sums.Sums().load))
    assert rows(killed) == rows(whole)
