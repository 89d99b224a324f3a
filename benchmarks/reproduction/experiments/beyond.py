"""Voting that stops, and code only where it is needed: accuracy against tokens (beyond the paper)."""

from __future__ import annotations

from genprm_sdk import Adaptive, Cascade
from genprm_sdk.evaluation.scaling import doublings
from genprm_sdk.report.findings import counted

from ..results import Claim, Result, Rows
from ..scoring import Interval, difference, f1
from ..verifications import hits, hits_of
from .experiment import BUNDLED, Experiment, Work

__all__ = ["EXPERIMENT"]

ERRORS = (0.02, 0.05, 0.1, 0.2)
CASCADE = Cascade(stages=("analysis", "analysis+code"))


async def run(work: Work) -> Result:
    judged = await work.by_bundled()
    labelled = work.solutions(*work.scale.domains)
    cascaded = await work.judging.by_cascade(BUNDLED, labelled, CASCADE, called=BUNDLED)
    samples = work.scale.samples
    ways = {
        **{
            counted(count, "sample"): [each.stopped(None, count) for each in judged]
            for count in doublings(samples)
        },
        "stopped where the outcome cannot change": [each.stopped(Adaptive()) for each in judged],
        **{
            f"stopped at an error of {error:g}": [each.stopped(Adaptive(error=error)) for each in judged]
            for error in ERRORS
        },
        "1 sample, code only where the analysis is unsure": cascaded,
    }
    whole = ways[counted(samples, "sample")]
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
                str(f1(hits_of(judged, stopped))),
            )
        )
    lost = difference(hits_of(judged, ways["stopped at an error of 0.05"]), hits(judged))
    margin = 0.02
    return Result(
        how=(
            "Read off the paths of the first experiment: which of them would not have been run. The cascade "
            "is run by itself."
        ),
        paper="Left open as future work.",
        tables=(Rows(f"Tokens as shares of those of {samples} samples; F1 in percent", tuple(rows)),),
        claims=(
            Claim(
                f"Stopping at an error of 0.05 loses less than {100 * margin:.0f} points.",
                Interval(lost.value + margin, lost.low + margin, lost.high + margin),
            ),
        ),
    )


EXPERIMENT = Experiment("adaptive", "Voting that stops, and a cascade (beyond the paper)", run)
