"""The logical-deduction world against a checker of its own that reads the texts and tries every order."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds.base import boxed_answer, run_trusted
from genprm_sdk.training.worlds.logical_deduction import (
    SCENES,
    WORLD,
    Clue,
    Puzzle,
    Scene,
    open_problem_text,
    problem_text,
    read_problem,
)

ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]
COUNTS = ["three", "four", "five", "six", "seven"]
STARTS = ["leftmost", "topmost", "cheapest", "oldest", "shortest", "lightest", "slowest", "smallest", "first"]
ENDS = [
    "rightmost", "bottommost", "most expensive", "newest", "youngest", "tallest", "heaviest", "fastest",
    "largest", "last",
]  # fmt: skip
NEARER = [
    "above", "ahead of", "to the left of", "less expensive than", "older than", "shorter than",
    "lighter than", "slower than", "smaller than",
]  # fmt: skip
FARTHER = [
    "below", "behind", "to the right of", "more expensive than", "newer than", "younger than", "taller than",
    "heavier than", "faster than", "larger than",
]  # fmt: skip
BACKWARDS = [
    "from most",
    "from newest",
    "from tallest",
    "from heaviest",
    "from fastest",
    "from largest",
    "from youngest",
]

seeds = st.integers(0, 2**32)
thorough = settings(max_examples=100, derandomize=True, deadline=None, database=None)

Test = Callable[[tuple[str, ...]], bool]


@cache
def every_order(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(permutations(names))


@dataclass
class Checker:
    """Follows a solution's text; a fact is (object, place) or (nearer object, farther object)."""

    problem: str
    names: tuple[str, ...] = ()
    clues: list[tuple[str, int | str]] = field(default_factory=list)
    row: dict[int, str] = field(default_factory=dict)
    broken: bool = False
    pending: list[tuple[str, int | str]] = field(default_factory=list)
    concluded: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        lines = self.problem.split("\n")
        items = lines[1].split(": ")[1].rstrip(".").split(", ")
        self.names = tuple(re.sub(r"^(and )?(an? )?", "", item) for item in items)
        self.name = "|".join(sorted(self.names, key=len, reverse=True))
        self.clues = [self.fact(line) for line in lines[2:] if line.startswith("- ")]
        question = re.fullmatch(r"Q: Which of them (?:is|are|finished) (?:the )?(.*)\?", lines[-1])
        option = next((line for line in lines if line.startswith("(A)")), "")
        assert bool(question) != bool(option)
        self.asked = self.place(question[1]) if question else self.fact(option)[1]

    def place(self, text: str) -> int:
        """A place in words, counted from the start."""
        size = len(self.names)
        ordinal = next((at for at, word in enumerate(ORDINALS, 1) if re.search(rf"\b{word}\b", text)), 1)
        pole = re.sub(rf"\b({'|'.join(ORDINALS)})\b(?=\W+\w)", "", text)
        from_end = any(word in pole for word in [*ENDS, "the right", "the bottom"])
        return size + 1 - ordinal if from_end else ordinal

    def fact(self, text: str) -> tuple[str, int | str]:
        found = re.search(rf"\b({self.name}) (?:is|are|finished) (?:the )?(.*)", text)
        assert found, text
        who, said = found[1], found[2].rstrip(".")
        for words, swap in ((NEARER, False), (FARTHER, True)):
            for word in words:
                if said.startswith(word):
                    other = re.search(rf"\b({self.name})\b", said.removeprefix(word))
                    assert other
                    return (other[1], who) if swap else (who, other[1])
        return who, self.place(said)

    def holds(self, fact: tuple[str, int | str]) -> Test:
        who, what = fact
        if isinstance(what, int):
            return lambda order: 0 < what <= len(order) and order[what - 1] == who
        return lambda order: order.index(who) < order.index(what)

    def orders(self, facts: list[tuple[str, int | str]]) -> list[tuple[str, ...]]:
        tests = [self.holds(fact) for fact in facts]
        return [order for order in every_order(self.names) if all(test(order) for test in tests)]

    def known(self) -> list[tuple[str, int | str]]:
        known: list[tuple[str, int | str]] = [(name, place) for place, name in self.row.items()]
        return known

    def right(self, step: str) -> bool:
        step = re.sub(r"^Step \d+: ", "", step)
        if re.search("find the final order|to put in order|^Plan", step):
            return next(word for word in COUNTS if f" {word} " in step) == COUNTS[len(self.names) - 3]
        shown = re.search(r"(.*?)(?:So|That gives,|Order)( from [\w -]+?)?(?:: | (?=first is))(.*)\.", step)
        if shown:
            return self.row_right(shown[1], shown[2] or "", shown[3])
        if re.search(r"answer is|Answer|option", step):
            return self.answer_right(step)
        if "previously" in step or "must" in step or "only" in step:
            return self.conclusion_right(step)
        if ", so " in step:
            return self.drawn_right(step)
        fact = self.fact(step)
        self.pending.append(fact)
        return fact in self.clues

    def row_right(self, cited: str, direction: str, shown: str) -> bool:
        facts = [self.fact(sentence) for sentence in re.findall(r"[^.]+\.", cited)]
        backwards = direction.strip().startswith(tuple(BACKWARDS))
        said: dict[int, str] = {}
        restricted = False
        for part in re.split(r", then | \| |, (?=\w+ (?:is|-) )", shown):
            spot = ORDINALS.index(re.split(r"\W", part)[0]) + 1
            names = re.findall(rf"\b({self.name})\b", part)
            restricted |= "except" in part or len(names) > 1
            if names and "except" not in part:
                said[len(self.names) + 1 - spot if backwards else spot] = names[0]
        left = self.orders(self.known() + self.pending + facts)
        told = {*self.row.values(), *(part for fact in [*self.pending, *facts] for part in fact)}
        fixed = {}
        for at, column in enumerate(zip(*left, strict=True), 1):
            if len(set(column)) == 1:
                fixed[at] = column[0]
        right = (
            bool(left)
            and not self.broken
            and not restricted
            and all(fact in self.clues for fact in [*self.pending, *facts])
            and said.items() <= fixed.items()
            and all(name not in told or at in said for at, name in fixed.items())
        )
        self.row, self.broken, self.pending = said, restricted, []
        return right

    def found(self, place: int, facts: list[tuple[str, int | str]]) -> set[str]:
        if self.broken:
            return set()
        left = self.orders(self.known() + facts) or self.orders(self.known())
        return {order[place - 1] for order in left}

    def claimed(self, step: str) -> tuple[str, int]:
        """The object and the place of a conclusion."""
        for pattern in (
            rf"\b({self.name}),? (?:so (?:it|they) )?must (?:be|have finished) (.*?)\.",
            rf"only \w+ that can be (?P<place>.*?) is (?:the )?({self.name})\b",
            rf"the person who finished (?P<place>\w[\w-]*) is ({self.name})\b",
        ):
            found = re.search(pattern, step)
            if found:
                groups = [group for group in found.groups() if group in self.names]
                place = found.groupdict().get("place") or found[2]
                return groups[-1], self.place(place)
        kind = re.search(rf"ordering, the (.*?) (?:is|are) (?:the )?({self.name})\.", step) or re.search(
            rf"^The ([\w -]*?) (?:is|are) (?:the )?({self.name})\.", step
        )
        if kind and kind[1] not in self.names:
            return kind[2], self.place(kind[1])
        who, what = self.fact(step.split(". ")[0])
        assert isinstance(what, int)
        return who, what

    def conclusion_right(self, step: str) -> bool:
        who, place = self.concluded = self.claimed(step)
        if "previously" in step:
            fact = self.fact(step.split(".")[0])
            right = fact in self.clues and self.found(place, [fact]) == {who}
            self.row = {**self.row, place: who}
            return right
        right = self.found(place, self.clues) == {who}
        self.row, self.broken = {place: who}, False
        return right

    def answer_right(self, step: str) -> bool:
        opened = re.fullmatch(rf"(\w+) is ({self.name})\. The answer is \\boxed{{({self.name})}}\.", step)
        if opened:
            place, who = ORDINALS.index(opened[1].lower()) + 1, opened[2]
            return who == opened[3] and place == self.asked and self.found(place, self.clues) == {who}
        letter = re.search(r"\(([A-G])\)", step)
        assert letter
        if re.match(r"So the answer|Therefore|Answer|The answer", step):
            assert self.concluded
            who, place = self.concluded
        else:
            who, place = self.claimed(step)
        named = "ABCDEFG".index(letter[1]) == self.names.index(who)
        return named and place == self.asked and self.found(place, self.clues) == {who}

    def drawn_right(self, step: str) -> bool:
        stated, then = step.rstrip(".").split(", so ")
        clue = self.fact(stated)
        then = re.sub(r"^(it|they)\b", str(re.search(rf"\b({self.name})\b", stated)[1]), then)  # type: ignore[index]
        cannot = re.search(rf"\b({self.name}) cannot (?:be|have finished) (.*)", then)
        said = (cannot[1], self.place(cannot[2])) if cannot else self.fact(then)
        truths = {self.holds(said)(order) for order in self.orders([clue])}
        return clue in self.clues and truths == {not cannot}


def checked(problem: str, steps: list[str]) -> list[bool]:
    checker = Checker(problem)
    return [checker.right(step) for step in steps]


@pytest.mark.parametrize("style", WORLD.styles)
@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(seeds)
def test_labels_are_what_an_independent_checker_finds(style: str, seed: int) -> None:
    example = WORLD.example(random.Random(seed), style)
    found = checked(example.problem, [step.text for step in example.steps])
    assert found == [step.correct for step in example.steps]


@thorough
@given(seeds)
def test_code_prints_the_output_and_the_conclusion_repeats_it(seed: int) -> None:
    example = WORLD.example(random.Random(seed))
    for step in example.steps[:3]:
        rationale = step.rationale
        assert run_trusted(example.setup + rationale.code) == rationale.output
        expected, _, verdict = rationale.output.rpartition(" ")
        assert verdict == str(step.correct)
        assert len(expected) <= 60
        assert step.correct or rationale.conclusion.endswith(f"it should be {expected}.")


@thorough
@given(seeds)
def test_the_problem_has_one_order_and_no_spare_statement(seed: int) -> None:
    checker = Checker(WORLD.example(random.Random(seed), "rows").problem)
    assert len(checker.orders(checker.clues)) == 1
    for clue in checker.clues:
        others = [other for other in checker.clues if other != clue]
        assert len(checker.orders(others)) > 1


@thorough
@given(seeds)
def test_exercises_are_right_and_read_as_right(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    assert all(checked(exercise.problem, list(exercise.steps)))
    assert boxed_answer(exercise.steps[-1]) == exercise.answer
    checker = Checker(exercise.problem)
    assert isinstance(checker.asked, int)
    assert [order[checker.asked - 1] for order in checker.orders(checker.clues)] == [exercise.answer]
    assert "Options" not in exercise.problem
    read = WORLD.read(exercise.problem, exercise.steps)
    assert read is not None
    assert read.first_error is None


@thorough
@given(seeds)
def test_reading_finds_the_planted_labels_and_rationales(seed: int) -> None:
    example = WORLD.example(random.Random(seed), "solver")
    read = WORLD.read(example.problem, [step.text for step in example.steps])
    assert read is not None
    assert read.setup == example.setup
    assert [(step.correct, step.rationale) for step in read.steps] == [
        (step.correct, step.rationale) for step in example.steps
    ]


@thorough
@given(seeds)
def test_any_answer_is_read_as_the_checker_finds_and_its_code_prints_so(seed: int) -> None:
    """Every object at every place, after the right row and after a row with a mistake in it."""
    rng = random.Random(seed)
    exercise, example = WORLD.exercise(rng), WORLD.example(rng, "solver")
    for problem, steps in (
        (exercise.problem, list(exercise.steps)),
        (example.problem, [step.text for step in example.steps]),
    ):
        names = Checker(problem).names
        name = rng.choice(names)
        for word in ORDINALS[: len(names)]:
            answer = f"Step 1: {word.capitalize()} is {name}. The answer is \\boxed{{{name}}}."
            solution = [*steps[:-1], answer]
            read = WORLD.read(problem, solution)
            assert read is not None
            assert [step.correct for step in read.steps] == checked(problem, solution)
            rationale = read.steps[-1].rationale
            assert rationale.code.endswith(', "")')
            assert run_trusted(read.setup + rationale.code) == rationale.output
            assert read.steps[-1].correct or read.steps[-1].mistake == "wrong_final_answer"


@thorough
@given(seeds)
def test_code_of_the_solver_prints_the_output(seed: int) -> None:
    example = WORLD.example(random.Random(seed), "solver")
    for step in example.steps:
        assert run_trusted(example.setup + step.rationale.code) == step.rationale.output


@thorough
@given(seeds)
def test_answers_written_otherwise_are_unreadable(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    checker = Checker(exercise.problem)
    start, name = f"Step 2: {ORDINALS[0].capitalize()} is ", exercise.answer
    other = next(one for one in checker.names if one != name)
    beyond = ORDINALS[len(checker.names)].capitalize()
    for answer in (
        f"{start}{name}. The answer is \\boxed{{{other}}}.",
        f"{start}{other}. The answer is \\boxed{{{name}}}.",
        f"{start}{name}. The answer is \\boxed{{(A)}}.",
        f"{start}nobody. The answer is \\boxed{{nobody}}.",
        f"{start}{name}. The answer is \\boxed{{{name}}}",
        f"{start}{name}. The answer is {name}.",
        f"Step 2: The answer is \\boxed{{{name}}}.",
        f"Step 2: first is {name}. The answer is \\boxed{{{name}}}.",
        f"Step 2: {beyond} is {name}. The answer is \\boxed{{{name}}}.",
    ):
        assert WORLD.read(exercise.problem, [*exercise.steps[:-1], answer]) is None


@pytest.mark.parametrize("scene", SCENES)
def test_problems_are_read_with_options_and_openly(scene: Scene) -> None:
    rng = random.Random(0)
    for size in range(3, 8):
        names = tuple(rng.sample(scene.objects, size))
        clues = (Clue(names[0], 0, "<", names[1]), Clue(names[2], -1))
        for place in range(1, size + 1):
            for asked in (place, -place):
                puzzle = Puzzle(scene, names, clues, asked)
                opened = open_problem_text(puzzle, rng)
                assert read_problem(opened) == read_problem(problem_text(puzzle, rng)) == puzzle
                assert read_problem(opened.replace("Which of them", "Who")) is None
                assert Checker(opened).asked == Checker(problem_text(puzzle, rng)).asked


def test_final_answers_of_the_solver_go_wrong_in_name_and_in_place() -> None:
    """Where the row before is right, a wrong place is one whose object it names."""
    found = {"name": 0, "place": 0}
    for seed in range(400):
        example = WORLD.example(random.Random(seed), "solver")
        *before, last = example.steps
        if last.correct or not all(step.correct for step in before):
            continue
        said = re.search(r": (\w+) is (.*)\. The answer is", last.text)
        assert said
        asked = ORDINALS.index(said[1].lower()) + 1 == Checker(example.problem).asked
        named = f"{said[1].lower()} is {said[2]}" in before[-1].text
        assert asked != named
        found["name" if asked else "place"] += 1
    assert min(found.values()) > 20


@thorough
@given(seeds, st.data())
def test_garbled_solutions_are_unreadable_or_read_in_full(seed: int, data: st.DataObject) -> None:
    rng = random.Random(seed)
    exercise = WORLD.exercise(rng)
    steps = list(exercise.steps)
    at = data.draw(st.integers(0, len(steps) - 1))
    cut = data.draw(st.integers(0, len(steps[at])))
    steps[at] = steps[at][:cut] + data.draw(st.text("aS .?,:(\\", max_size=3)) + steps[at][cut + 1 :]
    read = WORLD.read(exercise.problem, steps)
    assert read is None or [step.text for step in read.steps] == steps
    assert WORLD.read(exercise.problem[: 3 * cut], exercise.steps) is None or 3 * cut > 100
    assert WORLD.read(exercise.problem, [*steps[:at], "Step 1: I do not know."]) is None


def test_every_kind_of_mistake_occurs() -> None:
    found = {step.mistake for seed in range(500) for step in WORLD.example(random.Random(seed)).steps}
    assert found == {
        None, "slip", "wrong_inference", "wrong_operand", "dropped", "doubled", "copied_wrongly",
        "wrong_final_answer",
    }  # fmt: skip


def test_sizes_and_setup() -> None:
    sizes = {WORLD.example(random.Random(seed), "rows").problem.count("\n(") for seed in range(200)}
    assert sizes == {3, 4, 5, 6, 7}
    listed = {len(Checker(WORLD.exercise(random.Random(seed)).problem).names) for seed in range(50)}
    assert listed == {3, 4}
    puzzle = Puzzle(SCENES[0], ("Ana", "Ben"), (Clue("Ana", -1),), 2)
    assert puzzle.setup.startswith('names = "Ana, Ben".split(", ")\nclues = [("Ana", -1)]\nasked = 2\n')
