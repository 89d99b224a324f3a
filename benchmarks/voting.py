"""What voting brings and what adaptive voting saves: one path, N paths, and N paths with stopping rules.

On fresh examples of the worlds, or with ``--data`` on a BIG-Bench-Mistake file or folder. All paths are run;
what a rule leaves out is read off them, since paths count in the order of their numbers. ``--really`` lets
the rules stop some of the checks in earnest and holds those against the reading; with ``--exact`` results do
not depend on what runs together, so that both must be the same. ``--keep`` names a file from which a
measurement that was stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from _paths import Judged, Labelled, Stopped, judged, judged_by, of_data, of_worlds
from _shares import Table, options, run, share, show

from genprm_sdk import Adaptive, Verifier
from genprm_sdk.diagnostics import effective_votes
from genprm_sdk.training.worlds import WORLDS


def rules_of(errors: Sequence[float]) -> dict[str, Adaptive]:
    return {
        "what cannot matter left out": Adaptive(),
        **{f"stopped at {error:g}": Adaptive(error=error) for error in errors},
    }


async def measure(arguments: argparse.Namespace) -> Table:
    table: Table = {}
    sets = (
        {"records": of_data(arguments.data, arguments.examples)}
        if arguments.data
        else {
            name: of_worlds(name, arguments.examples, arguments.seed) for name in arguments.domains or WORLDS
        }
    )
    rules = rules_of(arguments.errors)
    everything: list[Judged] = []
    async with Verifier(arguments.model, exact=arguments.exact) as verifier:
        for name, labelled in sets.items():
            found = [each async for each in judged(verifier, labelled, arguments.samples, arguments.keep)]
            everything += found
            table |= rows_of(name, found, rules)
            if arguments.really:
                row = await held_against(
                    verifier, labelled[: arguments.really], found, rules, arguments.samples
                )
                table[f"{name}, really stopped"] = row
                show(f"{name}, really stopped", row)
    if len(sets) > 1:
        table |= rows_of("all", everything, rules)
    return table


def rows_of(name: str, found: Sequence[Judged], rules: dict[str, Adaptive]) -> Table:
    whole = [each.stopped(None) for each in found]
    ways = {
        "1 path": [each.stopped(None, samples=1) for each in found],
        "all paths": whole,
        **{rule: [each.stopped(adaptive) for each in found] for rule, adaptive in rules.items()},
    }
    table = {f"{name}, {way}": row_of(found, stopped, whole) for way, stopped in ways.items()}
    votes = [[score >= 0.5 for score in step if score is not None] for each in found for step in each.scores]
    effective = effective_votes([step for step in votes if len(step) > 1])
    table[f"{name}, all paths"]["effective votes"] = "–" if effective is None else f"{effective:.2f}"
    for title, row in table.items():
        show(title, row)
    return table


def row_of(found: Sequence[Judged], stopped: Sequence[Stopped], whole: Sequence[Stopped]) -> dict[str, str]:
    right = sum(one.finds(each.first) for one, each in zip(stopped, found, strict=True))
    tokens, full = (sum(each.tokens for each in ways) for ways in (stopped, whole))
    changed = sum(
        one != other
        for mine, all_of_them in zip(stopped, whole, strict=True)
        for one, other in zip(mine.labels, all_of_them.labels, strict=True)
    )
    return {
        "first mistake": share(right, len(found)),
        "tokens": f"{tokens:,}",
        "of all paths' tokens": f"{tokens / full:.3f}",
        "steps judged otherwise": share(changed, sum(len(each.labels) for each in whole)),
    }


async def held_against(
    verifier: Verifier,
    labelled: Sequence[Labelled],
    found: Sequence[Judged],
    rules: dict[str, Adaptive],
    samples: int,
) -> dict[str, str]:
    """How many checks that were stopped in earnest end with the labels and tokens that were read off."""
    by_number = {(each.group, each.number): each for each in found}
    row = {}
    for rule, adaptive in rules.items():
        same = 0
        checks = verifier.check_many(
            [each.solution for each in labelled], samples=samples, adaptive=adaptive, ordered=True
        )
        async for checked in checks:
            assert checked.report is not None
            each = labelled[checked.index]
            read_off = by_number[each.group, each.number].stopped(adaptive)
            same += judged_by(checked.report, each).stopped(None) == read_off
        row[rule] = f"{same} of {len(labelled)} as read off"
    return row


def main() -> None:
    parser = options(__doc__, "genprm-mini")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--errors", type=float, nargs="*", default=[0.1, 0.2, 0.3], help="of stopping rules")
    parser.add_argument("--data", type=Path, help="BIG-Bench-Mistake records instead of fresh examples")
    parser.add_argument("--exact", action="store_true", help="let nothing depend on what runs together")
    parser.add_argument("--really", type=int, default=0, metavar="N", help="stop N checks in earnest, too")
    parser.add_argument("--keep", type=Path, help="go on from this file, and keep what is found there")
    run(parser, measure)


if __name__ == "__main__":
    main()
