"""What every world hands out: problems, solutions with known labels, and a rationale for every step.

Knows the shape of an example and how a rationale's code is run to learn its output. What a domain's
problems and mistakes look like is the business of one file a domain; how a rationale becomes protocol
text and tokens is the business of ``training.dataset``.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "Example",
    "Exercise",
    "Rationale",
    "World",
    "WorldStep",
    "boxed_answer",
    "concluded",
    "equality_rationale",
    "judged",
    "numbered",
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
    """A problem and a solution whose every step is labelled and verified.

    Attributes:
        domain: The world's name.
        problem: The problem's text.
        steps: The solution.
        setup: Code that holds what the model extracted from the problem; it stands before the first step's
            code, and since one solution's steps share a session, later steps use its names. No other name
            lives on from step to step.
    """

    domain: str
    problem: str
    steps: tuple[WorldStep, ...]
    setup: str = ""

    @property
    def first_error(self) -> int | None:
        """The index of the first wrong step, from 0, or None."""
        return next((index for index, step in enumerate(self.steps) if not step.correct), None)


@dataclass(frozen=True)
class Exercise:
    """A problem for a solver, with one right solution.

    Attributes:
        domain: The world's name.
        problem: The problem's text.
        steps: A right solution, ``Step 1: …`` and so on; the last holds the answer in ``\\boxed{}``.
        answer: What stands in the box.
    """

    domain: str
    problem: str
    steps: tuple[str, ...]
    answer: str


class World(Protocol):
    """A domain whose reasoning code can check.

    Attributes:
        name: The domain's name in recipes, tables and files.
        styles: The phrasing styles of its solutions; ``solver`` is how ``exercise`` writes.
        held_out_style: The one of them that training never draws, to measure how far a verifier carries.
    """

    name: str
    styles: tuple[str, ...]
    held_out_style: str

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw one example; the same generator state gives the same example.

        Args:
            rng: The source of chance.
            style: The phrasing style; None draws one of those that are not held out.
        """
        ...

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw a problem for a solver with a right solution in the ``solver`` style."""
        ...

    def practice(self, rng: random.Random) -> Exercise:
        """Draw an exercise to learn from: where ``exercise`` draws only long ones, shorter ones too."""
        return self.exercise(rng)

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Label a solver's solution and write the rationales, or None if a step is unreadable."""
        ...


BOX = "\\boxed{"


def boxed_answer(text: str) -> str | None:
    """What stands in the last ``\\boxed{}`` of a text, or None."""
    start, end = text.rfind(BOX), text.rfind("}")
    return text[start + len(BOX) : end].strip() if 0 <= start < end else None


def numbered(steps: Iterable[str]) -> tuple[str, ...]:
    """The steps with ``Step 1: `` and so on in front."""
    return tuple(f"Step {number}: {step}" for number, step in enumerate(steps, start=1))


def concluded(
    analysis: str, code: str, expected: object, right: bool, output: str | None = None
) -> Rationale:
    """A rationale whose code says what the step should have said, and whether it did.

    Args:
        analysis: The analysis part.
        code: The code.
        expected: What the step should have said.
        right: Whether it said so.
        output: What the code prints, if that is more than ``expected`` and ``right``.
    """
    conclusion = "The code prints True." if right else f"The code prints False: it should be {expected}."
    return Rationale(analysis, code, f"{expected} {right}" if output is None else output, conclusion)


def judged(analysis: str, code: str, setup: str = "", names: Mapping[str, object] | None = None) -> Rationale:
    """The rationale whose code prints, on its last line, what it should be and then True or False.

    Args:
        analysis: The analysis part.
        code: Code that ends by printing the expected value and whether the step agrees with it.
        setup: The example's set-up, which the code may use.
        names: What a set-up that was run before has left.
    """
    output = run_trusted(setup + code, names)
    expected, _, verdict = output.rpartition("\n")[2].rpartition(" ")
    return concluded(analysis, code, expected, verdict == "True", output)


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
    return concluded(analysis, code, next(iter(wrong), None), not wrong, output)
