"""The labels of word sorting solutions against a checker that reads nothing but the texts."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds.base import boxed_answer, run_trusted
from genprm_sdk.training.worlds.word_sorting import WORLD, drawn_words, mistaken_insertion

seeds = st.integers(0, 2**32)
styles = st.sampled_from(WORLD.styles)
thorough = settings(max_examples=100, derandomize=True, deadline=None, database=None)

MISTAKES = {
    "slip",
    "wrong_operand",
    "wrong_operation",
    "dropped",
    "doubled",
    "copied_wrongly",
    "wrong_inference",
    "wrong_final_answer",
    "not_updated",
    "carried",
}

PAIR = re.compile(r"\"([^\"]+)\"(?::| has| ->) \"([a-z']?)\" \((\d+)\)")
FIRST_LETTERS = re.compile(r"I should start by|First, note the initial letters|First letters\.")
LETTERS = re.compile(r"(?:this subpart|The words|Open:) [\[{](.*?)[\]}].*? (\w+) letters[. :]")
FIRST_RANKING = re.compile(r"(?:We now have|Ordered by these letters, the words are|By first letter): (.*)\.")
RESULT = re.compile(
    r"(?:We now have:|Among these words, we get|So far:) ([^.]*?)(?: for the subpart)?\."
    r"(?: (?:Hence, we have|The whole list is then|List:) ([^.]*)\.)?"
)
ANSWER = re.compile(r"(?:The answer is|in alphabetical order are|Sorted:) ([a-z' ]+)")
PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

Ranking = list[tuple[str | None, list[str]]]


def ranking_of(text: str) -> Ranking:
    ranking = []
    for entry in text.split(" < "):
        number = re.match(r"\((\d+)\)", entry)
        ranking.append((number[1] if number else None, re.findall(r"\"([^\"]+)\"", entry)))
    return ranking


def letter_and_number(word: str, place: int) -> tuple[str, str]:
    """The letter at a place counted from 0, and its number; nothing and 0 behind the end."""
    return (
        (word[place], str("abcdefghijklmnopqrstuvwxyz".index(word[place]) + 1))
        if place < len(word)
        else ("", "0")
    )


def ordered(ranking: Ranking, words: list[str]) -> bool:
    """Whether every word is there once and none stands before a word that it follows in the alphabet."""
    everything = [word for _, group in ranking for word in group]
    return sorted(everything) == sorted(words) and all(
        one <= other for (_, left), (_, right) in pairwise(ranking) for one in left for other in right
    )


def rightly_numbered(ranking: Ranking, place: int) -> bool:
    return all(letter_and_number(word, place)[1] == number for number, group in ranking for word in group)


def stands_in(part: Ranking, whole: Ranking) -> bool:
    inner, outer = [group for _, group in part], [group for _, group in whole]
    return any(outer[at : at + len(inner)] == inner for at in range(len(outer)))


class Checker:
    """Goes through a trace and remembers what the last step left open."""

    def __init__(self, problem: str) -> None:
        self.words = problem.rpartition("\n")[2].split(" ")
        self.subpart: list[str] = []
        self.open: list[str] = []
        self.place = 0

    def is_right(self, text: str) -> bool:
        claims = PAIR.findall(text)
        if FIRST_LETTERS.match(text):
            return self.claims_are_right(claims, self.words)
        if taken := LETTERS.search(text):
            expected = self.open
            self.subpart = re.findall(r"\"([^\"]+)\"", taken[1])
            self.place = PLACES.index(taken[2])
            return self.claims_are_right(claims, expected)
        if (answer := ANSWER.search(text)) and '"' not in text:
            return answer[1].split(" ") == sorted(self.words)
        if not self.subpart:
            return self.first_ranking_is_right(text)
        return self.result_is_right(text)

    def claims_are_right(self, claims: list[tuple[str, str, str]], words: list[str]) -> bool:
        right = [(word, *letter_and_number(word, self.place)) for word in words]
        return sorted(claims) == sorted(right) and len({word[: self.place] for word in words}) == 1

    def first_ranking_is_right(self, text: str) -> bool:
        match = FIRST_RANKING.fullmatch(text)
        assert match, text
        ranking = ranking_of(match[1])
        self.leave_open(ranking)
        return ordered(ranking, self.words) and rightly_numbered(ranking, 0)

    def result_is_right(self, text: str) -> bool:
        match = RESULT.fullmatch(text)
        assert match, text
        part = ranking_of(match[1])
        right = ordered(part, self.subpart) and rightly_numbered(part, self.place)
        if match[2] is None:
            self.leave_open(part)
            return right
        whole = ranking_of(match[2])
        self.leave_open(whole)
        return right and ordered(whole, self.words) and stands_in(part, whole)

    def leave_open(self, ranking: Ranking) -> None:
        self.open = next((group for _, group in ranking if len(group) > 1), [])


def insertion_is_right(words: list[str], number: int, text: str) -> bool:
    box = boxed_answer(text)
    if box is not None:
        return box.split(" ") == sorted(words)
    taken, _, line = text.partition("Take ")[2].partition(": ")
    right = sorted(words[:number])
    return words[number - 1 : number] == [taken] and line == " ".join(right) + "."


@thorough
@given(seeds, styles)
def test_labels_are_what_an_independent_check_of_the_texts_finds(seed: int, style: str) -> None:
    example = WORLD.example(random.Random(seed), style)
    checker = Checker(example.problem)
    for number, step in enumerate(example.steps, start=1):
        if style == "solver":
            found = insertion_is_right(example.problem.split(" "), number, step.text)
        else:
            found = checker.is_right(step.text)
        assert step.correct == found, step.text


def test_each_kind_of_mistake_occurs_in_every_style_of_traces() -> None:
    for style in set(WORLD.styles) - {"solver"}:
        examples = [WORLD.example(random.Random(seed), style) for seed in range(300)]
        assert {step.mistake for example in examples for step in example.steps} == {*MISTAKES, None}


def test_a_step_without_a_list_occurs() -> None:
    examples = [WORLD.example(random.Random(seed), "trace") for seed in range(200)]
    texts = [step.text for example in examples for step in example.steps]
    assert any(text.endswith("for the subpart.") for text in texts)


def test_the_held_out_style_is_never_drawn() -> None:
    problems = [WORLD.example(random.Random(seed)).problem for seed in range(300)]
    assert not any(problem.startswith("Put in order") for problem in problems)


@thorough
@given(seeds, styles)
def test_output_is_what_setup_and_code_print(seed: int, style: str) -> None:
    example = WORLD.example(random.Random(seed), style)
    for step in example.steps:
        assert run_trusted(example.setup + step.rationale.code) == step.rationale.output
        expected = step.rationale.output.rpartition(" ")[0]
        assert 0 < len(expected) <= 60
        assert step.correct == step.rationale.output.endswith(" True")


@thorough
@given(seeds, st.integers(2, 20), st.integers(3, 15))
def test_drawn_words(seed: int, count: int, longest: int) -> None:
    words = drawn_words(random.Random(seed), count, longest)
    assert len(set(words)) == len(words) == count
    for word in words:
        assert 2 <= len(word) <= longest
        assert re.fullmatch("[a-z][a-z']+", word)


@thorough
@given(seeds)
def test_reading_a_solution_gives_its_labels_and_rationales_back(seed: int) -> None:
    example = WORLD.example(random.Random(seed), "solver")
    again = WORLD.read(example.problem, [step.text for step in example.steps])
    assert again is not None
    assert (again.problem, again.setup) == (example.problem, example.setup)
    assert [(step.text, step.correct, step.rationale) for step in again.steps] == [
        (step.text, step.correct, step.rationale) for step in example.steps
    ]


@thorough
@given(seeds)
def test_exercises_are_solved_rightly(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    words = exercise.problem.split(" ")
    assert len(words) in WORLD.EXERCISE_SIZES
    assert exercise.answer == " ".join(sorted(words)) == boxed_answer(exercise.steps[-1])
    for number, text in enumerate(exercise.steps, start=1):
        assert insertion_is_right(words, number, text)
    example = WORLD.read(exercise.problem, exercise.steps)
    assert example is not None
    assert example.first_error is None


@thorough
@given(seeds, st.randoms(use_true_random=False))
def test_damaged_solutions_are_read_or_refused(seed: int, rng: random.Random) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    steps = list(exercise.steps)
    at = rng.randrange(len(steps))
    text = steps[at]
    cut = rng.randrange(len(text))
    steps[at] = text[:cut] + rng.choice(["", '"', "\\", "}", " ", "a", "é", ":"]) + text[cut + 1 :]
    example = WORLD.read(exercise.problem, steps)
    if example is not None and steps[at] != text:
        assert not example.steps[at].correct


def test_malformed_solutions_are_refused() -> None:
    good = ("Step 1: Take cap: cap.", "Step 2: Take bat: bat cap.", "Step 3: The answer is \\boxed{bat cap}.")
    assert WORLD.read("cap bat", good) is not None
    assert WORLD.read("cap bat", good[:2]) is not None
    assert WORLD.read("cap bat", ()) is None
    assert WORLD.read("", good) is None
    assert WORLD.read('cap "bat', good) is None
    assert WORLD.read("cap bat", good[1:]) is None
    assert WORLD.read("cap bat", (good[0], good[0])) is None
    assert WORLD.read("cap bat", (*good, "Step 4:")) is None
    assert WORLD.read("cap bat", ("Step 1: Take cap cap.",)) is None


def test_steps_that_go_wrong_are_told_from_those_that_do_not() -> None:
    steps = (
        "Step 1: Take cap: cap.",
        "Step 2: Take bat: cap bat.",
        "Step 3: Take ash: ash bat cap.",
        "Step 4: Take ash: ash ash bat cap.",
        "Step 5: The answer is \\boxed{ash bat}.",
    )
    example = WORLD.read("cap bat ash", steps)
    assert example is not None
    assert [step.correct for step in example.steps] == [True, False, True, False, False]


@pytest.mark.parametrize("seed", range(30))
def test_a_word_that_cannot_be_put_in_a_wrong_place_gets_another_mistake(seed: int) -> None:
    """The solution so far may have made the line the word itself."""
    word, line, kind = mistaken_insertion(["at", "at"], 1, ["at"], random.Random(seed))
    assert (word, line) != ("at", ["at", "at"])
    assert kind != "wrong_inference"
