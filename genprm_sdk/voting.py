"""From paths to a step's label and score, when enough of them have voted, and from steps to a verdict.

Pure functions. The order in which paths arrive changes nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from .options import Adaptive
from .types import Label, ReportVerdict

__all__ = ["combine_paths", "first_error", "report_verdict", "settled", "soonest"]


class Scored(Protocol):
    """What is needed of a path."""

    @property
    def score(self) -> float | None: ...


class Judged(Protocol):
    """What is needed of a step."""

    @property
    def index(self) -> int: ...
    @property
    def label(self) -> Label: ...


def combine_paths(paths: Sequence[Scored]) -> tuple[Label, float | None]:
    """Label and score of a step: the mean of the readable paths' scores against 0.5.

    A path whose verdict cannot be read is no evidence and is left out (arXiv 2504.00891, section 3.3, where
    the reference counts it as 0.5).
    """
    scores = [path.score for path in paths if path.score is not None]
    if not scores:
        return "unparsed", None
    # fsum rounds once, so the mean depends neither on the order nor on the version of Python.
    mean = math.fsum(scores) / len(scores)
    return ("correct" if mean >= 0.5 else "incorrect"), mean


def settled(scores: Sequence[float | None], missing: int, adaptive: Adaptive) -> bool:
    """Whether a step's label needs no more paths.

    Args:
        scores: Of the paths that have voted; None where a verdict could not be read.
        missing: Paths that have not.
        adaptive: What is enough.
    """
    read = [score for score in scores if score is not None]
    if not read or not missing:
        return not missing
    # A missing path that cannot be read leaves the mean as it is, so the extremes are all 0 or all 1. Sums
    # against half a count, which is exact, decide as combine_paths does.
    total, most = math.fsum(read), len(read) + missing
    if total >= most / 2 or math.fsum([*read, missing]) < most / 2:
        return True
    if adaptive.error is None:
        return False
    yes = sum(score >= 0.5 for score in read)
    no = len(read) - yes
    for_it, against = (yes, no) if total >= len(read) / 2 else (no, yes)
    return _other_majority(for_it, against) <= adaptive.error


def _other_majority(for_it: int, against: int) -> float:
    """P(p < 1/2) under the posterior Beta(for_it + 1, against + 1) of the share p that votes for the label.

    For whole numbers the incomplete beta function at one half is a tail of a binomial distribution.
    """
    votes = for_it + against + 1
    tail = ways = 1
    for count in range(1, against + 1):
        ways = ways * (votes - count + 1) // count
        tail += ways
    return tail / (1 << votes)


def soonest(scores: Sequence[float | None], missing: int, adaptive: Adaptive | None) -> int:
    """How many of the missing paths the soonest possible decision needs, at least 1.

    Args:
        scores: Of the paths that have voted.
        missing: Paths that have not, at least 1.
        adaptive: What is enough; None needs them all.
    """
    if adaptive is None:
        return missing

    def decides(count: int, vote: float) -> bool:
        return settled([*scores, *[vote] * count], missing - count, adaptive)

    # What so many equal votes decide, more of them decide too; no other votes decide sooner.
    return 1 + min(
        bisect_left(range(1, missing), True, key=lambda count: decides(count, vote)) for vote in (0.0, 1.0)
    )


def first_error(steps: Sequence[Judged]) -> int | None:
    """Index of the first step that is labelled ``incorrect``."""
    return next((step.index for step in steps if step.label == "incorrect"), None)


def report_verdict(steps: Sequence[Judged], total: int) -> ReportVerdict:
    """What the steps judged so far say about a solution of ``total`` steps."""
    decisive = next((step for step in steps if step.label != "correct"), None)
    if decisive is not None:
        return "incorrect" if decisive.label == "incorrect" else "unparsed"
    return "correct" if len(steps) == total else "incomplete"
