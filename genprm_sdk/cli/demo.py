"""``genprm demo``: bundled solutions from four domains, three of them with a known mistake."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files

from ..evaluation.reading import Broken, read_records
from ..options import CheckOptions
from .check import Tally, check_records
from .codes import INTERRUPTED
from .opening import OpenChecker
from .solutions import Entry, entry
from .terminal import note, show
from .views import ReadableView

__all__ = ["demo_records", "run_demo"]

SAMPLES = 4


def demo_records() -> tuple[list[Entry | Broken], list[int | None]]:
    """The bundled solutions, and where the first mistake of each is."""
    data = files("genprm_sdk").joinpath("data/demo.jsonl").read_bytes()
    expected = [json.loads(line)["mistake_index"] for line in data.splitlines()]
    records = read_records(data, "demo")
    return [record if isinstance(record, Broken) else entry(record) for record in records], expected


def run_demo(open_checker: OpenChecker) -> int:
    """Check them and say how many first mistakes were found; returns the exit code."""
    records, expected = demo_records()
    tally = Tally(total=len(records))
    try:
        asyncio.run(
            check_records(records, CheckOptions(samples=SAMPLES), open_checker, ReadableView(), tally)
        )
    except KeyboardInterrupt:
        tally.interrupted = True
    if tally.interrupted or len(tally.reports) < len(expected):
        note(tally.summary())
        return INTERRUPTED if tally.interrupted else tally.code
    right = sum(
        report.verdict in ("correct", "incorrect") and report.first_error == wanted
        for report, wanted in zip(tally.reports, expected, strict=True)
    )
    seconds = sum(report.usage.seconds for report in tally.reports)
    show(
        f"{len(expected)} solutions checked in {seconds:.1f} s, {SAMPLES} paths each; "
        f"the first mistake, or that there is none, is right for {right} of {len(expected)}."
    )
    return tally.code
