"""Models that have a name: the bundled ones, and the published ones that can be downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import UnknownModelError

__all__ = [
    "DEFAULT_QUANTISATION",
    "BundledModel",
    "KnownModel",
    "bundled_model",
    "bundled_models",
    "known_models",
]

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


@dataclass(frozen=True)
class KnownModel:
    """A published model that can be called by a short name.

    Attributes:
        name: What callers write.
        description: One line.
        repo: Where its own weights lie, as safetensors.
        gguf_repo: Where its quantised GGUF files lie.
        size: About how many bytes its own weights are.
        gguf_size: About how many bytes its GGUF file of ``DEFAULT_QUANTISATION`` is.
    """

    name: str
    description: str
    repo: str
    gguf_repo: str
    size: int
    gguf_size: int


DEFAULT_QUANTISATION = "Q4_K_M"
"""Which GGUF file a known model's bare name stands for."""

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


# The names of the GGUF repositories follow their publisher's habit and are unverified, as are the sizes,
# which are those of other models of the same shape.
KNOWN = tuple(
    KnownModel(
        f"genprm-{size.lower()}",
        f"GenPRM with {size[:-1]} billion parameters, trained on competition mathematics",
        f"GenPRM/GenPRM-{size}",
        f"mradermacher/GenPRM-{size}-GGUF",
        whole,
        quantised,
    )
    for size, whole, quantised in (
        ("1.5B", 3_550_000_000, 1_120_000_000),
        ("7B", 15_200_000_000, 4_680_000_000),
        ("32B", 65_500_000_000, 19_900_000_000),
    )
)


def bundled_models() -> tuple[BundledModel, ...]:
    """The models that ship inside the package."""
    return BUNDLED


def known_models() -> tuple[KnownModel, ...]:
    """The published models that have a short name."""
    return KNOWN


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
