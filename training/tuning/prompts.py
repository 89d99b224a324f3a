"""What reinforcement learning asks a verifier: single steps whose labels are known.

Reads them from the pipeline's conversations and orders them into training steps. Knows no model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genprm_sdk.errors import InputError
from genprm_sdk.modes import Reasoning

from ..pipeline.dataset import read_conversations
from ..pipeline.records import Conversation

__all__ = ["StepPrompt", "drawn_prompts", "executed_code", "prompts_of", "read_prompts"]

_BLOCK = re.compile(r"```python\n(.*?)\n```\n(\[Code Output\])?", re.DOTALL)


@dataclass(frozen=True)
class StepPrompt:
    """A step that a verifier shall judge.

    Attributes:
        problem: What was to be solved, or None.
        steps: The solution up to the step in question, which is the last of them.
        label: Whether that step is right.
        turns: A verification of each step before it, in the protocol's words. A model that sees earlier
            verifications is shown these; for every other their code is run, because one solution's steps
            share a session and later code counts on earlier names.
        reasoning: What is to be written before the verdict.
    """

    problem: str | None
    steps: tuple[str, ...]
    label: bool
    turns: tuple[str, ...]
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE

    def __post_init__(self) -> None:
        if len(self.turns) != len(self.steps) - 1:
            raise InputError(
                f"there are {len(self.turns)} verifications of {len(self.steps) - 1} earlier steps: "
                "each needs one"
            )

    @property
    def step(self) -> int:
        """The index of the step in question, from 0."""
        return len(self.turns)


def prompts_of(conversation: Conversation) -> Iterator[StepPrompt]:
    """Each labelled step of a conversation.

    Raises:
        InputError: Its messages do not verify each of its labelled steps.
    """
    turns = tuple(message.content for message in conversation.messages if message.role == "assistant")
    for index, label in enumerate(conversation.labels):
        steps = conversation.steps[: index + 1]
        yield StepPrompt(conversation.problem, steps, label, turns[:index], conversation.reasoning)


def read_prompts(path: Path) -> list[StepPrompt]:
    """The labelled steps of a file of conversations, one a line, as ``genprm train export`` writes it.

    Raises:
        InputError: It cannot be read, a line is none, or there is no labelled step.
    """
    prompts = [prompt for conversation in read_conversations(path) for prompt in prompts_of(conversation)]
    if not prompts:
        raise InputError(f"{path} holds no labelled step: give a file that `genprm train export` wrote")
    return prompts


def executed_code(turn: str) -> list[str]:
    """The code blocks of a verification that were run, in order."""
    return [block[1] for block in _BLOCK.finditer(turn) if block[2]]


def drawn_prompts(
    prompts: Sequence[StepPrompt], count: int, rng: random.Random, *, balance: bool
) -> list[int]:
    """Which prompts a run asks, in order: all of them once, in a new order all of them again, and so on.

    Args:
        prompts: What there is.
        count: How many are drawn.
        rng: The source of chance.
        balance: Whether right and wrong steps take turns, each kind in rounds of its own.

    Raises:
        InputError: There is nothing to draw; or of one of the kinds there is nothing.
    """
    if not balance:
        rounds = [_endless(range(len(prompts)), rng)]
    else:
        kinds = [
            [at for at, prompt in enumerate(prompts) if prompt.label is label] for label in (True, False)
        ]
        if prompts and not all(kinds):
            only = "right" if kinds[0] else "wrong"
            raise InputError(
                f"all {len(prompts)} steps are labelled {only}: add others, or set balance to false"
            )
        rounds = [_endless(kind, rng) for kind in kinds]
    if not prompts:
        raise InputError("there are no steps to judge")
    return [next(rounds[at % len(rounds)]) for at in range(count)]


def _endless(places: Iterable[int], rng: random.Random) -> Iterator[int]:
    order = list(places)
    while True:
        rng.shuffle(order)
        yield from order
