"""``genprm refine`` and ``genprm solve`` on the bundled models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genprm_sdk.agents import Trajectory
from genprm_sdk.cli import main
from genprm_sdk.models import find_model

from ..backends.llama_server import llama_server

Write = Callable[..., str]

GIVEN = {
    "id": 7,
    "problem": "What is 12 * 7?",
    "steps": ["Step 1: 12 * 7 = 85.", "Step 2: The answer is \\boxed{85}."],
    "answer": 84,
}
OPEN = {"question": "What is 3 + 4?", "id": "open"}
QUICK = ("--threads", "1", "--max-tokens", "2000")


def test_solutions_are_refined_and_problems_without_one_solved(
    lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = tmp_path / "pages"
    arguments = ["--turns", "1", "--json", "--html", str(pages), "--repair", "prefix", *QUICK]
    assert main(["refine", lines_file(GIVEN, {"x": 1}, OPEN), *arguments]) == 2
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["id"], first["given"], second["id"], second["given"]) == (7, True, "open", False)
    assert first["attempts"][0]["steps"] == GIVEN["steps"]
    assert first["right"] in (True, False)
    assert second["right"] is None
    read = [Trajectory.model_validate_json(line) for line in out.splitlines()]
    assert [(trajectory.agent, trajectory.id) for trajectory in read] == [("refine", "7"), ("refine", "open")]
    assert read[0].answer == first["answer"]
    assert sorted(page.name for page in pages.iterdir()) == ["0001.html", "0003.html"]
    assert 'there is no "problem"' in err
    assert "2 of 3 problems" in err.splitlines()[-1]


@pytest.mark.parametrize("agent", ["best-of-n", "self-consistency", "step-search", "self-refine"])
def test_every_agent_solves(agent: str, lines_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--agent", agent, "--n", "2", "--turns", "1", *QUICK]
    assert main(["solve", lines_file(OPEN), *arguments]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("open\n")
    assert "→" in out
    assert err.startswith("1 of 1 problem: ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--evidence", "gossip"], "evidence must be some of"),
        (["--policy", "no-such-policy"], "unknown model"),
        (["--model", "no-such-model"], "unknown model"),
        (["--max-seconds", "-1"], "--max-seconds must be"),
        (["--threshold", "nan"], "--threshold"),
        (["--agent", "best-of-n", "--n", "1025"], "--n"),
        (["--html", ""], "--html"),
        (["--policy", "genprm-mini"], "genprm-mini is a verifier, not a policy"),
        (["--agent", "nobody"], "nobody"),
        (["--policy-model", "x"], "leave it out"),
        (["--prefill"], "continues texts without it"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    arguments: list[str], complaint: str, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["solve", lines_file(OPEN), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "record",
    [[1], {"problem": " "}, {**GIVEN, "steps": 3}, {**GIVEN, "id": [1]}, {**GIVEN, "answer": {}}, "{"],
)
def test_a_record_that_cannot_be_used_costs_no_model(
    record: object, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["refine", lines_file(record)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "0 of 1 problem: 0 answered, 1 failed"


def test_a_chat_api_repairs_from_the_challenged_step_on(
    lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("xllamacpp")
    arguments = ["--prefill", "--repair", "prefix", "--turns", "1", "--json", "--threads", "1"]
    given = {**GIVEN, "steps": ["Step 1: 2 + 2 = 4.", *GIVEN["steps"]]}  # type: ignore[misc]
    with llama_server(find_model("policy-mini")[1], 2048) as address:
        assert main(["refine", lines_file(given), "--policy", f"{address}/v1", *arguments]) == 0
    trajectory = json.loads(capsys.readouterr().out)
    challenge, repaired = trajectory["turns"][1]["challenge"], trajectory["attempts"][1]
    assert repaired["kept"] == challenge["step"]
    assert repaired["steps"][: repaired["kept"]] == given["steps"][: repaired["kept"]]


SLOW = """
import asyncio, signal, sys
from contextlib import asynccontextmanager
from genprm_sdk.agents import SelfRefinement
from genprm_sdk.cli import main, refine

signal.signal(signal.SIGINT, signal.default_int_handler)

async def policy(messages):
    if len(messages) == 1:
        return "Step 1: a.\\n\\nStep 2: \\\\boxed{1}"
    if "Please check" in messages[-1]["content"]:
        return "Verdict: step 1"
    print("asked again", file=sys.stderr, flush=True)
    await asyncio.sleep(60)

@asynccontextmanager
async def open_agent(request):
    yield SelfRefinement(policy)

refine.open_agent = open_agent
sys.exit(main(sys.argv[1:]))
"""


IN_ONE_TURN = """
import asyncio, signal, sys
from contextlib import asynccontextmanager
from genprm_sdk.agents import SelfConsistency
from genprm_sdk.cli import main, refine

signal.signal(signal.SIGINT, signal.default_int_handler)
asked = 0

async def policy(messages):
    global asked
    asked += 1
    if asked <= 3:
        return "Step 1: a.\\n\\nStep 2: \\\\boxed{1}"
    await asyncio.sleep(0.05)
    print("asked again", file=sys.stderr, flush=True)
    await asyncio.sleep(60)

@asynccontextmanager
async def open_agent(request):
    yield SelfConsistency(policy, n=4)

refine.open_agent = open_agent
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("script", "attempts"), [(SLOW, 1), (IN_ONE_TURN, 3)])
def test_an_interruption_shows_what_there_is(script: str, attempts: int, lines_file: Write) -> None:
    command = [sys.executable, "-c", script, "solve", lines_file(OPEN), "--json"]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "asked again" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    shown = json.loads(out)
    assert (shown["answer"], shown["stopped"], len(shown["attempts"])) == ("1", None, attempts)
    assert err.splitlines()[-1] == "0 of 1 problem: 0 answered, interrupted"
