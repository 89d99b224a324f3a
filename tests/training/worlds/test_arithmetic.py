"""The labels of the arithmetic world, worked out again from the texts alone.

The checker below is a reader: it knows English phrasing, brackets and Python's grammar of ``+ - *``, and
nothing of how the world builds its expressions. It sees every number and sign of problem and steps, so it
computes the label of each step by itself: a step is wrong if two things it calls equal are not, or if what
it starts from is not what problem and earlier steps (right or wrong) say. In a solver's step these are an
operation and its result, and the expression of the step before and the one that is left.

It does not see which *kind* of mistake was planted, beyond the kinds that name a place; it cannot tell a
form that is equal only by chance (brackets dropped where it happens not to matter) from one that is equal
by right; and of a lost bracket it can only say what the nearest balanced reading means.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds import Example, boxed_answer
from genprm_sdk.training.worlds import arithmetic as world
from genprm_sdk.training.worlds.arithmetic import WORLD

seeds = st.integers(0, 2**32)
styles = st.sampled_from(WORLD.styles)
thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

EXPRESSION = r"[-(0-9][-+*()0-9 ]*"
WITH_LETTERS = r"\(*[A-Za-z]\)*(?: [-+*] \(*[A-Za-z]\)*)+"


def example_of(seed: int, style: str | None = None) -> Example:
    return WORLD.example(random.Random(seed), style)


def plain(text: str) -> str:
    return text.replace(" x ", " * ").replace(" × ", " * ")


def value(text: str, letters: dict[str, int] | None = None) -> int:
    """What an expression is worth; a bracket missing at its end, or at its beginning, is put there."""
    text = text.strip()
    missing = text.count("(") - text.count(")")
    assert missing in (-1, 0, 1), text
    text = "(" + text if missing < 0 else text + ")" * missing
    return _value(ast.parse(text, mode="eval").body, letters or {})


def _value(node: ast.expr, letters: dict[str, int]) -> int:
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name):
            return letters[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, letters)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, letters) + _value(right, letters)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, letters) - _value(right, letters)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, letters) * _value(right, letters)
    raise AssertionError(ast.dump(node))


def one(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    assert found is not None, (pattern, text)
    return found


@dataclass
class Reading:
    """What the checker found in one step.

    Attributes:
        expected: What everything in the step must be equal to.
        stated: The values the step calls equal to it, in order.
        correct: The label.
    """

    expected: int
    stated: list[int]

    @property
    def correct(self) -> bool:
        return all(stated == self.expected for stated in self.stated)


def read_problem(text: str) -> str:
    return one(EXPRESSION, plain(text)).group().rstrip(" ")


def read_chain(text: str) -> list[str]:
    links = [link.strip() for link in text.split(" = ")]
    assert all(re.fullmatch(EXPRESSION, link) for link in links), text
    return links


def read_by_parts(example: Example, problem: str) -> list[Reading]:
    texts = [plain(step.text) for step in example.steps]
    definitions = dict(re.findall(rf"\b([A-Za-z]) = ({EXPRESSION})", texts[0]))
    definitions = {letter: text.strip() for letter, text in definitions.items()}
    form = one(rf"(?<![A-Za-z]){WITH_LETTERS}", texts[0]).group()
    assert set(re.findall("[A-Za-z]", form)) == set(definitions)
    named = {letter: value(text) for letter, text in definitions.items()}
    readings = [Reading(value(problem), [value(form, named)])]
    stated: dict[str, int] = {}
    assert len(texts) == len(definitions) + 2
    for text, (letter, definition) in zip(texts[1:-1], definitions.items(), strict=True):
        opening = rf"(?:\b{letter} = |^For {letter}: |of {letter} is |on {letter} gives )"
        chain = one(rf"{opening}({EXPRESSION}(?: = {EXPRESSION})*)\.?$", text)
        links = [value(link) for link in read_chain(chain.group(1))]
        readings.append(Reading(value(definition), links))
        stated[letter] = links[-1]
    last = one(
        rf"(?<![A-Za-z])({WITH_LETTERS}) = ({EXPRESSION}(?: = {EXPRESSION})*)[.,] "
        r".*(?:[Aa]nswer|result)(?: is|:) (-?\d+)\.?$",
        texts[-1],
    )
    assert last.group(1) == form
    links = [value(link) for link in read_chain(last.group(2))]
    readings.append(Reading(value(form, stated), [*links, int(last.group(3))]))
    return readings


def read_rewritten(example: Example, problem: str) -> list[Reading]:
    before, readings = problem, []
    for step in example.steps:
        left, right = read_chain(one(rf"({EXPRESSION} = {EXPRESSION}?)\.?$", plain(step.text)).group(1))
        assert left == before
        readings.append(Reading(value(left), [value(left), value(right)]))
        before = right
    return readings


def read(example: Example) -> list[Reading]:
    problem = read_problem(example.problem)
    named = re.search(r"\b[A-Za-z] = ", example.steps[0].text)
    return (read_by_parts if named else read_rewritten)(example, problem)


def read_solver(problem: str, texts: Sequence[str]) -> list[tuple[Reading, Reading]]:
    """Of each step the operation, and the form that is left."""
    before, readings = read_problem(problem), []
    for number, text in enumerate(texts, start=1):
        ending = rf"(?:Now ({EXPRESSION})|The answer is \\boxed{{(-?\d+)}})\."
        found = one(rf"^Step {number}: ({EXPRESSION}) = (-?\d+)\. {ending}$", text)
        operation, result, after, answer = found.groups()
        left = after or answer
        readings.append((Reading(value(operation), [value(result)]), Reading(value(before), [value(left)])))
        before = left
    return readings


@thorough
@given(seeds, styles.filter(lambda style: style != "solver"))
def test_every_label_is_true(seed: int, style: str) -> None:
    example = example_of(seed, style)
    assert [step.correct for step in example.steps] == [reading.correct for reading in read(example)]


@thorough
@given(seeds)
def test_every_label_of_a_solvers_solution_is_true(seed: int) -> None:
    example = example_of(seed, "solver")
    readings = read_solver(example.problem, [step.text for step in example.steps])
    for step, (operation, left) in zip(example.steps, readings, strict=True):
        assert step.correct == (operation.correct and left.correct)
        assert (
            step.rationale.output
            == f"{operation.expected} {operation.correct}\n{left.expected} {left.correct}"
        )


@thorough
@given(seeds, styles.filter(lambda style: style != "solver"))
def test_code_compares_what_the_step_says(seed: int, style: str) -> None:
    """The compared operands have the values of the step's own links, in the step's order."""
    example = example_of(seed, style)
    for step, reading in zip(example.steps, read(example), strict=True):
        names: dict[str, int] = {}
        *setup, expected, comparison = ast.parse(step.rationale.code).body
        for line in setup:
            assert isinstance(line, ast.Assign)
            assert isinstance(line.targets[0], ast.Name)
            names[line.targets[0].id] = _value(line.value, {})
        assert isinstance(expected, ast.Assign)
        assert _value(expected.value, names) == reading.expected
        assert isinstance(comparison, ast.Expr)
        assert isinstance(comparison.value, ast.Call)
        compare = comparison.value.args[1]
        assert isinstance(compare, ast.Compare)
        assert [_value(node, names) for node in compare.comparators] == reading.stated


@thorough
@given(seeds, styles.filter(lambda style: style != "solver"))
def test_kinds_that_name_a_place_are_in_that_place(seed: int, style: str) -> None:
    example = example_of(seed, style)
    readings = read(example)
    for index, (step, reading) in enumerate(zip(example.steps, readings, strict=True)):
        if step.mistake == "wrong_final_answer":
            assert index == len(example.steps) - 1
            assert set(reading.stated[:-1]) == {reading.expected} != {reading.stated[-1]}
        elif step.mistake == "copied_wrongly":
            assert reading.stated[0] != reading.expected
        elif step.mistake is not None and len(reading.stated) > 1:
            assert reading.stated[0] == reading.expected


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("(-5) - (3 * -2)", 1),
        ("((2 + 3) * (4 - 1)", 15),
        ("(2 + 3) * (4 - 1", 15),
        ("2 + 3) * (4 - 1)", 15),
        ("2 - 3 - 4 * 2", -9),
        ("--5", 5),
    ],
)
def test_the_checker_itself(text: str, worth: int) -> None:
    assert value(text) == worth


@pytest.mark.parametrize("text", ["2 ** 3", "7 // 2", "f(2)", "'a'", "2.5"])
def test_the_checker_reads_nothing_else(text: str) -> None:
    with pytest.raises(AssertionError):
        value(text)


def test_all_phrasings_signs_and_brackets_occur() -> None:
    """Else the checker above may have passed on a fraction of what the world can say."""
    examples = [example_of(seed) for seed in range(1500)] + [
        example_of(seed, "substituted") for seed in range(50)
    ]
    texts = [step.text for example in examples for step in example.steps]
    for sign in (" x ", " × ", " * "):
        assert any(sign in text for text in texts), sign
    assert any(text.count("(") != text.count(")") for text in texts)
    wordings = world.BY_PARTS.values()
    templates = [t for wording in wordings for t in (*wording.splits, *wording.parts, *wording.finals)]
    for template in (*templates, *world.REWRITES):
        pattern = re.sub(r"\\{\w+\\}", "(.+)", re.escape(template))
        assert any(re.fullmatch(pattern, text) for text in texts), template


def style_of(example: Example) -> str:
    first = example.steps[0].text
    if first.startswith("Step 1: "):
        return "solver"
    if re.match(r"Substituting|With ", first):
        return "substituted"
    return "parts or varied" if re.search(r"\b[A-Za-z] = ", first) else "rewritten"


def test_styles_are_drawn_by_their_shares_and_the_held_out_one_never() -> None:
    drawn = Counter(style_of(example_of(seed)) for seed in range(1000))
    assert drawn.keys() == {"parts or varied", "rewritten", "solver"}
    assert 170 < drawn["solver"] < 230
    assert 70 < drawn["rewritten"] < 130
    assert style_of(example_of(0, WORLD.held_out_style)) == "substituted"


def test_every_kind_of_mistake_occurs_in_every_style() -> None:
    by_parts = {*world.MISTAKES, "copied_wrongly", "wrong_final_answer"}
    kinds = dict.fromkeys(WORLD.styles, by_parts) | {
        "rewritten": set(world.MISTAKES),
        "solver": set(world.SOLVER_MISTAKES),
    }
    for style in WORLD.styles:
        found = {step.mistake for seed in range(600) for step in example_of(seed, style).steps}
        assert found == {*kinds[style], None}, style


@thorough
@given(seeds)
def test_an_exercise_is_solved_rightly_and_read_as_right(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    assert exercise == WORLD.exercise(random.Random(seed))
    assert int(exercise.answer) == value(read_problem(exercise.problem))
    assert boxed_answer(exercise.steps[-1]) == exercise.answer
    operators = len(re.findall(r" [-+*] ", exercise.problem))
    assert len(exercise.steps) == operators
    assert operators + 1 in world.EXERCISE_SIZES
    for pair in read_solver(exercise.problem, exercise.steps):
        assert all(reading.correct for reading in pair)
        assert abs(pair[0].expected) <= world.LARGEST_RESULT
    example = WORLD.read(exercise.problem, exercise.steps)
    assert example is not None
    assert all(step.correct and step.mistake is None for step in example.steps)
    assert tuple(step.text for step in example.steps) == exercise.steps


@thorough
@given(seeds)
def test_every_step_of_an_exercise_carries_out_an_operation_of_the_form_before(seed: int) -> None:
    """Only the operation is replaced, and its operands come out of their brackets."""
    exercise = WORLD.exercise(random.Random(seed))
    before = read_problem(exercise.problem)
    for step in exercise.steps:
        operation, result, left = one(r": (.+) = (.+)\. (?:Now |.*\{)(.+?)\}?\.$", step).groups()
        options = [f"({operation})", operation]
        assert any(
            left == before[: found.start()] + result + before[found.end() :]
            for option in options
            for found in re.finditer(re.escape(option), before)
        )
        before = left


@thorough
@given(seeds)
def test_reading_a_solvers_solution_gives_the_planted_labels_and_rationales(seed: int) -> None:
    example = example_of(seed, "solver")
    read_again = WORLD.read(example.problem, [step.text for step in example.steps])
    assert read_again is not None
    unnamed = tuple(replace(step, mistake=None) for step in example.steps)
    assert read_again == replace(example, steps=unnamed)


PROBLEM = "(3 + -4 * 2) * (7 - 1) ="
FIRST = "Step 1: -4 * 2 = -8. Now (3 + -8) * (7 - 1)."


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        ([FIRST], [True]),
        ([FIRST, FIRST], [True, True]),
        ([FIRST, "Step 2: 3 + -8 = -5. Now -5 * 7 - 1."], [True, False]),
        ([FIRST, "Step 3: 7 - 1 = 6. Now (3 + -8) * 6."], [True, True]),
        ([FIRST, "Step 2: 3 + -8 = -5. Now (3 + -8) * (7 - 1) * 1."], [True, True]),
        ([FIRST, "Step 2: 3 + -8 = -6. Now -5 * (7 - 1)."], [True, False]),
        ([FIRST, "Step 2: 3 + -8 = -5. Now -6 * (7 - 1)."], [True, False]),
        ([FIRST, "Step 2: 3 + -8 = -5. The answer is \\boxed{-5}."], [True, False]),
        ([FIRST, "Step 2: 3 + -8 = -5 = -6. Now -5 * (7 - 1)."], [True, False]),
        (["Step 1: 3 + -4 = -1. Now (-1 * 2) * (7 - 1).", "Step 2: 7 - 1 = 6. Now -2 * 6."], [False, True]),
        (
            ["Step 1: -4 * 2 = -8. Now 3 + -8) * (7 - 1).", "Step 2: 3 + -8 = -5. Now -5 * (7 - 1."],
            [True, True],
        ),
        (["Step 1: -4 * 2 = -8. Now (3 + -8 * (7 - 1)."], [False]),
    ],
)
def test_reading_an_imperfect_solution(steps: list[str], labels: list[bool]) -> None:
    example = WORLD.read(PROBLEM, steps)
    assert example is not None
    assert [step.correct for step in example.steps] == labels


@pytest.mark.parametrize(
    "step",
    [
        "",
        "-4 * 2 = -8. Now (3 + -8) * (7 - 1).",
        "Step 1: -4 * 2. Now (3 + -8) * (7 - 1).",
        "Step 1: -4 * 2 = . Now (3 + -8) * (7 - 1).",
        "Step 1: -4 * * 2 = -8. Now (3 + -8) * (7 - 1).",
        "Step 1: -4 * 2 = -8. Now (3 + -8) (7 - 1).",
        "Step 1: -4 * 2 = -8. Now (3 + -8) ** (7 - 1).",
        "Step 1: -4 * 2 = -8. Now (3 + -8) * (7 - 1)",
        "Step 1: -4 * 2 = -8. Now )(.",
        "Step 1: -4 * 2 = -8. Now (3 +\n-8) * (7 - 1).",
        "Step 1: -4 * 2 = -8. Now (3 + 08) * (7 - 1).",
        "Step 1: -4 * 2 = -8. Now 3 + A.",
        "Step 1: -4 * 2 = -8. The answer is \\boxed{}.",
        "Step 1: -4 * 2 = -8. The answer is \\boxed{-8}} .",
        "Step 1: -4 * 2 = -8. The answer is \\boxed{-5 * 6}.",
        "Step 1: -4 * 2 = 1234567. Now 1.",
        "Step 1: " + "(" * 5000 + "1 = 1. Now 1.",
    ],
)
def test_what_is_no_step_is_not_read(step: str) -> None:
    assert WORLD.read(PROBLEM, [step]) is None


@pytest.mark.parametrize("problem", ["", "What is 2 + 3?", "2 + =", "2 + 3 = 4 ="])
def test_what_is_no_problem_is_not_read(problem: str) -> None:
    assert WORLD.read(problem, [FIRST]) is None


def test_a_solution_without_steps_is_not_read() -> None:
    assert WORLD.read(PROBLEM, []) is None


@thorough
@given(seeds, st.data())
def test_garbled_solutions_are_read_as_valid_code_or_not_at_all(seed: int, data: st.DataObject) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    steps = list(exercise.steps)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(steps) - 1))
        place = data.draw(st.integers(0, len(steps[at]) - 1))
        garbage = data.draw(st.text("()+-* =.0123456789\\{}N", max_size=2))
        steps[at] = steps[at][:place] + garbage + steps[at][place + 1 :]
    example = WORLD.read(exercise.problem, steps)
    for step in example.steps if example else ():
        ast.parse(step.rationale.code)
        assert step.correct == ("False" not in step.rationale.output)


@thorough
@given(st.text("() 12+-*", max_size=12))
def test_brackets_are_balanced_at_the_ends(text: str) -> None:
    repaired = world.balanced(text)
    assert text in repaired
    assert len(repaired) - len(text) <= text.count("(") + text.count(")")
    while "()" in (brackets := re.sub(r"[^()]", "", repaired)):
        repaired = brackets.replace("()", "")
    assert not set(repaired) & {"(", ")"}


@pytest.mark.parametrize("items", [(0, 0), (-6, 0, 0), (0, 4, 8, 0), (0, 0, 0, 0)])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.timeout(20)
def test_an_expression_that_no_single_change_alters_is_miscopied_all_the_same(
    items: tuple[int, ...], seed: int
) -> None:
    run = world.Run(tuple(world.Number(item) for item in items), ("*",) * (len(items) - 1))
    copy, kind = world.miscopied(run, random.Random(seed))
    assert kind == "copied_wrongly"
    assert world.evaluate(copy) != world.evaluate(run) == 0
