"""What a run with many paths would have come to with fewer: the curve of test-time scaling.

The first n paths of each step are what a run with ``samples=n`` and the same seed draws, so one run gives the
whole curve. Where a step's later paths were left out because they could not change its label, they change
nothing here either.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Frozen
from .metrics import HEADLINE, Estimate, Tally, score_subsets
from .outcome import Outcome
from .settings import Settings

__all__ = ["AVERAGE", "Point", "by_subset", "doublings", "scaling_curves"]

AVERAGE = "unweighted mean"


class Point(Frozen):
    """The headline metric with so many paths."""

    samples: int
    value: Estimate


def doublings(most: int) -> list[int]:
    """1, 2, 4 and so on up to a number, and that number."""
    return sorted({most, *(1 << power for power in range(most.bit_length()))} - {0})


def by_subset(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Outcomes by their subsets, in the order in which these first occur."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.subset, []).append(outcome)
    return groups


def scaling_curves(settings: Settings, outcomes: Sequence[Outcome]) -> dict[str, tuple[Point, ...]]:
    """The curve of each subset, and of their average if there are several.

    None where the run stopped at first errors, for what fewer paths say of the steps behind is not known.
    """
    if settings.samples == 1 or settings.stop_at_first_error:
        return {}
    groups = by_subset(outcomes)
    name = HEADLINE[settings.benchmark]
    curves: dict[str, list[Point]] = {}
    for count in doublings(settings.samples):
        tallies = {
            subset: Tally.of(outcome.with_first_paths(count) for outcome in group)
            for subset, group in groups.items()
        }
        scores, average = score_subsets(settings.benchmark, tallies, settings.seed)
        values = {subset: each.metrics[name] for subset, each in scores.items()}
        if average is not None:
            values[AVERAGE] = average[name]
        for subset, value in values.items():
            curves.setdefault(subset, []).append(Point(samples=count, value=value))
    return {subset: tuple(points) for subset, points in curves.items()}
