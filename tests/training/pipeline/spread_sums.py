"""Rollouts of the scripted model by two Ray workers; as a script, a run that can be stopped from outside."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ray import cloudpickle

from genprm_sdk.prompt import Segment
from genprm_sdk.training.pipeline import run_pipeline
from genprm_sdk.training.pipeline.distributed import SPREADABLE, RaySettings, RaySpread
from genprm_sdk.training.pipeline.recipe import ModelRecipe
from genprm_sdk.training.pipeline.stages import Load

NAME = "pipeline_sums"


def scripted() -> ModuleType:
    """The scripted model's module; workers cannot import it and get what they need of it by value."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, Path(__file__).with_name("sums.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(sys.modules[NAME])
    return sys.modules[NAME]


def noting(log: Path, **how: Any) -> Load:
    """Loads a model that notes in a file each problem that it is asked to solve."""
    model_class = scripted().Sums

    async def load(_: ModelRecipe) -> Any:
        model = model_class(**how)
        opened = model.open

        async def open_noted(segments: Sequence[Segment]) -> Any:
            asked = next(segment.text for segment in segments if segment.text.startswith("What is"))
            with log.open("a") as file:
                file.write(asked.partition("?")[0] + "?\n")
            return await opened(segments)

        model.open = open_noted
        return model

    return load


async def roll_out(folder: Path, load: Load) -> None:
    """Go on with a folder's run, up to the rollouts."""
    recipe = scripted().sums_recipe(folder / "problems.jsonl")
    async with RaySpread(RaySettings(workers=2, batch=2), folder, load) as spread:
        await run_pipeline(
            recipe, folder, stages=["problems", "rollouts"], spread=dict.fromkeys(SPREADABLE, spread)
        )


if __name__ == "__main__":
    place = Path(sys.argv[1])
    asyncio.run(roll_out(place, noting(place / "asked.txt", seconds=0.5)))
