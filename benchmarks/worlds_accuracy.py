"""How well a verifier judges fresh examples of the worlds: first mistakes, single steps, kinds of mistake.

The examples come from seeds that training does not use; ``--held-out`` draws the phrasing style that training
never drew. ``--keep`` names a file from which a measurement that was stopped goes on; what ``voting.py`` kept
there of more paths serves as well. Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from _paths import Judged, judged, of_worlds
from _shares import Table, options, run, share, show

from genprm_sdk import Verifier
from genprm_sdk.training.worlds import WORLDS


async def measure(arguments: argparse.Namespace) -> Table:
    table = {}
    async with Verifier(arguments.model, reasoning=arguments.reasoning) as verifier:
        for name in arguments.domains or WORLDS:
            style = WORLDS[name].held_out_style if arguments.held_out else None
            labelled = of_worlds(name, arguments.examples, arguments.seed, style)
            found = [each async for each in judged(verifier, labelled, arguments.samples, arguments.keep)]
            table[name] = row_of(found, arguments.samples)
            show(name, table[name])
    return table


def row_of(found: Sequence[Judged], samples: int) -> dict[str, str]:
    first = beyond = 0
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for each in found:
        stopped = each.stopped(None, samples)
        first += stopped.finds(each.first)
        beyond += not each.complete
        for kind, label in zip(each.kinds, stopped.labels, strict=False):  # of a cut check, some
            for name in ("all steps", kind):
                hits[name] += label == ("correct" if kind == "right" else "incorrect")
                totals[name] += 1
    row = {"first mistake": share(first, len(found))}
    row |= {kind: share(hits[kind], totals[kind]) for kind in sorted(totals)}
    if beyond:
        row["longer than the context"] = str(beyond)
    return row


def main() -> None:
    parser = options(__doc__, "genprm-mini")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--held-out", action="store_true", help="draw the style that training never drew")
    parser.add_argument("--reasoning", default="analysis+code")
    parser.add_argument("--keep", type=Path, help="go on from this file, and keep what is found there")
    run(parser, measure)


if __name__ == "__main__":
    main()
