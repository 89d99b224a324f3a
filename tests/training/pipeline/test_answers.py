"""Answers: worlds by their text, mathematics by its meaning, and comparisons that never end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from genprm_sdk.errors import InputError
from genprm_sdk.training.pipeline.answers import Answers, boxed
from genprm_sdk.training.pipeline.problems import file_problems, world_problems
from genprm_sdk.training.pipeline.records import Drop, Problem
from genprm_sdk.training.worlds import WORLDS

pytestmark = pytest.mark.anyio


def problem(answer: str) -> Problem:
    return Problem(text="P", answer=answer)


def test_the_last_box_with_balanced_braces_counts() -> None:
    assert boxed(r"\boxed{1} so \boxed{\frac{1}{2}} or }") == r"\frac{1}{2}"
    assert boxed(r"\boxed{\{1, 2\}}") == r"\{1, 2\}"
    assert boxed(r"\boxed{1} and \boxed{2") == "1"
    assert boxed("none") is None


async def test_worlds_answers_are_compared_as_texts() -> None:
    async with Answers() as answers:
        for each in world_problems(dict.fromkeys(WORLDS, 2), seed=1):
            assert each.domain is not None
            assert await answers.right(each, f"so \\boxed{{{each.answer}}}.") is True
            assert await answers.right(each, f"so \\boxed{{{each.answer} x}}.") is False
            assert await answers.right(each, "so nothing") is None


async def test_mathematics_is_compared_by_meaning() -> None:
    async with Answers() as answers:
        cases = [
            ("1/2", r"\boxed{0.5}", True),
            (r"\boxed{\frac{1}{2}}", r"\boxed{\frac{2}{4}}", True),
            ("1+x", r"\boxed{x+1}", True),
            ("84", r"\boxed{ 84. }", True),
            ("84", r"\boxed{48}", False),
            ("3", "3", None),
        ]
        for gold, text, expected in cases:
            assert await answers.right(problem(gold), text) is expected
    async with Answers(mathematics=False) as spelled:
        assert await spelled.right(problem("1/2"), r"\boxed{0.5}") is False


async def test_an_answer_is_never_evaluated_as_python(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    hostile = f"__import__('pathlib').Path('{trace}').touch()"
    async with Answers() as answers:
        for text in (hostile, f"({hostile}) + 1", f"\\text{{{hostile}}}", f"[{hostile} for _ in [1]][0]"):
            assert await answers.right(problem("2"), f"\\boxed{{{text}}}") is False
    assert not trace.exists()


async def test_a_comparison_that_dies_or_hangs_counts_as_different_and_the_next_one_works() -> None:
    async with Answers(patience=20.0) as answers:
        assert await answers.right(problem("1/2"), r"\boxed{0.5}") is True
        (process,) = answers._all
        for pid in process._processes or {}:
            os.kill(pid, signal.SIGKILL)
        assert await answers.right(problem("1/3"), r"\boxed{2/6}") is False
        assert await answers.right(problem("1/4"), r"\boxed{2/8}") is True
        answers._patience = 0.001
        assert await answers.right(problem("1/5"), r"\boxed{2/10}") is False


def test_a_file_is_read_line_by_line_and_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    lines = [
        json.dumps({"problem": "P", "answer": 7}),
        "{",
        "[]",
        json.dumps({"problem": " ", "answer": "1"}),
        json.dumps({"question": "Q"}),
        json.dumps({"problem": "a\0b", "answer": "1"}),
        "",
        json.dumps({"question": "Q", "final_answer": "x"}),
        "[" * 200_000,
        json.dumps({"problem": "P", "answer": [3]}),
    ]
    path.write_text("\n".join(lines))
    found = [record for _, record in file_problems(path)]
    assert [each.answer for each in found if isinstance(each, Problem)] == ["7", "x"]
    assert [each.detail.partition(":")[2][0] for each in found if isinstance(each, Drop)] == list("2345691")
    assert len(list(file_problems(path, limit=1))) == 1


def test_a_file_without_answers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"problem": "P"}\n')
    with pytest.raises(InputError, match=r"no usable problem .*problems\.jsonl:1: nothing under `answer`"):
        list(file_problems(path))
    path.write_text("")
    with pytest.raises(InputError, match="it is empty"):
        list(file_problems(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(file_problems(tmp_path / "none.jsonl"))


def test_more_problems_begin_with_the_same_ones() -> None:
    few, many = (list(world_problems({"dyck": count}, 0)) for count in (2, 5))
    assert many[:2] == few
    assert list(world_problems({"dyck": 2}, 1)) != few
