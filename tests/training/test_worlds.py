"""What holds in every world: determinism, shape, and rationales that are true when really run."""

from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.sandbox import Sandbox
from genprm_sdk.training.worlds import WORLDS, Example, boxed_answer
from genprm_sdk.training.worlds.base import equality_rationale, judged, numbered, planted_steps, run_trusted

seeds = st.integers(0, 2**32)
names = st.sampled_from(sorted(WORLDS))
thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

DOMAINS = {"arithmetic", "word_problems", "word_sorting", "tracking", "logical_deduction", "dyck"}


def codes_of(example: Example) -> list[str]:
    """What a session is given, step by step: the set-up stands before the first step's code."""
    codes = [step.rationale.code for step in example.steps]
    return [example.setup + codes[0], *codes[1:]]


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
@given(seeds)
def test_code_of_arithmetic_holds_no_text(seed: int) -> None:
    """No step is pasted into the code as a string, and nothing is imported or looped over."""
    example = example_of("arithmetic", seed)
    for step in example.steps:
        for node in ast.walk(ast.parse(step.rationale.code)):
            if isinstance(node, ast.Constant):
                assert type(node.value) is int
            assert not isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.For, ast.While))
        assert step.text not in step.rationale.code
        assert "#" not in step.rationale.code


@pytest.mark.parametrize("name", sorted(DOMAINS - {"dyck"}))
def test_code_is_written_for_its_step(name: str) -> None:
    """Within a solution hardly any two programs are the same, over solutions hardly any.

    In Dyck languages a short problem can come twice, and an end and a beginning read alike.
    """
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
def test_right_and_wrong_solutions_are_both_common(name: str) -> None:
    firsts = [example_of(name, seed).first_error for seed in range(500)]
    assert 0.2 < firsts.count(None) / len(firsts) < 0.5
    assert len(set(firsts)) > 4


@pytest.mark.parametrize("name", WORLDS)
def test_mistakes_are_of_several_kinds(name: str) -> None:
    found = {step.mistake for seed in range(600) for step in example_of(name, seed).steps} - {None}
    assert len(found) >= 5
    assert "wrong_final_answer" in found


@pytest.mark.parametrize("name", WORLDS)
def test_styles(name: str) -> None:
    world = WORLDS[name]
    assert len(world.styles) == len(set(world.styles)) >= 4
    assert {"solver", world.held_out_style} < set(world.styles)
    for style in world.styles:
        drawn = {world.example(random.Random(seed), style).steps[-1].text for seed in range(20)}
        assert len(drawn) > 5


@pytest.mark.anyio
@pytest.mark.parametrize("name", WORLDS)
async def test_every_rationale_prints_in_the_sandbox_what_it_says(name: str) -> None:
    """One session for each solution, as at inference."""
    async with Sandbox() as sandbox:
        for seed in range(25):
            example = example_of(name, seed)
            async with sandbox.session() as session:
                for code, step in zip(codes_of(example), example.steps, strict=True):
                    run = await session.run(code)
                    assert (run.status, run.feedback) == ("ok", step.rationale.output), (name, seed, code)


@settings(thorough, max_examples=120)
@given(names, seeds)
def test_later_code_uses_no_name_but_those_of_the_set_up(name: str, seed: int) -> None:
    """Each step's code, alone behind the set-up, prints what it prints in a session."""
    example = example_of(name, seed)
    for step in random.Random(seed).sample(example.steps, min(4, len(example.steps))):
        assert run_trusted(example.setup + step.rationale.code) == step.rationale.output


@thorough
@given(names, st.booleans(), seeds)
def test_an_exercise_is_solved_by_its_solution(name: str, practice: bool, seed: int) -> None:
    draw = WORLDS[name].practice if practice else WORLDS[name].exercise
    exercise = draw(random.Random(seed))
    assert exercise == draw(random.Random(seed))
    assert exercise.domain == name
    assert boxed_answer(exercise.steps[-1]) == exercise.answer != ""
    for number, step in enumerate(exercise.steps, start=1):
        assert step.startswith(f"Step {number}: ")
        assert "\n" not in step
    read = WORLDS[name].read(exercise.problem, exercise.steps)
    assert read is not None
    assert read.problem == exercise.problem
    assert [step.text for step in read.steps] == list(exercise.steps)
    assert read.first_error is None


@thorough
@given(names, seeds, st.data())
def test_a_solution_of_another_exercise_is_never_called_right(
    name: str, seed: int, data: st.DataObject
) -> None:
    world = WORLDS[name]
    one = world.exercise(random.Random(seed))
    other = world.exercise(random.Random(data.draw(seeds)))
    read = world.read(one.problem, other.steps)
    if one.problem != other.problem and one.answer != other.answer:
        assert read is None or read.first_error is not None


@thorough
@given(names, seeds, st.data())
def test_garbled_solutions_are_read_or_refused(name: str, seed: int, data: st.DataObject) -> None:
    """A small solver writes all sorts of things: steps lost, repeated, swapped, cut or misspelt."""
    exercise = WORLDS[name].exercise(random.Random(seed))
    steps = list(exercise.steps)
    at = data.draw(st.integers(0, len(steps) - 1))
    place = data.draw(st.integers(0, len(steps[at])))
    match data.draw(st.sampled_from(["lose", "repeat", "swap", "cut", "insert", "other"])):
        case "lose":
            del steps[at]
        case "repeat":
            steps.insert(at, steps[at])
        case "swap":
            steps[at], steps[-1] = steps[-1], steps[at]
        case "cut":
            steps[at] = steps[at][:place]
        case "insert":
            steps[at] = steps[at][:place] + data.draw(st.text(max_size=3)) + steps[at][place:]
        case "other":
            steps[at] = data.draw(st.text(max_size=40))
    read = WORLDS[name].read(exercise.problem, steps)
    if read is not None:
        assert [step.text for step in read.steps] == steps
        for step in read.steps:
            ast.parse(step.rationale.code)
            assert step.correct == step.rationale.conclusion.startswith("The code prints True")


def test_the_domains() -> None:
    assert set(WORLDS) == DOMAINS
    assert all(world.name == name for name, world in WORLDS.items())


def test_boxed_answer() -> None:
    assert boxed_answer("The answer is \\boxed{(B)}.") == "(B)"
    assert boxed_answer("\\boxed{1} or \\boxed{ } ] > }.") == "} ] >"
    assert boxed_answer("The answer is 3.") is None
    assert boxed_answer("\\boxed{3") is None


def test_numbered() -> None:
    assert numbered(["a", "b"]) == ("Step 1: a", "Step 2: b")


def test_judged() -> None:
    right = judged("Why.", 'v = s[0]\nprint(v, "x", v == "(")', setup='s = "(["\n')
    assert (right.output, right.conclusion) == ("( x True", "The code prints True.")
    wrong = judged("Why.", 'print("a", True)\nprint("b c", False)')
    assert wrong.conclusion == "The code prints False: it should be b c."


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
