"""The stages behind the dataset: training on it, and the model's way to files, each in a folder of the run's.

Each begins when the one before it has finished, and goes on where it was. Knows the order and the folders,
not how a model is trained.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from genprm_sdk.errors import InputError
from genprm_sdk.types import Frozen

from ..pipeline.dataset import read_conversations
from ..pipeline.recipe import PipelineRecipe
from ..pipeline.run import export, read_status
from ..pipeline.stages import STAGES, StageName
from ..pipeline.store import lock_folder
from .launching import run_worker
from .runs import Folder

__all__ = [
    "TUNING",
    "TuningName",
    "TuningProgress",
    "TuningStatus",
    "run_tuning",
    "stages_of",
    "tuning_status",
]

TuningName = Literal["sft", "rl", "export"]
TUNING: tuple[TuningName, ...] = get_args(TuningName)

DATA = "data.jsonl"


def stages_of(recipe: PipelineRecipe) -> tuple[StageName | TuningName, ...]:
    """All stages of a recipe, in order."""
    return (*STAGES, *(stage for stage in TUNING if getattr(recipe, stage) is not None))


@dataclass(frozen=True)
class TuningProgress:
    """How far a stage is, in its own words."""

    stage: TuningName
    text: str


@dataclass(frozen=True)
class TuningStatus:
    """What a run's folder holds of one stage.

    Attributes:
        steps: Steps of the whole training, or files to write; None while that is not known.
        done: Of them.
        seconds: Spent on it, where it has finished.
        text: What came of it.
    """

    stage: TuningName
    done: int
    steps: int | None
    seconds: float
    text: str


Hear = Callable[[TuningProgress], None]


async def run_tuning(
    recipe: PipelineRecipe,
    folder: Path,
    stages: Sequence[TuningName] = TUNING,
    hear: Hear = lambda progress: None,
) -> list[TuningStatus]:
    """Run the recipe's stages behind its dataset, or go on with them.

    Args:
        recipe: What is made; stages that it does not describe are left out.
        folder: The run's, whose dataset is finished.
        stages: Those that are run.
        hear: Called with progress.

    Raises:
        InputError: A stage's input is not there or cannot be used, its folder was begun otherwise, or another
            process works in the run's.
        TrainingError: A training process failed; its last checkpoint is kept.
        ModelFileError: A written file does not compute what the model computes.
    """
    with await asyncio.to_thread(lock_folder, folder) as lock:
        for stage in stages:
            if getattr(recipe, stage) is not None:
                await _timed(stage, recipe, folder, hear, lock.fileno())
    return await tuning_status(recipe, folder)


async def _timed(stage: TuningName, recipe: PipelineRecipe, folder: Path, hear: Hear, lock: int) -> None:
    run = await asyncio.to_thread(Folder, folder / stage)
    started, finished = time.monotonic(), run.finished
    try:
        await _run(stage, recipe, folder, hear, lock)
    finally:
        if not finished:
            run.tell(seconds=run.state().get("seconds", 0.0) + time.monotonic() - started)


async def _run(stage: TuningName, recipe: PipelineRecipe, folder: Path, hear: Hear, lock: int) -> None:
    if stage == "sft":
        assert recipe.sft is not None
        await _train(stage, recipe.base, recipe.sft, folder, hear, lock)
    elif stage == "rl":
        assert recipe.rl is not None
        before = recipe.base if recipe.sft is None else _model_of(folder, "sft")
        await _train(stage, before, recipe.rl, folder, hear, lock)
    else:
        await _export(recipe, folder, hear)


async def tuning_status(recipe: PipelineRecipe, folder: Path) -> list[TuningStatus]:
    """How far the recipe's stages behind its dataset are."""
    return await asyncio.to_thread(_status, recipe, folder)


def _status(recipe: PipelineRecipe, folder: Path) -> list[TuningStatus]:
    found = []
    for stage in TUNING:
        if getattr(recipe, stage) is None:
            continue
        state = Folder(folder / stage).state() if (folder / stage).is_dir() else {}
        texts = [
            f"{name.replace('_', ' ')} {state[name]:.4g}" for name in ("loss", "reward") if name in state
        ]
        texts += state.get("files", [])
        found.append(
            TuningStatus(
                stage, state.get("step", 0), state.get("steps"), state.get("seconds", 0.0), ", ".join(texts)
            )
        )
    return found


async def _train(
    stage: TuningName, model: str | None, settings: Frozen, folder: Path, hear: Hear, lock: int
) -> None:
    out = folder / stage
    data = await _data(folder, out)
    job: dict[str, Any] = {
        "kind": stage,
        "model": model,
        "data": str(data),
        "out": str(out),
        "recipe": settings.model_dump(mode="json"),
    }

    def tell(progress: dict[str, float]) -> None:
        shown = [f"step {progress['step']:.0f} of {progress['steps']:.0f}"]
        shown += [f"{name} {progress[name]:.4f}" for name in ("loss", "reward") if name in progress]
        hear(TuningProgress(stage, ", ".join(shown)))

    hear(TuningProgress(stage, "loading the model"))
    launch, processes = getattr(settings, "launch", None), getattr(settings, "processes", 1)
    await run_worker(job, out, launch=launch, processes=processes, hear=tell, inherited=(lock,))


async def _data(folder: Path, out: Path) -> Path:
    """The run's dataset as a file."""
    await asyncio.to_thread(Folder, out)
    data = out / DATA
    if not await export(folder, data):
        raise InputError(f"the dataset in {folder} is empty: run the stages before it first")
    return data


async def _export(recipe: PipelineRecipe, folder: Path, hear: Hear) -> None:
    from .exporting import export_folder

    settings = recipe.export
    assert settings is not None
    last: TuningName = "sft" if recipe.rl is None else "rl"
    model = Path(_model_of(folder, last))
    out = Folder(folder / "export")
    made_of = {
        **settings.model_dump(mode="json"),
        "model": Folder(model.parent).identity(),
    }
    if out.state().get("made_of") == made_of:
        return
    conversations = await asyncio.to_thread(
        lambda: list(islice(read_conversations(model.parent / DATA), settings.conversations))
    )
    exported = await export_folder(
        model,
        out.path,
        settings.name or recipe.name,
        settings.types,
        [each.messages for each in conversations],
        base=recipe.base or "",
        records=await _records(recipe, folder),
        hear=lambda text: hear(TuningProgress("export", text)),
    )
    names = [each.path.name for each in exported]
    out.tell(made_of=made_of, finished=True, step=len(names), steps=len(names), files=names)


def _model_of(folder: Path, stage: TuningName) -> str:
    """The finished model of a stage.

    Raises:
        InputError: There is none yet.
    """
    found = Folder(folder / stage)
    if not found.finished:
        raise InputError(f"{found.path} holds no finished model: genprm train {stage} comes first")
    return str(found.model)


async def _records(recipe: PipelineRecipe, folder: Path) -> dict[str, list[tuple[str, str]]]:
    """What a card says about how the model was made, by section."""
    _, statuses = await read_status(folder)
    data: list[tuple[str, str]] = [
        (
            status.stage,
            f"{status.kept} kept"
            + "".join(f"; {count} dropped: {reason}" for reason, count in status.dropped.items()),
        )
        for status in statuses
    ]
    models = {
        "policy": recipe.policy,
        "completer": recipe.completer or recipe.policy,
        "teacher": recipe.teacher,
    }
    sections: dict[str, list[tuple[str, str]]] = {
        "Models": [(role, model.alias or model.model) for role, model in models.items()],
        "Data": data,
        "Labels": [(key, str(value)) for key, value in recipe.labels.model_dump().items()],
    }
    for stage in ("sft", "rl"):
        settings = getattr(recipe, stage)
        if settings is None:
            continue
        state = Folder(folder / stage).state()
        rows = [(key, str(value)) for key, value in settings.model_dump(exclude_none=True).items()]
        rows += [
            (key, str(value)) for key, value in state.items() if key in ("steps", "loss", "reward", "data")
        ]
        sections[stage.upper()] = rows
    return sections
