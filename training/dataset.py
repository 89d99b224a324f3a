"""From an example of a world to a row of tokens: protocol text and loss mask.

The bundled verifier sees the problem and the steps so far but no earlier rationale: a row is a trunk
(problem and steps) and one step's rationale behind it. Text is tokenised in the same runs in which the
protocol appends it at inference. Forced text and code output are no targets.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer

from genprm_sdk import wording
from genprm_sdk.prompt import ChatFrame, Segment, content, control, tokenizer_runs

from .tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS
from .worlds import Example, WorldStep

__all__ = ["Batch", "Mix", "Row", "choose_step", "collate", "encode_step", "example_texts"]

TRUNK_WEIGHT = 0.1
"""Loss weight of problem and steps: reading them teaches copying, but writing them is not the task."""

WITHOUT_PROBLEM = 0.05
"""Share of the rows without the problem, where the earlier steps suffice to judge: such a check is legal."""

FRAME = ChatFrame.from_template(CHAT_TEMPLATE, eos_token=SPECIAL_TOKENS[0])


@dataclass(frozen=True)
class Mix:
    """How often a step is verified in another way than analysis + executed code; the shares of all steps.

    Attributes:
        unexecuted: The code is written but its output is not shown.
        analysis_only: Analysis, then the verdict.
        code_only: Executed code without analysis.
    """

    unexecuted: float = 0.05
    analysis_only: float = 0.05
    code_only: float = 0.05


@dataclass
class Row:
    """One tokenised verification; ``weights`` holds the loss weight of each token as a *target*."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, ids: list[int], weight: float) -> None:
        self.ids += ids
        self.weights += [weight] * len(ids)

    def __len__(self) -> int:
        return len(self.ids)


def _encode(tokenizer: Tokenizer, segments: list[Segment]) -> list[int]:
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


def _trunk_parts(problem: str | None, steps: list[str]) -> list[list[Segment]]:
    first = steps[0] if problem is None else f"{problem}\n{steps[0]}"
    opening = [
        control(FRAME.opening),
        content(wording.REVIEW_SYSTEM),
        control(FRAME.system_to_user),
        content(first),
    ]
    return [opening, *([content(wording.STEP_SEPARATOR + step)] for step in steps[1:])]


def _branch_parts(step: WorldStep, index: int, mix: Mix, rng: random.Random) -> list[Part]:
    rationale = step.rationale
    way = rng.random()
    code_only = way < mix.code_only
    analysis_only = not code_only and way < mix.code_only + mix.analysis_only
    unexecuted = (
        not code_only and not analysis_only and way < mix.code_only + mix.analysis_only + mix.unexecuted
    )
    forced: list[Segment] = [control(FRAME.generation)]
    parts: list[Part] = []
    if not code_only:
        parts.append(([*forced, content(wording.analysis_opening(index))], False))
        parts.append(([content(f"{rationale.analysis}\n{wording.ANALYSIS_CLOSE}")], True))
        forced = []
    judgement = wording.verdict(step.correct)
    if analysis_only:
        parts.append(([content(wording.VERDICT_OPENING)], False))
        parts.append(([content(judgement)], True))
        return parts
    parts.append(([*forced, content(wording.VERIFY_OPENING)], False))
    closing = f"{wording.VERIFY_CLOSE}{wording.VERDICT_OPENING}{judgement}"
    if unexecuted:
        parts.append(([content(rationale.code + wording.CODE_FENCE_CLOSE + closing)], True))
        return parts
    parts.append(([content(rationale.code + wording.CODE_FENCE_CLOSE)], True))
    parts.append(([content(wording.code_output(rationale.output))], False))
    parts.append(([content(f"{rationale.conclusion}\n{closing}")], True))
    return parts


def encode_step(example: Example, index: int, tokenizer: Tokenizer, mix: Mix, rng: random.Random) -> Row:
    """Tokenise the verification of one step, behind the problem and the steps up to it."""
    row = Row()
    without_problem = example.domain == "arithmetic" and index > 0 and rng.random() < WITHOUT_PROBLEM
    problem = None if without_problem else example.problem
    for part in _trunk_parts(problem, [step.text for step in example.steps[: index + 1]]):
        row.add(_encode(tokenizer, part), TRUNK_WEIGHT)
    for segments, written in _branch_parts(example.steps[index], index, mix, rng):
        row.add(_encode(tokenizer, segments), 1.0 if written else 0.0)
    return row


def choose_step(example: Example, rng: random.Random) -> int:
    """A step to train on: half the time a wrong one, where there is one."""
    wrong = [index for index, step in enumerate(example.steps) if not step.correct]
    if wrong and rng.random() < 0.5:
        return rng.choice(wrong)
    return rng.randrange(len(example.steps))


def example_texts(example: Example, rng: random.Random) -> list[str]:
    """The runs of text of an example, for learning a vocabulary."""
    parts = _trunk_parts(example.problem, [step.text for step in example.steps])
    for index, step in enumerate(example.steps):
        parts += [segments for segments, _ in _branch_parts(step, index, Mix(), rng)]
    return [text for part in parts for kind, text in tokenizer_runs(part, SPECIAL_TOKENS) if kind == "text"]


@dataclass
class Batch:
    """Rows padded at the end to one length.

    Attributes:
        ids: Token ids, (rows, length).
        targets: The token that follows, (rows, length).
        weights: Loss weight of each target, (rows, length); 0 where there is none.
    """

    ids: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def collate(rows: list[Row]) -> Batch:
    """Pad rows behind their end: under causal attention no token of a row sees the padding."""
    shape = (len(rows), max(len(row) for row in rows))
    ids, targets = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    weights = torch.zeros(shape)
    for at, row in enumerate(rows):
        size = len(row)
        ids[at, :size] = torch.tensor(row.ids)
        targets[at, : size - 1] = ids[at, 1:size]
        weights[at, : size - 1] = torch.tensor(row.weights[1:])
    return Batch(ids, targets, weights)
