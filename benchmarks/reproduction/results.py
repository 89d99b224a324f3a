"""What an experiment has found, as it is kept and printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .scoring import Interval

__all__ = ["Claim", "Picture", "Result", "Rows"]

Standing = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Claim:
    """Something that the paper says, and the difference that would bear it out if it is above 0."""

    text: str
    difference: Interval

    @property
    def standing(self) -> Standing:
        """By the 95% interval of the difference."""
        if self.difference.low > 0:
            return "holds"
        return "does not hold" if self.difference.high < 0 else "undecided"


@dataclass(frozen=True)
class Rows:
    """A table; the first row is its head."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """Lines over something that is doubled: (x, y) by name, y in percent or as the title says."""

    title: str
    across: str
    lines: dict[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True)
class Result:
    """One experiment's part of the page.

    Attributes:
        how: What was done, in a few sentences.
        paper: What the paper found.
        tables: What was found.
        claims: What of it is borne out.
        pictures: Plots.
        remarks: What a reader must know besides.
    """

    how: str
    paper: str
    tables: tuple[Rows, ...]
    claims: tuple[Claim, ...] = ()
    pictures: tuple[Picture, ...] = ()
    remarks: tuple[str, ...] = field(default=())
