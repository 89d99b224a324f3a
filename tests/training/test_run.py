"""A recipe from nothing to a file, in two rounds, stopped and resumed; on a model too small to be good."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from genprm_sdk.models import read_gguf_metadata
from genprm_sdk.training.checkpoint import latest_step
from genprm_sdk.training.recipe import load_recipe
from genprm_sdk.training.run import main, tokenizer_of
from genprm_sdk.training.sampling import BATCH, draw_exercises, is_right, sample_attempts
from genprm_sdk.training.sft import Shape, build_model, load_weights
from genprm_sdk.training.solving import Attempt, read_attempts, write_attempts
from genprm_sdk.training.worlds import WORLDS

from ..processes import alive, children

SHAPE = {
    "vocabulary": 700, "width": 32, "layers": 1, "heads": 2, "key_value_heads": 1, "feed_forward": 32,
}  # fmt: skip


def recipe(role: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": f"tiny-{role}",
        "role": role,
        "vocabulary": {"size": 700, "examples": 15},
        "shape": SHAPE,
        "schedule": {"steps": 6, "tokens": 512, "checkpoint_every": 1, "probe_every": 3},
        "shares": {"arithmetic": 1.0, "dyck": 1.0},
        "attempts": {"from_step": 3, "share": 0.5, "for_each_domain": 4},
        "turn_tokens": 300,
        **changes,
    }


def wrong_attempts() -> Iterator[Attempt]:
    """A solver's solutions as a trained one would write them: readable, and wrong."""
    for seed in range(40):
        example = WORLDS["arithmetic"].example(random.Random(seed), "solver")
        if example.first_error is not None:
            steps = tuple(step.text for step in example.steps)
            yield Attempt("arithmetic", example.problem, steps, steps)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {role: tmp_path / f"{role}.yaml" for role in ("policy", "verifier")}
    for role, path in paths.items():
        path.write_text(yaml.safe_dump(recipe(role)))
    return paths


def test_both_models_from_nothing(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solver, out = tmp_path / "solver", tmp_path / "out"
    quick = ["--processes", "1", "--device", "cpu"]
    assert main([str(files["policy"]), "--out", str(solver), "--until", "2", *quick]) == 3
    assert latest_step(solver / "checkpoints") == 2
    told = capsys.readouterr().err
    assert told.startswith("learning a vocabulary of 700 tokens\n")
    assert "stopped before the end" in told

    assert main([str(files["verifier"]), "--out", str(out), "--solver", str(solver), *quick]) == 2
    assert "is at step 2 of 3: train it first" in capsys.readouterr().err
    assert latest_step(out / "checkpoints") == 3  # the first round was done all the same

    write_attempts(solver / "attempts.jsonl", wrong_attempts())
    assert main([str(files["policy"]), "--out", str(solver), *quick]) == 0
    assert main([str(files["verifier"]), "--out", str(out), "--solver", str(solver), *quick]) == 0
    assert "exact on fresh problems: arithmetic 0%  dyck 0%" in capsys.readouterr().err
    for folder, role in ((solver, "policy"), (out, "verifier")):
        metadata = read_gguf_metadata(folder / f"tiny-{role}.gguf")
        assert metadata["genprm.role"] == role
        assert metadata["genprm.domains"] == ("arithmetic", "dyck")
        assert metadata.get("genprm.reasoning") == ("analysis+code" if role == "verifier" else None)
        assert metadata.get("genprm.turn_tokens") == (300 if role == "verifier" else None)
        curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
        assert [line["step"] for line in curve] == sorted({line["step"] for line in curve})
        assert curve[-1]["step"] == 6
        assert set(curve[-1]["exact"]) == {"arithmetic", "dyck"}

    before = (out / "tiny-verifier.gguf").read_bytes()
    assert main([str(files["verifier"]), "--out", str(out), "--solver", str(solver), *quick]) == 0
    assert (out / "tiny-verifier.gguf").read_bytes() == before


@pytest.mark.parametrize("history", ["steps", "rationales"])
def test_a_file_says_what_its_verifier_sees(files: dict[str, Path], tmp_path: Path, history: str) -> None:
    schedule = {"steps": 1, "tokens": 512, "checkpoint_every": 1, "probe_every": 3}
    brief = recipe("verifier", history=history, attempts=None, schedule=schedule)
    files["verifier"].write_text(yaml.safe_dump(brief))
    arguments = [str(files["verifier"]), "--out", str(tmp_path), "--processes", "1", "--device", "cpu"]
    assert main(arguments) == 0
    metadata = read_gguf_metadata(tmp_path / "tiny-verifier.gguf")
    assert metadata["genprm.history"] == history


def test_the_solver_attempts_fresh_exercises(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An untrained solver's attempts are sampled, written down, and found to be of no use."""
    quick = ["--processes", "1", "--device", "cpu"]
    assert main([str(files["policy"]), "--out", str(tmp_path / "solver"), *quick]) == 2
    assert "none of the attempts is wrong in a way that its world can tell" in capsys.readouterr().err
    attempts = read_attempts(tmp_path / "solver" / "attempts.jsonl")
    problems = {
        exercise.problem for exercise in draw_exercises(["arithmetic", "dyck"], 4, "attempts", practice=True)
    }
    assert {attempt.problem for attempt in attempts} <= problems


def test_attempts_do_not_depend_on_who_samples_them(files: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = tokenizer_of(load_recipe(files["policy"]), tmp_path)
    shape = Shape(**SHAPE)
    weights = dict(build_model(shape, 0).state_dict())
    exercises = draw_exercises(["dyck"], BATCH + 1, "test")
    alone, together = (
        list(sample_attempts(weights, shape, tokenizer, exercises, longest=3, processes=processes))
        for processes in (1, 2)
    )
    assert alone == together


SAMPLING = """
import sys
from pathlib import Path
from genprm_sdk.training.recipe import load_recipe
from genprm_sdk.training.run import tokenizer_of
from genprm_sdk.training.sampling import draw_exercises, sample_attempts
from genprm_sdk.training.sft import build_model

if __name__ == "__main__":
    recipe, folder = load_recipe(Path(sys.argv[1])), Path(sys.argv[2])
    weights = dict(build_model(recipe.shape, 0).state_dict())
    exercises = draw_exercises(["dyck"], 400, "test")
    tokenizer = tokenizer_of(recipe, folder)
    for _ in sample_attempts(weights, recipe.shape, tokenizer, exercises, processes=2, longest=100_000):
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_sampling_processes_end_with_the_one_they_work_for(files: dict[str, Path], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SAMPLING)
    with subprocess.Popen([sys.executable, program, files["policy"], tmp_path]) as leader:
        assert eventually(lambda: len(children(leader.pid)) >= 2)
        started = children(leader.pid)
        leader.kill()
    assert eventually(lambda: not any(map(alive, started)))


QUICK_RECIPE = {"steps": 100_000, "tokens": 512, "checkpoint_every": 100_000, "probe_every": 100_000}


def runs_round(out: Path, leader: int) -> bool:
    curve = out / "curve.jsonl"
    return curve.exists() and curve.stat().st_size > 0


def starts_others(out: Path, leader: int) -> bool:
    return len(children(leader)) >= 2


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize(("number", "moment"), [(signal.SIGTERM, runs_round), (signal.SIGINT, starts_others)])
def test_an_interrupted_run_leaves_a_checkpoint(
    tmp_path: Path, number: int, moment: Callable[[Path, int], bool]
) -> None:
    """The whole group of processes is told, as with Ctrl-C."""
    path, out = tmp_path / "recipe.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(recipe("policy", attempts=None, schedule=QUICK_RECIPE)))
    tokenizer_of(load_recipe(path), tmp_path)
    out.mkdir()
    (tmp_path / "tokenizer.json").rename(out / "tokenizer.json")
    command = [sys.executable, "-m", "genprm_sdk.training.run", path, "--out", out, "--device", "cpu"]
    with subprocess.Popen(
        [*command, "--processes", "2"], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as leader:
        try:
            assert eventually(lambda: moment(out, leader.pid))
            os.killpg(leader.pid, number)
            _, told = leader.communicate(timeout=60)
        finally:
            leader.kill()
    assert leader.returncode == 3
    assert "Traceback" not in told
    assert told.endswith("stopped before the end: run it again to go on\n")
    assert (latest_step(out / "checkpoints") or 0) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_before_the_first_step_is_no_traceback(
    files: dict[str, Path],
    tmp_path: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*arguments: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr("genprm_sdk.training.run.train_tokenizer", interrupted)
    assert main([str(files["policy"]), "--out", str(tmp_path / "out"), "--processes", "1"]) == 3
    assert "stopped before the end: run it again to go on" in capsys.readouterr().err
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def test_bad_input_is_one_clear_error(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    quick = ["--processes", "1", "--device", "cpu"]
    assert main(["nothing", "--out", out]) == 2
    assert "error: no recipe is called 'nothing'" in capsys.readouterr().err
    assert main([str(files["verifier"]), "--out", out, *quick]) == 2
    assert (
        "the recipe needs a trained solver: give its folder or its file with --solver"
        in capsys.readouterr().err
    )
    changed = recipe("verifier", shares={"arithmetic": 2.0, "dyck": 1.0})
    files["verifier"].write_text(yaml.safe_dump(changed))
    assert main([str(files["verifier"]), "--out", out, "--until", "4", *quick]) == 2
    assert "another recipe (it differs in recipe.shares.arithmetic)" in capsys.readouterr().err
    assert latest_step(Path(out) / "checkpoints") == 3


def test_a_verifier_starts_from_a_solver_of_its_shape_alone(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solver, out = tmp_path / "solver", tmp_path / "out"
    quick = ["--processes", "1", "--device", "cpu"]
    assert main([str(files["policy"]), "--out", str(solver), "--until", "1", *quick]) == 3
    still = {"steps": 6, "tokens": 512, "matrix_rate": 1e-12, "other_rate": 1e-12}
    starting = recipe("verifier", start_from_solver=True, schedule=still)
    files["verifier"].write_text(yaml.safe_dump(starting))
    arguments = [str(files["verifier"]), "--out", str(out), "--solver", str(solver), "--until", "1", *quick]
    assert main(arguments) == 3
    weights = [load_weights(Shape(**SHAPE), folder / "checkpoints") for folder in (solver, out)]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-6, rtol=0)

    other = tmp_path / "other"
    files["verifier"].write_text(yaml.safe_dump({**starting, "shape": {**SHAPE, "layers": 2}}))
    assert main([str(files["verifier"]), "--out", str(other), "--solver", str(solver), *quick]) == 2
    assert "tiny-verifier cannot start from tiny-policy: their shapes differ" in capsys.readouterr().err
    alien = tmp_path / "alien"
    files["verifier"].write_text(yaml.safe_dump({**starting, "vocabulary": {"size": 700, "examples": 16}}))
    assert main([str(files["verifier"]), "--out", str(alien), "--solver", str(solver), *quick]) == 2
    assert "cannot start from tiny-policy: their vocabularies differ" in capsys.readouterr().err
    assert main([str(files["verifier"]), "--out", str(alien), *quick]) == 2
    assert "the recipe needs a trained solver" in capsys.readouterr().err


def test_whether_an_attempt_is_right() -> None:
    exercise = draw_exercises(["dyck"], 1, "test")[0]
    steps = exercise.steps
    assert is_right(Attempt("dyck", exercise.problem, steps, steps), exercise.answer)
    assert not is_right(Attempt("dyck", exercise.problem, steps, steps[:-1]), exercise.answer)
    assert not is_right(Attempt("dyck", exercise.problem, steps, ()), exercise.answer)
    assert draw_exercises(["dyck"], 3, "test") == draw_exercises(["dyck"], 3, "test")
    assert draw_exercises(["dyck"], 3, "test") != draw_exercises(["dyck"], 3, "other")
