"""What voting brings and what adaptive voting saves: one path, N paths, and N paths with stopping rules.

On fresh examples of the worlds, or with ``--data`` on a BIG-Bench-Mistake file or folder. With ``--exact``
results do not depend on what runs together, so that leaving out what cannot matter must change no label.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _shares import Table, options, run, share, show

from genprm_sdk import Adaptive, Diagnostics, Report, Solution, Verifier
from genprm_sdk.evaluation.datasets import Item, load
from genprm_sdk.training.worlds import WORLDS

Labelled = tuple[Solution, int | None]


def of_worlds(domain: str, count: int, seed: int) -> list[Labelled]:
    examples = [
        WORLDS[domain].example(random.Random(f"benchmark/{seed}/{domain}/{number}"))
        for number in range(count)
    ]
    return [
        (Solution(problem=each.problem, steps=tuple(step.text for step in each.steps)), each.first_error)
        for each in examples
    ]


def of_data(path: Path, count: int) -> list[Labelled]:
    items = [item for item in load("bigbench-mistake", path, count) if isinstance(item, Item)]
    return [(item.solution, item.expected) for item in items]


def ways(samples: int, error: float) -> dict[str, dict[str, Any]]:
    return {
        "1 path": {"samples": 1},
        f"{samples} paths": {"samples": samples, "adaptive": False},
        "what cannot matter left out": {"samples": samples, "adaptive": Adaptive()},
        f"stopped at {error:g}": {"samples": samples, "adaptive": Adaptive(error=error)},
    }


async def reports_of(verifier: Verifier, solutions: Sequence[Solution], **how: Any) -> list[Report | None]:
    return [each.report async for each in verifier.check_many(solutions, ordered=True, **how)]


async def measure(arguments: argparse.Namespace) -> Table:
    table: Table = {}
    sets = (
        {"records": of_data(arguments.data, arguments.examples)}
        if arguments.data
        else {
            name: of_worlds(name, arguments.examples, arguments.seed) for name in arguments.domains or WORLDS
        }
    )
    async with Verifier(arguments.model, exact=arguments.exact) as verifier:
        for name, labelled in sets.items():
            fixed: list[Report | None] = []
            full = 0
            for way, how in ways(arguments.samples, arguments.error).items():
                reports = await reports_of(verifier, [solution for solution, _ in labelled], **how)
                if how.get("adaptive") is False:
                    fixed, full = reports, tokens_of(reports)
                row = row_of(reports, [expected for _, expected in labelled], fixed, full)
                table[f"{name}, {way}"] = row
                show(f"{name}, {way}", row)
    return table


def row_of(
    reports: Sequence[Report | None],
    expected: Sequence[int | None],
    fixed: Sequence[Report | None],
    full: int,
) -> dict[str, str]:
    right = sum(
        report is not None and report.verdict in ("correct", "incorrect") and report.first_error == first
        for report, first in zip(reports, expected, strict=True)
    )
    row = {"first mistake": share(right, len(reports)), "tokens": f"{tokens_of(reports):,}"}
    if full:
        row["of all paths' tokens"] = f"{tokens_of(reports) / full:.2f}"
        row["steps judged otherwise"] = str(labels_changed(reports, fixed))
        votes = Diagnostics.of(report for report in fixed if report is not None).effective_votes
        row["effective votes of all paths"] = "–" if votes is None else f"{votes:.2f}"
    return row


def tokens_of(reports: Sequence[Report | None]) -> int:
    return sum(report.usage.generated_tokens for report in reports if report is not None)


def labels_changed(reports: Sequence[Report | None], fixed: Sequence[Report | None]) -> int:
    return sum(
        one.label != other.label
        for report, all_of_them in zip(reports, fixed, strict=True)
        if report is not None and all_of_them is not None
        for one, other in zip(report.steps, all_of_them.steps, strict=True)
    )


def main() -> None:
    parser = options(__doc__, "genprm-mini")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--error", type=float, default=0.1, help="bound of the third rule (0.1)")
    parser.add_argument("--data", type=Path, help="BIG-Bench-Mistake records instead of fresh examples")
    parser.add_argument("--exact", action="store_true", help="let nothing depend on what runs together")
    run(parser, measure)


if __name__ == "__main__":
    main()
