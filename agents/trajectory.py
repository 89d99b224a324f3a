"""What an agent did, as frozen models that round-trip through JSON: attempts, turns, the whole trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..errors import GenPRMError
from ..types import Frozen, Report
from .spending import Spent, Stopped

__all__ = ["AgentError", "Attempt", "Challenge", "Fault", "FaultKind", "Trajectory", "Turn", "best_of"]

FaultKind = Literal[
    "raised", "hung", "empty", "no_steps", "too_long", "unfinished", "no_answer", "unreadable", "context"
]

Verdict = Literal["correct", "incorrect", "unparsed", "incomplete"]


class Fault(Frozen):
    """Why what a policy wrote is not used.

    Attributes:
        kind: ``raised`` an exception, ``hung``, ``empty``, ``no_steps``, ``too_long``, ``unfinished`` at the
            limit of tokens, ``no_answer`` in a box, ``unreadable`` for the critic, or more than a model's
            ``context``.
        message: One line.
    """

    kind: FaultKind
    message: str


class Challenge(Frozen):
    """A step that is held against a policy.

    Attributes:
        step: Its index, from 0.
        text: What it says.
        score: What the critic gave it, or None.
        confidence: How probable it is that most of infinitely many verifications would call it wrong.
        reason: What is said against it.
        critic: Who says so.
    """

    step: int = Field(ge=0)
    text: str
    score: float | None
    confidence: float
    reason: str
    critic: str


class Attempt(Frozen):
    """One answer of a policy.

    Attributes:
        index: Its place in the trajectory, from 0.
        parent: The attempt that it repairs or goes on from, or None.
        seed: What it was drawn with.
        text: The whole solution, what was kept of the parent included.
        steps: Its steps.
        kept: How many of the first steps are the parent's and were not written again.
        answer: What stands in its box, or None.
        complete: Whether it is a whole solution; a step of a search is not.
        repeats: The earlier attempt that says the same, or None.
        fault: Why it is not used, or None.
        score: What it is ranked by, or None where it was not judged to its end.
        verdict: What the critic says of it, or None where it did not.
        report: The verification behind that, or None.
        remark: What the critic said otherwise.
        spent: What writing and judging it cost.
    """

    index: int = Field(ge=0)
    parent: int | None = None
    seed: int = 0
    text: str
    steps: tuple[str, ...] = ()
    kept: int = 0
    answer: str | None = None
    complete: bool = True
    repeats: int | None = None
    fault: Fault | None = None
    score: float | None = None
    verdict: Verdict | None = None
    report: Report | None = None
    remark: str | None = None
    spent: Spent = Spent()


class Turn(Frozen):
    """One round of an agent.

    Attributes:
        index: From 0.
        challenge: What was held against the attempt before, or None.
        ignored: Whether the repair holds the challenged step as it was.
        attempts: Indices of what was written in it.
    """

    index: int = Field(ge=0)
    challenge: Challenge | None = None
    ignored: bool = False
    attempts: tuple[int, ...] = ()


class Trajectory(Frozen):
    """All that an agent did for one problem.

    ``model_validate_json`` also reads the lines of ``genprm refine --json`` and ``genprm solve --json``.

    Attributes:
        agent: What kind it was.
        problem: What was to be solved.
        id: The caller's own identifier.
        policy: Who wrote.
        critic: Who judged, or None.
        seed: What the draws were made from.
        given: Whether the first attempt was given by the caller.
        turns: In order.
        attempts: In order.
        best: Index of the attempt to use: by score, of equal ones the earliest; None if there is none.
        stopped: Why it ended; None while it has not.
        weights: Of a vote, what each answer came to; the answers as they were first written.
        spent: What all of it cost.
        seconds: By the clock.
    """

    agent: str
    problem: str
    id: Annotated[str, Field(coerce_numbers_to_str=True)] | None = None
    policy: str
    critic: str | None = None
    seed: int = 0
    given: bool = False
    turns: tuple[Turn, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    best: int | None = None
    stopped: Stopped | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    spent: Spent = Spent()
    seconds: float = Field(0.0, ge=0.0)

    @model_validator(mode="before")
    @classmethod
    def _without_what_the_command_adds(cls, given: object) -> object:
        if isinstance(given, Mapping):
            return {name: given[name] for name in given if name not in ("answer", "right", "verified")}
        return given

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for place, attempt in enumerate(self.attempts):
            if attempt.index != place:
                raise ValueError(f"attempt {place} says that it is number {attempt.index}")
            for name, earlier in (("parent", attempt.parent), ("repeats", attempt.repeats)):
                if earlier is not None and not 0 <= earlier < place:
                    raise ValueError(f"the {name} of attempt {place} is {earlier}, which is none before it")
        named = {index for turn in self.turns for index in turn.attempts}
        for index in named if self.best is None else {self.best, *named}:
            if not 0 <= index < len(self.attempts):
                raise ValueError(f"it names attempt {index} and holds {len(self.attempts)} attempts")
        return self

    @property
    def answer(self) -> str | None:
        """The best attempt's answer."""
        return None if self.best is None else self.attempts[self.best].answer

    @property
    def solution(self) -> Attempt | None:
        """The best attempt."""
        return None if self.best is None else self.attempts[self.best]

    @property
    def first(self) -> Attempt | None:
        """The first attempt that is one."""
        return next(
            (attempt for attempt in self.attempts if attempt.fault is None and attempt.complete), None
        )

    @property
    def verified(self) -> bool:
        """Whether the critic found no mistake in the best attempt."""
        best = self.solution
        return best is not None and best.verdict == "correct"

    def to_html(self, title: str | None = None) -> str:
        """One HTML page that needs nothing from anywhere; see ``genprm_sdk.agents.html``."""
        from .html import render_page

        return render_page(self, title)

    def _repr_html_(self) -> str:
        from .html import render_fragment

        return render_fragment(self)

    def to_text(self, width: int = 100) -> str:
        """The same as plain text."""
        from .terminal import plain_text

        return plain_text(self, width)


def best_of(attempts: Sequence[Attempt]) -> int | None:
    """The attempt to use: by score, of equal ones the earliest; an unfinished one if need be."""
    fine = [each for each in attempts if each.fault is None]
    usable = [each for each in fine if each.complete] or fine
    if not usable:
        return None

    def worth(attempt: Attempt) -> tuple[float, int, int]:
        far = 0 if attempt.complete else len(attempt.steps)
        return (-1.0 if attempt.score is None else attempt.score, far, -attempt.index)

    return max(usable, key=worth).index


class AgentError(GenPRMError):
    """An agent could not go on; what it had done rides on it.

    Attributes:
        trajectory: What was done, best attempt included; it can be resumed.
    """

    def __init__(self, message: str, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.trajectory), self.__dict__
