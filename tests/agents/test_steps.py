"""Steps, final answers, templates, and which answers are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genprm_sdk.agents import Answers, Templates, final_answer, plain_answer, split_solution
from genprm_sdk.agents.steps import text_before
from genprm_sdk.errors import InputError
from genprm_sdk.wording import SOLVING_REQUEST, critique


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Step 1: a\n\nStep 2: b", ("Step 1: a", "Step 2: b")),
        (
            "Step 1: a\nStep 2: b\n\nmore of b\nStep 3: c",
            ("Step 1: a", "Step 2: b\n\nmore of b", "Step 3: c"),
        ),
        ("Well.\nStep 1: a\nStep 2: b", ("Well.", "Step 1: a", "Step 2: b")),
        ("**Step 1**: a\n## Step 2\nb", ("**Step 1**: a", "## Step 2\nb")),
        ("a\n\n \n b \n\nc", ("a", "b", "c")),
        ("one\ntwo", ("one\ntwo",)),
        ("  \n\n ", ()),
    ],
)
def test_steps(text: str, steps: tuple[str, ...]) -> None:
    assert split_solution(text) == steps


@given(st.text(alphabet="ab \n:123SteP", max_size=80))
def test_the_text_before_a_step_and_the_step_are_what_was_there(text: str) -> None:
    steps = split_solution(text)
    for index, step in enumerate(steps):
        before = text_before(text, index)
        assert index == 0 or text.startswith(before)
        assert text.removeprefix(before).lstrip().startswith(step.split("\n")[0])
    assert text_before(text, len(steps)) == (text if steps else "")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so \\boxed{4}.", "4"),
        ("\\boxed{1} and \\boxed{ \\frac{1}{2} }", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{good} then \\boxed{open", "good"),
        ("\\boxed{\\boxed{1}} so \\fbox{2 \\boxed{3}", "3"),
        ("\\boxed{\\boxed{1}}", "1"),
        ("} \\boxed{1 \\} 2}", "1 \\} 2"),
        ("\\boxed{}", None),
        ("no box", None),
        ("\\boxed{" * 14_000, None),
        ("\\boxed{" * 14_000 + "7}", "7"),
    ],
)
def test_final_answers(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1,234.50", "2469/2", True),
        ("$\\text{Ann  and Bob}$.", "ann and bob", True),
        ("1/0", "1/0", True),
        ("07", "7", True),
        ("1.5/2", "1.5/2", True),
        ("-3", "3", False),
    ],
)
def test_plain_answers(one: str, other: str, same: bool) -> None:
    assert (plain_answer(one) == plain_answer(other)) is same


@pytest.mark.anyio
async def test_answers_that_mean_the_same_are_grouped() -> None:
    pytest.importorskip("math_verify")
    async with Answers() as answers:
        given = ["\\frac{1}{2}", "x", "0.5", "2x+1", "apple pear", "1+2x", "pear apple"]
        assert await answers.grouped(given) == [[0, 2], [1], [3, 5], [4], [6]]


@pytest.mark.anyio
async def test_an_answer_that_takes_forever_is_a_different_one() -> None:
    pytest.importorskip("math_verify")
    async with Answers(patience=3.0) as answers:
        assert not await answers.same("9^{9^{9^9}}", "3")
        assert answers._process is None
        answers._patience = 30.0
        assert await answers.same("\\frac{2}{4}", "0.5")


@pytest.mark.anyio
async def test_without_math_verify_the_text_decides() -> None:
    async with Answers(symbolic=False) as answers:
        assert not await answers.same("\\frac{1}{2}", "0.5")
        assert await answers.same("1/2", "0.5")


@pytest.mark.anyio
async def test_answers_may_be_numbers() -> None:
    async with Answers(symbolic=False) as answers:
        assert await answers.same(89, "89")
        assert await answers.same("1/2", 0.5)
        assert await answers.grouped([7, "x", "7.0"]) == [[0, 2], [1]]
        for answer in (None, True, ["89"], 10**5000):
            with pytest.raises(InputError, match="an answer must be text or a number"):
                await answers.same("89", answer)  # type: ignore[arg-type]


def test_templates_are_the_papers_and_braces_stay() -> None:
    templates = Templates()
    assert templates.solving("a {step} \\boxed{1}") == "a {step} \\boxed{1}" + SOLVING_REQUEST
    assert templates.criticising("x {reason}", 2, "why {step}") == critique("x {reason}", "why {step}")
    own = Templates(critique="Paragraph {number}: {step}? {reason}")
    assert own.criticising("s", 3, "r") == "Paragraph 3: s? r"
    with pytest.raises(InputError, match="solve must hold"):
        Templates(solve="nothing")
