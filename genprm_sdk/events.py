"""What a check says while it runs; ``Verifier.stream`` yields these, the last one is ``Finished``.

Steps come in order: a step is started once, each of its paths finishes once, in any order, and the step is
finished after its last path.
"""

from __future__ import annotations

from dataclasses import dataclass

from .types import Report, StepResult, VerificationPath

__all__ = ["Event", "Finished", "PathFinished", "StepFinished", "StepStarted"]


@dataclass(frozen=True)
class StepStarted:
    """The first path has reached step ``index`` (0-based) of ``total``."""

    index: int
    total: int


@dataclass(frozen=True)
class PathFinished:
    """One path has judged step ``index``."""

    index: int
    path: VerificationPath


@dataclass(frozen=True)
class StepFinished:
    """All paths have judged a step."""

    result: StepResult


@dataclass(frozen=True)
class Finished:
    """The check is complete."""

    report: Report


Event = StepStarted | PathFinished | StepFinished | Finished
