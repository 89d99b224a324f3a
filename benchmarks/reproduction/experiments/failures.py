"""How often the code fails, and what becomes of the verdict then (left open by the paper)."""

from __future__ import annotations

from dataclasses import dataclass

from _paths import Judged
from _shares import share

from ..results import Result, Rows
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


@dataclass(frozen=True)
class Path:
    """One path's verification of one step, among those up to the first mistake."""

    runs: int
    failed: int
    read: bool
    right: bool


def paths_of(judged: list[Judged]) -> list[Path]:
    found = []
    for each in judged:
        until = len(each.scores) if each.first is None else each.first + 1
        for index, (scores, codes) in enumerate(zip(each.scores[:until], each.code[:until], strict=True)):
            for score, (runs, failed) in zip(scores, codes, strict=True):
                right = score is not None and (score >= 0.5) == (index != each.first)
                found.append(Path(runs, failed, score is not None, right))
    return found


async def run(work: Work) -> Result:
    judged = await work.by_bundled()
    rows: list[tuple[str, ...]] = [
        (
            "domain",
            "blocks that fail",
            "paths without a failure: right",
            "paths with one: tried again",
            "right",
            "no verdict",
        )
    ]
    for domain in work.scale.domains:
        paths = paths_of([each for each in judged if each.group == domain])
        fine = [path for path in paths if not path.failed]
        troubled = [path for path in paths if path.failed]
        rows.append(
            (
                domain,
                share(sum(path.failed for path in paths), sum(path.runs for path in paths)),
                share(sum(path.right for path in fine), len(fine)),
                share(sum(path.runs > path.failed for path in troubled), len(troubled)),
                share(sum(path.right for path in troubled), len(troubled)),
                share(sum(not path.read for path in troubled), len(troubled)),
            )
        )
    return Result(
        how=(
            "Every block that the bundled verifier wrote for the solutions of the first experiment, up to "
            "each solution's first mistake. A path that met an error and then ran a block that did not fail "
            "has tried again."
        ),
        paper="Not reported.",
        tables=(Rows("Executions and verdicts, with Wilson intervals", tuple(rows)),),
    )


EXPERIMENT = Experiment("failures", "Code that fails", run)
