"""Models by name: the bundled ones, and any GGUF file by its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import UnknownModelError

__all__ = ["BundledModel", "bundled_model", "bundled_models", "find_model"]

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class BundledModel:
    """A model that ships inside the package.

    Attributes:
        name: What callers write.
        role: What it writes: ``verifier`` or ``policy``.
        description: One line.
        file: The GGUF file's name; the model card lies beside it under the same name with ``.md``.
    """

    name: str
    role: Literal["verifier", "policy"]
    description: str
    file: str

    @property
    def path(self) -> Path:
        return DATA / self.file

    @property
    def card(self) -> Path:
        return self.path.with_suffix(".md")


BUNDLED = (
    BundledModel(
        "genprm-mini",
        "verifier",
        "verifies arithmetic, word problems, sorting, shuffled objects, logical deduction, Dyck languages",
        "genprm-mini.gguf",
    ),
    BundledModel(
        "policy-mini",
        "policy",
        "solves small problems of the same six domains step by step",
        "policy-mini.gguf",
    ),
)


def bundled_models() -> tuple[BundledModel, ...]:
    """The models that ship inside the package."""
    return BUNDLED


def bundled_model(name: str) -> BundledModel:
    """The bundled model of a name.

    Raises:
        UnknownModelError: There is none.
    """
    for entry in BUNDLED:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in BUNDLED)
    raise UnknownModelError(f"no bundled model is called {name!r}; there are {names}")


def find_model(model: str | os.PathLike[str]) -> tuple[str, Path]:
    """The name and the file of a model given by name or by path.

    Raises:
        UnknownModelError: It is neither a bundled model's name nor an existing file.
    """
    for entry in BUNDLED:
        if entry.name == model:
            return entry.name, entry.path
    path = Path(model)
    if path.is_file():
        return path.stem, path
    names = ", ".join(entry.name for entry in BUNDLED)
    if path.suffix == ".gguf" or os.sep in str(model):
        raise UnknownModelError(
            f"there is no model file {path}: give a GGUF file or a bundled model ({names})"
        )
    raise UnknownModelError(f"unknown model {str(model)!r}: bundled are {names}; or give a GGUF file's path")
