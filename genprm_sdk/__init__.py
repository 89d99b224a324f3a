"""GenPRM SDK: step-by-step verification of a language model's reasoning.

    async with Verifier("genprm-mini") as verifier:
        report = await verifier.check(steps, problem=problem, samples=4, seed=7)

Importing this package loads no model engine, no torch and no sympy.
"""

from __future__ import annotations

from typing import Any

from .backends import Backend, Counters, Generation, OpenSequence, Sampling
from .diagnostics import Diagnostics
from .errors import (
    BackendError,
    ClosedError,
    ContextLengthError,
    DownloadError,
    GenPRMError,
    InputError,
    MissingExtraError,
    ModelError,
    ModelFileError,
    SandboxError,
    SandboxUnavailable,
    UnknownModelError,
    UnreadableVerdictWarning,
)
from .events import (
    CodeExecuted,
    Event,
    Finished,
    PathFinished,
    PathRestarted,
    StepFinished,
    StepStarted,
    TextWritten,
)
from .models import VerifierSettings
from .modes import History, Reasoning
from .options import Adaptive, Budget, Cascade, CheckOptions
from .sandbox import Limits, Sandbox
from .scoring import SolutionScores
from .types import CodeRun, Report, Solution, StepResult, Usage, VerificationPath, Votes, split_steps
from .verifier import Checked, Ranked, Verifier

__all__ = [
    "Adaptive",
    "Backend",
    "BackendError",
    "Budget",
    "Cascade",
    "CheckOptions",
    "Checked",
    "ClosedError",
    "CodeExecuted",
    "CodeRun",
    "ContextLengthError",
    "Counters",
    "Diagnostics",
    "DownloadError",
    "Event",
    "Finished",
    "GenPRMError",
    "Generation",
    "History",
    "InputError",
    "Limits",
    "MissingExtraError",
    "ModelError",
    "ModelFileError",
    "OpenSequence",
    "PathFinished",
    "PathRestarted",
    "Ranked",
    "Reasoning",
    "Report",
    "Sampling",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "Solution",
    "SolutionScores",
    "StepFinished",
    "StepResult",
    "StepStarted",
    "TextWritten",
    "UnknownModelError",
    "UnreadableVerdictWarning",
    "Usage",
    "VerificationPath",
    "Verifier",
    "VerifierSettings",
    "Votes",
    "split_steps",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("genprm-sdk")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
