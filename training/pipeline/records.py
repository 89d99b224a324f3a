"""What the stages hand on: frozen models that round-trip through JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from genprm_sdk.modes import Reasoning
from genprm_sdk.types import CodeStatus, Frozen

__all__ = [
    "Conversation",
    "Drop",
    "Estimate",
    "Estimated",
    "Estimates",
    "Kept",
    "Labelled",
    "Message",
    "Problem",
    "Rationale",
    "Rollout",
    "Rollouts",
    "Scored",
    "StepLabel",
    "Turn",
]

Outcomes = Annotated[str, Field(pattern="^[01]*$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Span = tuple[int, int]


class Drop(Frozen):
    """A record that goes no further.

    Attributes:
        reason: Why, in words that can be counted.
        detail: What is particular about this one.
    """

    reason: str
    detail: str = ""


class Problem(Frozen):
    """What is to be solved.

    Attributes:
        domain: The world that it is from, which then reads answers; None is mathematics.
        source: Where it is from, for people.
    """

    text: str
    answer: str
    domain: str | None = None
    source: str = ""


class Rollout(Frozen):
    """A solution as the policy wrote it.

    Attributes:
        separator: What stands between two of its steps.
        correct: Whether its answer is the problem's.
        number: Which of the draws it was.
    """

    steps: Annotated[tuple[str, ...], Field(min_length=1)]
    separator: str
    correct: bool
    number: int


class Rollouts(Frozen):
    """A problem and the solutions of it that were kept.

    Attributes:
        outcomes: Of all draws in order, whether the answer was right.
        unanswered: Draws that came to no answer.
        tokens: Written in all draws together.
    """

    problem: Problem
    rollouts: tuple[Rollout, ...]
    outcomes: Outcomes
    unanswered: int
    tokens: int


class Estimate(Frozen):
    """A Monte Carlo score.

    Attributes:
        outcomes: Of the completions in order, whether they reached the answer.
        known: The score where it needs no completions: of a solution's end.
    """

    outcomes: Outcomes = ""
    known: bool | None = None

    @property
    def drawn(self) -> int:
        """How many completions there were."""
        return len(self.outcomes)

    @property
    def right(self) -> int:
        """How many of them reached the answer."""
        return self.outcomes.count("1")

    @property
    def score(self) -> float:
        """The share that did; 0 where there were none, since nothing was drawn behind a score of 0."""
        if self.known is not None:
            return float(self.known)
        return self.right / self.drawn if self.drawn else 0.0

    def first(self, count: int) -> Estimate:
        """The same, had only so many completions been drawn."""
        return Estimate(outcomes=self.outcomes[:count], known=self.known)


class Estimated(Frozen):
    """A solution and the score behind each of its steps."""

    rollout: Rollout
    steps: tuple[Estimate, ...]


class Estimates(Frozen):
    """A problem's solutions with their scores.

    Attributes:
        start: Before the first step: how often the problem is solved at all.
        most: Completions a prefix may take (the paper's K).
        drawn: Completions that were drawn for this.
        full: Completions that would have been drawn, had each prefix in question got ``most``.
        tokens: Written in all of them.
    """

    problem: Problem
    start: Estimate
    solutions: tuple[Estimated, ...]
    most: int
    drawn: int
    full: int
    tokens: int


class Scored(Frozen):
    """One of a problem's solutions with its scores.

    Attributes:
        start: Before the first step.
        estimates: Behind each step.
    """

    problem: Problem
    rollout: Rollout
    start: Estimate
    estimates: tuple[Estimate, ...]


class StepLabel(Frozen):
    """What the scores say about a step.

    Attributes:
        value: What was held against the threshold: the ratio, the difference or the score; None behind a
            score of 0, where there is none.
        low: Lower end of the value's 95% interval.
        high: Its upper end.
        confidence: The posterior probability that the label would be the same with endless completions.
    """

    correct: bool
    value: float | None
    low: float | None
    high: float | None
    confidence: Probability


class Turn(Frozen):
    """A verification of one step, in the words of the protocol.

    Attributes:
        correct: Its verdict, or None if it cannot be read.
        written: The spans of the text that the teacher wrote: neither forced nor printed by code.
        code: How its code blocks ended.
        degraded: Why its code part was given up, or None.
    """

    text: str
    correct: bool | None
    written: tuple[Span, ...]
    code: tuple[CodeStatus, ...] = ()
    degraded: str | None = None


class Rationale(Scored):
    """A solution and what a teacher wrote about it.

    Attributes:
        judged: The teacher's label of each step; None where it gave none.
        paths: Its verifications, one list of turns a path; a path may end before the last step.
    """

    judged: tuple[bool | None, ...]
    paths: tuple[tuple[Turn, ...], ...]


class Labelled(Frozen):
    """A solution with a label for each step, and what a teacher wrote who did not know them."""

    rationale: Rationale
    labels: tuple[StepLabel, ...]

    @property
    def first_error(self) -> int | None:
        """The index of the first step that is labelled wrong, from 0, or None."""
        return next((index for index, label in enumerate(self.labels) if not label.correct), None)


class Kept(Frozen):
    """A solution on which scores and teacher agree, and the verifications that say so."""

    problem: Problem
    rollout: Rollout
    labels: tuple[StepLabel, ...]
    turns: tuple[Turn, ...]


class Message(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Conversation(Frozen):
    """One training example in the protocol.

    Attributes:
        reasoning: What its verifications consist of.
        labels: Of the steps that are verified, in order.
        train: Spans to train on: message index, start, end (in characters).
    """

    problem: str
    domain: str | None
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE
    steps: tuple[str, ...]
    labels: tuple[bool, ...]
    messages: tuple[Message, ...]
    train: tuple[tuple[int, int, int], ...]
