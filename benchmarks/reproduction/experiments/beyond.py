"""Voting that stops, and code only where it is needed: accuracy against tokens (beyond the paper)."""

from __future__ import annotations

from collections.abc import Sequence

from _paths import Judged, Stopped

from genprm_sdk import Adaptive, Cascade

from ..results import Claim, Result, Rows
from ..scoring import Hit, Interval, difference, f1
from ..verifications import hits
from .experiment import BUNDLED, Experiment, Work
from .scaling import doubled

__all__ = ["EXPERIMENT"]

ERRORS = (0.02, 0.05, 0.1, 0.2)
CASCADE = Cascade(stages=("analysis", "analysis+code"))


def counted(samples: int) -> str:
    return f"{samples} sample{'s' if samples > 1 else ''}"


def stopped_hits(judged: Sequence[Judged], stopped: Sequence[Stopped]) -> list[Hit]:
    return [
        Hit(each.group, each.first is not None, way.finds(each.first))
        for each, way in zip(judged, stopped, strict=True)
    ]


async def run(work: Work) -> Result:
    judged = await work.by_bundled()
    labelled = work.solutions(*work.scale.domains)
    cascaded = await work.judging.by_cascade(BUNDLED, labelled, CASCADE, called=BUNDLED)
    samples = work.scale.samples
    ways = {
        **{counted(count): [each.stopped(None, count) for each in judged] for count in doubled(samples)},
        "stopped where the outcome cannot change": [each.stopped(Adaptive()) for each in judged],
        **{
            f"stopped at an error of {error:g}": [each.stopped(Adaptive(error=error)) for each in judged]
            for error in ERRORS
        },
        "1 sample, code only where the analysis is unsure": cascaded,
    }
    whole = ways[counted(doubled(samples)[-1])]
    full = sum(way.tokens for way in whole)
    rows: list[tuple[str, ...]] = [("voting", "tokens", "labels changed", "F1")]
    for name, stopped in ways.items():
        changed = sum(
            one != other
            for mine, theirs in zip(stopped, whole, strict=True)
            for one, other in zip(mine.labels, theirs.labels, strict=True)
        )
        steps = sum(len(way.labels) for way in whole)
        rows.append(
            (
                name,
                f"{sum(way.tokens for way in stopped) / full:.1%}",
                f"{changed / steps:.1%}",
                str(f1(stopped_hits(judged, stopped))),
            )
        )
    lost = difference(stopped_hits(judged, ways["stopped at an error of 0.05"]), hits(judged))
    margin = 0.02
    return Result(
        how=(
            "Read off the paths of the first experiment: which of them would not have been run. The cascade "
            "is run by itself."
        ),
        paper="Left open as future work.",
        tables=(
            Rows(f"Tokens as shares of those of {doubled(samples)[-1]} samples; F1 in percent", tuple(rows)),
        ),
        claims=(
            Claim(
                f"Stopping at an error of 0.05 loses less than {100 * margin:.0f} points.",
                Interval(lost.value + margin, lost.low + margin, lost.high + margin),
            ),
        ),
    )


EXPERIMENT = Experiment("adaptive", "Voting that stops, and a cascade (beyond the paper)", run)
