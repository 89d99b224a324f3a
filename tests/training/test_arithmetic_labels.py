"""The labels of the arithmetic world, worked out again from the texts alone.

The checker below is a reader: it knows English phrasing, brackets and Python's grammar of ``+ - *``, and
nothing of how the world builds its expressions. It sees every number and sign of problem and steps, so it
computes the label of each step by itself: a step is wrong if two things it calls equal are not, or if what
it starts from is not what problem and earlier steps (right or wrong) say.

It does not see which *kind* of mistake was planted, beyond the kinds that name a place; it cannot tell a
form that is equal only by chance (brackets dropped where it happens not to matter) from one that is equal
by right; and of a lost bracket it can only say what the nearest balanced reading means.
"""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds import Arithmetic, Example
from genprm_sdk.training.worlds import arithmetic as world

seeds = st.integers(0, 2**32)
thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

EXPRESSION = r"[-(0-9][-+*()0-9 ]*"
WITH_LETTERS = r"\(*[A-Za-z]\)*(?: [-+*] \(*[A-Za-z]\)*)+"


def example_of(seed: int) -> Example:
    return Arithmetic().example(random.Random(seed))


def plain(text: str) -> str:
    return text.replace(" x ", " * ").replace(" × ", " * ")


def value(text: str, letters: dict[str, int] | None = None) -> int:
    """What an expression is worth; a bracket missing at its end is put there."""
    text = text.strip()
    missing = text.count("(") - text.count(")")
    assert missing in (0, 1), text
    return _value(ast.parse(text + ")" * missing, mode="eval").body, letters or {})


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
        correct: The label.
        expected: What everything in the step must be equal to.
        stated: The values the step calls equal to it, in order.
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
        chain = one(rf"(?:\b{letter} = |^For {letter}: )({EXPRESSION}(?: = {EXPRESSION})*)\.?$", text)
        links = [value(link) for link in read_chain(chain.group(1))]
        readings.append(Reading(value(definition), links))
        stated[letter] = links[-1]
    last = one(
        rf"(?<![A-Za-z])({WITH_LETTERS}) = ({EXPRESSION}(?: = {EXPRESSION})*)\. "
        r".*[Aa]nswer(?: is|:) (-?\d+)\.?$",
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


@thorough
@given(seeds)
def test_every_label_is_true(seed: int) -> None:
    example = example_of(seed)
    assert [step.correct for step in example.steps] == [reading.correct for reading in read(example)]


@thorough
@given(seeds)
def test_code_compares_what_the_step_says(seed: int) -> None:
    """The compared operands have the values of the step's own links, in the step's order."""
    example = example_of(seed)
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
@given(seeds)
def test_kinds_that_name_a_place_are_in_that_place(seed: int) -> None:
    example = example_of(seed)
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
    examples = [example_of(seed) for seed in range(1500)]
    texts = [step.text for example in examples for step in example.steps]
    for sign in (" x ", " × ", " * "):
        assert any(sign in text for text in texts), sign
    assert any(text.count("(") != text.count(")") for text in texts)
    templates = (*world.SPLITS, *world.PARTS, *world.FINALS, *world.REWRITES)
    for template in templates:
        pattern = re.sub(r"\\{\w+\\}", "(.+)", re.escape(template))
        assert any(re.fullmatch(pattern, text) for text in texts), template


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
