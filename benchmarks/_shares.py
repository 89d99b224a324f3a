"""What the accuracy benchmarks share: shares with their intervals, and the options around a table."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path

from scipy.stats import binomtest

from genprm_sdk.training.worlds import WORLDS

Table = dict[str, dict[str, str]]


def share(hits: int, of: int) -> str:
    """A share in percent, its Wilson interval (95%), and of how many."""
    if not of:
        return "-"
    interval = binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits / of:.1%} ({interval.low:.1%} to {interval.high:.1%}) of {of}"


def show(domain: str, row: dict[str, str]) -> None:
    """One domain's row, as soon as it is known."""
    print(domain, *(f"  {name}: {value}" for name, value in row.items()), sep="\n", flush=True)


def options(description: str | None, model: str) -> argparse.ArgumentParser:
    """The options that every accuracy benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default=model)
    parser.add_argument("--examples", type=int, default=100, help="of each domain")
    parser.add_argument("--domains", nargs="*", choices=sorted(WORLDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the table as JSON")
    return parser


def run(
    parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Coroutine[None, None, Table]]
) -> None:
    """Measure with the options given, and write the table where that is asked for."""
    arguments = parser.parse_args()
    table = asyncio.run(measure(arguments))
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
