"""Verifications of labelled solutions, kept in a file, so that a long measurement goes on where it was.

Every solution is judged by all its paths; what fewer of them, or a stopping rule, would have said is read off
the same paths.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from genprm_sdk import Adaptive, Report, Solution, Verifier
from genprm_sdk.evaluation.datasets import Item, load
from genprm_sdk.training.worlds import WORLDS
from genprm_sdk.verifier import AT_ONCE
from genprm_sdk.voting import settled, soonest


@dataclass(frozen=True)
class Labelled:
    """A solution with its truth.

    Attributes:
        group: The domain, or the data's name.
        first: Index of the first wrong step, or None.
        kinds: Of each step: the planted mistake, ``right`` or ``unplanted``; empty where nobody knows.
    """

    group: str
    number: int
    solution: Solution
    first: int | None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What the paths said.

    Attributes:
        scores: By step and path; None where a verdict could not be read.
        tokens: Written, by step and path.
        code: Blocks that were executed and those of them that failed, by step and path; empty where it was
            not kept.
        held: Most tokens in the engine's cache meanwhile: the solution's own where one was judged at a time.
            None where it was not kept.
    """

    group: str
    number: int
    first: int | None
    kinds: tuple[str, ...]
    scores: tuple[tuple[float | None, ...], ...]
    tokens: tuple[tuple[int, ...], ...]
    complete: bool
    code: tuple[tuple[tuple[int, int], ...], ...] = ()
    held: int | None = None

    def stopped(self, adaptive: Adaptive | None, samples: int | None = None) -> Stopped:
        """The same with fewer paths and a rule that stops them, as ``genprm_sdk.check`` lets them run."""
        labels: list[str] = []
        tokens = 0
        for scores, written in zip(self.scores, self.tokens, strict=True):
            mine = scores[:samples]
            used = 0
            while used < len(mine) and not (
                adaptive and used and settled(mine[:used], len(mine) - used, adaptive)
            ):
                used += soonest(mine[:used], len(mine) - used, adaptive)
            tokens += sum(written[:used])
            labels.append(label_of(mine[:used]))
        return Stopped(tuple(labels), tokens, self.complete)


@dataclass(frozen=True)
class Stopped:
    """Labels of steps and what they cost."""

    labels: tuple[str, ...]
    tokens: int
    complete: bool

    def finds(self, first: int | None) -> bool:
        """Whether the first step that is not called right is the one that is wrong, and called wrong."""
        found = next((index for index, label in enumerate(self.labels) if label != "correct"), None)
        if found is None:
            return first is None and self.complete
        return found == first and self.labels[found] == "incorrect"


def label_of(scores: Sequence[float | None]) -> str:
    read = [score for score in scores if score is not None]
    if not read:
        return "unparsed"
    return "correct" if sum(read) / len(read) >= 0.5 else "incorrect"


def of_worlds(domain: str, count: int, seed: int, style: str | None = None) -> list[Labelled]:
    found = []
    for number in range(count):
        example = WORLDS[domain].example(random.Random(f"benchmark/{seed}/{domain}/{number}"), style)
        kinds = tuple(step.mistake or ("right" if step.correct else "unplanted") for step in example.steps)
        solution = Solution(problem=example.problem, steps=tuple(step.text for step in example.steps))
        found.append(Labelled(domain, number, solution, example.first_error, kinds))
    return found


def of_data(path: Path, count: int) -> list[Labelled]:
    items = [item for item in load("bigbench-mistake", path, count) if isinstance(item, Item)]
    return [Labelled(path.stem, number, item.solution, item.expected) for number, item in enumerate(items)]


async def judged(
    verifier: Verifier,
    labelled: Sequence[Labelled],
    samples: int,
    keep: Path | None,
    at_once: int = AT_ONCE,
) -> AsyncIterator[Judged]:
    """All paths' verifications of each solution: those in the file first, then the missing ones."""
    known = read(keep)
    for each in labelled:
        if (each.group, each.number) in known:
            yield known[each.group, each.number]
    missing = [each for each in labelled if (each.group, each.number) not in known]
    solutions = [each.solution for each in missing]
    checks = verifier.check_many(solutions, concurrency=at_once, samples=samples, adaptive=False)
    async for checked in checks:
        if checked.error is not None:
            raise checked.error
        assert checked.report is not None
        found = judged_by(checked.report, missing[checked.index])
        if keep is not None:
            with keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")
        yield found


def judged_by(report: Report, labelled: Labelled) -> Judged:
    return Judged(
        group=labelled.group,
        number=labelled.number,
        first=labelled.first,
        kinds=labelled.kinds,
        scores=tuple(tuple(path.score for path in step.paths) for step in report.steps),
        tokens=tuple(tuple(path.usage.generated_tokens for path in step.paths) for step in report.steps),
        complete=len(report.steps) == len(labelled.solution.steps),
        code=tuple(
            tuple((path.usage.code_runs, sum(path.usage.code_failures.values())) for path in step.paths)
            for step in report.steps
        ),
        held=report.usage.cache_peak,
    )


def read(keep: Path | None) -> dict[tuple[str, int], Judged]:
    if keep is None or not keep.exists():
        return {}
    rows = [json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines()]
    found = [
        Judged(
            **{
                **row,
                "kinds": tuple(row["kinds"]),
                "scores": tuple(map(tuple, row["scores"])),
                "tokens": tuple(map(tuple, row["tokens"])),
                "code": tuple(tuple(map(tuple, step)) for step in row.get("code", ())),
            }
        )
        for row in rows
    ]
    return {(each.group, each.number): each for each in found}
