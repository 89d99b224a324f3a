"""What decides a benchmark's results beside its records."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any, Self

from pydantic import Field

from ..models import locate
from ..models.fingerprint import fingerprint
from ..modes import History, Reasoning
from ..options import CheckOptions, adaptive_of
from ..types import Frozen
from .datasets import Benchmark
from .store import FORMAT, Format

__all__ = ["Settings", "library_version"]


def library_version() -> str:
    """This library's."""
    return version("genprm-sdk")


class Settings(Frozen):
    """Everything but the record that decides a result.

    Attributes:
        format: Of the folder.
        benchmark: Whose records they are.
        model: The model's name.
        model_file: A fingerprint of its file, or None if there is no file.
        samples: Verification paths a step.
        seed: Decides what is drawn.
        reasoning: What is written before a verdict, or None for what the model's file says.
        history: What paths saw of earlier steps, or None for what the model's file says.
        adaptive: See ``options.adaptive_of``.
        stop_at_first_error: Whether steps behind the first wrong one are left unchecked.
        exact: Whether results do not depend on what else runs.
        version: This library's.
    """

    format: Format = FORMAT
    benchmark: Benchmark
    model: str
    model_file: str | None = None
    samples: int = 1
    seed: int = 0
    reasoning: Reasoning | None = None
    history: History | None = None
    adaptive: str = "auto"
    stop_at_first_error: bool = False
    exact: bool = False
    version: str = Field(default_factory=library_version)

    @classmethod
    def of(cls, benchmark: Benchmark, model: str | os.PathLike[str], **others: Any) -> Self:
        """The settings of a model by its name, path or address; the other fields by their names.

        Raises:
            UnknownModelError: There is no such model.
            InputError: ``adaptive`` means nothing.
        """
        located = locate(model)
        adaptive_of(others.get("adaptive", "auto"))
        return cls(benchmark=benchmark, model=located.name, model_file=fingerprint(located), **others)

    @property
    def options(self) -> CheckOptions:
        """What each check is told."""
        return CheckOptions(
            samples=self.samples,
            seed=self.seed,
            adaptive=adaptive_of(self.adaptive),
            stop_at_first_error=self.stop_at_first_error,
        )
