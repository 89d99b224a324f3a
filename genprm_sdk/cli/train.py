"""``genprm train``: data pipeline and fine-tuning on the command line. Knows options, progress and tables."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.table import Table

from ..errors import GenPRMError, InputError, ModelFileError, UnknownModelError
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
from ..training.pipeline.distributed import SPREADABLE, ClusterError, RaySettings, RaySpread
from ..training.pipeline.recipe import save_pipeline_recipe
from ..training.pipeline.run import Spread, export_dropped
from ..training.pipeline.stages import STAGES, RecordsName, StageName
from ..training.tuning.stages import (
    TUNING,
    TuningName,
    TuningProgress,
    TuningStatus,
    run_tuning,
    stages_of,
    tuning_status,
)
from .codes import FINE, INTERRUPTED
from .terminal import Progress as Line
from .terminal import note, show

__all__ = ["export_records", "run_stage", "run_until", "show_status"]

SECONDS_BETWEEN_LINES = 15.0
SAVED_RECIPE = "recipe.yaml"


AnyStage = StageName | TuningName


def run_until(
    recipe_name: str, out: Path, until: str | None, workers: int = 1, address: str | None = None
) -> int:
    """Run all stages of a recipe, or those up to one; returns the exit code.

    Raises:
        GenPRMError: As ``run_stages``.
    """
    recipe = load_pipeline_recipe(recipe_name)
    stages = stages_of(recipe)
    last = stages[-1] if until is None else stage_of(recipe, until)
    arguments = ["run", *([] if until is None else ["--until", until])]
    return run_shown(recipe, out, stages[: stages.index(last) + 1], arguments, ray_settings(workers, address))


def run_stage(recipe_name: str, out: Path, stage: str, workers: int = 1, address: str | None = None) -> int:
    """Run one stage of a recipe; returns the exit code.

    Raises:
        GenPRMError: As ``run_shown``.
    """
    recipe = load_pipeline_recipe(recipe_name)
    return run_shown(recipe, out, [stage_of(recipe, stage)], [stage], ray_settings(workers, address))


def ray_settings(workers: int, address: str | None) -> RaySettings | None:
    """Who makes the records of stages that can be spread; None is this process.

    Raises:
        InputError: There is an address and nobody to go there.
    """
    if workers > 1:
        return RaySettings(workers=workers, address=address)
    if address is not None:
        raise InputError("--ray needs workers on that cluster: add --workers with how many, 2 or more")
    return None


def stage_of(recipe: PipelineRecipe, name: str) -> AnyStage:
    """The recipe's stage of that name.

    Raises:
        InputError: It has none.
    """
    stages = stages_of(recipe)
    for stage in stages:
        if stage == name:
            return stage
    if name in TUNING:
        raise InputError(
            f"the recipe {one_line(recipe.name)} does not describe {name}: add a part `{name}` to it"
        )
    raise InputError(f"there is no stage {name!r:.80}; there are {', '.join((*STAGES, *TUNING))}")


def run_shown(
    recipe: PipelineRecipe,
    out: Path,
    stages: Sequence[AnyStage],
    arguments: Sequence[str],
    settings: RaySettings | None,
) -> int:
    """Run stages with progress and a table at the end.

    Args:
        recipe: What is made.
        out: Where it is kept.
        stages: Those that are run.
        arguments: The command, and what it was told besides its recipe, its folder and its workers.
        settings: Who makes the records of stages that can be spread.

    Raises:
        GenPRMError: Something cannot be used, or failed; where a run can go on, the command that does so was
            printed.
    """
    copy = RecipeCopy(recipe, out)
    resume = resuming(copy.path, out, arguments, settings)
    try:
        statuses, tuned = asyncio.run(made(copy, stages, settings))
    except KeyboardInterrupt:
        note(
            f"interrupted; what is finished is kept, go on with: {resume}" if copy.is_there else "interrupted"
        )
        return INTERRUPTED
    except GenPRMError as error:
        if copy.is_there and may_pass_later(error) and asyncio.run(has_finished_some(out)):
            note(f"what is finished is kept; go on with: {resume}")
        raise
    show(status_table(recipe, statuses, tuned))
    return FINE


def may_pass_later(error: GenPRMError) -> bool:
    """Whether the same command may come further when it is given again."""
    certain = isinstance(error, InputError | UnknownModelError | ModelFileError)
    return isinstance(error, ClusterError) or not certain


async def has_finished_some(out: Path) -> bool:
    try:
        _, statuses = await read_status(out)
    except GenPRMError:
        return False
    return any(status.finished for status in statuses)


class RecipeCopy:
    """The recipe beside the records, from which a run goes on.

    Args:
        recipe: The run's.
        out: Its folder.
    """

    def __init__(self, recipe: PipelineRecipe, out: Path) -> None:
        self.recipe = recipe
        self.out = out
        self.path = out / SAVED_RECIPE

    @property
    def is_there(self) -> bool:
        """Whether the copy is of this recipe: a run that was refused leaves another's alone."""
        return self.kept() == self.recipe

    def kept(self) -> PipelineRecipe | None:
        """The recipe that is there now, whichever it is."""
        try:
            return load_pipeline_recipe(os.fspath(self.path))
        except InputError:
            return None

    def save(self) -> None:
        """Write it, in place of another.

        Raises:
            InputError: It cannot be written.
        """
        try:
            save_pipeline_recipe(self.recipe, self.path)
        except OSError as error:
            raise InputError(f"{self.out} cannot be used for a run: {error}") from None


async def made(
    copy: RecipeCopy, stages: Sequence[AnyStage], settings: RaySettings | None
) -> tuple[list[StageStatus], list[TuningStatus]]:
    """Run stages; where they refuse the recipe, the folder's is again the one that was there before."""
    before = copy.kept()
    try:
        return await run_accepted(copy, stages, settings)
    except InputError:  # of a training, say, which alone can tell whether it was begun with other settings
        if before is not None and before != copy.recipe and copy.is_there:
            await go_back_to(RecipeCopy(before, copy.out))
        raise


async def go_back_to(earlier: RecipeCopy) -> None:
    """Make a recipe the folder's without running anything."""
    try:
        await run_pipeline(earlier.recipe, earlier.out, stages=[], accepted=earlier.save)
    except GenPRMError as error:
        note(f"{earlier.path} stays the refused recipe: there is no way back to the one before: {error}")


async def run_accepted(
    copy: RecipeCopy, stages: Sequence[AnyStage], settings: RaySettings | None
) -> tuple[list[StageStatus], list[TuningStatus]]:
    recipe, out = copy.recipe, copy.out
    of_data = [stage for stage in STAGES if stage in stages]
    of_models = [stage for stage in TUNING if stage in stages]
    with Line(every=SECONDS_BETWEEN_LINES) as line:

        def hear(progress: Progress) -> None:
            total = "" if progress.total is None else f" of {progress.total}"
            dropped = f", {progress.dropped} dropped" if progress.dropped else ""
            line.say(f"{progress.stage}: {progress.done}{total} records{dropped}")

        def hear_tuning(progress: TuningProgress) -> None:
            line.say(f"{progress.stage}: {one_line(progress.text)}")

        line.say("reading the recipe and the models' files")
        async with spreading(settings, out) as spread:
            await run_pipeline(recipe, out, stages=of_data, hear=hear, spread=spread, accepted=copy.save)
        if of_models:
            await run_tuning(recipe, out, of_models, hear_tuning)
    _, statuses = await read_status(out)
    return statuses, await tuning_status(recipe, out)


@asynccontextmanager
async def spreading(settings: RaySettings | None, out: Path) -> AsyncIterator[Mapping[StageName, Spread]]:
    if settings is None:
        yield {}
        return
    async with RaySpread(settings, out) as spread:
        yield dict.fromkeys(SPREADABLE, spread)


def resuming(saved: Path, out: Path, arguments: Sequence[str], settings: RaySettings | None) -> str:
    """The command that goes on, from a copy of the recipe beside the records."""
    command, *others = arguments
    parts = ["genprm", "train", command, os.fspath(saved), "--out", os.fspath(out), *others]
    if settings is not None:
        parts += ["--workers", str(settings.workers)]
        parts += [] if settings.address is None else ["--ray", settings.address]
    return shlex.join(parts)


def show_status(out: Path) -> int:
    """Print where a run is; it may be going on."""
    recipe, statuses, tuned = asyncio.run(found(out))
    show(status_table(recipe, statuses, tuned))
    return FINE


async def found(out: Path) -> tuple[PipelineRecipe, list[StageStatus], list[TuningStatus]]:
    recipe, statuses = await read_status(out)
    return recipe, statuses, await tuning_status(recipe, out)


def export_records(out: Path, target: Path, stage: RecordsName) -> int:
    """Write a stage's records, or all that were dropped, to a file."""
    written = export_dropped(out, target) if stage == "dropped" else export(out, target, stage)
    count = asyncio.run(written)
    note(f"wrote {count} records to {target}")
    return FINE


def status_table(
    recipe: PipelineRecipe, statuses: Sequence[StageStatus], tuned: Sequence[TuningStatus]
) -> Table:
    """A row a stage: how much is finished, how many records go on, and why others do not."""
    table = Table(title=one_line(recipe.name))
    table.add_column("stage", no_wrap=True)
    for name in ("finished", "of", "kept", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("dropped, and why; what came of it", overflow="fold")
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
    for each in tuned:
        steps = "–" if each.steps is None else str(each.steps)
        table.add_row(each.stage, str(each.done), steps, "", f"{each.seconds:.0f}", one_line(each.text))
    return table
