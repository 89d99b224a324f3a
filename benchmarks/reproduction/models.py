"""Small verifiers of one domain: alike but for what an experiment varies.

They begin with the weights of the bundled solver, as the paper's begin with a model that can reason; those
that differ in size begin with nothing, and take longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from genprm_sdk.models import find_model
from genprm_sdk.training.checkpoint import latest_step
from genprm_sdk.training.dataset import Mix
from genprm_sdk.training.recipe import Recipe
from genprm_sdk.training.run import run_recipe
from genprm_sdk.training.sft import Shape, TrainSettings
from genprm_sdk.training.trained import model_of_file

from .scales import Scale
from .solving import POLICY

__all__ = [
    "COMPONENTS",
    "DOMAIN",
    "SEEING_RATIONALES",
    "SHARES_OF_DATA",
    "SIZES",
    "parameters",
    "recipe_of",
    "trained",
]

DOMAIN = "arithmetic"
"""What they are trained on."""

REFERENCE = Shape(
    vocabulary=1024, width=192, layers=4, heads=6, key_value_heads=3, feed_forward=768, context=4096
)

SIZES = {
    "small": replace(REFERENCE, width=128, layers=3, heads=4, key_value_heads=2, feed_forward=512),
    "medium": REFERENCE,
    "large": replace(REFERENCE, width=288, layers=5, heads=9, key_value_heads=3, feed_forward=1152),
}
"""From nothing."""

COMPONENTS = {
    "direct": Mix(direct=1),
    "analysis": Mix(unexecuted=0, analysis_only=1, code_only=0, rewritten=0),
    "code": Mix(unexecuted=0, analysis_only=0, code_only=1, rewritten=0),
    "reference": Mix(),
}
"""By what is written; the reference writes an analysis and code, and sometimes code without its output."""

SEEING_RATIONALES = "rationales"
"""Sees its rationales of the steps before, as the paper's do; the reference sees the steps alone."""

SHARES_OF_DATA = {"quarter": 0.25, "half": 0.5, "pool": 1.0}


def recipe_of(name: str, scale: Scale) -> Recipe:
    """The recipe of one of them, by the name of what is varied."""
    share = SHARES_OF_DATA.get(name)
    steps = scale.training_steps_from_nothing if name in SIZES else scale.training_steps
    return Recipe(
        model=f"mini-{name}",
        role="verifier",
        shape=SIZES.get(name, REFERENCE),
        schedule=TrainSettings(
            steps=steps,
            tokens=3072,
            longest=1200,
            first_longest=500,
            lengthening=steps // 5,
            warmup=max(1, steps // 50),
            decay_from=steps // 5,
            checkpoint_every=100,
            probe_every=steps,
        ),
        shares={DOMAIN: 1},
        analysis_tokens=scale.turn_tokens // 2,
        turn_tokens=scale.turn_tokens,
        mix=COMPONENTS.get(name, COMPONENTS["reference"]),
        history="rationales" if name == SEEING_RATIONALES else "steps",
        distinct=None if share is None else round(share * scale.pool),
    )


def trained(name: str, scale: Scale, folder: Path, say: Callable[[str], None]) -> Path:
    """The file of one of them, trained first, or further, where it is not finished."""
    recipe = recipe_of(name, scale)
    file = folder / name / f"{recipe.model}.gguf"
    if not file.exists():
        done = latest_step(folder / name / "checkpoints") or 0
        say(f"training {recipe.model} from step {done} of {recipe.schedule.steps}")
        start = None
        if name in SIZES:
            take_vocabulary(folder / name)
        else:
            start = find_model(POLICY)[1]
        if run_recipe(recipe, folder / name, start=start) is None:
            raise KeyboardInterrupt  # which a training ends with a checkpoint
    return file


def take_vocabulary(folder: Path) -> None:
    """Learnt from the same worlds, the bundled model's is the one that each would learn."""
    path = folder / "tokenizer.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        model_of_file(find_model("genprm-mini")[1]).tokenizer.save(str(path))


def parameters(shape: Shape) -> int:
    """Weights, the embedding counted once."""
    width, kept = shape.width, shape.width * shape.key_value_heads // shape.heads
    attention = 2 * width * width + 2 * width * kept + width + 2 * kept
    layer = attention + 3 * width * shape.feed_forward + 2 * width
    return shape.vocabulary * width + shape.layers * layer + width
