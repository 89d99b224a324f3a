"""``genprm train``: a small run on the bundled models, its table and files, interruptions and complaints."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from genprm_sdk.cli import main
from genprm_sdk.training.pipeline import load_pipeline_recipe

COMMAND = "import sys; from genprm_sdk.cli import main; sys.exit(main())"


def small(path: Path, arithmetic: int) -> str:
    """The bundled recipe with few problems and completions."""
    recipe = load_pipeline_recipe("tiny").model_dump(mode="json")
    recipe["problems"]["worlds"] = {"arithmetic": arithmetic}
    recipe["rollouts"]["draws"] = 16
    recipe["monte_carlo"] |= {"completions": 4, "start": 4, "sequential": None}
    path.write_text(yaml.safe_dump(recipe))
    return str(path)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """As another process would hold it."""
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_run_ends_with_a_table_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = small(tmp_path / "small.yaml", 4), str(tmp_path / "out")
    assert main(["train", "run", recipe, "--out", out, "--until", "label"]) == 0
    assert "monte-carlo" in capsys.readouterr().out
    assert main(["train", "run", recipe, "--out", out, "--until", "dataset"]) == 0
    table = capsys.readouterr().out
    assert main(["train", "status", out]) == 0
    assert capsys.readouterr().out == table
    assert main(["train", "rationales", recipe, "--out", out]) == 0
    target = tmp_path / "data.jsonl"
    assert main(["train", "export", out, "--to", str(target)]) == 0
    records = [json.loads(line) for line in target.read_text().splitlines()]
    assert f"wrote {len(records)} records" in capsys.readouterr().err
    assert records
    assert {message["role"] for message in records[0]["messages"]} == {"system", "user", "assistant"}
    assert main(["train", "export", out, "--to", str(tmp_path / "l.jsonl"), "--stage", "label"]) == 0


@pytest.mark.timeout(400)
def test_a_run_ends_with_a_file_that_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, path = tmp_path / "out", Path(small(tmp_path / "small.yaml", 4))
    recipe = yaml.safe_load(path.read_text())
    recipe["rl"] = {"steps": 1, "prompts_per_step": 2, "generations": 2, "rows": 4, "balance": False}
    path.write_text(yaml.safe_dump(recipe))
    assert main(["train", "run", str(path), "--out", str(out)]) == 0
    assert "tiny-Q8_0.gguf" in capsys.readouterr().out
    assert (out / "rl" / "model" / "config.json").is_file()
    card = (out / "export" / "README.md").read_text(encoding="utf-8")
    assert "genprm-mini" in card
    assert "monte-carlo" in card
    solution = tmp_path / "solution.json"
    solution.write_text(
        json.dumps({"problem": "2 + 3 * 4 =", "steps": ["Step 1: 3 * 4 = 12.", "Step 2: 2 + 12 = 15."]})
    )
    assert main(["check", str(solution), "--model", str(out / "export" / "tiny-Q8_0.gguf"), "--json"]) in (
        0,
        1,
    )
    report = json.loads(capsys.readouterr().out)
    assert [step["paths"][0]["verdict"] is not None for step in report["steps"]] == [True, True]


def test_a_part_that_the_recipe_lacks_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rl", small(tmp_path / "small.yaml", 4), "--out", str(tmp_path / "out")]) == 2
    assert "does not describe rl: add a part `rl`" in capsys.readouterr().err


def test_an_interruption_prints_the_command_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = small(tmp_path / "small.yaml", 200), tmp_path / "out"
    arguments = ["train", "run", recipe, "--out", str(out), "--until", "rollouts"]
    command = [sys.executable, "-c", COMMAND, *arguments]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        wal = out / "pipeline.sqlite-wal"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not wal.exists() or wal.stat().st_size < 100_000):
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"go on with: genprm train run {out}/recipe.yaml --out {out} --until rollouts" in err
    assert main(["train", "status", str(out)]) == 0
    assert "problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "pipeline-huge", "--out", "{}"], "no recipe is called 'pipeline-huge'"),
        (["run", "tiny", "--out", "{}", "--until", "end"], "there is no stage 'end'"),
        (["status", "{}"], "holds no run"),
        (["export", "{}", "--to", "x.jsonl"], "holds no run"),
        (["label", "tiny", "--out", "{}"], "has finished no record yet"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *(each.format(tmp_path) for each in arguments)]) == 2
    err = capsys.readouterr().err
    assert complaint in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_file_without_answers_is_no_run_to_go_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.jsonl").write_text('{"problem": "P"}\n')
    recipe = yaml.safe_load(Path(small(tmp_path / "r.yaml", 1)).read_text())
    recipe["problems"] = {"file": "p.jsonl"}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["train", "run", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "go on with" not in err
    assert "has no usable problem" in err.splitlines()[-1]


def changed(path: Path, **parts: object) -> str:
    """The same recipe with other parts, beside it."""
    other = path.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **parts}))
    return str(other)


def test_a_run_that_another_process_refuses_leaves_its_recipe_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = Path(small(tmp_path / "small.yaml", 2)), tmp_path / "out"
    assert main(["train", "problems", str(recipe), "--out", str(out)]) == 0
    before = (out / "recipe.yaml").read_text()
    with held(out):
        assert main(["train", "run", changed(recipe, name="other"), "--out", str(out)]) == 2
    assert (out / "recipe.yaml").read_text() == before
    err = capsys.readouterr().err
    assert "another process" in err.splitlines()[-1]
    assert "go on with" not in err


def test_an_unknown_model_leaves_the_recipe_that_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = Path(small(tmp_path / "small.yaml", 2)), tmp_path / "out"
    wrong = changed(recipe, policy={"model": "no-such-model"})
    assert main(["train", "run", wrong, "--out", str(out)]) == 2
    assert not out.exists()
    assert main(["train", "problems", str(recipe), "--out", str(out)]) == 0
    before = (out / "recipe.yaml").read_text()
    assert main(["train", "run", wrong, "--out", str(out)]) == 2
    assert (out / "recipe.yaml").read_text() == before
    assert "go on with" not in capsys.readouterr().err


def test_a_training_that_is_refused_leaves_the_recipe_to_go_back_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = Path(small(tmp_path / "small.yaml", 4)), tmp_path / "out"
    assert main(["train", "run", str(recipe), "--out", str(out), "--until", "dataset"]) == 0
    before = (out / "recipe.yaml").read_text()
    (out / "sft").mkdir()
    (out / "sft" / "identity.json").write_text('{"learning_rate": 1.0}')
    capsys.readouterr()
    assert main(["train", "sft", changed(recipe, sft={"learning_rate": 0.5}), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert "or go back" in err.splitlines()[-1]
    assert "go on with" not in err

    assert main(["train", "sft", changed(recipe, labels={"rule": "hard"}), "--out", str(out)]) == 2
    assert (out / "recipe.yaml").read_text() == before
    assert main(["train", "export", str(out), "--to", str(tmp_path / "kept.jsonl")]) == 0
    assert (tmp_path / "kept.jsonl").read_text()


def test_a_server_that_is_not_there_yet_is_gone_on_with_the_same_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = Path(small(tmp_path / "small.yaml", 2)), tmp_path / "out"
    server = {"model": "http://127.0.0.1:9/v1", "alias": "away"}
    data = changed(recipe, policy=server, base=None, sft=None, export=None)
    assert main(["train", "run", data, "--out", str(out), "--until", "dataset"]) == 1
    err = capsys.readouterr().err
    assert f"go on with: genprm train run {out}/recipe.yaml --out {out} --until dataset\n" in err


def test_dropped_records_are_written_with_what_was_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = Path(small(tmp_path / "small.yaml", 2)), tmp_path / "out"
    (tmp_path / "p.jsonl").write_text('{"problem": "P", "answer": "1"}\n{\n')
    data = changed(recipe, problems={"file": "p.jsonl"})
    assert main(["train", "problems", data, "--out", str(out)]) == 0
    target = tmp_path / "d.jsonl"
    assert main(["train", "export", str(out), "--stage", "dropped", "--to", str(target)]) == 0
    assert "wrote 1 records" in capsys.readouterr().err
    (record,) = map(json.loads, target.read_text().splitlines())
    assert (record["stage"], record["reason"]) == ("problems", "the record is no JSON")
    assert record["detail"] == "p.jsonl:2: no JSON"
    assert main(["train", "export", str(out), "--to", str(tmp_path / "no" / "x.jsonl")]) == 2
    assert f"the folder {tmp_path / 'no'} does not exist" in capsys.readouterr().err.splitlines()[-1]
