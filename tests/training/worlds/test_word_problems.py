"""The labels of the word problem world, worked out again from the texts alone.

The checker below knows what each sentence of a story calls for from a table of its own, and finds in each
step what is calculated and stated there. It then does the sums: what a rationale's code holds as expected
must be worth what the story calls for at some calculation further on (where earlier results are those that
the solution stated), what it compares with must be every number that the step states, in order, and the
label must be whether these agree.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds import WORLDS, Example, WorldStep
from genprm_sdk.training.worlds.word_problems import WordProblems
from genprm_sdk.training.worlds.word_solutions import CALCULATION_MISTAKES, STYLES
from genprm_sdk.training.worlds.word_stories import (
    EXERCISE_LENGTHS,
    EXERCISE_SCALE,
    FRAGMENTS,
    QUESTIONS,
    fields_of,
)

WORLD = WordProblems()
seeds = st.integers(0, 2**32)
thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)

# ------------------------------------------------------------------------------------- reading a problem

# N is a number, W a word; formulas name the numbers A, B, … in the order of the text, H is the story's
# quantity so far, and a, b are the results of the first formulas of the same sentence.
BEGINNINGS = {
    r"W (has|starts with|bought|collected) N W( last week| over the summer)?\.": "",
    r"There are N W in W W\.": "",
    r"A camp has N W\.": "",
    r"N W come to a festival\.": "",
    r"W (has|got|has saved) \$N( as a birthday present| so far)?\.": "",
    r"W (has|bought|filled) N W (with|of|and put) N W (in each|each|into every W)\.": "A*B",
    r"There are N W of W in W W\. Each W holds N W\.": "A*B",
    r"W makes N W every hour and works for N hours\.": "A*B",
    r"W can pack N W per hour\. One day W packs W for N hours\.": "A*B",
    r"W (has|collected) N W(\.| and) W( has)? N times as many\.": "A*B",
    r"W earns \$N an hour and works for N hours\.": "A*B",
    r"W saves \$N every week for N weeks\.": "A*B",
    r"W is paid \$N for each lawn and mows N lawns\.": "A*B",
    r"A neighbor pays W \$N a day for walking the dog\. W does this for N days\.": "A*B",
    r"W has \$N\. W has N times as much money as W\.": "A*B",
    r"W buys N W at \$N each\.": "A*B",
    r"W orders N W\. Each W costs \$N\.": "A*B",
    r"There are N classes with N W in each\.": "A*B",
    r"N buses bring N W each\.": "A*B",
    r"A hall has N tables, and N W sit at each table\.": "A*B",
    r"W practices the piano N minutes a day for N days\.": "A*B",
    r"W runs for N minutes every morning\. W does so on N mornings\.": "A*B",
    r"W drives N miles (an hour|every day) for N W\.": "A*B",
    r"W van goes at N miles per hour, and W drives it for N hours\.": "A*B",
    r"The price of one W is \$N, and W takes N W\.": "B*A",
    r"W( W)? (buys|orders) N dozen W\.": "A*12",
    r"W (has|found) N W (at home|on Saturday) and N (at school|on Sunday)\.": "A+B",
    r"W has N red W and N blue ones\.": "A+B",
    r"W has N W\. W has N more than W\.": "A+B",
    r"W owns N W, and W owns N more than that\.": "A+B",
    r"After W gave N W to W, W has N W left\.": "A+B",
    r"W lost N W and now has N left\.": "A+B",
    r"W is N years old\. W is N years older than W\.": "A+B",
    r"W has N W\. W has N fewer than W\.": "A-B",
    r"W owns N W, and W owns N less than that\.": "A-B",
    r"W and W have N W together, and W has N of them\.": "A-B",
    r"Of the N W in the W, N belong to W and the others to W\.": "A-B",
    r"W (sold|put) N W on (the )?W( table)?, N on (the )?W and N on (the )?W\.": "A+B+C",
    r"W pays \$N for a W, \$N for food and \$N for the bus\.": "A+B+C",
    r"A trip costs \$N for the hotel, \$N for the train and \$N for meals\. W pays for all\.": "A+B+C",
    r"W has N large W with N W each and N small W with N W each\.": "A*B C*D a+b",
    r"W W got N big W of N W each, and N small W of N W each\.": "A*B C*D a+b",
    r"W buys N W at \$N each and N W at \$N each\.": "A*B C*D a+b",
    r"W earns \$N an hour for N hours and \$N an hour for another N hours\.": "A*B C*D a+b",
    r"W works N hours at \$N an hour, and then N hours at \$N an hour\.": "A*B C*D a+b",
    r"W buys N W and N W\. One of the W costs \$N and one of the W costs \$N\.": "A*C B*D a+b",
    r"At a market the W are \$N each and the W are \$N each\. W buys N W and N W\.": "A*C B*D a+b",
    r"W sells N W every day for N weeks\.": "B*7 A*a",
    r"W machine makes N W a day\. It runs N weeks\.": "B*7 A*a",
    r"W has N W\. W has N times as many W as W\. They put them all together\.": "A*B A+a",
    r"W brings N W and W brings N times as many\. They share the pile\.": "A*B A+a",
    r"W has N red W and N more blue W than red ones\.": "A+B A+a",
    r"In W W there are N old W, and N more new W than old ones\.": "A+B A+a",
    r"A W costs \$N\. Another one costs \$N more\. W buys both\.": "A+B A+a",
    r"W paints N W in an hour and W paints N\. Both work for N hours\.": "A+B a*C",
    r"W picks N W a minute, and W picks N a minute\. They go on for N minutes\.": "A+B a*C",
    r"W earns \$N per hour and works N hours a day\. One month W works N days\.": "A*B a*C",
    r"W works N hours every day and gets \$N an hour\. The job takes N days\.": "A*B a*C",
    r"W reads N pages on every school day and N pages on each day of the weekend\.": "A*5 B*2 a+b",
    r"W garden is N meters long and N meters wide\.": "A+B a*2",
    r"W wants to fence a field of N by N meters\.": "A+B a*2",
    r"W watches a film of N hours and N minutes\.": "A*60 a+B",
    r"A drive takes W N hours and N minutes\.": "A*60 a+B",
    r"W is N years old\. W is N years younger than W, and W is N times as old as W\.": "A-B a*C",
    r"W scored N, N and N points in three games\.": "A+B+C a/3",
    r"In three tests W got N, N and N points\.": "A+B+C a/3",
}
CONTINUATIONS = {
    r"(Then |Later )?W (gives|loses|sells|uses|takes) N (W|of them|of the W)( to W)?\.": "H-A",
    r"After a week N W are broken\.": "H-A",
    r"(Then )?W (spends|pays) \$N (on|for) a W\.": "H-A",
    r"W lends W \$N\.": "H-A",
    r"W has a coupon for \$N off\.": "H-A",
    r"The seller takes \$N off the price\.": "H-A",
    r"Then N W leave\.": "H-A",
    r"N of the W go home early\.": "H-A",
    r"W has only N W\.": "H-A",
    r"W, a friend of W, has N W\.": "H-A",
    r"W buys N more W\.": "H+A",
    r"The next day W finds another N W\.": "H+A",
    r"W gives W N more\.": "H+A",
    r"Then W makes N more W\.": "H+A",
    r"W comes with N more W and they put all together\.": "H+A",
    r"W gives W \$N more\.": "H+A",
    r"W finds another \$N\.": "H+A",
    r"W earns \$N more by helping W\.": "H+A",
    r"Delivery costs another \$N\.": "H+A",
    r"W also pays \$N for a W\.": "H+A",
    r"Then N more W arrive\.": "H+A",
    r"Another N W join them\.": "H+A",
    r"Then W reads for N minutes\.": "H+A",
    r"After that W rests for N minutes\.": "H+A",
    r"Then W goes N miles more\.": "H+A",
    r"The way home is N miles\.": "H+A",
    r"All this is now, and N years will pass\.": "H+A",
    r"A week later W has N times as many\.": "H*A",
    r"Then W trades all of them for N times as many W\.": "H*A",
    r"Each of them (costs \$N|gets N W)\.": "H*A",
    r"W hands N W to every one of them\.": "H*A",
    r"W buys all of them for W at \$N each\.": "H*A",
    r"W sells all of them for \$N each\.": "H*A",
    r"Every W brings \$N at the market\.": "H*A",
    r"Every ticket costs \$N, and W pays for all of them\.": "H*A",
    r"W keeps only N/N of the W and gives the rest away\.": "H*A/B",
    r"All but N/N of the W get lost\.": "H*A/B",
    r"W has N/N as many W as W has now\.": "H*A/B",
    r"W keeps N% of the W and sells the rest\.": "H*A/100",
    r"Only N% of them remain after a month\.": "H*A/100",
    r"All W are shared equally among N friends\.": "H/A",
    r"W puts the same number of W into N W\.": "H/A",
    r"W divides the W (evenly between|equally among) N W\.": "H/A",
    r"W packs the W into W of N\.": "H/A",
    r"Each W can hold N W\.": "H/A",
    r"That took N days\.": "H/A",
    r"W did all this in N hours\.": "H/A",
    r"W spends it in equal parts over N weeks\.": "H/A",
    r"W and some friends, N people in all, share the cost equally\.": "H/A",
    r"The cost is split evenly between N people\.": "H/A",
    r"They form teams of N\.": "H/A",
    r"They go home in vans, with N W in each van\.": "H/A",
    r"The way takes N hours in all\.": "H/A",
    r"W wants to know how many hours that is\.": "H/60",
    r"W wants to have N W in all\.": "A-H",
    r"For a party W needs N W\.": "A-H",
    r"W wants to buy a W for \$N\.": "A-H",
    r"W pays with a \$N bill\.": "A-H",
    r"W hands over \$N\.": "A-H",
    r"W had \$N before\.": "A-H",
    r"N/N of the W are eaten\.": "H*A/B H-a",
    r"W (gives|sells|uses|spends) N/N of (the W|them)( to W| for a party| on a W)?\.": "H*A/B H-a",
    r"N/N of the W are girls and the others are boys\.": "H*A/B H-a",
    r"N% of the W are broken and W throws them away\.": "H*A/100 H-a",
    r"N% of them are girls and the others are boys\.": "H*A/100 H-a",
    r"W sells N% of the W at a market\.": "H*A/100 H-a",
    r"W (puts|has to pay) N% of it (into a bank|as tax)\.": "H*A/100 H-a",
    r"W gets a discount of N%\.": "H*A/100 H-a",
    r"Everything is N% off that day\.": "H*A/100 H-a",
    r"W has N% more W than W has now\.": "H*A/100 H+a",
    r"A tax of N% is added\.": "H*A/100 H+a",
    r"W leaves a tip of N%\.": "H*A/100 H+a",
    r"W buys N W with N more W in each\.": "A*B H+a",
    r"Then N W of N W each are delivered\.": "A*B H+a",
    r"W gives N W to each of N friends\.": "B*A H-a",
    r"W gives N friends N W each\.": "A*B H-a",
    r"W uses N W every day for N days\.": "A*B H-a",
    r"N W a day are eaten for N days\.": "A*B H-a",
    r"W buys N W at \$N each\.": "A*B H-a",
    r"W spends it on N W that cost \$N each\.": "A*B H-a",
    r"N of them break and W buys N new ones\.": "H-A a+B",
    r"W loses N W but W gives W N others\.": "H-A a+B",
    r"W has N more W than W has now\.": "H+A H+a",
    r"W has N more than N times the number of W that W has\.": "H*B a+A",
    r"W sells the W for \$N each, but had spent \$N on making them\.": "H*A a-B",
    r"W paid \$N for the W and sells each W for \$N\.": "H*B a-A",
    r"Homework takes W N times as long, and comes on top\.": "H*A H+a",
    r"W then goes back the same way and does the whole tour N times\.": "H*2 a*A",
    r"The car needs a gallon for every N miles, and a gallon costs \$N\.": "H/A a*B",
}
TOGETHER = (r"W has N times as many W as W has now\.", "H*A", "H*A H+a")
ASIDES = (
    r"W is N years old\.",
    r"It is N o'clock\.",
    r"W lives in house number N\.",
    r"W has N cousins\.",
    r"The W opened N years ago\.",
)

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
SPELLED = {
    r"\b(?:one|a) third\b": "1/3", r"\b(?:a quarter|one fourth)\b": "1/4", r"\ba fifth\b": "1/5",
    r"\ba tenth\b": "1/10", r"\bhalf\b": "1/2", r"\b(?:twice|double)\b": "2 times",
}  # fmt: skip
SMALL = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def pattern(sentence: str) -> re.Pattern[str]:
    parts = {"W": "[A-Za-z']+", "N": f"({NUMBER})"}
    return re.compile(re.sub(r"\b[WN]\b", lambda found: parts[found[0]], sentence))


FIRST = [(pattern(sentence), formulas) for sentence, formulas in BEGINNINGS.items()]
NEXT = [(pattern(sentence), formulas) for sentence, formulas in CONTINUATIONS.items()]
IGNORED = [pattern(sentence) for sentence in ASIDES]


def in_digits(text: str) -> str:
    """The text with every number in digits, fractions as ``1/3``, multiples as ``2 times``."""
    for spelled, digits in SPELLED.items():
        text = re.sub(spelled, digits, text, flags=re.IGNORECASE)
    for value, word in enumerate(SMALL, start=2):
        text = re.sub(rf"\b{word}\b(?! (?:games|tests))", str(value), text, flags=re.IGNORECASE)
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)


def sentences_and_question(problem: str) -> tuple[str, str]:
    text = in_digits(problem)
    condition = re.search(r"If (?P<told>[^.]+(?:\.\d+[^.]*)?), (?P<asked>(?:how|what|for) [^,]*\?)$", text)
    if condition:
        told = condition["told"]
        return f"{text[: condition.start()]}{told}.", condition["asked"]
    found = re.search(r"(?<=\. )[A-Z][^.]*\?$", text)
    assert found, problem
    return text[: found.start()].strip(), found[0]


class Story:
    """The calculations of a problem, as formulas over ``r0``, ``r1``, … and numbers."""

    def __init__(self, problem: str) -> None:
        self.formulas: list[str] = []
        told, self.question = sentences_and_question(problem)
        have = None
        while told:
            told, numbers, formulas = self.next_sentence(told, have is None)
            results: dict[str, str] = {}
            names = {letter: f"Fraction('{number}')" for letter, number in zip("ABCD", numbers, strict=False)}
            for letter, formula in zip("abc", formulas.split(), strict=False):
                known = {**names, **results, "H": have or ""}
                self.formulas.append(re.sub(r"[A-Za-z]", lambda found, k=known: k[found[0]], formula))
                results[letter] = f"r{len(self.formulas) - 1}"
            if formulas:
                have = f"r{len(self.formulas) - 1}"
            elif numbers:
                have = names["A"]

    def next_sentence(self, told: str, first: bool) -> tuple[str, list[str], str]:
        table = FIRST if first else [*NEXT, self.together()]
        for sentence, formulas in table:
            found = sentence.match(told)
            if found and (not told[found.end() :] or told[found.end()] == " "):
                longer = [
                    other for other, _ in table if (match := other.match(told)) and match.end() > found.end()
                ]
                if not longer:
                    numbers = re.findall(NUMBER, found[0].replace("three", ""))
                    return told[found.end() :].strip(), numbers, formulas
        for sentence in IGNORED:
            if found := sentence.match(told):
                return told[found.end() :].strip(), [], ""
        raise AssertionError(told)

    def together(self) -> tuple[re.Pattern[str], str]:
        """The one sentence that calls for another calculation if the question is about both."""
        sentence, alone, both = TOGETHER
        return pattern(sentence), both if self.question.endswith("together?") else alone

    def value(self, index: int, stated: dict[int, Fraction]) -> Fraction:
        needed = {int(found) for found in re.findall(r"r(\d+)", self.formulas[index])}
        results = {f"r{at}": stated[at] if at in stated else self.value(at, stated) for at in needed}
        value = eval(self.formulas[index], {"Fraction": Fraction}, results)  # noqa: S307 (a formula above)
        assert isinstance(value, Fraction)
        return value


# ----------------------------------------------------------------------------------------- reading steps


def worth(expression: str) -> Fraction:
    """What a rationale's or a step's expression is worth."""
    exact = re.sub(r"\d+(?:\.\d+)?", lambda found: f"Fraction('{found[0]}')", expression)
    value = eval(exact, {"Fraction": Fraction})  # noqa: S307 (numbers, brackets and signs)
    assert isinstance(value, Fraction)
    return value


def comparisons(step: WorldStep) -> list[tuple[str, list[str]]]:
    """The expected expressions of a rationale's code and what each is compared with."""
    lines = step.rationale.code.split("\n")
    found = []
    for assigned, printed in zip(lines[::2], lines[1::2], strict=True):
        assert assigned.startswith("v = ")
        assert printed.startswith("print(v, v == ")
        found.append((assigned[4:], printed[len("print(v, v == ") : -1].split(" == ")))
    return found


def is_check_of_numbers(step: WorldStep) -> bool:
    return not step.rationale.code.startswith(('v = "', "v = ["))


def stated_numbers(problem: str, step: str) -> list[Fraction]:
    """Every number and calculation that a step states, without what it repeats of the problem."""
    text = in_digits(re.sub(r"^(?:Step \d+: |\d+\. )", "", step))
    for sentence in re.split(r"(?<=[.?]) ", sentences_and_question(problem)[0]):
        words = re.sub(r"^(?:Then|Later) ", "", sentence.rstrip("."))
        words = re.sub(r"^(?:She|He) ", "W ", words)
        parts = [re.escape(part) for part in re.split(NUMBER, re.sub(r"^W ", "", words))]
        text = re.sub(NUMBER.join(parts), " ; ", text, flags=re.IGNORECASE)
    return [worth(run) for run in re.findall(RUN, plain(text))]


RUN = r"\(*\d+(?:\.\d+)?\)*(?:\s*[-+*/]\s*\(*\d+(?:\.\d+)?\)*)*"


def plain(text: str) -> str:
    """A step's text without words, units and mark-up; ``;`` stands between sentences and formulas."""
    text = re.sub(r"\\text\{[^{}]*\}", "", text)
    text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"\1 / \2", text)
    for sign, meaning in {
        "\\times": "*", "\\cdot": "*", "\\div": "/", "×": "*", "÷": "/", "multiplied by": "*",
        "divided by": "/", " times ": " * ", " plus ": " + ", " minus ": " - ", "####": "", "**": "",
    }.items():  # fmt: skip
        text = text.replace(sign, meaning)
    text = re.sub(r"\\[()\[\]]", " ; ", text.replace("\\boxed", ""))
    text = re.sub(r"[\\${}]", "", text)
    text = re.sub(r"\bx\b|(?<=[\d)])x(?=[\d(])", "*", text)
    text = re.sub(r"(?<=[a-z\d])/[a-z]+", "", text)
    text = re.sub(r"[.,;:](?=\s|$)", " ; ", text)
    return re.sub(r"[A-Za-z']+", "", text)


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Mia eats 5 apples. 30 - 5 = 25", [25, 25]),
        ("Therefore, it is: \\[ 500 \\times 3 = 1,500 \\] So, it is \\$1,501.", [1500, 1500, 1501]),
        ("Step 2: Total = \\(\\frac{30 \\text{ eggs}}{2} = 15 \\text{ eggs}\\).", [15, 15]),
        ("20 x (575 + 5) ÷ 100 = 20 x 580 ÷ 100 = $116.", [116, 116, 116]),
        ("2. The cost is $3/egg × 7 eggs = $21. The answer is: $\\boxed{20}$.", [21, 21, 20]),
        ("- Cost: 12*4=48 dollars. * That is 49 dollars.", [48, 48, 49]),
        ("The total is 6 multiplied by 2, that is 12 eggs.", [12, 12]),
    ],
)
def test_the_checker_itself(text: str, stated: list[int]) -> None:
    assert stated_numbers("Mia eats 5 apples. How many?", text) == stated


# -------------------------------------------------------------------------------------------- the labels


def assignments(
    story: Story, claims: list[tuple[str, list[Fraction]]], stated: dict[int, Fraction], at: int
) -> Iterator[list[bool]]:
    """Every way to see the claims as the story's calculations in order, as whether each claim is right."""
    if not claims:
        yield []
        return
    (expression, chain), *rest = claims
    wanted = worth(expression)
    right = all(value == wanted for value in chain)
    last = len(story.formulas) - 1
    options = [(index, index + 1) for index in range(at, last + 1) if story.value(index, stated) == wanted]
    if re.fullmatch(r"[\d.]+", expression):
        options += [(index, at) for index in stated if stated[index] == wanted]
    for index, following in options:
        for others in assignments(story, rest, {**stated, index: chain[-1]}, following):
            yield [right, *others]


def labels_of(example: Example) -> list[bool]:
    """The labels of the steps that state results, worked out from the texts."""
    story = Story(example.problem)
    steps = [step for step in example.steps if is_check_of_numbers(step)]
    claims: list[tuple[str, list[Fraction]]] = []
    counts = []
    for step in steps:
        pairs = comparisons(step)
        numbers = iter(stated_numbers(example.problem, step.text))
        claims += [(expression, [next(numbers) for _ in chain]) for expression, chain in pairs]
        counts.append(len(pairs))
        assert list(numbers) == [], step.text
        compared = [worth(one) for _, chain in pairs for one in chain]
        assert compared == [value for _, chain in claims[-len(pairs) :] for value in chain], step.text
    found = next(assignments(story, claims, {}, 0), None)
    assert found is not None, (example.problem, [step.text for step in steps], claims, story.formulas)
    rights = iter(found)
    return [all(list(islice(rights, count))) for count in counts]


styles = st.sampled_from(WORLD.styles)


@thorough
@given(seeds, styles)
def test_every_label_is_true(seed: int, style: str) -> None:
    example = WORLD.example(random.Random(seed), style)
    assert labels_of(example) == [step.correct for step in example.steps if is_check_of_numbers(step)]


@thorough
@given(seeds, st.sampled_from(list(STYLES)))
def test_introductions_are_compared_with_the_question_and_givens_with_the_problem(
    seed: int, style: str
) -> None:
    example = WORLD.example(random.Random(seed), style)
    told, question = sentences_and_question(example.problem)
    for step in example.steps:
        if is_check_of_numbers(step):
            continue
        ((expected, (stated,)),) = comparisons(step)
        assert step.correct == (expected == stated)
        if expected.startswith("["):
            assert in_order([str(number) for number in ast.literal_eval(expected)], numbers_of(told))
            assert stated.strip("[]").split(", ") == re.findall(NUMBER, step.text.replace(",000", "000"))
        else:
            assert in_order(ast.literal_eval(expected).split(" "), re.findall(r"\w+", question))
            assert in_order(ast.literal_eval(stated).split(" "), re.findall(r"\w+", step.text))


def numbers_of(text: str) -> list[str]:
    return [str(float(number)) if "." in number else number for number in re.findall(NUMBER, text)]


def in_order(parts: list[str], whole: list[str]) -> bool:
    remaining = iter(whole)
    return all(part in remaining for part in parts)


@thorough
@given(seeds)
def test_every_result_that_the_problem_calls_for_can_be_written_down(seed: int) -> None:
    for style in ("prose", "solver"):
        story = Story(WORLD.example(random.Random(seed), style).problem)
        for index in range(len(story.formulas)):
            value = story.value(index, {})
            assert value > 0
            assert value.denominator in (1, 2, 4)


def test_the_problem_does_not_depend_on_the_style_or_the_mistakes() -> None:
    for seed in range(50):
        problems = {WORLD.example(random.Random(seed), style).problem for style in STYLES}
        assert len(problems) == 1


@thorough
@given(seeds, st.sampled_from(list(STYLES)))
def test_kinds_that_name_a_place_are_in_that_place(seed: int, style: str) -> None:
    for step in WORLD.example(random.Random(seed), style).steps:
        if step.correct or not is_check_of_numbers(step):
            continue
        wrong = [
            (worth(expected), [worth(one) for one in chain])
            for expected, chain in comparisons(step)
            if any(worth(one) != worth(expected) for one in chain)
        ]
        expected, chain = wrong[0]
        match step.mistake:
            case "slip" if len(chain) > 1:
                assert expected in chain or chain[-1] != chain[0]
            case "wrong_operand" | "wrong_operation" | "dropped" | "doubled":
                assert set(chain) == {chain[0]} != {expected}
            case "copied_wrongly":
                assert chain[-1] != expected
                assert set(chain[:-1]) <= {expected}


def test_every_mistake_and_style_occurs() -> None:
    examples = [WORLD.example(random.Random(seed)) for seed in range(1500)]
    kinds = Counter(step.mistake for example in examples for step in example.steps)
    assert set(kinds) == {*CALCULATION_MISTAKES, "wrong_final_answer", "wrong_inference", None}
    solver = sum(example.steps[0].text.startswith("Step 1: ") and "boxed" in example.steps[-1].text
                 for example in examples)  # fmt: skip
    assert 0.15 < solver / len(examples) < 0.3
    assert not any("**Answer" in step.text for example in examples for step in example.steps)
    assert any(
        "**Answer" in step.text
        for seed in range(50)
        for step in WORLD.example(random.Random(seed), WORLD.held_out_style).steps
    )


def test_solutions_have_from_one_to_many_steps() -> None:
    counts = Counter(len(WORLD.example(random.Random(seed)).steps) for seed in range(500))
    assert all(counts[length] for length in range(1, 9))


def test_fragments_name_only_fields_that_they_have() -> None:
    """Their sums' numbers and labels, and in every wording all numbers that are drawn."""
    cast = {"p", "f", "h", "i", "one", "j", "cs", "c", "place", "present", "g"}
    for fragment in FRAGMENTS:
        drawn = {draw.partition(":")[0] for draw in fragment.draws.split()}
        for text in fragment.texts:
            assert drawn <= set(fields_of(text)) <= drawn | cast, text
        for sum_ in fragment.sums:
            assert set(fields_of(sum_.label + sum_.unit)) <= cast


def test_questions_and_their_aims_share_their_key_words() -> None:
    for questions in (*QUESTIONS.values(), *(fragment.questions for fragment in FRAGMENTS)):
        for question in questions:
            key = question.key.split(" ")
            assert in_order(key, re.findall(r"\{?\w+\}?", question.text))
            assert in_order(key, re.findall(r"\{?\w+\}?", question.aim))


# ----------------------------------------------------------------------------------------- the exercises


@thorough
@given(seeds)
def test_exercises_are_solved_rightly(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    story = Story(exercise.problem)
    values = [story.value(index, {}) for index in range(len(story.formulas))]
    assert [Fraction(re.split(r" = ", step)[-1].rstrip(".")) for step in exercise.steps[:-1]] == values
    number = len(exercise.steps)
    assert exercise.steps[-1] == f"Step {number}: The answer is \\boxed{{{exercise.answer}}}."
    assert Fraction(exercise.answer) == values[-1]
    assert len(values) <= max(EXERCISE_LENGTHS)
    assert max(values) <= EXERCISE_SCALE.largest


@thorough
@given(seeds)
def test_exercises_are_read_as_right(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    example = WORLD.read(exercise.problem, exercise.steps)
    assert example is not None
    assert [step.text for step in example.steps] == list(exercise.steps)
    assert example.first_error is None


@thorough
@given(seeds)
def test_reading_an_example_again_gives_the_same(seed: int) -> None:
    example = WORLD.example(random.Random(seed), "solver")
    assert WORLD.read(example.problem, [step.text for step in example.steps]) == example


BOXES = "Mia has 4 boxes with 6 eggs in each. Mia gives 5 eggs to Tom. How many eggs are there now?"
FILLING = "Step 1: Mia has 4 boxes with 6 eggs in each: 4 * 6 = 24."
GIVING = "Step 2: Mia gives 5 eggs to Tom: 24 - 5 = 19."
ANSWER = "Step 3: The answer is \\boxed{19}."


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([FILLING, GIVING, ANSWER], [None, None, None]),
        ([FILLING], [None]),
        ([FILLING, GIVING], [None, None]),
        ([FILLING, FILLING, GIVING, ANSWER], [None, None, None, None]),
        ([FILLING.replace("24", "25"), GIVING, ANSWER], ["slip", "wrong_operand", None]),
        (
            [FILLING.replace("24", "25"), GIVING.replace("24 - 5 = 19", "25 - 5 = 20"), ANSWER],
            ["slip", None, "wrong_final_answer"],
        ),
        ([FILLING.replace("4 * 6 = 24", "4 + 6 = 10")], ["wrong_operation"]),
        ([FILLING, "Step 2: Mia gives 7 eggs to Tom: 24 - 7 = 17."], [None, "wrong_operand"]),
        ([FILLING, "Step 2: The answer is \\boxed{24}."], [None, "wrong_final_answer"]),
        ([FILLING, "Step 2: The answer is \\boxed{19}."], [None, None]),
        (["Step 1: Mia gives 5 eggs to Tom: 6 - 5 = 1."], ["wrong_operand"]),
        ([FILLING, GIVING.replace("24 - 5 = 19", "24 / 5 = 4")], [None, "slip"]),
    ],
)
def test_reading_what_an_imperfect_solver_writes(steps: list[str], expected: list[str | None]) -> None:
    example = WORLD.read(BOXES, steps)
    assert example is not None
    assert [step.mistake for step in example.steps] == expected
    assert [step.correct for step in example.steps] == [mistake is None for mistake in expected]


def test_a_label_that_two_sentences_share_belongs_to_the_sentence_stated_last() -> None:
    steps = [
        "Step 1: Mia loses 17 eggs but Tom gives Mia 7 others: 33 - 17 = 16.",
        "Step 2: Mia buys 2 bins with 3 more eggs in each: 2 * 3 = 6.",
        "Step 3: The new number of eggs: 16 + 6 = 22.",
        "Step 4: The answer is \\boxed{22}.",
    ]
    told = "Mia has 33 eggs. Mia loses 17 eggs but Tom gives Mia 7 others."
    asked = "Mia buys 2 bins with 3 more eggs in each. How many eggs are there now?"
    example = WORLD.read(f"{told} {asked}", steps)
    assert example is not None
    assert [step.correct for step in example.steps] == [True, True, False, True]
    assert example.steps[2].rationale.conclusion == "The code prints False: it should be 29."


@pytest.mark.parametrize(
    "step",
    [
        "",
        "Step 2:",
        "Step 2: The answer is 19.",
        "Step 2: The answer is \\boxed{}.",
        "Step 2: Mia gives 5 eggs to Tom.",
        "Step 2: Mia gives 5 eggs to Tom: 24 - 5.",
        "Step 2: Mia gives 5 eggs to Tom: 24 - = 19.",
        "Step 2: Mia gives 5 eggs to Tom: 24 - 05 = 19.",
        "Step 2: Mia gives 5 eggs to Ben: 24 - 5 = 19.",
        "Step 2: Mia gives 6 eggs to Tom: 24 - 5 = 19.",
        "Step 2: Mia eats eggs: 24 - 5 = 19.",
        "Step 2: Mia gives 5 eggs to Tom: 24 / 0 = 19.",
        "Mia gives 5 eggs to Tom: 24 - 5 = 19.",
        "Step 2: Mia gives 5 eggs to Tom: 24 - 5 = 19. Step 3",
    ],
)
def test_unreadable_steps(step: str) -> None:
    assert WORLD.read(BOXES, [FILLING, step]) is None


def test_unreadable_problems() -> None:
    assert WORLD.read("", [FILLING]) is None
    assert WORLD.read("What is 3 + 4?", [FILLING]) is None
    assert WORLD.read("Mia has 4 eggs. How many eggs are there now?", []) is None


@thorough
@given(seeds, st.integers(0, 400), st.sampled_from(list("097=+.:\\}a")))
def test_a_garbled_character_never_raises(seed: int, position: int, character: str) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    text = "\n".join(exercise.steps)
    position %= len(text)
    garbled = (text[:position] + character + text[position + 1 :]).split("\n")
    example = WORLD.read(exercise.problem, garbled)
    if example is not None:
        for step in example.steps:
            assert step.correct == ("False" not in step.rationale.output)


def test_the_world_is_found() -> None:
    assert isinstance(WORLDS["word_problems"], WordProblems)
