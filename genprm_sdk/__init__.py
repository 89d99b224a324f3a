"""GenPRM SDK: step-by-step verification of a language model's reasoning.

    async with Verifier("genprm-mini") as verifier:
        report = await verifier.check(steps, problem=problem, samples=4, seed=7)

Importing this package loads no model engine, no torch and no sympy.
"""

from __future__ import annotations

from typing import Any

from .backends import Backend, Counters, Generation, OpenSequence, Sampling
from .errors import (
    BackendError,
    ClosedError,
    ContextLengthError,
    GenPRMError,
    InputError,
    MissingExtraError,
    ModelError,
    ModelFileError,
    SandboxError,
    SandboxUnavailable,
    UnknownModelError,
)
from .events import Event, Finished, PathFinished, StepFinished, StepStarted
from .models import VerifierSettings
from .sandbox import Limits, Sandbox
from .types import CodeRun, Report, Solution, StepResult, Usage, VerificationPath, split_steps
from .verifier import Verifier

__all__ = [
    "Backend",
    "BackendError",
    "ClosedError",
    "CodeRun",
    "ContextLengthError",
    "Counters",
    "Event",
    "Finished",
    "GenPRMError",
    "Generation",
    "InputError",
    "Limits",
    "MissingExtraError",
    "ModelError",
    "ModelFileError",
    "OpenSequence",
    "PathFinished",
    "Report",
    "Sampling",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "Solution",
    "StepFinished",
    "StepResult",
    "StepStarted",
    "UnknownModelError",
    "Usage",
    "VerificationPath",
    "Verifier",
    "VerifierSettings",
    "split_steps",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("genprm-sdk")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
