"""What a run and its workers say to each other: settings, folders, the order for a stage, what went wrong."""

from __future__ import annotations

import traceback
from typing import Annotated, Literal, Self

from pydantic import Field

from genprm_sdk.errors import (
    BackendError,
    GenPRMError,
    InputError,
    MissingExtraError,
    ModelError,
    SandboxError,
)
from genprm_sdk.types import Frozen

from ..recipe import PipelineRecipe
from ..stages import StageName

__all__ = ["IN", "OUT", "ClusterError", "Fault", "Order", "RaySettings"]

IN = "in"
"""The folder of what is to be made, in a stage's own."""

OUT = "out"
"""The folder of what is finished."""

Count = Annotated[int, Field(ge=1)]
Kind = Literal["input", "model", "sandbox", "backend"]

RAISED: dict[Kind, type[GenPRMError]] = {
    "input": InputError,
    "model": ModelError,
    "sandbox": SandboxError,
    "backend": BackendError,
}


class ClusterError(InputError):
    """There is no such cluster, or no room in it; there may be later."""


class RaySettings(Frozen):
    """Who does the work.

    Attributes:
        workers: Processes that each open a stage's models.
        cpus_per_worker: CPUs that Ray reserves for each; how many threads a model uses is in the recipe.
        gpus_per_worker: The same for GPUs; a worker sees only its own.
        batch: Records a worker is given, and gives back, at a time; so many a worker are lost by a crash.
        address: A Ray cluster that this machine belongs to, as ``auto`` or ``host:port``; None starts one on
            this machine alone and ends it with the run.
    """

    workers: Count
    cpus_per_worker: Annotated[float, Field(ge=0)] = 1.0
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    batch: Count = 16
    address: str | None = None


class Order(Frozen):
    """What a worker is to do.

    Attributes:
        lineage: The stage's on the machine that gives the order: a worker's must be the same.
    """

    stage: StageName
    lineage: str
    recipe: PipelineRecipe


class Fault(Frozen):
    """An error of a worker, on its way to the run that it ends.

    Attributes:
        words: What an error says to people.
        trace: Where it came from, on the worker.
    """

    kind: Kind
    words: str
    trace: str

    @classmethod
    def of(cls, error: Exception, host: str) -> Self:
        """Of what was raised on a machine of that name."""
        if isinstance(error, (InputError, MissingExtraError)):
            kind: Kind = "input"
        elif isinstance(error, ModelError):
            kind = "model"
        else:
            kind = "sandbox" if isinstance(error, SandboxError) else "backend"
        words = str(error)
        if not isinstance(error, GenPRMError):
            first, *_ = words.splitlines() or [""]
            words = f"{type(error).__name__}: {first}"
        trace = "".join(traceback.format_exception(error))
        return cls(kind=kind, words=f"the worker on {host}: {words}", trace=trace)

    def error(self) -> GenPRMError:
        """The same as an error of ours."""
        error = RAISED[self.kind](self.words)
        error.add_note(self.trace)
        return error
