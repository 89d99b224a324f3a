"""Models by name: the bundled ones, and any GGUF file by its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import UnknownModelError

__all__ = ["BundledModel", "bundled_models", "find_model"]

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class BundledModel:
    """A model that ships inside the package.

    Attributes:
        name: What callers write.
        description: One line.
        file: The GGUF file's name; the model card lies beside it under the same name with ``.md``.
    """

    name: str
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
        "verifier, 2.3M parameters: multistep arithmetic and grade-school word problems",
        "genprm-mini.gguf",
    ),
)


def bundled_models() -> tuple[BundledModel, ...]:
    """The models that ship inside the package."""
    return BUNDLED


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
