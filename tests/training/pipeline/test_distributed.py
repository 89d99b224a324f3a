"""Stages on Ray's workers: the records of one process, whatever happens on the way, and nothing is left."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import ray
from pyarrow import parquet
from ray import cloudpickle

from genprm_sdk.cli import main
from genprm_sdk.errors import (
    BackendError,
    GenPRMError,
    InputError,
    MissingExtraError,
    ModelError,
    SandboxError,
    UnknownModelError,
)
from genprm_sdk.training.pipeline import PipelineRecipe, run_pipeline
from genprm_sdk.training.pipeline.distributed import SPREADABLE, RaySettings, RaySpread
from genprm_sdk.training.pipeline.distributed.cluster import Cluster
from genprm_sdk.training.pipeline.distributed.orders import OUT, Fault, Order
from genprm_sdk.training.pipeline.distributed.parcels import (
    pack_results,
    read_rows,
    unpack_results,
    write_rows,
    write_units,
)
from genprm_sdk.training.pipeline.distributed.workers import Worker
from genprm_sdk.training.pipeline.records import Problem
from genprm_sdk.training.pipeline.run import Pending
from genprm_sdk.training.pipeline.stages import StageName, build_stages
from genprm_sdk.training.pipeline.store import Row, StoreError

from ...processes import alive, descendants

SCRIPT = Path(__file__).with_name("spread_sums.py")
UP_TO_RATIONALES: tuple[StageName, ...] = ("problems", "rollouts", "monte-carlo", "rationales")
PROBLEMS = 40


@pytest.fixture(scope="module")
def spread_sums() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pipeline_spread_sums", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ray_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Ray puts its own, under a path as short as its sockets need; must be left empty."""
    folder = Path(tempfile.mkdtemp(prefix="spread-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def named(name: bytes, pids: set[int]) -> set[int]:
    """Those that have it in their command line."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            if name in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


def gone(pids: set[int]) -> bool:
    """Whether all of them end within a minute: those that Ray itself ends, it does not wait for."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.1)
    return False


def rows(folder: Path) -> list[tuple[object, ...]]:
    """All but how long it took."""
    with closing(sqlite3.connect(folder / "pipeline.sqlite")) as connection:
        columns = "key, lineage, stage, parent, number, state, reason, units, body"
        return connection.execute(f"SELECT {columns} FROM records ORDER BY key").fetchall()


def rolled_out(folder: Path) -> set[str]:
    """The problems whose rollouts are finished: in the store, or in files that wait for the next run."""
    if not (folder / "pipeline.sqlite").exists():
        return set()
    with closing(sqlite3.connect(folder / "pipeline.sqlite", timeout=10)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchall():
            return set()
        bodies = dict(connection.execute("SELECT key, body FROM records WHERE stage = 'problems'"))
        parents = connection.execute("SELECT parent FROM records WHERE stage = 'rollouts'").fetchall()
    found = {parent for (parent,) in parents}
    for path in (folder / "spread" / "rollouts" / OUT).glob("*.parquet"):
        with suppress(StoreError):  # it was taken into the store meanwhile
            found.update(row.parent for row in read_rows(path))
    return {Problem.model_validate_json(bodies[key]).text for key in found}


@pytest.mark.timeout(300)
@pytest.mark.anyio
async def test_two_workers_make_the_records_of_one_process(tmp_path: Path, ray_folder: Path) -> None:
    model = {"model": "policy-mini", "exact": True, "top_p": 1.0, "top_k": 0, "longest": 600}
    recipe = PipelineRecipe.model_validate(
        {
            "name": "bundled",
            "problems": {"worlds": {"arithmetic": 5}},
            "policy": model,
            "rollouts": {"correct": 1, "incorrect": 1, "draws": 16},
            "monte_carlo": {"schedule": [], "completions": 4, "start": 4},
            "teacher": {"model": "genprm-mini", "exact": True},
            "consensus": {"compare": "first_error"},
            "at_once": 2,
        }
    )
    await run_pipeline(recipe, tmp_path / "here", stages=UP_TO_RATIONALES)
    started: set[int] = set()
    before = descendants(os.getpid())
    async with RaySpread(RaySettings(workers=2, batch=2), tmp_path / "spread") as spread:
        await run_pipeline(
            recipe,
            tmp_path / "spread",
            stages=UP_TO_RATIONALES,
            hear=lambda _: started.update(descendants(os.getpid()) - before),
            spread=dict.fromkeys(SPREADABLE, spread),
        )
    assert rows(tmp_path / "spread") == rows(tmp_path / "here")
    assert {row[2] for row in rows(tmp_path / "here")} == set(UP_TO_RATIONALES)
    assert len(started) > 5
    assert gone(started)
    assert not os.listdir(ray_folder)
    assert "spread" not in os.listdir(tmp_path / "spread")


@pytest.mark.timeout(300)
def test_stopped_in_every_way_it_ends_the_same_and_makes_nothing_again(
    spread_sums: ModuleType, tmp_path: Path, ray_folder: Path
) -> None:
    folder, whole = tmp_path / "stopped", tmp_path / "whole"
    folder.mkdir()
    sums = spread_sums.scripted()
    sums.write_problems(folder / "problems.jsonl", PROBLEMS)
    asked = folder / "asked.txt"
    for by in (signal.SIGINT, signal.SIGKILL):
        kept = rolled_out(folder)
        asked.write_text("")
        with subprocess.Popen([sys.executable, SCRIPT, folder], stderr=subprocess.PIPE, text=True) as run:
            while len(asked.read_text().splitlines()) < 8 or rolled_out(folder) == kept:
                assert run.poll() is None, run.communicate()[1]
                time.sleep(0.05)
            started = descendants(run.pid)
            # Of Ray's own, two that wait a minute or two for an answer of what was killed.
            patient = named(b"Agent", started) if by == signal.SIGKILL else set()
            run.send_signal(by)
            run.communicate(timeout=60)
        assert len(started) > 5
        assert gone(started - patient)
        for pid in patient:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert kept < rolled_out(folder)
        assert not kept.intersection(asked.read_text().splitlines())
    kept = rolled_out(folder)
    asked.write_text("")
    # In Ray that is there already, and stays; what the run started in it must not.
    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False, _temp_dir=str(ray_folder))
    try:
        with pytest.raises(BackendError, match=r"the worker on .* does not answer any more"):
            asyncio.run(spread_sums.roll_out(folder, spread_sums.noting(asked, calls=40)))
        assert gone(named(b"MapWorker", descendants(os.getpid())))
        assert ray.is_initialized()
    finally:
        ray.shutdown(wait_for_processes=True)
    assert kept < rolled_out(folder)
    assert not kept.intersection(asked.read_text().splitlines())
    assert not (folder / "spread").exists()
    recipe = sums.sums_recipe(folder / "problems.jsonl")
    stages: list[StageName] = ["problems", "rollouts"]
    for each in (folder, whole):
        asyncio.run(run_pipeline(recipe, each, stages=stages, load=sums.Sums().load))
    assert rows(folder) == rows(whole)


@pytest.mark.anyio
async def test_what_a_killed_run_left_in_the_folder_is_kept_first(
    spread_sums: ModuleType, tmp_path: Path
) -> None:
    sums = spread_sums.scripted()
    sums.write_problems(tmp_path / "problems.jsonl", 4)
    recipe = sums.sums_recipe(tmp_path / "problems.jsonl")
    whole = tmp_path / "whole"
    stages: list[StageName] = ["problems", "rollouts"]
    await run_pipeline(recipe, whole, stages=stages, load=sums.Sums().load)
    with closing(sqlite3.connect(whole / "pipeline.sqlite")) as connection:
        found = connection.execute("SELECT * FROM records WHERE stage = 'rollouts'").fetchall()
    out = tmp_path / "run" / "spread" / "rollouts" / OUT
    out.mkdir(parents=True)
    table, _ = unpack_results(pack_results([Row(*each) for each in found], None))
    write_rows(table, out / "00000000.parquet")
    (out / "00000001.parquet.part").write_text("torn")
    async with RaySpread(RaySettings(workers=2), tmp_path / "run") as spread:
        spreads = dict.fromkeys(SPREADABLE, spread)
        await run_pipeline(recipe, tmp_path / "run", stages=stages, load=sums.Sums().load, spread=spreads)
    assert rows(tmp_path / "run") == rows(whole)
    assert not out.exists()


def ordered(spread_sums: ModuleType, **changes: Any) -> Order:
    recipe = spread_sums.scripted().sums_recipe(Path("problems.jsonl"))
    stage = next(each for each in build_stages(recipe) if each.name == "rollouts")
    return Order(stage=stage.name, lineage=stage.lineage, recipe=recipe).model_copy(update=changes)


@pytest.fixture
def worker(spread_sums: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Gives some problems to a worker outside of Ray; returns its rows and its fault."""

    def work(order: Order | str, died: bool = False, **how: Any) -> tuple[list[Row], Fault | None]:
        here = SimpleNamespace(was_current_actor_reconstructed=died)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: here)
        problems = [Problem(text=f"What is {n} + 2 + 3?", answer=str(n + 5)) for n in range(1, 7)]
        write_units(
            [Pending(f"k{n}", "p", n, problem) for n, problem in enumerate(problems)], tmp_path / "u.parquet"
        )
        load = cloudpickle.dumps(spread_sums.noting(tmp_path / "asked.txt", **how))
        made = Worker(order if isinstance(order, str) else order.model_dump_json(), load)
        table, fault = unpack_results(made(parquet.read_table(tmp_path / "u.parquet")))
        write_rows(table, tmp_path / "r.parquet")
        return read_rows(tmp_path / "r.parquet"), fault

    return work


def test_a_worker_makes_a_row_of_each_unit(spread_sums: ModuleType, worker: Callable[..., Any]) -> None:
    found, fault = worker(ordered(spread_sums))
    assert fault is None
    assert sorted(row.key for row in found) == [f"k{n}" for n in range(6)]
    assert {row.stage for row in found} == {"rollouts"}


def test_a_worker_gives_back_what_it_finished_before_its_engine_failed(
    spread_sums: ModuleType, worker: Callable[..., Any]
) -> None:
    found, fault = worker(ordered(spread_sums), calls=30)
    assert 0 < len(found) < 6
    error = fault.error()
    assert isinstance(error, BackendError)
    assert "does not answer any more" in str(error)
    assert "Traceback" in error.__notes__[0]


def test_a_worker_with_other_model_files_is_refused(
    spread_sums: ModuleType, worker: Callable[..., Any]
) -> None:
    found, fault = worker(ordered(spread_sums, lineage="0" * 32))
    assert not found
    assert isinstance(fault.error(), InputError)
    assert "the same model files" in fault.words


def test_a_worker_of_another_version_is_refused(spread_sums: ModuleType, worker: Callable[..., Any]) -> None:
    newer = ordered(spread_sums).model_dump_json().replace('"seed":', '"luck":')
    found, fault = worker(newer)
    assert not found
    assert isinstance(fault.error(), InputError)
    assert "the same version of genprm-sdk" in fault.words


def test_a_worker_that_died_says_so(spread_sums: ModuleType, worker: Callable[..., Any]) -> None:
    found, fault = worker(ordered(spread_sums), died=True)
    assert not found
    assert "a worker process died" in fault.words


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MissingExtraError("torch", "transformers", "Running it"), InputError, "pip install"),
        (UnknownModelError("no model x"), ModelError, "no model x"),
        (SandboxError("it broke"), SandboxError, "it broke"),
        (KeyError("x"), BackendError, "KeyError: 'x'"),
    ],
)
def test_an_error_of_a_worker_is_one_of_ours(error: Exception, kind: type[GenPRMError], words: str) -> None:
    found = Fault.model_validate_json(Fault.of(error, "node7").model_dump_json()).error()
    assert type(found) is kind
    assert str(found).startswith("the worker on node7: ")
    assert words in str(found)


def test_a_damaged_file_of_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "00000000.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(StoreError, match=r"00000000\.parquet cannot be read.* delete it"):
        read_rows(tmp_path / "00000000.parquet")


def test_a_cluster_without_room_is_refused(
    spread_sums: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 3.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    for settings, said in (
        (RaySettings(workers=2, cpus_per_worker=2), "room for 1 workers"),
        (RaySettings(workers=3), "3 workers need 4"),
        (RaySettings(workers=1, gpus_per_worker=1), "room for 0 workers with 1 CPUs and 1 GPUs"),
    ):
        with pytest.raises(InputError, match=said):
            Cluster(settings, None).begin(ordered(spread_sums), settings.workers, tmp_path)


def test_without_ray_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else found(name))
    with pytest.raises(MissingExtraError, match=r"needs ray.*genprm-sdk\[distributed\]"):
        RaySpread(RaySettings(workers=2), tmp_path)


def test_the_command_says_how_to_go_on_and_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    model = "{model: policy-mini}"
    recipe.write_text(
        f"name: a\nproblems: {{worlds: {{arithmetic: 2}}}}\npolicy: {model}\nteacher: {model}\n"
    )
    assert main(["train", "problems", str(recipe), "--out", str(out)]) == 0
    options = ["--workers", "2", "--ray", "127.0.0.1:9"]
    for command in (["rollouts"], ["run", "--until", "label"]):
        arguments = ["train", command[0], str(recipe), "--out", str(out), *command[1:], *options]
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert "there is no Ray at 127.0.0.1:9" in err.splitlines()[-1]
        said = shlex.join(["genprm", *arguments]).replace(str(recipe), str(out / "recipe.yaml"))
        assert f"go on with: {said}\n" in err
    assert main(["train", "rollouts", str(recipe), "--out", str(out), *options[2:]]) == 2
    assert "--ray needs workers" in capsys.readouterr().err
    assert main(["train", "rollouts", str(recipe), "--out", str(out), *options[:3], "ray://127.0.0.1:9"]) == 2
    assert "run this on a machine of the cluster" in capsys.readouterr().err
