"""Reinforcement learning of a verifier from labels alone: GRPO with the reward "the verdict is the label".

The settings, the reward, and the way of a run: begun, gone on with, finished. Needs TRL when it trains, not
when it is imported; ``grpo`` is what trains.

Sources: GRPO is arXiv 2402.03300; that a verifier's verdicts are rewarded by labels is this library's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from genprm_sdk.errors import MissingExtraError, ModelFileError
from genprm_sdk.types import Frozen, VerificationPath

from .runs import Folder, digest_of_file
from .settings import LoraRecipe

__all__ = ["RLProgress", "RLRecipe", "reward_of", "train_rl"]

RLProgress = dict[str, float]
"""``step``, ``steps``, ``reward`` and the other numbers of the curve; see ``train_rl``."""

Count = Annotated[int, Field(ge=1)]

NEEDED = ("trl", "datasets", "accelerate")
NOT_DECISIVE = {"steps", "rows", "save_every", "gradient_checkpointing", "report_to"}
"""Of the recipe: what does not decide what a step does, so that a training may go on with another."""


class RLRecipe(Frozen):
    """How a verifier is trained by GRPO (arXiv 2402.03300).

    Rewards are held against their group's mean and spread; the loss is a mean over all tokens of a batch that
    the model drew, as in DAPO (arXiv 2503.14476).

    Attributes:
        steps: Batches of turns that are written and learnt from. A finished training goes on where more are
            wanted.
        prompts_per_step: Steps of solutions that are learnt from in each.
        generations: How often each is judged: a turn is held against the others of its group.
        candidates: Prompts that are judged for each that is learnt from. Of their groups those come first
            whose rewards differ, since from the others there is nothing to learn (arXiv 2503.14476).
        passes: Optimiser steps on each batch. From the second on the model is not the one that wrote the
            batch, and only then does ``epsilon`` clip anything.
        learning_rate: Of AdamW, without decay of the weights.
        warmup: Steps over which it rises; then it stays.
        beta: Weight of the divergence from the model at the beginning. 0 keeps no second model, and then the
            divergence is not known.
        epsilon: How far a token's probability may move before its gradient is cut off.
        temperature: Of sampling, from all tokens.
        balance: Whether right and wrong steps take turns; otherwise they come as often as the data has them.
        degraded_cost: Taken off the reward of a turn whose code part had to be given up.
        turn_tokens: Budget of a turn, where the model's own is larger.
        seed: Of what is drawn.
        rows: Sequences in one pass through the model; the rest of a batch is accumulated.
        save_every: Steps between checkpoints.
        gradient_checkpointing: Computes activations again to save memory.
        precision: The weights' type; adapters are float32.
        lora: Trains adapters instead of all weights.
        report_to: ``tensorboard`` or ``wandb``, if installed.
    """

    steps: Count = 100
    prompts_per_step: Count = 8
    generations: Annotated[int, Field(ge=2)] = 8
    candidates: Count = 1
    passes: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    warmup: Annotated[int, Field(ge=0)] = 0
    beta: Annotated[float, Field(ge=0)] = 0.0
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 0.2
    temperature: Annotated[float, Field(gt=0)] = 1.0
    balance: bool = True
    degraded_cost: Annotated[float, Field(ge=0, le=1)] = 0.0
    turn_tokens: Count | None = None
    seed: int = 0
    rows: Count = 8
    save_every: Count = 25
    gradient_checkpointing: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    lora: LoraRecipe | None = None
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.turns % self.rows:
            raise ValueError(
                f"rows is {self.rows}: it must divide prompts_per_step x generations, which is {self.turns}"
            )
        if self.lora is not None and self.lora.bits is not None:
            raise ValueError("lora.bits is not for reinforcement learning: leave it out")
        return self

    @property
    def turns(self) -> int:
        """Turns that are learnt from in a step."""
        return self.prompts_per_step * self.generations


def reward_of(path: VerificationPath, label: bool, degraded_cost: float = 0.0) -> float:
    """1 if the verdict is the label, 0 if it is not or cannot be read; less the cost if it was degraded."""
    right = path.verdict is not None and (path.verdict == "yes") is label
    return float(right) - degraded_cost * (path.degraded is not None)


def train_rl(
    folder: Path,
    data: Path,
    out: Path,
    recipe: RLRecipe,
    *,
    hear: Callable[[RLProgress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train, or go on training; blocks. The finished model lies in ``out/model``.

    ``out/curve.jsonl`` has a line a step, and ``out/curve.svg`` a picture of it. Of all turns that were
    written, candidates included: ``reward`` (the mean), ``unparsed`` and ``degraded`` (shares),
    ``code_failures`` (the share of the code blocks), ``even`` (the share of the groups whose turns all have
    one reward, so that there is nothing to learn from them) and ``tokens`` (drawn, a turn). Of those that
    were learnt from: ``entropy`` and, with ``beta``, ``kl`` (nats a drawn token).

    Args:
        folder: The model that training starts from, in the Hugging Face layout.
        data: The pipeline's conversations, one JSON object a line; each labelled step is judged. The code of
            its verifications is run before a later step is judged, as one solution's steps share a session.
        out: The training's folder.
        recipe: How to train.
        hear: Called with each line of the curve, and the number of steps.
        stop: Asked after every step whether to end with a checkpoint.

    Returns:
        Whether it has come to its end; False where it was asked to stop.

    Raises:
        InputError: The data cannot be used, or ``out`` was begun with other settings, data or weights.
        MissingExtraError: A package is not installed.
        ModelFileError: The model cannot be used.
        SandboxError: Code cannot be run.
    """
    for package in (*NEEDED, *(("peft",) if recipe.lora else ()), *recipe.report_to):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "train", "Reinforcement learning")
    from .grpo import Reinforcement

    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelFileError(f"there are no weights in {folder}: give a folder with safetensors")
    run = Folder(out)
    run.claim(
        {
            **recipe.model_dump(mode="json", exclude=NOT_DECISIVE),
            "data": digest_of_file(data),
            "weights": [digest_of_file(file) for file in weights],
        }
    )
    if run.finished and run.state()["steps"] >= recipe.steps:
        return True
    run.tell(finished=False)
    finished = Reinforcement(folder, data, run, recipe, hear, stop).run()
    run.tell(finished=finished)
    return finished
