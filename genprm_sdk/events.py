"""What a check says while it runs; ``Verifier.stream`` yields these, the last one is ``Finished``.

Steps come in order: a step is started once, its paths write, run code and finish in any order, and the step
is finished after its last path.
"""

from __future__ import annotations

from dataclasses import dataclass

from .types import CodeRun, Report, StepResult, VerificationPath

__all__ = [
    "CodeExecuted",
    "Event",
    "Finished",
    "PathFinished",
    "PathRestarted",
    "StepFinished",
    "StepStarted",
    "TextWritten",
]


@dataclass(frozen=True)
class StepStarted:
    """The first path has reached step ``index`` (0-based) of ``total``."""

    index: int
    total: int


@dataclass(frozen=True)
class TextWritten:
    """A path's text on a step has grown.

    Attributes:
        index: The step.
        path: The path's number.
        text: What came to it.
        generated: Whether the model wrote it; otherwise it was put there: a tag, or a program's output.
    """

    index: int
    path: int
    text: str
    generated: bool


@dataclass(frozen=True)
class CodeExecuted:
    """A path's code block has run."""

    index: int
    path: int
    run: CodeRun


@dataclass(frozen=True)
class PathRestarted:
    """A path gives up what it has written on a step, because its code came to nothing, and begins anew."""

    index: int
    path: int


@dataclass(frozen=True)
class PathFinished:
    """One path has judged step ``index``; an earlier step than the one at hand, if it catches up."""

    index: int
    path: VerificationPath


@dataclass(frozen=True)
class StepFinished:
    """All paths that are to judge a step have judged it."""

    result: StepResult


@dataclass(frozen=True)
class Finished:
    """The check is complete."""

    report: Report


Event = StepStarted | TextWritten | CodeExecuted | PathRestarted | PathFinished | StepFinished | Finished
"""What ``Verifier.stream`` yields."""
