"""The solver's rows: what it reads is no target, what it writes is, and critiques are the protocol's."""

from __future__ import annotations

import json
import random
from itertools import groupby
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from genprm_sdk.training.dataset import TRUNK_WEIGHT
from genprm_sdk.training.packing import Tree
from genprm_sdk.training.solving import (
    Attempt,
    attempt_example,
    encode_exercise,
    encode_prompt,
    encode_repair,
    read_attempts,
    write_attempts,
)
from genprm_sdk.training.worlds import WORLDS, Example, Exercise, Rationale, WorldStep

EXERCISE = Exercise("word_problems", "Ana has 1 egg.", ("Step 1: 1.", "Step 2: \\boxed{1}."), "1")
PROMPT = (
    "<|im_start|>user\nAna has 1 egg.\n\nPlease reason step by step, and put your final answer within "
    "\\boxed{}.<|im_end|>\n<|im_start|>assistant\n"
)
ATTEMPT = Attempt("word_problems", "Ana has 1 egg.", EXERCISE.steps, ("Step 1: 1.", "Step 2: \\boxed{2}."))
RIGHT = Rationale("It says 1.", "print(1, True)", "1 True", "The code prints True.")
WRONG = Rationale("It says 2.", "print(1, False)", "1 False", "The code prints False: it should be 1.")


def spans(tokenizer: Tokenizer, tree: Tree) -> list[tuple[float, str]]:
    assert not tree.branches
    pairs = zip(tree.trunk.ids, tree.trunk.weights, strict=True)
    return [
        (weight, tokenizer.decode([index for index, _ in group], skip_special_tokens=False))
        for weight, group in groupby(pairs, key=lambda pair: pair[1])
    ]


def labelled(*correct: bool) -> Example:
    steps = (
        WorldStep(text, right, RIGHT if right else WRONG)
        for text, right in zip(ATTEMPT.steps, correct, strict=True)
    )
    return Example("word_problems", ATTEMPT.problem, tuple(steps))


def test_an_exercise(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(encode_prompt(EXERCISE.problem, tokenizer), skip_special_tokens=False) == PROMPT
    assert spans(tokenizer, encode_exercise(EXERCISE, tokenizer)) == [
        (TRUNK_WEIGHT, PROMPT),
        (1.0, "Step 1: 1.\n\nStep 2: \\boxed{1}.<|im_end|>\n"),
    ]


CRITIQUE = (
    "<|im_end|>\n<|im_start|>user\nThere might be some problem in this paragraph of your reasoning, please "
    "rethink and refine your answer:\n>{step}\n\n{reason}<|im_end|>\n<|im_start|>assistant\n"
)


def test_a_wrong_attempt_is_repaired(tokenizer: Tokenizer) -> None:
    seen = set()
    for seed in range(12):
        tree = encode_repair(ATTEMPT, labelled(True, False), ["F"], tokenizer, random.Random(seed))
        read, asked, written = spans(tokenizer, tree)
        assert read == (TRUNK_WEIGHT, PROMPT)
        assert written == (1.0, "Step 1: 1.\n\nStep 2: \\boxed{1}.<|im_end|>\n")
        assert asked[0] == 0.0
        assert asked[1].startswith("Step 1: 1.\n\nStep 2: \\boxed{2}.<|im_end|>")
        seen.add(asked[1].removeprefix("Step 1: 1.\n\nStep 2: \\boxed{2}."))
    said = "It says 2."
    assert seen == {
        CRITIQUE.format(step="Step 2: \\boxed{2}.", reason=reason)
        for reason in (said, f"{said} The code prints False: it should be 1.")
    }


def test_a_right_attempt_is_kept_whatever_the_critique_says(tokenizer: Tokenizer) -> None:
    asked = set()
    for seed in range(40):
        tree = encode_repair(ATTEMPT, labelled(True, True), ["False alarm."], tokenizer, random.Random(seed))
        parts = spans(tokenizer, tree)
        assert parts[-1] == (1.0, "Step 1: 1.\n\nStep 2: \\boxed{2}.<|im_end|>\n")
        asked.add(parts[1][1].removeprefix("Step 1: 1.\n\nStep 2: \\boxed{2}."))
    steps = ATTEMPT.steps
    assert asked == {
        CRITIQUE.format(step=step, reason=reason)
        for step in steps
        for reason in ("It says 1.", "It says 1. False alarm.")
    }


@pytest.mark.parametrize("name", WORLDS)
def test_the_reference_is_read_as_right_and_attempts_survive_their_file(name: str, tmp_path: Path) -> None:
    rng = random.Random(1)
    attempts = []
    for _ in range(20):
        exercise = WORLDS[name].exercise(rng)
        attempts.append(Attempt(name, exercise.problem, exercise.steps, exercise.steps))
    path = tmp_path / "attempts.jsonl"
    write_attempts(path, attempts)
    assert read_attempts(path) == attempts
    for attempt in attempts:
        example = attempt_example(attempt)
        assert example is not None
        assert example.first_error is None


@pytest.mark.parametrize(
    "line",
    ["", "7", "{}", '{"domain": "dyck", "problem": "(", "reference": 3, "steps": []}', "{", '"dyck"'],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "attempts.jsonl"
    write_attempts(path, [ATTEMPT])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match="line 2: this is no attempt"):
        read_attempts(path)


def test_an_unknown_domain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "attempts.jsonl"
    path.write_text(json.dumps({"domain": "alchemy", "problem": "p", "reference": [], "steps": []}) + "\n")
    with pytest.raises(ValueError, match="line 1: unknown domain 'alchemy'"):
        read_attempts(path)
