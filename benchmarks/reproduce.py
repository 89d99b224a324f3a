"""The paper's experiments in miniature, on the worlds, with the bundled models; writes the page about them.

Everything that takes long is kept in a folder and goes on where it was: judged solutions, trained models,
Monte Carlo estimates, and the experiments that are done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from reproduction.experiments import EXPERIMENTS, Experiment
from reproduction.experiments.experiment import Work
from reproduction.page import write_page
from reproduction.results import Result
from reproduction.scales import SCALES, Scale

INTERRUPTED = 130


@dataclass(frozen=True)
class Kept:
    """A result and the scale that it belongs to."""

    scale: Scale
    result: Result


KEPT = TypeAdapter(Kept)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def result_file(folder: Path, experiment: Experiment) -> Path:
    return folder / "results" / f"{experiment.name}.json"


def kept(folder: Path, experiment: Experiment, scale: Scale) -> Result | None:
    """What was found at this scale; at another one, or by another version, it is found again."""
    path = result_file(folder, experiment)
    if not path.exists():
        return None
    try:
        found = KEPT.validate_json(path.read_bytes())
    except ValidationError:
        say(f"not usable here, found again where it is asked for: {path}")
        return None
    return found.result if found.scale == scale else None


def keep(folder: Path, experiment: Experiment, found: Kept) -> None:
    path = result_file(folder, experiment)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), genprm-sdk {version('genprm-sdk')}"


async def reproduce(scale: Scale, folder: Path, page: Path, wanted: list[str]) -> None:
    work = Work(scale, folder, say)
    for experiment in EXPERIMENTS:
        if experiment.name not in wanted or kept(folder, experiment, scale) is not None:
            continue
        say(f"experiment: {experiment.title}")
        keep(folder, experiment, Kept(scale, await experiment.run(work)))
    write_page(page, scale, machine(), [(each, kept(folder, each, scale)) for each in EXPERIMENTS])


def main() -> int:
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scale", choices=sorted(SCALES), default="smoke", help="smoke takes minutes, full hours"
    )
    parser.add_argument("--out", type=Path, help="where everything is kept (build/reproduction/SCALE)")
    parser.add_argument("--page", type=Path, help="what is written (OUT/reproduction.md)")
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="these experiments")
    given = parser.parse_args()
    folder = given.out or Path("build") / "reproduction" / given.scale
    page = given.page or folder / "reproduction.md"
    try:
        asyncio.run(reproduce(SCALES[given.scale], folder, page, given.only))
    except KeyboardInterrupt:
        say(f"interrupted: what was finished is in {folder}; the same command goes on")
        return INTERRUPTED
    say(f"wrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
