"""Rows of the solver: exercises worked step by step, and conversations in which a critique is answered.

The conversation is that of critic refinement (arXiv 2504.00891): the problem, the solver's solution, a
critique of one step, and the whole solution once more, repaired where the critique is right and kept where it
is wrong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenizers import Tokenizer

from genprm_sdk import wording
from genprm_sdk.json_objects import json_object
from genprm_sdk.prompt import Segment, content, control

from .dataset import FRAME, TRUNK_WEIGHT, encode_segments
from .packing import Row, Tree
from .worlds import WORLDS, Example, Exercise

__all__ = [
    "Attempt",
    "attempt_example",
    "conversation",
    "criticism",
    "encode_exercise",
    "encode_prompt",
    "encode_repair",
    "exercise_texts",
    "question",
    "read_attempts",
    "write_attempts",
]

USER = "<|im_start|>user\n"
USER_TO_ASSISTANT = FRAME.generation
ASSISTANT_TO_USER = FRAME.assistant_to_user
END = "<|im_end|>\n"


@dataclass(frozen=True)
class Attempt:
    """What the solver wrote for an exercise.

    Attributes:
        domain: The world's name.
        problem: The problem's text.
        reference: A right solution's steps.
        steps: The solver's own.
    """

    domain: str
    problem: str
    reference: tuple[str, ...]
    steps: tuple[str, ...]


def attempt_example(attempt: Attempt) -> Example | None:
    """The attempt with every step labelled by its world, or None where a step cannot be read."""
    return WORLDS[attempt.domain].read(attempt.problem, attempt.steps)


def write_attempts(path: Path, attempts: Iterable[Attempt]) -> None:
    """Write attempts as JSON Lines; the file is replaced whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        for attempt in attempts:
            file.write(json.dumps(asdict(attempt), ensure_ascii=False) + "\n")
    part.replace(path)


def read_attempts(path: Path) -> list[Attempt]:
    """Read what ``write_attempts`` wrote.

    Raises:
        ValueError: A line is no attempt, or names an unknown domain.
    """
    attempts = []
    text = path.read_text(encoding="utf-8").removesuffix("\n")
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would split at U+2028 too
        try:
            fields = json_object(line)
            attempt = Attempt(
                fields["domain"], fields["problem"], tuple(fields["reference"]), tuple(fields["steps"])
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: this is no attempt of a solver") from error
        if attempt.domain not in WORLDS:
            raise ValueError(f"{path}, line {number}: unknown domain {attempt.domain!r}")
        attempts.append(attempt)
    return attempts


def _solution(steps: Iterable[str]) -> str:
    return wording.STEP_SEPARATOR.join(steps)


def question(problem: str) -> list[Segment]:
    """What the solver reads before it writes a solution."""
    return [control(USER), content(problem + wording.SOLVING_REQUEST), control(USER_TO_ASSISTANT)]


def criticism(step: str, reason: str) -> list[Segment]:
    """What the solver reads behind its solution, before it writes another."""
    return [
        control(ASSISTANT_TO_USER),
        content(wording.critique(step, reason)),
        control(USER_TO_ASSISTANT),
    ]


def conversation(problem: str, steps: Iterable[str], step: str, reason: str) -> list[Segment]:
    """Question, solution and criticism in one."""
    return [*question(problem), content(_solution(steps)), *criticism(step, reason)]


def encode_prompt(problem: str, tokenizer: Tokenizer) -> list[int]:
    """The tokens of a question."""
    return encode_segments(tokenizer, question(problem))


def encode_exercise(exercise: Exercise, tokenizer: Tokenizer) -> Tree:
    """Tokenise an exercise and its right solution."""
    row = Row()
    row.add(encode_prompt(exercise.problem, tokenizer), TRUNK_WEIGHT)
    row.add(encode_segments(tokenizer, [content(_solution(exercise.steps)), control(END)]), 1.0)
    return Tree(row)


def encode_repair(
    attempt: Attempt, example: Example, false_reasons: list[str], tokenizer: Tokenizer, rng: random.Random
) -> Tree:
    """Tokenise a conversation in which an attempt is criticised and written again.

    Args:
        attempt: The solver's solution and the right one.
        example: The same solution with labels and rationales.
        false_reasons: Conclusions of critiques of other solutions, for critiques that are wrong.
        tokenizer: The vocabulary.
        rng: The source of chance.
    """
    wrong = example.first_error
    with_evidence = rng.random() < 0.5
    index = rng.randrange(len(example.steps)) if wrong is None else wrong
    rationale = example.steps[index].rationale
    reason = rationale.analysis
    if with_evidence:
        reason += f" {rng.choice(false_reasons) if wrong is None else rationale.conclusion}"
    answer = attempt.steps if wrong is None else attempt.reference
    row = Row()
    row.add(encode_prompt(attempt.problem, tokenizer), TRUNK_WEIGHT)
    row.add(encode_segments(tokenizer, [content(_solution(attempt.steps))]), 0.0)  # it may be wrong
    row.add(encode_segments(tokenizer, criticism(attempt.steps[index], reason)), 0.0)
    row.add(encode_segments(tokenizer, [content(_solution(answer)), control(END)]), 1.0)
    return Tree(row)


def exercise_texts(exercise: Exercise) -> list[str]:
    """The runs of text of an exercise, for learning a vocabulary."""
    return [f"user\n{exercise.problem}{wording.SOLVING_REQUEST}", f"assistant\n{_solution(exercise.steps)}"]
