"""What every world hands out: a problem, a solution with known labels, and a rationale for every step.

Knows the shape of an example and how a rationale's code is run to learn its output. What a domain's
problems and mistakes look like is the business of one file a domain; how a rationale becomes protocol
text and tokens is the business of ``training.dataset``.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "Example",
    "Rationale",
    "World",
    "WorldStep",
    "equality_rationale",
    "planted_steps",
    "run_trusted",
]


@dataclass(frozen=True)
class Rationale:
    """How one step is verified, in the three parts of the protocol.

    Attributes:
        analysis: What the step claims and how it can be checked; one or two sentences.
        code: Python that holds what was *extracted* from problem and step, computes, compares and prints.
        output: What the code prints, without the last newline.
        conclusion: The sentence after the output.
    """

    analysis: str
    code: str
    output: str
    conclusion: str


@dataclass(frozen=True)
class WorldStep:
    """One step, its true label and its verification.

    Attributes:
        text: The step as the solver wrote it.
        correct: Whether the step follows from the problem and the steps before it, right or wrong.
        mistake: The planted mistake's kind, or None.
    """

    text: str
    correct: bool
    rationale: Rationale
    mistake: str | None = None


@dataclass(frozen=True)
class Example:
    """A problem, its solution step by step, and the index of the first wrong step (0-based) or None."""

    domain: str
    problem: str
    steps: tuple[WorldStep, ...]

    @property
    def first_error(self) -> int | None:
        return next((index for index, step in enumerate(self.steps) if not step.correct), None)


class World(Protocol):
    """A domain whose reasoning code can check."""

    name: str

    def example(self, rng: random.Random) -> Example:
        """Draw one example; the same generator state gives the same example."""
        ...


def run_trusted(code: str, variables: Mapping[str, object] | None = None) -> str:
    """Run code that *this package's own generators* wrote and return what it prints.

    Never for code a model wrote: that goes to the sandbox.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<rationale>", "exec"), {"__name__": "__main__", **(variables or {})})  # noqa: S102
    return printed.getvalue().rstrip("\n")


def planted_steps(rng: random.Random, count: int, first_weight: float = 1.0) -> set[int]:
    """Which of ``count`` steps get a mistake: none in a third of the solutions, sometimes two.

    Args:
        rng: The source of chance.
        count: Steps of the solution.
        first_weight: How often the first step is chosen, relative to each other one.
    """
    if rng.random() < 0.3:
        return set()
    weights = [first_weight, *[1.0] * (count - 1)]
    return set(rng.choices(range(count), weights, k=1 if rng.random() < 0.6 else 2))


def equality_rationale(analysis: str, claims: list[tuple[str, list[str]]], setup: str = "") -> Rationale:
    """A rationale that compares, for each claim, an expected expression with the step's own chain.

    Args:
        analysis: The analysis part.
        claims: Pairs of the expected expression and the expressions that the step says are equal to it.
        setup: Lines of code before the comparisons, each ending in a newline.
    """
    lines = [f"v = {expected}\nprint(v, {' == '.join(['v', *chain])})" for expected, chain in claims]
    code = setup + "\n".join(lines)
    output = run_trusted(code)
    wrong = [line.split(" ")[0] for line in output.split("\n") if line.endswith("False")]
    if wrong:
        conclusion = f"The code prints False: it should be {wrong[0]}."
    else:
        conclusion = "The code prints True."
    return Rationale(analysis, code, output, conclusion)
