"""Tracking shuffled objects: labels and answers against a checker that reads nothing but the texts."""

from __future__ import annotations

import ast
import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds import Example
from genprm_sdk.training.worlds.base import boxed_answer, run_trusted
from genprm_sdk.training.worlds.tracking import WORLD

seeds = st.integers(0, 2**32)
styles = st.sampled_from(WORLD.styles)
thorough = settings(max_examples=150, derandomize=True, deadline=None, database=None)

SWAP = re.compile(r"(?:First|Then|Next|After that|Finally), (\w+) and (\w+) \w+")
VERB = r"(?:: | -> | - | = | holds | has the | has | owns | is playing | is dancing with | rides the )"
TOLD = re.compile(
    r"(\w+) (?:has a|has the|is dancing with|is playing|gets the|gets|owns|rides the) ([^,]+?)(?=, |\.\n)"
)
ANSWER = re.compile(r"(?:answer is|Answer:|answer|option) (?:\\boxed\{(.+)\}|\((\w)\))")


class Reader:
    """What a problem says and what its steps state, by patterns of its own."""

    def __init__(self, problem: str) -> None:
        story, _, choices = problem.removesuffix("\nComplete the last sentence.").partition("\nOptions:\n")
        self.start = dict(TOLD.findall(story.split(": ", 1)[1]))
        self.options = {line[1]: line[4:-1] for line in choices.split("\n") if line}
        self.answers = self.options or {thing: thing for thing in self.start.values()}
        self.things = sorted(self.answers.values(), key=len, reverse=True)
        assert set(self.things) == set(self.start.values())
        self.swaps = SWAP.findall(story)
        self.asked = story.rsplit("At the end of the ", 1)[1].split(", ")[1].split()[0]
        people = "|".join({*self.start, *(person[0] for person in self.start)})
        words = {word for thing in self.things for word in re.findall(r"\w+", thing)}
        written = "|".join(map(re.escape, [*self.things, *sorted(words, key=len, reverse=True)]))
        self._holding = re.compile(rf"\b({people}){VERB}({written})\b")
        self._giving = re.compile(rf"\b({people}) \(({written})\)")

    def claim(self, step: str) -> dict[str, str]:
        return {self._person(person): self._thing(thing) for person, thing in self._holding.findall(step)}

    def given_away(self, step: str) -> dict[str, str]:
        """What those who swap held before, as a step has it in brackets."""
        return dict(self._giving.findall(step))

    def _person(self, name: str) -> str:
        return next(person for person in self.start if person.startswith(name))

    def _thing(self, words: str) -> str:
        return words if words in self.things else next(t for t in self.start.values() if words in t)

    def labels(self, steps: list[str]) -> list[bool]:
        """Whether each step follows from those before it."""
        fused = " So the answer" in steps[-1] and not steps[-1].startswith("At the end")
        given = len(steps) - len(self.swaps) - (not fused)
        state, labels = dict(self.start), []
        for number, step in enumerate(steps, start=-given):
            right = all(state[person] == thing for person, thing in self.given_away(step).items())
            if 0 <= number < len(self.swaps):
                one, other = self.swaps[number]
                state[one], state[other] = state[other], state[one]
            claim = self.claim(step)
            right = right and all(state[person] == thing for person, thing in claim.items())
            answer = ANSWER.search(step)
            if answer:
                right = right and self.answers.get(answer[1] or answer[2]) == state[self.asked]
            labels.append(right)
            state.update(claim)
        return labels


def texts(example: Example) -> list[str]:
    return [step.text for step in example.steps]


@thorough
@given(seeds, styles)
def test_labels_are_what_the_texts_say(seed: int, style: str) -> None:
    example = WORLD.example(random.Random(seed), style)
    assert Reader(example.problem).labels(texts(example)) == [step.correct for step in example.steps]


@thorough
@given(seeds, styles)
def test_code_copies_from_the_texts(seed: int, style: str) -> None:
    """Every name in the code stands in the problem, in the step, or in a step before it."""
    example = WORLD.example(random.Random(seed), style)
    seen = example.problem
    for step in example.steps:
        seen += step.text
        constants = [
            node for node in ast.walk(ast.parse(step.rationale.code)) if isinstance(node, ast.Constant)
        ]
        assert all(
            node.value in seen for node in constants if isinstance(node.value, str) and node.value != ": "
        )


@thorough
@given(seeds, styles)
def test_rationales_print_what_they_say(seed: int, style: str) -> None:
    """The code is what is extracted from the set-up and the steps' own texts, and runs by itself."""
    example = WORLD.example(random.Random(seed), style)
    for step in example.steps:
        assert run_trusted(example.setup + step.rationale.code) == step.rationale.output
        assert step.rationale.output.endswith(f" {step.correct}")


SWAP_TEXT = re.compile(
    r"Step \d+: (\w+) \((.+)\) and (\w+) \((.+)\) swap: \1: (.+?), \3: (.+?)(?:, \w+: .+)?\."
)


@thorough
@given(seeds)
def test_a_solver_writes_what_the_pair_gives_and_gets(seed: int) -> None:
    example = WORLD.example(random.Random(seed), "solver")
    reader = Reader(example.problem)
    assert not reader.options
    start, *swaps, final = texts(example)
    assert list(reader.claim(start)) == list(reader.start)
    assert len(swaps) == len(reader.swaps)
    for swap in swaps:
        found = SWAP_TEXT.fullmatch(swap)
        assert found is not None
        assert (found[2], found[4]) == (found[6], found[5])
    assert re.fullmatch(r"Step \d+: At the end: \w+: .+\. The answer is \\boxed\{.+\}\.", final)


def test_every_kind_of_mistake_occurs_and_no_other() -> None:
    found = {step.mistake for seed in range(500) for step in WORLD.example(random.Random(seed)).steps}
    kinds = {"slip", "wrong_operand", "wrong_inference", "dropped", "doubled", "copied_wrongly"}
    assert found == {*kinds, "wrong_final_answer", None}


def test_a_solver_answers_wrongly_in_every_way() -> None:
    """The box alone is wrong, or it holds what is stated of the person asked about, or of another."""
    found = set()
    for seed in range(300):
        example = WORLD.example(random.Random(seed), "solver")
        final = example.steps[-1]
        if not final.correct:
            reader = Reader(example.problem)
            [(person, thing)] = reader.claim(final.text).items()
            found.add((person == reader.asked, boxed_answer(final.text) == thing))
    assert found == {(True, False), (True, True), (False, True)}


def test_the_held_out_style_is_never_drawn() -> None:
    assert not any(" | " in WORLD.example(random.Random(seed)).steps[0].text for seed in range(300))
    assert " | " in WORLD.example(random.Random(0), WORLD.held_out_style).steps[0].text


@thorough
@given(seeds)
def test_reading_a_solution_gives_back_its_labels(seed: int) -> None:
    planted = WORLD.example(random.Random(seed), "solver")
    read = WORLD.read(planted.problem, texts(planted))
    assert read is not None
    assert (read.setup, texts(read)) == (planted.setup, texts(planted))
    for found, step in zip(read.steps, planted.steps, strict=True):
        assert (found.correct, found.rationale) == (step.correct, step.rationale)
        assert found.correct == (found.mistake is None)


@thorough
@given(seeds)
def test_exercises_are_solved_rightly(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    reader = Reader(exercise.problem)
    state = dict(reader.start)
    for one, other in reader.swaps:
        state[one], state[other] = state[other], state[one]
    assert exercise.answer == boxed_answer(exercise.steps[-1]) == state[reader.asked]
    assert all(reader.labels(list(exercise.steps)))
    read = WORLD.read(exercise.problem, exercise.steps)
    assert read is not None
    assert read.first_error is None


@thorough
@given(seeds, st.randoms(use_true_random=False))
def test_damaged_solutions_are_unreadable_or_judged(seed: int, rng: random.Random) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    steps = list(exercise.steps)
    at = rng.randrange(len(steps))
    damage = rng.randrange(4)
    if damage == 0:
        steps[at] = steps[at].replace(rng.choice(steps[at]), rng.choice(" :,.x({\\\"'"))
    elif damage == 1:
        steps[at] = steps[at][: rng.randrange(len(steps[at]))]
    elif damage == 2:
        del steps[at:]
    else:
        steps.insert(at, rng.choice(steps))
    read = WORLD.read(exercise.problem, steps)
    if read is not None:
        assert texts(read) == steps
        for step in read.steps:
            assert step.rationale.output.endswith(f" {step.correct}")


def test_unreadable_solutions() -> None:
    exercise = WORLD.exercise(random.Random(1))
    person, thing = next(iter(Reader(exercise.problem).start.items()))
    start, *others = exercise.steps
    for garbled in (
        start.removeprefix("Step 1: "),
        start.replace(f"{person}:", f"{person}x:"),
        start.removesuffix("."),
        start.replace(": ", " ", 3),
        f"{start[:-1]}, {person}: red.",
        f"Step 1: {person} ({thing}) and {person} ({thing}) swap: {person}: {thing}.",
        "Step 1: So the answer follows.",
        "",
    ):
        assert WORLD.read(exercise.problem, [garbled, *others]) is None
    assert WORLD.read(exercise.problem, []) is None
    assert WORLD.read("How many apples are there?", exercise.steps) is None
    assert WORLD.read(exercise.problem.removesuffix("\nComplete the last sentence."), exercise.steps) is None
    assert WORLD.read(exercise.problem.replace(f" {thing}", f" {thing}!", 1), exercise.steps) is None
    answer = f"\\boxed{{{exercise.answer}}}"
    for garbled in (
        others[-1].replace(answer, exercise.answer),
        others[-1].replace(answer, "\\boxed{}"),
        others[-1].replace(answer, '\\boxed{" or True}'),
        re.sub(r"At the end: .+?\. ", f"At the end: {start[len('Step 1: At the start: ') :]} ", others[-1]),
    ):
        assert WORLD.read(exercise.problem, [start, *others[:-1], garbled]) is None


@thorough
@given(seeds, st.randoms(use_true_random=False))
def test_a_swap_with_brackets_of_its_own_is_unreadable(seed: int, rng: random.Random) -> None:
    """One thing of one swap is replaced by another, so that who gives it and who gets it disagree."""
    exercise = WORLD.exercise(random.Random(seed))
    steps = list(exercise.steps)
    at = rng.randrange(1, len(steps) - 1)
    reader = Reader(exercise.problem)
    found = SWAP_TEXT.fullmatch(steps[at])
    assert found is not None
    group = rng.choice((2, 4, 5, 6))
    other = rng.choice([thing for thing in reader.things if thing != found[group]])
    steps[at] = steps[at][: found.start(group)] + other + steps[at][found.end(group) :]
    assert WORLD.read(exercise.problem, steps) is None


BOOKS = (
    "Ann, Bea, and Cy love to read. At the start of the year, everybody picks a novel: Ann gets The Hobbit, "
    "Bea gets War and Peace, and Cy gets Slaughterhouse-Five.\nAs the year progresses, they lend each other "
    "the books. First, Cy and Bea swap books. At the end of the year, Cy has\nComplete the last sentence."
)


def test_titles_of_an_open_problem_are_read_in_full() -> None:
    steps = (
        "Step 1: At the start: Ann: The Hobbit, Bea: War and Peace, Cy: Slaughterhouse-Five.",
        "Step 2: Cy (Slaughterhouse-Five) and Bea (War and Peace) swap: Cy: War and Peace, "
        "Bea: Slaughterhouse-Five.",
        "Step 3: At the end: Cy: War and Peace. The answer is \\boxed{War and Peace}.",
    )
    read = WORLD.read(BOOKS, steps)
    assert read is not None
    assert read.first_error is None
    assert read.steps[-1].rationale.output == "War and Peace True"
    short = steps[-1].replace("{War and Peace}", "{Peace}")
    assert (read := WORLD.read(BOOKS, [*steps[:-1], short])) is not None
    assert read.first_error == 2


PROBLEM = (
    "Ann, Bea, and Cy are playing a game. At the start of the game, they are each holding a ball: "
    "Ann has a red ball, Bea has a blue ball, and Cy has a pink ball.\nAs the game progresses, pairs of "
    "players trade balls. First, Ann and Bea swap balls. Then, Bea and Cy swap balls. Finally, Ann and Cy "
    "swap balls. At the end of the game, Bea has the\nOptions:\n(A) red ball.\n(B) blue ball.\n(C) pink ball."
)
START = "Step 1: At the start: Ann: red, Bea: blue, Cy: pink."


def labels_of(*steps: str) -> list[bool]:
    read = WORLD.read(PROBLEM, steps)
    assert read is not None
    return [step.correct for step in read.steps]


def test_going_on_from_a_wrong_state_is_right() -> None:
    assert labels_of(
        START,
        "Step 2: Ann (blue) and Bea (blue) swap: Ann: blue, Bea: blue.",
        "Step 3: Bea (blue) and Cy (pink) swap: Bea: pink, Cy: blue.",
        "Step 4: Ann (blue) and Cy (blue) swap: Ann: blue, Cy: blue.",
        "Step 5: At the end: Bea: pink. The answer is \\boxed{(C)}.",
    ) == [True, False, True, True, True]


def test_an_answer_before_all_swaps_is_wrong() -> None:
    first = "Step 2: Ann (red) and Bea (blue) swap: Ann: blue, Bea: red."
    assert labels_of(START, first, "Step 3: At the end: Bea: pink. The answer is \\boxed{(C)}.")[-1] is False


def test_who_is_not_named_keeps_what_follows_for_him() -> None:
    assert (
        labels_of(
            "Step 1: At the start: Cy: pink.",
            "Step 2: Ann (red) and Bea (blue) swap: Ann: blue, Bea: red.",
            "Step 3: Bea (red) and Cy (pink) swap: Bea: pink, Cy: red, Ann: blue.",
            "Step 4: Ann (blue) and Cy (red) swap: Ann: red, Cy: blue.",
            "Step 5: At the end: Cy: blue. The answer is \\boxed{(C)}.",
        )
        == [True] * 5
    )


def test_a_skipped_swap_is_a_mistake() -> None:
    skipped = "Step 2: Bea (blue) and Cy (pink) swap: Bea: pink, Cy: blue."
    assert labels_of(START, skipped) == [True, False]
