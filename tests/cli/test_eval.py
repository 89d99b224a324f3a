"""``genprm eval``: the newer benchmarks, what a folder holds, how a run goes on, and two runs compared."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genprm_sdk.cli import main
from genprm_sdk.evaluation.store import page_name

Start = Callable[..., subprocess.Popen[str]]
Write = Callable[..., str]


def printed(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return " ".join(out.split()), err


def prm(identifier: str, steps: list[str], wrong: list[int], kind: str = "circular") -> dict[str, object]:
    return {
        "idx": identifier,
        "modified_question": "Q",
        "modified_process": steps,
        "error_steps": wrong,
        "classification": kind,
    }


def test_prmbench_counts_every_step(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file(
        prm("1", ["a", "WRONG", "b", "WRONG"], [2, 4]),
        prm("2", ["a", "WRONG", "UNREADABLE"], [2, 3]),
        prm("3", ["a", "b", "WRONG"], [], "multi_solutions"),
        prm("4", ["BROKEN"], [1], "redundency"),
    )
    out = tmp_path / "out"
    assert main(["eval", "prmbench", "--data", file, "--out", str(out)]) == 1
    said = printed(capsys)
    assert "circular │ 2 │ score" in said[0]
    assert "redundency/4: the engine failed" in said[1]
    summary = json.loads((out / "summary.json").read_text())
    circular = summary["subsets"]["circular"]["metrics"]
    # Right steps: 3 of 3 kept, the unread wrong one counts as kept; wrong steps: 3 of 4 caught.
    assert circular["f1_right_steps"]["value"] == pytest.approx(6 / 7)
    assert circular["f1_wrong_steps"]["value"] == pytest.approx(6 / 7)
    assert circular["step_accuracy"]["value"] == pytest.approx(6 / 7)
    assert summary["subsets"]["multi_solutions"]["metrics"]["score"]["value"] is None
    assert summary["subsets"]["redundency"]["metrics"]["f1_wrong_steps"]["value"] == 0
    assert summary["pooled"]["records"] == 4
    assert summary["pooled"]["metrics"]["step_accuracy"]["value"] == pytest.approx(8 / 11)
    assert summary["failures"] == [
        {"key": "circular/2", "reason": "1 of 3 steps have no readable verdict"},
        {"key": "redundency/4", "reason": "the engine failed"},
    ]


@pytest.mark.parametrize("label", [{"labels": [False, True]}, {"first_error": 1}])
@pytest.mark.parametrize("benchmark", ["prmbench", "labelled"])
def test_steps_behind_a_mistake_are_not_left_out_where_they_count(
    benchmark: str,
    label: dict[str, object],
    verifier: Any,
    lines_file: Write,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = prm("1", ["a", "b"], [1]) | {"steps": ["a", "b"]} | label
    file = lines_file(record)
    assert main(["eval", benchmark, "--data", file, "--stop-at-first-error"]) == 2
    assert "leave --stop-at-first-error out" in printed(capsys)[1]
    assert verifier.opened == 0


def test_a_file_of_ones_own(verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = lines_file(
        {"steps": ["a", "WRONG", "b"], "first_error": 1},
        {"problem": "P", "steps": ["a", "b"], "first_error": None},
        {"steps": ["WRONG", "b"], "labels": [True, True]},
    )
    assert main(["eval", "labelled", "--data", file]) == 0
    said = printed(capsys)[0]
    assert "step_accuracy │ 83.3 │" in said
    assert "exact │ 66.7 │" in said
    assert "acc_correct │ 50.0 │" in said


def test_first_errors_alone_may_stop_early(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file({"problem": "P", "steps": ["a", "b"], "label": 1})
    assert main(["eval", "processbench", "--data", file, "--stop-at-first-error"]) == 0
    assert verifier.options[0]["stop_at_first_error"] is True


def test_what_cannot_be_read_counts_in_a_comparison_until_it_is_mended(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"id": "a", "problem": "P", "steps": ["WRONG"], "label": 0}
    folders = [str(tmp_path / name) for name in ("one", "two")]

    def exact_of(code: int, *records: object) -> tuple[float, int]:
        file = lines_file(*records)
        for folder in folders:
            assert main(["eval", "processbench", "--data", file, "--out", folder]) == code
        assert main(["eval", "compare", *folders, "--json"]) == 0
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found["subsets"]["traces"]["acc_error"]["first"], found["records"]

    assert exact_of(2, good, "{torn") == (0.5, 2)
    assert exact_of(0, good, good | {"id": "b"}) == (1.0, 2)


def test_one_process_at_a_time(start_fake: Start, lines_file: Write, tmp_path: Path) -> None:
    quick = {"id": "a", "input": "P", "steps": ["a"], "mistake_index": None}
    data = lines_file(quick, quick | {"id": "slow", "steps": ["SLOW"]})
    arguments = ["eval", "bigbench-mistake", "--data", data, "--out", str(tmp_path / "out")]
    with start_fake(*arguments) as first:
        results = tmp_path / "out" / "results.jsonl"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not results.exists():
            time.sleep(0.05)
        before = results.read_bytes()
        with start_fake(*arguments) as second:
            said = second.communicate(timeout=30)[1]
        assert second.returncode == 2
        assert "another process is at work in" in said
        assert results.read_bytes() == before
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=20)
    lines_file(quick)
    with start_fake(*arguments) as third:
        assert third.communicate(timeout=30)[0]
    assert third.returncode == 0


HOSTILE = "../../<b>\x1b]0;x\x07"


def test_a_folder_holds_paths_pages_plots_and_an_index(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file(
        {"id": HOSTILE, "problem": "P", "steps": ["a", "WRONG"], "label": 1},
        {"id": "b", "problem": "P", "steps": ["a", "LONG"], "label": -1},
        name="one.jsonl",
    )
    out = tmp_path / "out"
    assert main(["eval", "processbench", "--data", file, "--samples", "4", "--out", str(out)]) == 1
    said = printed(capsys)
    assert "this run: fake" not in said[0]
    assert "GenPRM-7B, Maj@8 │ arXiv 2504.00891 │ f1 │ 80.5" in said[0]
    assert "not measured here" in said[0]
    assert "one │ 4 │" in said[0]
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    plots = {f"plots/{name}.svg" for name in ("scaling", "positions", "reliability", "tokens", "confusion")}
    page = f"reports/{page_name('one/' + HOSTILE)}"
    assert names == {"settings.json", "results.jsonl", "summary.json", "index.html", page, *plots}
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    first = next(line for line in lines if line["error"] is None)
    path = first["steps"][1]["paths"][3]
    assert (path["verdict"], path["score"], path["generated_tokens"]) == ("no", 0.13, 20)
    assert (path["code_runs"], path["code_failures"]) == (1, {})
    index = (out / "index.html").read_text()
    assert f'href="{page}"' in index
    assert "GenPRM-1.5B" in index
    assert "shorten it" in index
    assert "<b>" not in index
    assert "\x1b" not in index
    assert "What is" not in (out / page).read_text()


def test_a_killed_run_goes_on(start_fake: Start, lines_file: Write, tmp_path: Path) -> None:
    records = [{"id": f"r{i}", "input": "P", "steps": ["one"], "mistake_index": None} for i in range(3)]
    slow = {"id": "slow", "input": "P", "steps": ["SLOW"], "mistake_index": None}
    out = tmp_path / "out"
    data = lines_file(*records, slow)
    with start_fake("eval", "bigbench-mistake", "--data", data, "--out", str(out)) as process:
        results = out / "results.jsonl"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (not results.exists() or results.read_bytes().count(b"\n") < 3):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
    kept = results.read_bytes()
    assert kept.count(b"\n") == 3
    results.write_bytes(kept + b'{"key": "torn')
    lines_file(*records, slow | {"steps": ["quick"]})
    with start_fake("eval", "bigbench-mistake", "--data", data, "--out", str(out)) as process:
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert results.read_bytes().startswith(kept)
    assert json.loads((out / "summary.json").read_text())["records"] == 4
    assert (out / "index.html").exists()


def test_a_folder_of_an_older_format_is_refused(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file({"id": "a", "problem": "P", "steps": ["a"], "label": -1})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_text('{"benchmark": "processbench", "model": "genprm-mini"}')
    assert main(["eval", "processbench", "--data", file, "--out", str(tmp_path / "out")]) == 2
    assert "another version's format" in printed(capsys)[1]
    assert verifier.opened == 0


@pytest.fixture
def two_runs(
    verifier: Any, lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[str, str]:
    records = [{"id": i, "problem": "P", "steps": ["a", "WRONG"], "label": 1} for i in range(4)]
    file = lines_file(*records, *[{"id": 9, "problem": "P", "steps": ["a"], "label": -1}])
    folders = str(tmp_path / "one"), str(tmp_path / "two")
    for folder, options in zip(folders, ([], ["--limit", "3"]), strict=True):
        assert main(["eval", "processbench", "--data", file, "--out", folder, *options]) == 0
    capsys.readouterr()
    return folders


def test_two_runs_are_compared(two_runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "compare", *two_runs]) == 0
    said = printed(capsys)
    assert "acc_error │ 100.0 │ 100.0 │ +0.0 │ 0.0 to 0.0" in said[0]
    assert "settings that differ: none" in said[1]
    assert "3 records are in both; left out: 2 of" in said[1]
    assert main(["eval", "compare", *two_runs, "--json"]) == 0
    found = json.loads(printed(capsys)[0])
    assert found["subsets"]["traces"]["acc_error"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_what_cannot_be_compared(
    two_runs: tuple[str, str], tmp_path: Path, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "compare", two_runs[0], str(tmp_path / "nowhere")]) == 2
    assert "holds no run that can be read" in printed(capsys)[1]
    file = lines_file({"steps": ["a"], "first_error": None}, name="own.jsonl")
    own = str(tmp_path / "own")
    assert main(["eval", "labelled", "--data", file, "--out", own]) == 0
    capsys.readouterr()
    assert main(["eval", "compare", two_runs[0], own]) == 2
    assert "give two runs on the same benchmark" in printed(capsys)[1]
    (tmp_path / "own" / "settings.json").write_text("[" * 100_000)
    assert main(["eval", "compare", own, two_runs[0]]) == 2
    assert "in this version's format" in printed(capsys)[1]


def test_the_bundled_model_on_each_benchmark(
    lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ["Step 1: 4 * 5 = 20. Now 3 + 20.", "Step 2: 3 + 20 = 24."]
    problem = "3 + 4 * 5 ="
    records: dict[str, dict[str, object]] = {
        "processbench": {"id": "a", "problem": problem, "steps": steps, "label": 1},
        "prmbench": prm("a", steps, [2]) | {"modified_question": problem},
        "labelled": {"id": "a", "problem": problem, "steps": steps, "labels": [True, False]},
    }
    for benchmark, record in records.items():
        file = lines_file(record, name=f"{benchmark}.jsonl")
        out = tmp_path / benchmark
        assert main(["eval", benchmark, "--data", file, "--samples", "2", "--out", str(out)]) == 0
        summary = json.loads((out / "summary.json").read_text())
        assert summary["settings"]["model_file"]
        assert summary["usage"]["generated_tokens"] > 0
        (line,) = (out / "results.jsonl").read_text().splitlines()
        assert json.loads(line)["steps"][0]["paths"][0]["generated_tokens"] > 0
        (page,) = (out / "reports").iterdir()
        assert "Step 1: 4 * 5 = 20." in page.read_text()
    capsys.readouterr()
