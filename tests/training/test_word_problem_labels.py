"""The labels of the word problem world, worked out again from the texts alone.

The checker below reads the story sentence by sentence into operations on one running quantity, and each step
into the calculations it displays (``30 - 5 = 25``) or states without one (``there remain 25 apples.``); then
it does the sums. A step is wrong if a calculation is not worth what the story calls for there, if a result
is not what its calculation is worth, or if a result said twice is said differently. The story goes on from
what the solver said last, right or wrong.

It shares one convention with the world and cannot judge it: every sentence acts on the result of the one
before. It does not look at words
around the numbers (``giving``, ``twice``, the unit), so it would not see those said wrongly.
"""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds import Example, WordProblems
from genprm_sdk.training.worlds import word_problems as world

seeds = st.integers(0, 2**32)
thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
SUM = rf"({NUMBER} [-+*/] {NUMBER}(?: / 100)?) = ({NUMBER})"
AGAIN = rf"(?: \w+\.| \\\]|\.) (?:So that is|This makes|That is) ({NUMBER}) \w+\."
CLAIM_OF_ITS_OWN = r"[A-Z]\w+ (?:gives|loses|sells|uses|eats) "
BARE = rf"(?<![=,\d$])(?<!= )({NUMBER}) (?!(?:is|more|gives)\b)[a-z]+\."
WORDS = {
    "twice": "2", "double": "2", "2 times": "2", "three times": "3", "3 times": "3", "four times": "4",
    "4 times": "4", "5 times": "5", "half": "2", "1/2": "2", "a third": "3", "1/3": "3", "a quarter": "4",
    "1/4": "4", "a fifth": "5", "1/5": "5",
}  # fmt: skip
WORD = "|".join(WORDS)

STORY = {
    r"(?:Then |Later )?\w+ (?:gives|loses|sells|uses|eats) (\d+) (?:\w+|of them)(?: to \w+)?\.": "-",
    r"\w+ (?:buys|finds|gets|makes) (\d+) more \w+\.": "+",
    r"Then \w+ (?:buys|finds|gets|makes) (\d+) more\.": "+",
    r"The next day \w+ (?:buys|finds|gets|makes) another (\d+) \w+\.": "+",
    r"\w+ comes with (\d+) more \w+ and they put all together\.": "+",
    rf"\w+ has ({WORD}) as many \w+ as \w+ has now\.": "*",
    rf"A week later \w+ has ({WORD}) as many\.": "*",
    rf"Then \w+ trades all of them for ({WORD}) as many \w+\.": "*",
    r"Each of them costs \$(\d+)\.": "*",
    r"The \w+ sell for \$(\d+) each\.": "*",
    rf"\w+ keeps only ({WORD}) of the \w+ and gives the rest away\.": "/",
    rf"\w+ keeps ({WORD}) of them and \w+ takes the others\.": "/",
    rf"All but ({WORD}) of the \w+ get lost\.": "/",
    r"All \w+ are shared equally among (\d+) friends\.": "/",
    r"\w+ packs the \w+ evenly into (\d+) \w+\.": "/",
    r"\w+ keeps (\d+)% of the \w+ and sells the rest\.": "%",
    r"Only (\d+)% of them remain after a month\.": "%",
}
OPENINGS = {
    r"\w+ (?:has|starts with) (\d+) \w+\.": None,
    r"There are (\d+) \w+ in \w+'s room\.": None,
    r"\w+ has (\d+) \w+ with (\d+) \w+ in each\.": "*",
    r"There are (\d+) \w+ of (\d+) \w+ each\.": "*",
    r"\w+ has (\d+) \w+ at home and (\d+) at school\.": "+",
}


def example_of(seed: int) -> Example:
    return WordProblems().example(random.Random(seed))


def calculate(left: Fraction, operator: str, right: Fraction) -> Fraction:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "%":
            return left * right / 100
    raise AssertionError(operator)


def number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def worth(expression: str) -> Fraction:
    left, operator, right, *hundredth = expression.split(" ")
    assert hundredth in ([], ["/", "100"])
    return calculate(number(left), operator, number(right)) / (100 if hundredth else 1)


@dataclass
class Story:
    """A start, or a first calculation, and the operations that follow."""

    start: Fraction | None
    first: Fraction | None
    operations: list[tuple[str, Fraction]]


def read_story(problem: str) -> Story:
    opening, *sentences = re.split(r"(?<=\.) ", problem)
    question = sentences.pop()
    assert question.endswith("?")
    start = first = None
    for pattern, operator in OPENINGS.items():
        if found := re.fullmatch(pattern, opening):
            numbers = [Fraction(text) for text in found.groups()]
            if operator is None:
                (start,) = numbers
            else:
                first = calculate(numbers[0], operator, numbers[1])
            break
    else:
        raise AssertionError(opening)
    return Story(start, first, [read_sentence(sentence) for sentence in sentences])


def read_sentence(sentence: str) -> tuple[str, Fraction]:
    for pattern, operator in STORY.items():
        if found := re.fullmatch(pattern, sentence, re.IGNORECASE):
            operand = found.group(1).lower()
            return operator, Fraction(WORDS.get(operand, operand))
    raise AssertionError(sentence)


@dataclass
class Calculation:
    """Everything one calculation of a step says, in order."""

    stated: list[Fraction]
    expected: Fraction = Fraction(0)

    @property
    def correct(self) -> bool:
        return all(stated == self.expected for stated in self.stated)


@dataclass
class Reading:
    calculations: list[Calculation] = field(default_factory=list)

    @property
    def correct(self) -> bool:
        return all(calculation.correct for calculation in self.calculations)


def read_step(text: str) -> list[Calculation]:
    """The calculations a step displays or states, in order."""
    for sign, plain in {
        " x ": " * ",
        " × ": " * ",
        " \\times ": " * ",
        " ÷ ": " / ",
        " \\div ": " / ",
    }.items():
        text = text.replace(sign, plain)
    pattern = rf"{SUM}(?:{AGAIN})?|{CLAIM_OF_ITS_OWN}{NUMBER} \w+\.|{BARE}"
    found = []
    for match in re.finditer(pattern, text):
        expression, result, again, bare = match.groups()
        if expression:
            found.append(
                Calculation([worth(expression), number(result), *([number(again)] if again else [])])
            )
        elif bare:
            found.append(Calculation([number(bare)]))
    return found


def read(example: Example) -> list[Reading]:
    story = read_story(example.problem)
    have = story.start
    pending = list(story.operations)
    first = story.first
    readings = []
    for index, step in enumerate(example.steps):
        last = index == len(example.steps) - 1
        if last and re.search(r"answer is", step.text):
            answers = [number(text) for text in re.findall(NUMBER, step.text)]
            assert have is not None
            readings.append(Reading([Calculation(answers, have)]))
            continue
        reading = Reading()
        if index > 0 or re.search(r"\d", step.text):
            reading.calculations = read_step(step.text)
            assert reading.calculations, step.text
        for calculation in reading.calculations:
            if first is not None:
                calculation.expected, first = first, None
            else:
                assert have is not None
                calculation.expected = calculate(have, *pending.pop(0))
            have = calculation.stated[-1]
        readings.append(reading)
    assert not pending, example.problem
    assert first is None
    return readings


@thorough
@given(seeds)
def test_every_label_is_true(seed: int) -> None:
    example = example_of(seed)
    assert [step.correct for step in example.steps] == [reading.correct for reading in read(example)]


@thorough
@given(seeds)
def test_code_compares_what_the_step_says(seed: int) -> None:
    """Per calculation: the code's own value is the story's, its operands are the step's results in order."""
    example = example_of(seed)
    for step, reading in zip(example.steps, read(example), strict=True):
        lines = ast.parse(step.rationale.code).body
        if not reading.calculations:
            assert not re.search(r"\d", step.text + step.rationale.code)
            continue
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        for calculation, (expected, comparison) in zip(reading.calculations, pairs, strict=True):
            assert isinstance(expected, ast.Assign)
            assert arithmetic(expected.value) == calculation.expected
            assert isinstance(comparison, ast.Expr)
            assert isinstance(comparison.value, ast.Call)
            compare = comparison.value.args[1]
            assert isinstance(compare, ast.Compare)
            compared = [arithmetic(node) for node in compare.comparators]
            # An answer said twice ("there are 9 eggs. The answer is 9.") is compared once.
            assert compared == calculation.stated[: len(compared)]
            assert set(compared) == set(calculation.stated)


def arithmetic(node: ast.expr) -> Fraction:
    text = ast.unparse(node)
    return Fraction(text) if text.isdigit() else worth(text)


@thorough
@given(seeds)
def test_the_analysis_names_the_calculation_of_the_code(seed: int) -> None:
    for step in example_of(seed).steps:
        for expected in re.findall(r"^v = (.+)$", step.rationale.code, re.MULTILINE):
            assert expected in step.rationale.analysis


@thorough
@given(seeds)
def test_kinds_that_name_a_place_are_in_that_place(seed: int) -> None:
    example = example_of(seed)
    for index, (step, reading) in enumerate(zip(example.steps, read(example), strict=True)):
        wrong = [calculation for calculation in reading.calculations if not calculation.correct]
        if step.mistake == "wrong_final_answer":
            assert index == len(example.steps) - 1
            assert "answer" in step.text
        if len(wrong) != 1 or len(wrong[0].stated) == 1:
            continue
        shown, result, *again = wrong[0].stated
        match step.mistake:
            case "slip":
                assert shown == wrong[0].expected != result
            case "wrong_operand" | "wrong_operation":
                assert shown == result != wrong[0].expected
            case "copied_wrongly":
                assert shown == result == wrong[0].expected
                assert again != [result]


@thorough
@given(seeds)
def test_every_correct_result_is_a_positive_whole_number(seed: int) -> None:
    for reading in read(example_of(seed)):
        for calculation in reading.calculations:
            assert calculation.expected > 0
            assert calculation.expected.denominator == 1


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Mia eats 5 apples. 30 - 5 = 25", [[25, 25]]),
        ("Mia eats 5 apples 25 apples.", [[25]]),
        ("Mia eats 5 apples 25 apples. Half of 25 is: 26 ÷ 2 = 13.", [[25], [13, 13]]),
        ("So the total is: \\[ 500 \\times 3 = 1,500 \\] That is 1,501 dollars.", [[1500, 1500, 1501]]),
        ("Step 2: 1/2 of 30 is \\( 30 \\div 2 = 15 \\) eggs.", [[15, 15]]),
        ("25% of 40 is: 40 * 25 / 100 = 10. So that is 10 eggs. 10 + 2 = 12", [[10, 10, 10], [12, 12]]),
        ("Now there are 9 + 2 = 11 eggs. This makes 12 eggs.", [[11, 11, 12]]),
        ("Jane gets 4 more. 13 + 4 = 17. Half of 17 is. 17 / 2 = 9", [[17, 17], [Fraction(17, 2), 9]]),
        ("Jane gets 4 more 17 eggs. Dividing by 7 gives 9 eggs.", [[17], [9]]),
        ("Now dividing by 2 gives. 262 / 2 = 141", [[131, 141]]),
        ("At $5 each, the total is 60 dollars.", [[60]]),
    ],
)
def test_the_checker_itself(text: str, stated: list[list[int | Fraction]]) -> None:
    assert [calculation.stated for calculation in read_step(text)] == stated


def test_all_phrasings_occur() -> None:
    """Else the checker above may have passed on a fraction of what the world can say."""
    examples = [example_of(seed) for seed in range(1000)]
    texts = [step.text for example in examples for step in example.steps]
    sentences = [sentence for example in examples for sentence in re.split(r"(?<=\.) ", example.problem)]
    for pattern in (*STORY, *OPENINGS):
        assert any(re.fullmatch(pattern, sentence, re.IGNORECASE) for sentence in sentences), pattern
    for template in (*world.CLAIMS, *world.TWICE, *world.BARE, *world.ANSWERS, *world.INTROS):
        fields = re.sub(r"\{(\w+)\}", r"<\1>", template).replace("{{", "{").replace("}}", "}")
        pattern = re.sub(r"<\w+>", "(.*)", re.escape(fields))
        assert any(re.fullmatch(pattern, text, re.IGNORECASE) for text in texts), template
    for sign in ("*", " x ", "×", "\\times", "/", "÷", "\\div"):
        assert any(sign in text for text in texts), sign
    assert any(len(reading.calculations) > 1 for example in examples for reading in read(example))
