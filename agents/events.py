"""What an agent says while it works; ``Agent.stream`` yields these, the last one is ``AgentFinished``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..events import Event
from .trajectory import Attempt, Trajectory, Turn

__all__ = [
    "AgentEvent",
    "AgentFinished",
    "AttemptJudged",
    "AttemptWritten",
    "Checking",
    "PolicyRetried",
    "PolicyWrote",
    "TurnFinished",
    "TurnStarted",
    "replay",
]


@dataclass(frozen=True)
class TurnStarted:
    """A round begins, with what is held against the attempt before; ``trajectory`` is what there was then."""

    turn: Turn
    trajectory: Trajectory


@dataclass(frozen=True)
class PolicyWrote:
    """The text of an attempt has grown, where the policy streams."""

    attempt: int
    text: str


@dataclass(frozen=True)
class PolicyRetried:
    """The policy raised and is asked again; what it wrote of the attempt counts for nothing."""

    attempt: int
    message: str


@dataclass(frozen=True)
class AttemptWritten:
    """The policy has answered, well or not."""

    attempt: Attempt


@dataclass(frozen=True)
class Checking:
    """The verifier says something about an attempt."""

    attempt: int
    event: Event


@dataclass(frozen=True)
class AttemptJudged:
    """The critic is through with an attempt, which now has its score."""

    attempt: Attempt


@dataclass(frozen=True)
class TurnFinished:
    """A round is over; ``trajectory`` is what there is so far, and can be resumed."""

    turn: Turn
    trajectory: Trajectory


@dataclass(frozen=True)
class AgentFinished:
    """The agent is through."""

    trajectory: Trajectory


AgentEvent = (
    TurnStarted
    | PolicyWrote
    | PolicyRetried
    | AttemptWritten
    | Checking
    | AttemptJudged
    | TurnFinished
    | AgentFinished
)
"""What ``Agent.stream`` yields."""


def replay(trajectory: Trajectory) -> Iterator[AgentEvent]:
    """The events of a trajectory once more, attempt by attempt, without the growing of texts.

    Each attempt is judged right behind its writing, whereas an agent that has several written at once tells
    that all of them are there before it tells that one is judged.
    """
    known: tuple[Attempt, ...] = ()
    unsettled = {"best": None, "stopped": None}
    for number, turn in enumerate(trajectory.turns):
        begun = turn.model_copy(update={"attempts": (), "ignored": False})
        turns = (*trajectory.turns[:number], begun)
        before = {"turns": turns, "attempts": known, **unsettled}
        yield TurnStarted(begun, trajectory.model_copy(update=before))
        for index in turn.attempts:
            attempt = trajectory.attempts[index]
            bare = {"score": None, "verdict": None, "report": None, "remark": None}
            yield AttemptWritten(attempt.model_copy(update=bare))
            if attempt.verdict is not None:
                yield AttemptJudged(attempt)
        known = trajectory.attempts[: max(turn.attempts, default=len(known) - 1) + 1]
        so_far = {"turns": trajectory.turns[: number + 1], "attempts": known, **unsettled}
        yield TurnFinished(turn, trajectory.model_copy(update=so_far))
    yield AgentFinished(trajectory)
