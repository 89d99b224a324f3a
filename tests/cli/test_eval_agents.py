"""``genprm eval best-of-n`` and ``refine`` with the bundled models, and their metrics against definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.agents.accuracy import CHOICES, summarise_best_of_n, summarise_refinement
from genprm_sdk.agents.comparison import AgentRun, compare_agents, read_agent_run
from genprm_sdk.agents.evaluating import AgentKind, AgentRunSettings, AttemptOutcome, ProblemOutcome
from genprm_sdk.cli import main

Write = Callable[..., str]

PROBLEMS = (
    {"id": "p0", "problem": "(4 + 5) * 3 - 7 =", "answer": 20},
    {"id": "../p1", "problem": "12 - (3 - 9) * 2 =", "answer": "24"},
)


def printed(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return " ".join(out.split()), err


def lines_of(folder: Path) -> list[ProblemOutcome]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    return [ProblemOutcome.model_validate_json(line) for line in lines]


def test_best_of_n_from_one_set_of_attempts(
    lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["eval", "best-of-n", lines_file(*PROBLEMS), "--n", "4,1,2", "--out", str(out)]
    assert main(arguments) == 0
    said = printed(capsys)
    for row in ("verifier │ 1 │", "majority │ 2 │", "pass@N │ 4 │"):
        assert row in said[0]
    found = lines_of(out)
    assert [len(each.attempts) for each in found] == [4, 4]
    for each in found:
        best = max(range(4), key=lambda at: (each.attempts[at].score or -1.0, -at))
        if each.attempts[best].fault is None:
            assert each.best == best
            assert CHOICES["verifier"](each.attempts) == each.right
    summary = json.loads((out / "summary.json").read_text())
    shares = {name: [p["value"]["value"] for p in points] for name, points in summary["accuracy"].items()}
    assert shares["pass@N"] == sorted(shares["pass@N"])
    assert shares["verifier"][0] == shares["majority"][0] == shares["pass@N"][0]
    assert {path.name for path in out.iterdir()} == {
        *("settings.json", "results.jsonl", "summary.json", "index.html", "plots", "reports"),
    }
    assert len(list((out / "reports").iterdir())) == 2
    assert "traces/../p1" in (out / "index.html").read_text()

    before = (out / "results.jsonl").read_bytes()
    assert main([*arguments[:3], "--n", "4", "--out", str(out)]) == 0
    assert (out / "results.jsonl").read_bytes() == before
    assert main([*arguments[:3], "--n", "8", "--out", str(out)]) == 2
    assert "attempts 4 instead of 8" in printed(capsys)[1]
    assert main(["eval", "refine", *arguments[2:3], "--out", str(out)]) == 2
    assert "benchmark 'best-of-n' instead of 'refine'" in printed(capsys)[1]
    other = tmp_path / "other"
    assert main([*arguments[:3], "--n", "2", "--seed", "1", "--out", str(other)]) == 0
    capsys.readouterr()
    assert main(["eval", "compare", str(other), str(out)]) == 0
    said = printed(capsys)
    assert "verifier │ 1 │" in said[0]
    assert "│ 2 │" in said[0]
    assert "│ 4 │" not in said[0]
    assert "attempts 2 and 4" in said[1]
    assert "seed 1 and 0" in said[1]


def test_refinement_turn_by_turn(
    lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["eval", "refine", lines_file(*PROBLEMS), "--turns", "2", "--out", str(out)]) == 0
    assert "made wrong ┃ made right ┃ latest % ┃ best %" in printed(capsys)[0]
    found = lines_of(out)
    summary = json.loads((out / "summary.json").read_text())
    assert [turn["turn"] for turn in summary["turns"]] == [0, 1, 2]
    assert summary["turns"][-1]["accuracy"]["value"] == sum(each.right for each in found) / 2
    assert all(attempt.turn <= 2 for each in found for attempt in each.attempts)
    assert (out / "plots" / "accuracy.svg").exists()


def test_problems_that_cannot_be_used_are_listed(
    lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_file(PROBLEMS[0], {"problem": "no answer"}, "{torn")
    out = tmp_path / "out"
    assert main(["eval", "best-of-n", file, "--n", "1", "--out", str(out)]) == 2
    assert 'there is no "answer"' in printed(capsys)[1]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["problems"] == 3
    assert len(summary["failures"]) == 2
    assert summary["accuracy"]["pass@N"][0]["value"]["value"] in (0, pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--turns", "2"], "No such option: --turns"),
        (["--threshold", "0.4"], "No such option: --threshold"),
        (["--n", "0,2"], "--n takes whole numbers"),
        (["--n", "many"], "--n takes whole numbers"),
        (["--n", "1,2000"], "--n takes whole numbers from 1 to 1024"),
        (["--samples", "300"], "--samples"),
        (["--policy", "nowhere.gguf"], "nowhere.gguf"),
        (["--model", "nowhere.gguf"], "nowhere.gguf"),
    ],
)
def test_unusable_options_are_one_line(
    arguments: list[str], part: str, lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "best-of-n", lines_file(*PROBLEMS), *arguments]) == 2
    said = printed(capsys)[1]
    assert len(said.strip().splitlines()) == 1
    assert part in said


def test_a_file_without_answers(lines_file: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "refine", lines_file({"problem": "P"})]) == 2
    assert "holds no problem with an answer" in printed(capsys)[1]


def attempt(turn: int, group: int | None, right: bool, score: float | None) -> AttemptOutcome:
    fault = "no_answer" if group is None else None
    return AttemptOutcome(
        turn=turn,
        answer=None if group is None else str(group),
        right=right,
        group=group,
        score=score,
        fault=fault,
    )


@st.composite
def solved(draw: st.DrawFn) -> ProblemOutcome:
    """A problem whose answers are 0 to 2 and mostly wrong; group 0 is right."""
    attempts = []
    for turn in range(draw(st.integers(0, 5))):
        group = draw(st.sampled_from([None, 0, 1, 2]))
        attempts.append(attempt(turn, group, group == 0, draw(st.sampled_from([None, 0.1, 0.5, 0.9]))))
    return ProblemOutcome(key="k", attempts=tuple(attempts))


@given(st.lists(solved(), min_size=1, max_size=8), st.sampled_from(["best-of-n", "refine"]))
@settings(max_examples=25, deadline=None)
def test_a_comparison_has_both_runs_own_numbers(made: list[ProblemOutcome], kind: AgentKind) -> None:
    named = [each.model_copy(update={"key": f"k{number}"}) for number, each in enumerate(made)]
    fewer = [each.model_copy(update={"attempts": each.attempts[:2]}) for each in named]
    first, second = (
        AgentRun(
            folder=name,
            settings=SETTINGS.model_copy(update={"benchmark": kind}),
            outcomes={each.key: each for each in outcomes},
        )
        for name, outcomes in (("one", named), ("two", fewer))
    )
    found = compare_agents(first, second)
    assert found.records == len(made)
    for outcomes, side in ((named, "first"), (fewer, "second")):
        own: dict[str, list[float | None]]
        if kind == "best-of-n":
            curves = summarise_best_of_n(SETTINGS, outcomes, [1, 2, 4]).accuracy
            own = {name: [point.value.value for point in points] for name, points in curves.items()}
        else:
            turns = summarise_refinement(SETTINGS, outcomes).turns
            own = {
                "best": [turn.accuracy.value for turn in turns],
                "latest": [turn.latest.value for turn in turns],
            }
        assert own == {
            name: [getattr(each, side) for each in numbers.values()]
            for name, numbers in found.accuracy.items()
        }
    same = compare_agents(first, first)
    for numbers in same.accuracy.values():
        for each in numbers.values():
            assert (each.difference.value, each.difference.low, each.difference.high) == (0, 0, 0)


def test_agents_of_two_kinds_are_not_compared(
    lines_file: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    kept = ProblemOutcome(key="k").model_dump_json() + "\n"
    for folder, kind in zip(folders, ("best-of-n", "refine", "processbench"), strict=True):
        folder.mkdir()
        fields = SETTINGS.model_dump(mode="json") | {"benchmark": kind}
        (folder / "settings.json").write_text(json.dumps(fields))
        (folder / "results.jsonl").write_text(kept)
    assert main(["eval", "compare", str(folders[0]), str(folders[1])]) == 2
    assert "give two runs on the same benchmark" in printed(capsys)[1]
    assert main(["eval", "compare", str(folders[0]), str(folders[2])]) == 2
    assert "holds no run of best-of-n or refine" in printed(capsys)[1]


def test_problems_that_could_not_be_read_count_in_a_comparison(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(SETTINGS.model_dump_json())
    (tmp_path / "results.jsonl").write_text(ProblemOutcome(key="k").model_dump_json() + "\n")
    (tmp_path / "summary.json").write_text('{"failures": [{"key": "x/record-2", "reason": "torn"}]}')
    run = read_agent_run(tmp_path)
    assert {key: each.error for key, each in run.outcomes.items()} == {"k": None, "x/record-2": "torn"}
    assert compare_agents(run, run).records == 2


SETTINGS = AgentRunSettings(benchmark="refine", policy="p", model="m", attempts=4)


@given(st.lists(solved(), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_no_choice_beats_a_perfect_one(made: list[ProblemOutcome]) -> None:
    curves = summarise_best_of_n(SETTINGS, made, [1, 2, 4]).accuracy
    for at in range(3):
        best = curves["pass@N"][at].value.value
        assert best == sum(any(each.right for each in p.attempts[: 2**at]) for p in made) / len(made)
        assert best is not None
        for name in ("verifier", "majority"):
            value = curves[name][at].value.value
            assert value is not None
            assert 0 <= value <= best


@given(st.lists(solved(), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_what_turns_bring_is_what_they_repair_less_what_they_break(made: list[ProblemOutcome]) -> None:
    turns = summarise_refinement(SETTINGS, made).turns
    first = turns[0].accuracy.value
    assert first is not None
    for turn in turns:
        gained = (turn.repaired - turn.broken) / len(made)
        assert turn.accuracy.value == pytest.approx(first + gained)


def test_a_majority_is_of_answers_and_the_first_of_equal_ones() -> None:
    votes = [attempt(0, 0, False, 0.9), attempt(0, 1, True, 0.1), attempt(0, None, False, 0.9)]
    assert not CHOICES["majority"](votes)
    assert CHOICES["majority"]([*votes, attempt(0, 1, True, None)])
    assert not CHOICES["verifier"](votes)
    assert CHOICES["pass@N"](votes)
    assert not CHOICES["verifier"]([])
