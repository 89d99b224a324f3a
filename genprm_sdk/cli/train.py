"""``genprm train``: the data pipeline on the command line. Knows options, progress and tables."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ..errors import GenPRMError, InputError
from ..report.text import one_line
from ..training.pipeline import (
    PipelineRecipe,
    Progress,
    StageStatus,
    export,
    load_pipeline_recipe,
    read_status,
    run_pipeline,
)
from ..training.pipeline.recipe import save_pipeline_recipe
from ..training.pipeline.stages import STAGES, StageName
from .codes import FINE, INTERRUPTED
from .terminal import Progress as Line
from .terminal import note, show

__all__ = ["export_records", "run_stages", "show_status"]

SECONDS_BETWEEN_LINES = 15.0
SAVED_RECIPE = "recipe.yaml"


def run_stages(recipe_name: str, out: Path, stages: Sequence[StageName]) -> int:
    """Run stages of a recipe; returns the exit code.

    Raises:
        GenPRMError: Something cannot be used, or failed; the command that goes on was printed.
    """
    recipe = load_pipeline_recipe(recipe_name)
    resume = resuming(recipe, out, stages)
    try:
        statuses = asyncio.run(run_shown(recipe, out, stages))
    except KeyboardInterrupt:
        note(f"interrupted; what is finished is kept, go on with: {resume}")
        return INTERRUPTED
    except GenPRMError:
        if (out / SAVED_RECIPE).exists():
            note(f"what is finished is kept; go on with: {resume}")
        raise
    show(status_table(recipe, statuses))
    return FINE


async def run_shown(recipe: PipelineRecipe, out: Path, stages: Sequence[StageName]) -> list[StageStatus]:
    with Line(every=SECONDS_BETWEEN_LINES) as line:

        def hear(progress: Progress) -> None:
            total = "" if progress.total is None else f" of {progress.total}"
            dropped = f", {progress.dropped} dropped" if progress.dropped else ""
            line.say(f"{progress.stage}: {progress.done}{total} records{dropped}")

        line.say("reading the recipe and the models' files")
        return await run_pipeline(recipe, out, stages=stages, hear=hear)


def resuming(recipe: PipelineRecipe, out: Path, stages: Sequence[StageName]) -> str:
    """The command that goes on, from a copy of the recipe beside the records."""
    saved = out / SAVED_RECIPE
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_pipeline_recipe(recipe, saved)
    except OSError as error:
        raise InputError(f"{out} cannot be used for a run: {error}") from None
    command = "run" if len(stages) > 1 else stages[0]
    until = f" --until {stages[-1]}" if command == "run" and stages[-1] != STAGES[-1] else ""
    return (
        f"genprm train {command} {shlex.quote(os.fspath(saved))} --out {shlex.quote(os.fspath(out))}{until}"
    )


def show_status(out: Path) -> int:
    """Print where a run is; it may be going on."""
    recipe, statuses = asyncio.run(read_status(out))
    show(status_table(recipe, statuses))
    return FINE


def export_records(out: Path, target: Path, stage: StageName) -> int:
    """Write a stage's records to a file."""
    count = asyncio.run(export(out, target, stage))
    note(f"wrote {count} records to {target}")
    return FINE


def status_table(recipe: PipelineRecipe, statuses: Sequence[StageStatus]) -> Table:
    """A row a stage: how many records are finished, how many go on, and why others do not."""
    table = Table(title=one_line(recipe.name))
    table.add_column("stage", no_wrap=True)
    for name in ("finished", "of", "kept", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("dropped, and why", overflow="fold")
    for status in statuses:
        reasons = [f"{count} {one_line(reason)}" for reason, count in status.dropped.items()]
        table.add_row(
            status.stage,
            str(status.finished),
            "–" if status.total is None else str(status.total),
            str(status.kept),
            f"{status.seconds:.0f}",
            "\n".join(reasons),
        )
    return table
