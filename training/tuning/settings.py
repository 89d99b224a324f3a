"""What decides a fine-tuning: the recipe's parts ``sft`` and ``export``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from genprm_sdk.types import Frozen

__all__ = ["ExportRecipe", "LoraRecipe", "SFTRecipe"]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class LoraRecipe(Frozen):
    """Low-rank adapters on all linear layers (arXiv 2106.09685), merged into the model at the end.

    Attributes:
        rank: Of the adapters.
        alpha: Their weight is alpha / rank.
        dropout: Share of their inputs that is dropped in training.
        bits: 4 or 8 holds the frozen model in so many bits (QLoRA, arXiv 2305.14314; needs bitsandbytes and
            CUDA); None in its own type.
    """

    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0
    bits: Literal[4, 8] | None = None


class SFTRecipe(Frozen):
    """Supervised fine-tuning of a verifier on the pipeline's conversations.

    Batch and learning rate are the paper's (arXiv 2504.00891); the rest of its setting is not published.

    Attributes:
        loss: ``written`` trains on what a verifier writes itself; ``turn`` on whole turns, forced text and
            ``[Code Output]`` included, as the paper's plain loss.
        batch: Sequences a step, over all devices.
        device_batch: Of them at once on a device; the rest is accumulated.
        learning_rate: The largest, behind the warmup.
        epochs: Times that every conversation is seen.
        steps: Steps in place of epochs.
        schedule: How the learning rate falls.
        warmup: Share of the steps over which it rises.
        weight_decay: AdamW's.
        clip: The largest norm of a gradient.
        longest: Tokens of a sequence; longer ones are left out and counted, never cut.
        precision: ``auto`` is bfloat16 where a GPU has it, else float32.
        gradient_checkpointing: Computes activations again to save memory; None does on a GPU.
        packing: Puts several short sequences into one row; needs a GPU with FlashAttention.
        lora: Trains adapters instead of all weights.
        seed: Decides the order.
        save_every: Steps between checkpoints.
        report_to: ``tensorboard`` or ``wandb``, if installed.
        launch: ``fsdp``, ``deepspeed`` or the file of an ``accelerate`` configuration for several devices;
            None trains in one process.
        processes: How many, on this machine.
    """

    loss: Literal["written", "turn"] = "written"
    batch: Count = 64
    device_batch: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] = 2e-6
    epochs: Annotated[float, Field(gt=0)] = 1
    steps: Count | None = None
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: Share = 0.03
    weight_decay: Annotated[float, Field(ge=0)] = 0
    clip: Annotated[float, Field(gt=0)] = 1.0
    longest: Count = 16384
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool | None = None
    packing: bool = False
    lora: LoraRecipe | None = None
    seed: int = 0
    save_every: Count = 100
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
    launch: str | None = None
    processes: Count = 1

    @model_validator(mode="after")
    def _batches_fit(self) -> Self:
        at_once = self.device_batch * self.processes
        if self.batch % at_once:
            raise ValueError(f"batch must be a multiple of device_batch x processes, which is {at_once}")
        if self.processes > 1 and self.launch is None:
            raise ValueError(
                "several processes need `launch`: fsdp, deepspeed or an accelerate configuration"
            )
        return self


class ExportRecipe(Frozen):
    """The model as files for llama.cpp.

    Attributes:
        name: What the files and the model are called; by default the recipe's name.
        types: ``f16``, ``q8_0``, ``Q4_K_M`` and the like, a file each.
        conversations: So many of the dataset's are read by the model and by each file, which is released only
            if both say the same.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    types: Annotated[tuple[str, ...], Field(min_length=1)] = ("q8_0",)
    conversations: Count = 8
