"""What ``genprm check`` writes, and what becomes of input that cannot be used."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from genprm_sdk import Adaptive, Budget, Cascade, Report
from genprm_sdk.cli import main, opening
from genprm_sdk.errors import MissingExtraError, ModelFileError, SandboxUnavailable, UnknownModelError

GOOD = {"id": 7, "problem": "What is 6 * 7?", "steps": ["6 * 7 = 42", "So 42"], "generator": "someone"}
WRONG = {"id": "w", "input": "2 + 2", "steps": ["sure", "WRONG 5", "done"], "mistake_index": 1}

Write = Callable[..., str]


def lines_of(text: str) -> list[str]:
    return text.splitlines()


def test_json_is_one_object_a_solution_and_nothing_else(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", lines_file(GOOD, WRONG), "--json", "--samples", "2", "--seed", "5"]) == 0
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in lines_of(out))
    assert list(first) == [
        *("id", "first_error", "verdict", "model", "samples", "seed", "reasoning", "history"),
        *("total_steps", "stopped", "scores", "steps", "usage"),
    ]
    assert second["scores"]["min"] == pytest.approx(0.105)
    assert (first["id"], first["first_error"], first["verdict"]) == (7, None, "correct")
    assert (second["id"], second["first_error"], second["verdict"]) == ("w", 1, "incorrect")
    assert [len(step["paths"]) for step in second["steps"]] == [2, 2, 2]
    assert first["usage"]["generated_tokens"] == 80
    assert [(call[1], call[2]) for call in verifier.calls] == [(2, 5), (2, 5)]
    assert lines_of(err) == ["checked 2 of 2 solutions: 1 with a mistake"]
    reports = [Report.model_validate_json(line) for line in lines_of(out)]
    assert [(report.id, report.first_error) for report in reports] == [("7", None), ("w", 1)]
    assert reports[1].scores.min == pytest.approx(0.105)


def test_a_diagnosed_line_is_a_report(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", lines_file(WRONG), "--json", "--diagnose"]) == 0
    (line,) = lines_of(capsys.readouterr().out)
    assert "diagnostics" in json.loads(line)
    assert Report.model_validate_json(line).verdict == "incorrect"


def test_options_reach_the_check(verifier: Any, lines_file: Write) -> None:
    arguments = ["--adaptive", "0.1", "--cascade", "--stop-at-first-error", "--max-samples", "9"]
    assert main(["check", lines_file(GOOD), "--max-tokens", "7", "--max-seconds", "2.5", *arguments]) == 0
    (options,) = verifier.options
    assert options["adaptive"] == Adaptive(error=0.1)
    assert options["cascade"] == Cascade()
    assert options["stop_at_first_error"] is True
    assert options["budget"] == Budget(samples=9, tokens=7, seconds=2.5)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--adaptive", "often"], "adaptive must be auto, off, exact or a number"),
        (["--adaptive", "0.7"], "--adaptive must be a number between 0 and 0.5"),
        (["--max-seconds", "-1"], "--max-seconds must be a finite number above 0"),
        (["--reasoning", "direct", "--cascade"], "give --reasoning or --cascade, not both"),
        (["--html", ""], "--html"),
        (["--reasoning", "guess"], "'guess' is not one of"),
        (["--history", "all"], "'all' is not one of"),
    ],
)
def test_bad_options_are_named(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["check", lines_file(GOOD), *arguments]) == 2
    assert complaint in capsys.readouterr().err
    assert not verifier.calls


def test_diagnostics_and_pages(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pages = tmp_path / "pages" / "new"
    assert main(["check", lines_file(GOOD, WRONG), "--diagnose", "--html", str(pages)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"unparsed verdicts +0\.0%", out)
    assert [page.name for page in sorted(pages.iterdir())] == ["0001.html", "0002.html"]
    assert "<!doctype html>" in (pages / "0002.html").read_text(encoding="utf-8").lower()
    assert main(["check", lines_file(GOOD), "--json", "--diagnose"]) == 0
    assert json.loads(capsys.readouterr().out)["diagnostics"]["paths"] == 2
    (tmp_path / "file").write_text("")
    assert main(["check", lines_file(GOOD), "--html", str(tmp_path / "file")]) == 2
    assert "give another folder with --html" in capsys.readouterr().err


def test_the_three_names_of_a_problem(verifier: Any, lines_file: Write) -> None:
    records = [{name: "P", "steps": "one\n\ntwo"} for name in ("problem", "input", "question")]
    assert main(["check", lines_file(*records, {"steps": ["alone"]})]) == 0
    assert [call[0].problem for call in verifier.calls] == ["P", "P", "P", None]
    assert verifier.calls[0][0].steps == ("one", "two")


def test_stdin_and_arrays_and_pretty_objects(
    verifier: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, count in ((json.dumps([GOOD, WRONG], indent=2), 2), (json.dumps(GOOD, indent=2), 1)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert main(["check", "-", "--json"]) == 0
        assert len(lines_of(capsys.readouterr().out)) == count


def test_limit_counts_records(verifier: Any, lines_file: Write) -> None:
    assert main(["check", lines_file(GOOD, "{torn", WRONG, GOOD), "--limit", "3"]) == 2
    assert len(verifier.calls) == 2


def test_the_readable_view(verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", lines_file(WRONG), "--samples", "3"]) == 0
    out = capsys.readouterr().out
    for part in ("w", "2 + 2", "✓ step 0  0.91  correct", "✗ step 1  0.11  incorrect  0 yes, 3 no"):
        assert part in out
    for part in ("the step says WRONG 5", "v = 6 * 7", "42 True", "first mistake: step 1"):
        assert part in out
    assert "\x1b" not in out


def test_one_broken_record_costs_only_itself(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file(
        GOOD,
        '{"problem": "torn", "ste',
        {"problem": "no steps"},
        {"steps": ["a", "  "]},
        {"steps": []},
        [1, 2],
        {"steps": ["LONG"]},
        {"steps": 5},
        {"steps": ["a"], "problem": 3},
        WRONG,
    )
    assert main(["check", file, "--json"]) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["id"] for line in lines_of(out)] == [7, "w"]
    *complaints, summary = lines_of(err)
    assert summary == "checked 2 of 10 solutions: 1 with a mistake, 8 could not be checked"
    expected = {
        2: "not JSON",
        3: 'no "steps"',
        4: "step 1 is blank",
        5: "at least one",
        6: "not a list",
        7: "9000",
        8: "not a number",
        9: "problem must be text",
    }
    assert len(complaints) == len(expected)
    for line, part in expected.items():
        assert any(c.startswith(f"genprm: {file}:{line}: ") and part in c for c in complaints), (
            line,
            complaints,
        )


def test_an_engine_failure_is_not_the_users(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", lines_file({"steps": ["BROKEN"]}, GOOD), "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(lines_of(out)) == 1
    assert "the engine failed" in err
    assert "1 could not be checked" in err


def test_what_was_finished_before_a_failure_is_shown(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", lines_file({"steps": ["fine", "BROKEN", "fine"]}), "--json"]) == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["verdict"], [step["text"] for step in report["steps"]]) == ("incomplete", ["fine"])
    assert "the engine failed" in err


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("hello world", "not JSON"),
        ("", "no records"),
        ("42", "not a number"),
        ("\xff\xfe", "could not be checked"),
    ],
)
def test_files_that_hold_nothing(
    content: str, part: str, verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", lines_file(content)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert verifier.opened == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["check", "nowhere.jsonl"], "nowhere.jsonl: there is no such file"),
        (["check", "."], "folder"),
        (["check", "x.jsonl", "--samples", "0"], "--samples"),
        (["check", "x.jsonl", "--samples", "257"], "--samples"),
        (["check", "x.jsonl", "--seed", str(2**64)], "--seed"),
        (["eval", "labelled", "--data", "x.jsonl", "--samples", "300"], "--samples"),
        (["eval", "labelled", "--data", "x.jsonl", "--adaptive", "0.7"], "--adaptive must be"),
        (["solve", "x.jsonl", "--samples", "300"], "--samples"),
        (["mcp", "--samples", "300"], "--samples"),
        (["check", "x.jsonl", "--limit", "0"], "--limit"),
        (["check", "x.jsonl", "--seed", "-1"], "--seed"),
        (["check", "x.jsonl", "--threads", "0"], "--threads"),
        (["check", "x.jsonl", "--samples", "many"], "integer"),
        (["check"], "FILE"),
        (["check", "x", "--bogus"], "--bogus"),
        (["frobnicate"], "frobnicate"),
        (["eval", "processbench"], "--data"),
        (["eval", "processbench", "--data", "nowhere"], "no such file"),
        (["eval", "gsm8k", "--data", "x"], "gsm8k"),
    ],
)
def test_unusable_arguments_are_one_line(
    arguments: list[str], part: str, verifier: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(lines_of(err)) == 1, err
    assert part in err
    assert verifier.opened == 0


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (UnknownModelError("unknown model 'x': bundled are genprm-mini"), 2),
        (ModelFileError("x.gguf is no GGUF file"), 2),
        (MissingExtraError("llama-cpp-python", "llama", "The llama.cpp backend"), 2),
        (SandboxUnavailable("no sandbox here"), 1),
    ],
)
def test_a_verifier_that_cannot_open_is_one_line(
    refusal: Exception,
    code: int,
    fake: ModuleType,
    lines_file: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(opening, "open_verifier", lambda *_: fake.FakeVerifier(refusal))
    assert main(["check", lines_file(GOOD)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert lines_of(err) == [f"genprm: {refusal}"]


def test_text_from_outside_cannot_write_to_the_terminal(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = {
        "id": "[red]x[/red]\x1b]0;t\x07",
        "problem": "[/oops] \x1b[31m\x9b",
        "steps": ["[bold]a\x1b[2J\u202eb"],
    }
    broken = '{"steps": ["\\u001b[2J"], "id": [}'
    assert main(["check", lines_file(nasty, broken)]) == 2
    out, err = capsys.readouterr()
    assert "[red]x[/red]" in out
    assert "[/oops]" in out
    assert r"[bold]a\x1b[2J\u202eb" in out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(out + err)


def test_half_a_surrogate_pair_is_one_lost_record(
    verifier: Any, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file('{"steps": ["\\ud800"]}', '{"id": "\\ud800", "steps": ["a"]}', GOOD)
    assert main(["check", file, "--json"]) == 2
    assert len(lines_of(capsys.readouterr().out)) == 1
