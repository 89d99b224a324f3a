"""The commands around ``check``: benchmark, demo, doctor, version; the last tests use the bundled model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from genprm_sdk.cli import doctor, main
from genprm_sdk.cli.demo import demo_records
from genprm_sdk.cli.doctor import Finding
from genprm_sdk.cli.solutions import Entry
from genprm_sdk.models import bundled_models

Write = Callable[..., str]


def record(identifier: str, steps: list[str], mistake: int | None) -> dict[str, object]:
    return {"id": identifier, "input": "P", "steps": steps, "mistake_index": mistake, "target": "1"}


RECORDS = (
    record("hit", ["a", "WRONG"], 1),
    record("early", ["WRONG", "b"], 1),
    record("right", ["a"], None),
    record("alarm", ["WRONG"], None),
    record("unread", ["UNREADABLE"], None),
)


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"genprm {version('genprm-sdk')}\n"
    for arguments in (["--help"], [], ["eval"], ["check", "--help"]):
        assert main(arguments) == 0
        assert "Usage: genprm" in capsys.readouterr().out


def test_the_bundled_models_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "genprm-mini │ verifier │" in " ".join(listed.split())
    assert "policy-mini │ policy" in " ".join(listed.split())
    for model in bundled_models():
        assert main(["models", "show", model.name]) == 0
        assert capsys.readouterr().out == model.card.read_text(encoding="utf-8")
        assert model.path.stat().st_size < 10e6
    assert main(["models", "show", "genprm-maxi"]) == 2
    assert "there are genprm-mini, policy-mini" in capsys.readouterr().err


def test_the_policy_is_no_verifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"problem": "P", "steps": ["a"]}))
    assert main(["check", str(file), "--model", "policy-mini"]) == 2
    assert "is a policy, not a verifier" in capsys.readouterr().err


def test_a_benchmark_is_printed_and_saved(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [
        "eval",
        "bigbench-mistake",
        "--data",
        lines_file(*RECORDS, name="task.jsonl"),
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    printed, said = capsys.readouterr()
    assert "exact │ 40.0 │" in " ".join(printed.split())
    assert "acc_mistake │ 50.0 │" in " ".join(printed.split())
    assert "4 of 5 records have a verdict; the other 1 count as wrong" in said
    summary = json.loads((out / "summary.json").read_text())
    metrics = summary["subsets"]["task"]["metrics"]
    assert metrics["exact"]["value"] == pytest.approx(0.4)
    assert metrics["acc_mistake"]["value"] == pytest.approx(0.5)
    assert metrics["acc_no_mistake"]["value"] == pytest.approx(1 / 3)
    assert summary["failures"] == [{"key": "task/unread", "reason": "the verdict is unparsed"}]
    assert len((out / "results.jsonl").read_text().splitlines()) == 5

    assert main(arguments) == 0
    assert len(verifier.calls) == 5
    assert json.loads((out / "summary.json").read_text()) == summary

    assert main([*arguments, "--samples", "2"]) == 2
    assert "samples 1 instead of 2" in capsys.readouterr().err


def test_a_folder_of_subsets_is_averaged(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"id": "w", "problem": "P", "steps": ["a", "WRONG"], "label": 1}
    right = {"id": "r", "problem": "P", "steps": ["a", "b"], "label": -1}
    missed = {"id": "m", "problem": "P", "steps": ["a", "b"], "label": 1}
    lines_file(wrong, right, name="one.jsonl")
    lines_file(wrong, missed, right, name="two.jsonl")
    assert main(["eval", "processbench", "--data", str(tmp_path), "--limit", "3"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "f1 │ 100.0 │ – │" in printed  # too few records for an interval
    assert printed.count("unweighted mean") == 1
    assert f"f1 │ {100 * (1 + 2 / 3) / 2:.1f} │" in printed


def test_unreadable_records_count_as_wrong(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file(record("right", ["a"], None), "{torn", record("outside", ["a"], 4))
    assert main(["eval", "bigbench-mistake", "--data", file]) == 2
    printed, said = capsys.readouterr()
    assert "exact │ 33.3 │" in " ".join(printed.split())
    assert f"{file}:2: this is not JSON" in said
    assert "step 4 is wrong, but the last step is 0" in said


def test_the_demo_says_how_many_it_found(verifier: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    assert "right for 1 of 4" in " ".join(capsys.readouterr().out.split())
    assert [samples for _, samples, _ in verifier.calls] == [4] * 4


def test_the_demo_records_are_whole() -> None:
    records, expected = demo_records()
    assert expected == [3, 3, 2, None]
    for entry in records:
        assert isinstance(entry, Entry)
        assert entry.solution.problem


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 1), ("broken", 1)])
def test_the_doctors_exit_code_is_the_default_way(
    state: Any, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [
        Finding("llama.cpp", state, "seen", "pip install 'genprm-sdk[llama]'", needed=True),
        Finding("torch", "missing", "torch is not installed", "pip install 'genprm-sdk[transformers]'"),
    ]
    assert doctor.run_doctor(lambda: findings) == code
    out = capsys.readouterr().out
    assert "genprm-sdk[transformers]" in out
    assert ("genprm-sdk[llama]" in out) is (code == 1)


def test_an_engine_that_cannot_be_imported_is_broken_or_missing() -> None:
    missing = doctor.engine("x", "", "no-such-distribution-x", "pip install x")
    assert (missing.state, missing.advice) == ("missing", "pip install x")
    broken = doctor.engine("x", "raise RuntimeError('bad build')", "rich", "pip install x")
    assert broken.state == "broken"
    assert "bad build" in broken.detail
    died = doctor.engine(
        "x", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "rich", "pip install x"
    )
    assert died.state == "broken"


def test_findings_are_shown_as_text() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(doctor.findings_table([Finding("a", "broken", "[red]x\x1b[0m", "[/red]mend")]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert r"[red]x\x1b[0m" in shown
    assert "[/red]mend" in shown


def test_the_doctor_looks_at_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for part in ("llama.cpp", "GPU offload", "isolation", "genprm-mini", "torch"):
        assert part in out


def test_the_bundled_model_checks_a_solution(lines_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """That everything works together; how well the model judges is measured elsewhere."""
    solution = {
        "id": "w",
        "problem": "((2 + 3) * (4 + 5)) =",
        "steps": [
            'This equation can be written as "A * B", where A = (2 + 3) and B = (4 + 5).',
            "Let's calculate A = (2 + 3) = 6.",
        ],
    }
    too_long = {"id": "long", "steps": ["1 + 1 = 2. " * 20_000]}
    assert main(["check", lines_file(solution, too_long), "--json", "--samples", "2"]) == 2
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["id"], report["model"], report["samples"]) == ("w", "genprm-mini", 2)
    assert [len(step["paths"]) for step in report["steps"]] == [2, 2]
    runs = [run for step in report["steps"] for path in step["paths"] for run in path["code_runs"]]
    assert {run["isolation"] for run in runs} == {"kernel+language"}
    assert report["usage"]["code_runs"] == len(runs) > 0
    *complaints, summary = err.splitlines()
    assert len(complaints) == 1
    assert "traces.jsonl:2: " in complaints[0]
    assert summary.endswith("1 could not be checked")


def test_the_demo_runs_on_the_bundled_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    assert "of 4." in " ".join(capsys.readouterr().out.split())


def test_a_gguf_that_is_none(lines_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = lines_file("this is no model", name="model.gguf")
    records = lines_file({"steps": ["a"]})
    assert main(["check", records, "--model", file]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "model.gguf" in err
