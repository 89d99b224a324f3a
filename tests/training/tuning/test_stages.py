"""The stages behind the dataset: who may run them."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from genprm_sdk.errors import InputError
from genprm_sdk.training.pipeline import load_pipeline_recipe
from genprm_sdk.training.pipeline.store import lock_folder
from genprm_sdk.training.tuning.launching import TrainingError, run_worker
from genprm_sdk.training.tuning.stages import run_tuning

from ...processes import children

pytestmark = pytest.mark.anyio


async def test_one_process_trains_in_a_folder(tmp_path: Path) -> None:
    recipe = load_pipeline_recipe("tiny")
    with (
        lock_folder(tmp_path),
        pytest.raises(InputError, match=r"another process .* is working in .*: wait for it"),
    ):
        await run_tuning(recipe, tmp_path, ["sft"])
    assert not (tmp_path / "sft").exists()
    with pytest.raises(InputError, match="holds no run"):
        await run_tuning(recipe, tmp_path, ["sft"])


def born(before: set[int]) -> bool:
    """Whether this process gets another child within seconds."""
    deadline = time.monotonic() + 10
    while children(os.getpid()) <= before:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


async def test_a_worker_keeps_the_folder_where_who_asked_lets_go(tmp_path: Path) -> None:
    before = children(os.getpid())
    with lock_folder(tmp_path) as lock:
        out = tmp_path / "sft"
        job = asyncio.create_task(run_worker({"kind": "sft"}, out, inherited=(lock.fileno(),)))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(born, before)
    with pytest.raises(InputError, match="another process"):
        lock_folder(tmp_path)
    with pytest.raises(TrainingError):
        await job
    lock_folder(tmp_path).close()
