"""The labels of Dyck solutions against a checker that reads nothing but the texts."""

from __future__ import annotations

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.training.worlds.base import boxed_answer, run_trusted
from genprm_sdk.training.worlds.dyck import SETUP, STYLES, WORLD, due

seeds = st.integers(0, 2**32)
styles = st.sampled_from(WORLD.styles)
thorough = settings(max_examples=150, derandomize=True, deadline=None, database=None)

PARTNER = {"(": ")", "[": "]", "{": "}", "<": ">"}
MISTAKES = {
    "slip",
    "wrong_operand",
    "wrong_operation",
    "dropped",
    "doubled",
    "copied_wrongly",
    "wrong_inference",
    "wrong_final_answer",
}

PHRASINGS = {
    "lead": (
        r"stack: (\S+)",
        r"We keep the open brackets on a stack, which is (\S+) at first\.",
        r"We read the brackets from the left. The first one is (.+) \.",
        r"We should process each input one by one .*",
    ),
    "token": (
        r"(\S) ; stack: (.+)",
        r"Read (\S) \. The stack is now (.+) \.",
        r"(\S) gives (.+)",
        r"The next bracket is (\S) and the stack becomes (.+)",
    ),
    "end": (
        r"Now, we have reached the end. The final stack is (.+)\.",
        r"end ; stack: (.+)",
        r"All brackets are read. The stack left over is (.+) \.",
        r"end with (.+)",
        r"There are no more brackets and the stack holds (.+)",
    ),
    "pop": (
        r"We will need to pop out (.+) one by one in that order\.",
        r"pop (.+)",
        r"From its top it is (.+) \.",
        r"We take them off in the order (.+)",
    ),
    "pop_close": (r"We will need to pop out (.+)\. So the answer is (.+)",),
    "close": (
        r"So, we need (.+)\. So the answer is (.+)",
        r"So close with (.+)\. The answer is \\boxed\{(.+)\}\.",
        r"These are closed by (.+) \. So the answer is (.+)",
        r"close with (.+) and the answer is (.+)",
        r"They need (.+) and so the final answer is (.+)",
    ),
    "answer": (
        r"So the answer is \\boxed\{(.+)\}\.",
        r"So the answer is (.+)",
        r"the answer is (.+)",
        r"So the final answer is (.+)",
    ),
}


def parsed(text: str) -> tuple[str, list[list[str]]]:
    """A step's kind and the lists in it; an unfinished list keeps its comma as an item."""
    text = re.sub(r"^Step \d+: ", "", text)
    for kind, patterns in PHRASINGS.items():
        for pattern in patterns:
            if match := re.fullmatch(pattern, text):
                return kind, [items(group) for group in match.groups()]
    raise AssertionError(text)


def items(text: str) -> list[str]:
    unfinished = [","] if text.endswith(",") else []
    text = re.sub(r"[\",]|\band\b", " ", text)
    return [item for item in text.split() if item != "empty"] + unfinished


def labels(problem: str, texts: list[str]) -> list[bool]:
    """What the texts alone say about each step."""
    tokens = re.findall(r"[\[\](){}<>]", problem)
    found = []
    stack: list[str] = []
    read, before = 0, "lead"
    for text in texts:
        kind, lists = parsed(text)
        complete = not any("," in part for part in lists)
        reversed_stack = stack[::-1]
        may_close = before in ("end", "pop")
        if kind == "lead":
            names_first = "The first one" in text
            right = not lists or lists[0] == (tokens[:1] if names_first else [])
            stack = lists[0] if lists and not names_first else []
        elif kind == "token":
            rest = tokens[read:]
            after = [*stack, rest[0]] if rest and rest[0] in PARTNER else stack[:-1]
            right = bool(rest) and lists == [[rest[0]], after]
            stack = lists[1]
        elif kind == "end":
            right = read >= len(tokens) and lists[0] == stack
            stack = lists[0]
        elif kind == "pop":
            right = may_close and complete and lists[0] == reversed_stack
            stack = [item for item in lists[0] if item != ","]
        elif kind == "pop_close":
            right = may_close and lists == [reversed_stack, partners(reversed_stack)]
        else:
            wanted = partners(stack if before == "pop" else reversed_stack)
            right = may_close and all(part == wanted for part in lists)
        read += kind != "lead"
        before = kind
        found.append(right)
    return found


def partners(stack: list[str]) -> list[str]:
    return ["".join(PARTNER.get(bracket, bracket) for bracket in item) for item in stack]


@thorough
@given(seeds, styles)
def test_labels_are_what_the_texts_alone_say(seed: int, style: str) -> None:
    example = WORLD.example(random.Random(seed), style)
    texts = [step.text for step in example.steps]
    assert [step.correct for step in example.steps] == labels(example.problem, texts)


@thorough
@given(seeds, styles)
def test_rationales_print_what_they_say(seed: int, style: str) -> None:
    example = WORLD.example(random.Random(seed), style)
    wrong = [step for step in example.steps if not step.correct]
    for step in [*wrong, *example.steps[:3], *example.steps[-3:]]:
        assert run_trusted(example.setup + step.rationale.code) == step.rationale.output
        assert len(step.rationale.output) <= 80


@thorough
@given(st.text("()[]{}<>", min_size=1, max_size=8), st.integers(0, 9), st.text("()[]{}<>", max_size=6))
def test_the_set_up_computes_what_is_due(tokens: str, at: int, stack: str) -> None:
    before = " ".join(stack) or "empty"
    printed = run_trusted(SETUP.format(tokens=" ".join(tokens)) + f'print(step({at}, "{before}"))')
    assert printed == due(list(tokens), at, before)


@thorough
@given(seeds)
def test_reading_a_solution_gives_back_labels_and_rationales(seed: int) -> None:
    example = WORLD.example(random.Random(seed), "solver")
    again = WORLD.read(example.problem, [step.text for step in example.steps])
    assert again is not None
    assert (again.domain, again.problem, again.setup) == (example.domain, example.problem, example.setup)
    for planted, read in zip(example.steps, again.steps, strict=True):
        assert (read.text, read.correct, read.rationale) == (planted.text, planted.correct, planted.rationale)
        assert read.correct == (read.mistake is None)


@thorough
@given(seeds)
def test_exercises_are_solved_rightly(seed: int) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    stack: list[str] = []
    for token in re.findall(r"[\[\](){}<>]", exercise.problem):
        if token in PARTNER:
            stack.append(token)
        else:
            assert token == PARTNER[stack.pop()]
    assert exercise.answer.split() == partners(stack)[::-1] != []
    assert boxed_answer(exercise.steps[-1]) == exercise.answer
    assert all(boxed_answer(step) is None for step in exercise.steps[:-1])
    read = WORLD.read(exercise.problem, exercise.steps)
    assert read is not None
    assert read.first_error is None
    assert all(labels(exercise.problem, list(exercise.steps)))


def test_a_step_is_judged_by_what_it_says_whatever_number_it_gives_itself() -> None:
    exercise = WORLD.exercise(random.Random(1))
    miscounted = [step.replace("Step 5", "Step 4") for step in exercise.steps]
    assert miscounted != list(exercise.steps)
    read = WORLD.read(exercise.problem, miscounted)
    assert read is not None
    assert read.first_error is None
    assert [step.text for step in read.steps] == miscounted


@thorough
@given(seeds, st.data())
def test_a_spoilt_solution_is_judged_or_not_readable(seed: int, data: st.DataObject) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    steps = list(exercise.steps)
    at = data.draw(st.integers(0, len(steps) - 1))
    place = data.draw(st.integers(0, len(steps[at])))
    length = data.draw(st.integers(0, 3))
    inserted = data.draw(st.text("()[]{}<> ;:.,0aS\n\\", max_size=3))
    steps[at] = steps[at][:place] + inserted + steps[at][place + length :]
    read = WORLD.read(exercise.problem, steps)
    if read is not None:
        assert [step.text for step in read.steps] == steps
        assert [step.correct for step in read.steps] == labels(exercise.problem, steps)


@thorough
@given(seeds, st.data())
def test_steps_lost_doubled_or_cut_off_are_judged(seed: int, data: st.DataObject) -> None:
    exercise = WORLD.exercise(random.Random(seed))
    bodies = [step.partition(": ")[2] for step in exercise.steps]
    at = data.draw(st.integers(0, len(bodies) - 2))
    bodies = data.draw(
        st.sampled_from((bodies[:at] + bodies[at + 1 :], [*bodies[: at + 1], *bodies[at:]], bodies[: at + 1]))
    )
    steps = [f"Step {number}: {body}" for number, body in enumerate(bodies, start=1)]
    read = WORLD.read(exercise.problem, steps)
    assert read is not None
    assert [step.correct for step in read.steps] == labels(exercise.problem, steps)


def test_unreadable_solutions() -> None:
    last = "Step 2: So the answer is \\boxed{)}."
    assert WORLD.read("( [", []) is None
    assert WORLD.read("no brackets", ["Step 1: ( ; stack: ("]) is None
    assert WORLD.read("( [", ["( ; stack: ("]) is None
    assert WORLD.read("( [", ["Step 1: ( ; stack: ("]) is not None
    assert WORLD.read("(", ["Step 1: ( ; stack: (", last]) is not None
    assert WORLD.read("(", ["Step 1: ( ; stack: (", last, "Step 3: end ; stack: ("]) is None


def test_every_kind_of_mistake_occurs_in_every_kind_of_step() -> None:
    found: dict[str, set[str]] = {}
    for seed in range(3000):
        for step in WORLD.example(random.Random(seed)).steps:
            if step.mistake is not None:
                found.setdefault(parsed(step.text)[0], set()).add(step.mistake)
    assert set.union(*found.values()) == MISTAKES
    assert found["token"] >= MISTAKES - {"wrong_final_answer"}
    assert found["end"] >= {"copied_wrongly", "wrong_inference"}
    assert found["pop"] >= {"dropped", "doubled", "copied_wrongly", "wrong_inference"}
    assert found["close"] >= {"slip", "wrong_operation", "wrong_inference", "wrong_final_answer"}
    assert {"lead", "pop_close", "answer"} <= set(found)


def test_sizes_and_styles_vary() -> None:
    drawn = [WORLD.example(random.Random(seed)) for seed in range(600)]
    sizes = sorted(len(re.findall(r"[\[\](){}<>]", example.problem)) for example in drawn)
    assert sizes[0] <= 4
    assert sizes[-1] >= 95
    assert 12 <= sizes[300] <= 25
    assert not any(example.steps[0].text.startswith("We keep") for example in drawn)
    assert WORLD.held_out_style in STYLES
    traced = sum(example.steps[0].text.startswith("We should") for example in drawn)
    assert 0.5 < traced / len(drawn) < 0.7


def test_a_lost_bracket_does_not_spoil_the_rest() -> None:
    wrong = [sum(not step.correct for step in WORLD.example(random.Random(s)).steps) for s in range(600)]
    assert max(wrong) <= 10
