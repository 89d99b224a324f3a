"""From an example of a world to a tree of tokens: protocol text and loss weights.

The bundled verifier sees the problem and the steps so far but no earlier rationale: problem and steps are the
trunk of a tree, and each step's verification is a branch. For one that sees its earlier rationales a solution
is one row. Text is tokenised in the same runs in which the protocol appends it at inference. Forced text and
code output are no targets.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from tokenizers import Tokenizer

from genprm_sdk import wording
from genprm_sdk.modes import Reasoning
from genprm_sdk.prompt import ChatFrame, Segment, content, control, tokenizer_runs
from genprm_sdk.protocol import Layout

from .packing import Branch, Row, Tree
from .tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS
from .worlds import Example, WorldStep

__all__ = [
    "Mix",
    "choose_steps",
    "encode_conversation",
    "encode_segments",
    "encode_verifications",
    "example_texts",
]

TRUNK_WEIGHT = 0.1
"""Loss weight of problem and steps: reading them teaches copying, but writing them is not the task."""

WITHOUT_PROBLEM = 0.05
"""Share of the rows without the problem, where the earlier steps suffice to judge: such a check is legal."""

FRAME = ChatFrame.from_template(CHAT_TEMPLATE, eos_token=SPECIAL_TOKENS[0])


@dataclass(frozen=True)
class Mix:
    """How often a step is verified in another way than analysis + executed code; the shares of all steps.

    Attributes:
        direct: The verdict alone, as the system's text then asks for; the share of all solutions, whose other
            shares are those of the rest.
        unexecuted: The code is written but its output is not shown.
        analysis_only: Analysis, then the verdict.
        code_only: Executed code without analysis.
        rewritten: Code that fails is followed by its error and by code that does not.
    """

    direct: float = 0
    unexecuted: float = 0.05
    analysis_only: float = 0.05
    code_only: float = 0.05
    rewritten: float = 0.02

    @property
    def reasoning(self) -> Reasoning:
        """What all steps are verified by; analysis and executed code where it is not one other way."""
        ways = {
            Reasoning.DIRECT: self.direct,
            Reasoning.ANALYSIS_CODE_UNEXECUTED: self.unexecuted,
            Reasoning.ANALYSIS: self.analysis_only,
            Reasoning.CODE: self.code_only,
        }
        return next((way for way, share in ways.items() if share >= 1), Reasoning.ANALYSIS_CODE)


def encode_segments(tokenizer: Tokenizer, segments: list[Segment]) -> list[int]:
    """Token ids of segments that are appended together, cut as a backend cuts them."""
    ids: list[int] = []
    for kind, text in tokenizer_runs(segments, SPECIAL_TOKENS):
        if kind == "special":
            special = tokenizer.token_to_id(text)
            if special is None:
                raise ValueError(f"the vocabulary lacks the special token {text}")
            ids.append(special)
        else:
            ids += tokenizer.encode(text, add_special_tokens=False).ids
    return ids


Part = tuple[list[Segment], bool]
"""Segments appended together, and whether the model writes them."""


def _trunk_parts(problem: str | None, steps: list[str], direct: bool = False) -> list[list[Segment]]:
    layout = Layout(FRAME, direct=direct)
    return [layout.opening(problem, steps[0]), *(layout.next_step(step) for step in steps[1:])]


def _broken(code: str, setup: str, rng: random.Random) -> tuple[str, str] | None:
    """Code that fails and the error that the sandbox answers with, or None where the attempt runs."""
    used = [name for name in re.findall(r"^(?:def )?(\w+)(?= = |\()", setup, re.MULTILINE) if name in code]
    if used and rng.random() < 0.5:
        return code.removeprefix(setup), f"Code execute Error: NameError: name '{used[0]}' is not defined"
    marks = [at for at, character in enumerate(code) if character in "()[]{}\"'"]
    at = rng.choice(marks)
    failing = code[:at] + code[at + 1 :]
    try:
        compile(failing, "<string>", "exec")
    except SyntaxError as error:
        return failing, f"Code execute Error: SyntaxError: {error}"
    return None


def _verdict_parts(opening: list[Segment], correct: bool) -> list[Part]:
    return [
        ([*opening, content(wording.VERDICT_OPENING)], False),
        ([content(wording.verdict(correct))], True),
    ]


def _direct_parts(step: WorldStep) -> list[Part]:
    return _verdict_parts([control(FRAME.generation)], step.correct)


def _branch_parts(step: WorldStep, index: int, setup: str, mix: Mix, rng: random.Random) -> list[Part]:
    rationale = step.rationale
    code = rationale.code if index else setup + rationale.code
    shares = (mix.code_only, mix.analysis_only, mix.unexecuted, mix.rewritten)
    way = rng.choices(
        ("code_only", "analysis_only", "unexecuted", "rewritten", ""), (*shares, 1 - sum(shares))
    )[0]
    forced: list[Segment] = [control(FRAME.generation)]
    parts: list[Part] = []
    if way != "code_only":
        parts.append(([*forced, content(wording.analysis_opening(index))], False))
        parts.append(([content(f"{rationale.analysis}\n{wording.ANALYSIS_CLOSE}")], True))
        forced = []
    if way == "analysis_only":
        return [*parts, *_verdict_parts([], step.correct)]
    parts.append(([*forced, content(wording.VERIFY_OPENING)], False))
    closing = f"{wording.VERIFY_CLOSE}{wording.VERDICT_OPENING}{wording.verdict(step.correct)}"
    if way == "unexecuted":
        parts.append(([content(code + wording.CODE_FENCE_CLOSE + closing)], True))
        return parts
    if way == "rewritten" and (failed := _broken(code, setup, rng)) is not None:
        failing, error = failed
        code = code if code.startswith(setup) else setup + code
        parts.append(([content(failing + wording.CODE_FENCE_CLOSE)], False))
        parts.append(([content(wording.code_output(error))], False))
        parts.append(([content(f"The code fails.\n{wording.CODE_FENCE_OPEN}")], True))
    parts.append(([content(code + wording.CODE_FENCE_CLOSE)], True))
    parts.append(([content(wording.code_output(rationale.output))], False))
    parts.append(([content(f"{rationale.conclusion}\n{closing}")], True))
    return parts


def encode_verifications(
    example: Example,
    indices: list[int],
    tokenizer: Tokenizer,
    mix: Mix,
    rng: random.Random,
    longest: int | None = None,
) -> Tree | None:
    """Tokenise the verification of some steps, each behind the problem and the steps up to it.

    Args:
        example: The solution.
        indices: Which steps, from 0.
        tokenizer: The vocabulary.
        mix: How steps are verified.
        rng: The source of chance.
        longest: Verifications that end behind this many tokens are left out.

    Returns:
        The tree, its trunk no longer than its last branch needs, or None if nothing is left in.
    """
    without_problem = example.domain == "arithmetic" and min(indices) > 0 and rng.random() < WITHOUT_PROBLEM
    problem = None if without_problem else example.problem
    direct = mix.direct > 0 and rng.random() < mix.direct
    trunk = Row()
    ends: list[int] = []
    for part in _trunk_parts(problem, [step.text for step in example.steps[: max(indices) + 1]], direct):
        trunk.add(encode_segments(tokenizer, part), TRUNK_WEIGHT)
        ends.append(len(trunk))
    branches = []
    for index in sorted(indices):
        row = Row()
        _add_turn(row, example, index, tokenizer, mix, rng, direct)
        if longest is None or ends[index] + len(row) <= longest:
            branches.append(Branch(ends[index], row))
    if not branches:
        return None
    size = branches[-1].at
    return Tree(Row(trunk.ids[:size], trunk.weights[:size]), branches)


def encode_conversation(
    example: Example,
    tokenizer: Tokenizer,
    mix: Mix,
    rng: random.Random,
    longest: int | None = None,
) -> Tree | None:
    """Tokenise the verification of all steps, each behind those of the steps before it.

    Args:
        example: The solution.
        tokenizer: The vocabulary.
        mix: How steps are verified.
        rng: The source of chance.
        longest: The row ends with the last step whose verification ends within this many tokens.

    Returns:
        A trunk without branches, or None if not even the first step's verification fits.
    """
    layout = Layout(FRAME, direct=mix.direct > 0 and rng.random() < mix.direct)
    row, size = Row(), 0
    for index, step in enumerate(example.steps):
        asked = (
            layout.after_generated_turn(step.text) if index else layout.opening(example.problem, step.text)
        )
        row.add(encode_segments(tokenizer, asked), TRUNK_WEIGHT)
        _add_turn(row, example, index, tokenizer, mix, rng, layout.direct)
        if longest is not None and len(row) > longest:
            break
        size = len(row)
    return Tree(Row(row.ids[:size], row.weights[:size])) if size else None


def _add_turn(
    row: Row,
    example: Example,
    index: int,
    tokenizer: Tokenizer,
    mix: Mix,
    rng: random.Random,
    direct: bool,
) -> None:
    step = example.steps[index]
    parts = _direct_parts(step) if direct else _branch_parts(step, index, example.setup, mix, rng)
    for segments, written in parts:
        row.add(encode_segments(tokenizer, segments), 1.0 if written else 0.0)


FIRST_STEP = 0.5
"""How often the first step is chosen where it carries the set-up, which spoils all others if it is wrong."""


def choose_steps(example: Example, rng: random.Random, at_most: int) -> list[int]:
    """Steps to train on: often the first if it carries the set-up, wrong ones, then any."""
    rest = list(range(len(example.steps)))
    rng.shuffle(rest)
    first = [0] if example.setup and rng.random() < FIRST_STEP else []
    wrong = [index for index in rest if not example.steps[index].correct][: max(1, at_most // 2)]
    return sorted(list(dict.fromkeys([*first, *wrong, *rest]))[:at_most])


def example_texts(example: Example, rng: random.Random) -> list[str]:
    """The runs of text of an example, for learning a vocabulary."""
    parts = _trunk_parts(example.problem, [step.text for step in example.steps])
    for index, step in enumerate(example.steps):
        parts += [segments for segments, _ in _branch_parts(step, index, example.setup, Mix(), rng)]
    return [text for part in parts for kind, text in tokenizer_runs(part, SPECIAL_TOKENS) if kind == "text"]
