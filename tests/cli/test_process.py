"""The command as a process: interruption, a closed pipe, what importing it loads, colours."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., subprocess.Popen[str]]
Write = Callable[..., str]

GOOD = {"id": "g", "problem": "P", "steps": ["one", "two"]}
SLOW = {"id": "s", "problem": "P", "steps": ["first", "WRONG", "SLOW", "never"]}


@pytest.mark.parametrize("how", ["--json", "--seed=0"])
def test_an_interruption_shows_what_was_finished(how: str, start_fake: Start, lines_file: Write) -> None:
    with start_fake("check", lines_file(GOOD, SLOW, GOOD), how) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "checked 1 of 3 solutions: 0 with a mistake, interrupted"
    if how == "--json":
        partial = json.loads(out)
        assert json.loads(first)["id"] == "g"
        assert (partial["id"], partial["verdict"], partial["first_error"]) == ("s", "incorrect", 1)
        assert (partial["reasoning"], partial["history"]) == (["analysis"], "steps")
        spent = [path["usage"]["generated_tokens"] for step in partial["steps"] for path in step["paths"]]
        assert partial["usage"]["generated_tokens"] == sum(spent) > 0
        assert [step["text"] for step in partial["steps"]] == ["first", "WRONG"]
    else:
        assert "step 1  0.10  incorrect" in out
        assert "never" not in out


def test_an_interrupted_benchmark_says_how_far_it_came(
    start_fake: Start, lines_file: Write, tmp_path: Any
) -> None:
    records = [{"id": f"r{i}", "input": "P", "steps": ["one"], "mistake_index": None} for i in range(3)]
    records.append({"id": "slow", "input": "P", "steps": ["SLOW"], "mistake_index": None})
    arguments = ["eval", "bigbench-mistake", "--data", lines_file(*records), "--out", str(tmp_path / "out")]
    with start_fake(*arguments) as process:
        results = tmp_path / "out" / "results.jsonl"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (not results.exists() or results.read_bytes().count(b"\n") < 3):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "only 3 of 4" in " ".join(out.split())
    assert "interrupted: 3 of 4 records are done" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize("how", ["--json", "--seed=0"])
def test_a_reader_that_leaves_early(how: str, start_fake: Start, lines_file: Write) -> None:
    many = [{"id": i, "problem": "P" * 3000, "steps": ["one"] * 20} for i in range(60)]
    with start_fake("check", lines_file(*many), how) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 141
        assert process.stderr is not None
        assert "Traceback" not in (said := process.stderr.read()), said
        assert "Exception ignored" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
@pytest.mark.parametrize(
    "arguments", [["check", "FILE", "--json"], ["check", "FILE"], ["--help"], ["check", "--help"]]
)
def test_a_full_disk_is_one_line(arguments: list[str], fake: Any, lines_file: Write) -> None:
    given = [lines_file(GOOD, GOOD) if each == "FILE" else each for each in arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, fake.__file__, *given],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    where = "" if "--help" in arguments else " to stdout"
    assert done.stderr == f"genprm: cannot write{where}: No space left on device\n"


def test_importing_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, genprm_sdk.cli\n"
        "heavy = {'llama_cpp', 'torch', 'sympy', 'numpy', 'scipy', 'transformers'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """Run a command with stdout on a pseudo-terminal; returns what came out."""
    master, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            arguments, stdout=terminal, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            os.close(terminal)
            chunks = []
            while True:
                try:
                    chunk = os.read(master, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                chunks.append(chunk)
            assert process.wait(timeout=30) == 0
    finally:
        os.close(master)
    return b"".join(chunks).decode()


def test_colours_on_a_terminal_and_none_if_not_wanted(start_fake: Start, lines_file: Write) -> None:
    script = os.path.join(os.path.dirname(__file__), "fake_verifier.py")
    arguments = [sys.executable, script, "check", lines_file(GOOD)]
    base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    coloured = on_a_terminal(arguments, {**base, "TERM": "xterm-256color"})
    plain = on_a_terminal(arguments, {**base, "TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "\x1b[1;32m" in coloured
    assert "32m" not in plain
