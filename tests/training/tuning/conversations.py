"""Worlds' examples as the pipeline's conversations, which reinforcement learning reads."""

from __future__ import annotations

import random

from genprm_sdk import wording
from genprm_sdk.training.pipeline.records import Conversation, Message
from genprm_sdk.training.pipeline.turns import assembled_turn
from genprm_sdk.training.worlds import WORLDS, Example
from genprm_sdk.types import CodeRun

__all__ = ["conversation_of", "short_examples"]

DRAWN = 60


def short_examples(domain: str, count: int, style: str | None = None, steps: int = 2) -> list[Example]:
    """The shortest of some examples that have at least so many steps."""
    rng = random.Random(f"short/{domain}")
    drawn = [WORLDS[domain].example(rng, style) for _ in range(DRAWN)]
    found = [example for example in drawn if len(example.steps) >= steps]
    return sorted(found, key=_length)[:count]


def _length(example: Example) -> int:
    return len(example.problem) + sum(len(step.text) for step in example.steps)


def conversation_of(example: Example) -> Conversation:
    """The example with its own rationales."""
    messages = [Message(role="system", content=wording.REVIEW_SYSTEM)]
    for index, step in enumerate(example.steps):
        rationale = step.rationale
        code = rationale.code if index else example.setup + rationale.code
        run = CodeRun(code=code, status="ok", feedback=rationale.output)
        written = f"{code}{wording.CODE_FENCE_CLOSE}{wording.code_output(run.feedback)}{rationale.conclusion}"
        turn = assembled_turn(index, step.correct, rationale.analysis, written, [run])
        asked = step.text if index else f"{example.problem}\n{step.text}"
        messages += [Message(role="user", content=asked), Message(role="assistant", content=turn.text)]
    return Conversation(
        problem=example.problem,
        domain=example.domain,
        steps=tuple(step.text for step in example.steps),
        labels=tuple(step.correct for step in example.steps),
        messages=tuple(messages),
        train=(),
    )
