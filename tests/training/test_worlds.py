"""What holds in every world: determinism, shape, and rationales that are true when really run."""

from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.sandbox import Sandbox
from genprm_sdk.training.worlds import WORLDS, Example
from genprm_sdk.training.worlds.arithmetic import MISTAKES
from genprm_sdk.training.worlds.base import equality_rationale, planted_steps, run_trusted

seeds = st.integers(0, 2**32)
names = st.sampled_from(sorted(WORLDS))
thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

KINDS = {
    "arithmetic": {*MISTAKES, "copied_wrongly", "wrong_final_answer"},
    "word_problems": {"slip", "wrong_operand", "wrong_operation", "copied_wrongly", "wrong_final_answer"},
}


def example_of(name: str, seed: int) -> Example:
    return WORLDS[name].example(random.Random(seed))


def outcomes(output: str) -> list[str]:
    return [line.rsplit(" ", 1)[-1] for line in output.split("\n")]


@thorough
@given(names, seeds)
def test_an_example_is_a_function_of_its_seed(name: str, seed: int) -> None:
    random.seed(seed + 1)  # the interpreter's own generator must not matter
    first = example_of(name, seed)
    random.seed(seed + 2)
    assert example_of(name, seed) == first


@pytest.mark.parametrize("name", WORLDS)
def test_examples_of_different_seeds_differ(name: str) -> None:
    assert len({example_of(name, seed).problem for seed in range(200)}) > 190


@thorough
@given(names, seeds)
def test_shape(name: str, seed: int) -> None:
    example = example_of(name, seed)
    assert example.domain == name
    assert example.problem == example.problem.strip() != ""
    assert example.steps
    for step in example.steps:
        assert step.text == step.text.strip() != ""
        assert "\n" not in step.text
        assert step.correct == (step.mistake is None)
    wrong = [index for index, step in enumerate(example.steps) if not step.correct]
    assert example.first_error == (wrong[0] if wrong else None)


@thorough
@given(names, seeds)
def test_the_output_says_what_the_label_says(name: str, seed: int) -> None:
    for step in example_of(name, seed).steps:
        said = outcomes(step.rationale.output)
        assert set(said) <= {"True", "False"}
        assert step.correct == ("False" not in said)
        assert step.rationale.conclusion.startswith(f"The code prints {step.correct}")


@thorough
@given(names, seeds)
def test_code_holds_numbers_and_no_text(name: str, seed: int) -> None:
    """No step is pasted into the code as a string, and nothing is imported or looped over."""
    example = example_of(name, seed)
    for step in example.steps:
        for node in ast.walk(ast.parse(step.rationale.code)):
            if isinstance(node, ast.Constant):
                assert type(node.value) is int
            assert not isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.For, ast.While))
        assert step.text not in step.rationale.code
        assert "#" not in step.rationale.code


@pytest.mark.parametrize("name", WORLDS)
def test_code_is_written_for_its_step(name: str) -> None:
    """Within a solution hardly any two programs are the same, over solutions hardly any."""
    examples = [example_of(name, seed) for seed in range(300)]
    codes = [
        [step.rationale.code for step in example.steps if any(map(str.isdigit, step.text))]
        for example in examples
    ]
    repeated = sum(len(set(of_one)) < len(of_one) for of_one in codes)
    assert repeated < 0.02 * len(examples)
    everything = [code for of_one in codes for code in of_one]
    assert len(set(everything)) > 0.9 * len(everything)


@pytest.mark.parametrize("name", WORLDS)
def test_every_kind_of_mistake_occurs_and_no_other(name: str) -> None:
    found = {step.mistake for seed in range(600) for step in example_of(name, seed).steps}
    assert found == {*KINDS[name], None}


@pytest.mark.parametrize("name", WORLDS)
def test_right_and_wrong_solutions_are_both_common(name: str) -> None:
    firsts = [example_of(name, seed).first_error for seed in range(500)]
    assert 0.2 < firsts.count(None) / len(firsts) < 0.5
    for index in range(3):
        assert firsts.count(index) / len(firsts) > 0.05


@pytest.mark.anyio
async def test_every_rationale_prints_in_the_sandbox_what_it_says() -> None:
    """One session for each solution, as at inference: names left over from earlier steps do no harm."""
    async with Sandbox() as sandbox:
        for name in WORLDS:
            for seed in range(25):
                async with sandbox.session() as session:
                    for step in example_of(name, seed).steps:
                        run = await session.run(step.rationale.code)
                        assert (run.status, run.feedback) == ("ok", step.rationale.output), (name, seed)


@thorough
@given(names, seeds)
def test_every_rationale_prints_on_its_own_what_it_says(name: str, seed: int) -> None:
    for step in example_of(name, seed).steps:
        assert run_trusted(step.rationale.code) == step.rationale.output


def test_equality_rationale() -> None:
    rationale = equality_rationale("Why.", [("A + 1", ["3", "2 + 1"]), ("4 * 2", ["9"])], setup="A = 2\n")
    assert rationale.analysis == "Why."
    assert rationale.code == "A = 2\nv = A + 1\nprint(v, v == 3 == 2 + 1)\nv = 4 * 2\nprint(v, v == 9)"
    assert rationale.output == "3 True\n8 False"
    assert rationale.conclusion == "The code prints False: it should be 8."


def test_planted_steps() -> None:
    drawn = [planted_steps(random.Random(seed), 4, first_weight=0.25) for seed in range(4000)]
    assert all(steps <= set(range(4)) for steps in drawn)
    assert 0.27 < drawn.count(set()) / len(drawn) < 0.33
    counts = [sum(index in steps for steps in drawn) for index in range(4)]
    assert counts[0] < 0.4 * min(counts[1:])
    assert any(len(steps) == 2 for steps in drawn)
