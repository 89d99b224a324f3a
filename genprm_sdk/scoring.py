"""From the scores of steps to the score of a solution. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from .arguments import one_of

__all__ = ["Aggregate", "SolutionScores"]

Aggregate = Literal["last", "mean", "min", "product"]
"""How step scores become a solution's: PRM-Last, PRM-Avg, PRM-Min (arXiv 2504.00891, section 4), product."""


@dataclass(frozen=True)
class SolutionScores:
    """The scores of a solution's judged steps, and what they come to.

    Attributes:
        steps: One for each judged step, in order; None where no verdict could be read.
        last: That of the last judged step.
        mean: Over the readable steps.
        min: Over the readable steps.
        product: Over the readable steps.
    """

    steps: tuple[float | None, ...]
    last: float | None
    mean: float | None
    min: float | None
    product: float | None

    @classmethod
    def of(cls, scores: Sequence[float | None]) -> SolutionScores:
        """Work out all of them; each is None where nothing could be read."""
        read = [score for score in scores if score is not None]
        if not read:
            return cls(tuple(scores), None, None, None, None)
        return cls(tuple(scores), scores[-1], math.fsum(read) / len(read), min(read), math.prod(read))

    def by(self, aggregate: Aggregate) -> float | None:
        """The one that is named.

        Raises:
            InputError: None is.
        """
        one_of(get_args(Aggregate), aggregate, "aggregate")
        value: float | None = getattr(self, aggregate)
        return value
