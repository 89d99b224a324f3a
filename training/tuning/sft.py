"""Supervised fine-tuning on TRL: from conversations to a model in the Hugging Face layout.

Blocks; ``launching`` runs it in a process of its own. Resumes from the newest checkpoint, and ends with one
when it is asked to stop. Knows no store and no stages.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genprm_sdk.errors import InputError, MissingExtraError
from genprm_sdk.modes import Reasoning

from ..curve import Curve, loss_picture
from ..pipeline.dataset import read_conversations
from .examples import IGNORED, Encoder
from .folders import add_setting, settings_of
from .runs import Folder, digest_of_file, digests_of_weights
from .settings import LoraRecipe, SFTRecipe

__all__ = ["SFTProgress", "Stop", "train_sft"]

SFTProgress = dict[str, float]
"""``step``, ``steps`` and, where it is known, ``loss`` in nats a token that is trained on."""

Stop = Callable[[], bool]
"""Asked after every step: whether to end with a checkpoint now."""

NEEDED = ("trl", "datasets", "accelerate")


def train_sft(
    folder: Path,
    data: Path,
    out: Path,
    recipe: SFTRecipe,
    *,
    hear: Callable[[SFTProgress], None] = lambda progress: None,
    stop: Stop = lambda: False,
) -> bool:
    """Train, or go on training; the finished model lies in ``out/model``.

    Args:
        folder: The model that training starts from, in the Hugging Face layout.
        data: Conversations, one JSON object a line.
        out: The training's folder.
        recipe: How to train.
        hear: Called with progress.
        stop: Asked after every step.

    Returns:
        Whether it has come to its end; False where it was asked to stop.

    Raises:
        InputError: The data cannot be used, ``out`` was begun with other settings, or a setting needs what
            this machine lacks.
        MissingExtraError: A package is not installed.
        ModelFileError: The model cannot be used.
    """
    for package in (*NEEDED, *(("peft",) if recipe.lora else ()), *recipe.report_to):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "train", "Fine-tuning")
    run = Folder(out)
    run.claim(
        {
            **recipe.model_dump(mode="json", exclude=NOT_DECISIVE),
            "data": digest_of_file(data),
            "weights": digests_of_weights(folder),
        }
    )
    if run.finished:
        return True
    trainer = _Training(folder, data, run, recipe, hear, stop)
    finished = trainer.run()
    run.tell(finished=finished)
    return finished


NOT_DECISIVE = {"save_every", "report_to", "launch", "processes", "device_batch", "gradient_checkpointing"}
"""Of the recipe: what does not decide the result, so that a training may go on with another."""


class _Training:
    def __init__(
        self,
        folder: Path,
        data: Path,
        run: Folder,
        recipe: SFTRecipe,
        hear: Callable[[SFTProgress], None],
        stop: Stop,
    ) -> None:
        self._folder = folder
        self._data = data
        self._run = run
        self._recipe = recipe
        self._hear = hear
        self._stop = stop
        self._reasonings: set[Reasoning] = set()

    def run(self) -> bool:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as reports
        from trl import SFTTrainer

        reports.set_verbosity_error()  # type: ignore[no-untyped-call]
        reports.disable_progress_bar()  # type: ignore[no-untyped-call]
        recipe = self._recipe
        cuda = torch.cuda.is_available()
        if recipe.packing and not (cuda and importlib.util.find_spec("flash_attn")):
            raise InputError("packing needs a GPU and flash-attn: set packing to false")
        if recipe.lora and recipe.lora.bits and not (cuda and importlib.util.find_spec("bitsandbytes")):
            raise InputError("lora.bits needs a GPU and bitsandbytes: leave it out")
        bfloat16 = recipe.precision == "bfloat16" or (
            recipe.precision == "auto" and cuda and torch.cuda.is_bf16_supported()
        )
        dataset = self._dataset()
        model: Any = AutoModelForCausalLM.from_pretrained(
            self._folder,
            dtype=torch.bfloat16 if bfloat16 and recipe.lora else torch.float32,
            attn_implementation="flash_attention_2" if recipe.packing else "sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **_quantization(recipe.lora),
        )
        model.config.use_cache = False
        tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        watcher = _watcher(self._run, self._hear, self._stop)
        trainer = SFTTrainer(
            model=model,
            args=self._arguments(len(dataset), bfloat16=bfloat16, cuda=cuda),
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=_adapters(recipe.lora),
            callbacks=[watcher],
        )
        trainer.remove_callback(_printer())
        newest = self._run.newest_checkpoint()
        trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
        if watcher.stopped:
            return False
        self._release(trainer)
        return True

    def _dataset(self) -> Any:
        """The conversations as tokens, in a file of the training's folder, not in memory."""
        from datasets import Dataset, disable_progress_bars
        from datasets.arrow_writer import ArrowWriter

        disable_progress_bars()
        encoder = Encoder(self._folder, settings_of(self._folder), forced=self._recipe.loss == "turn")
        counts = {"sequences": 0, "too_long": 0, "tokens": 0, "trained_tokens": 0}
        path = self._run.path / "tokens.arrow"
        with ArrowWriter(path=str(path), features=_features()) as writer:
            for conversation in read_conversations(self._data):
                self._reasonings.add(conversation.reasoning)
                for example in encoder.examples(conversation):
                    if len(example.ids) > self._recipe.longest:
                        counts["too_long"] += 1
                        continue
                    counts["sequences"] += 1
                    counts["tokens"] += len(example.ids)
                    counts["trained_tokens"] += sum(label != IGNORED for label in example.labels)
                    writer.write({"input_ids": example.ids, "labels": example.labels})
            if not counts["sequences"]:
                raise InputError(
                    f"{self._data} gives nothing to train on: {counts['too_long']} sequences are longer than "
                    f"{self._recipe.longest} tokens; raise `longest`, or make more data"
                )
            writer.finalize()
        self._run.tell(data=counts)
        return Dataset.from_file(str(path))

    def _arguments(self, sequences: int, *, bfloat16: bool, cuda: bool) -> Any:
        from trl import SFTConfig

        recipe = self._recipe
        checkpointing = cuda if recipe.gradient_checkpointing is None else recipe.gradient_checkpointing
        accumulated = recipe.batch // (recipe.device_batch * recipe.processes)
        steps = recipe.steps or max(1, round(recipe.epochs * sequences / recipe.batch))
        return SFTConfig(
            output_dir=str(self._run.checkpoints),
            per_device_train_batch_size=recipe.device_batch,
            gradient_accumulation_steps=accumulated,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type=recipe.schedule,
            warmup_steps=round(recipe.warmup * steps),
            max_steps=steps,
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.clip,
            seed=recipe.seed,
            bf16=bfloat16,
            use_cpu=not cuda,
            activation_checkpointing=checkpointing,
            packing=recipe.packing,
            max_length=recipe.longest,
            save_strategy="steps",
            save_steps=recipe.save_every,
            save_total_limit=2,
            logging_strategy="steps",
            logging_steps=1,
            report_to=list(recipe.report_to) or "none",
            disable_tqdm=True,
            dataloader_pin_memory=cuda,
        )

    def _release(self, trainer: Any) -> None:
        """Write the model, merged and with everything that was in the folder it came from beside weights."""
        if self._recipe.lora is not None:
            from .merging import merge_adapter

            adapter = self._run.path / "adapter"
            trainer.save_model(str(adapter))
            if trainer.is_world_process_zero():
                merge_adapter(self._folder, adapter, self._run.model)
                self._say_reasoning(self._run.model)
            return
        part = self._run.path / "model.part"
        if trainer.is_world_process_zero():
            shutil.rmtree(part, ignore_errors=True)
        trainer.model.config.use_cache = True
        trainer.save_model(str(part))
        if not trainer.is_world_process_zero():
            return
        for name in TOKENIZER_FILES:
            if (self._folder / name).is_file():
                shutil.copyfile(self._folder / name, part / name)
        self._say_reasoning(part)
        shutil.rmtree(self._run.model, ignore_errors=True)
        part.replace(self._run.model)

    def _say_reasoning(self, folder: Path) -> None:
        """Have the model's folder, and files made of it, name what it was trained to write."""
        if len(self._reasonings) == 1:
            add_setting(folder, "reasoning", next(iter(self._reasonings)))


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)
"""Copied as they are: what a library would write anew may differ."""


def _features() -> Any:
    from datasets import Features, Sequence, Value

    return Features({"input_ids": Sequence(Value("int32")), "labels": Sequence(Value("int32"))})


def _quantization(lora: LoraRecipe | None) -> dict[str, Any]:
    if lora is None or lora.bits is None:
        return {}
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=lora.bits == 4,
        load_in_8bit=lora.bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config}


def _adapters(lora: LoraRecipe | None) -> Any:
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback


def _watcher(run: Folder, hear: Callable[[SFTProgress], None], stop: Stop) -> Any:
    """Tells progress, and ends with a checkpoint when it is asked to."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        stopped = False

        def __init__(self) -> None:
            self._curve: Curve | None = None

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            if state.global_step < state.max_steps and stop():
                self.stopped = control.should_save = control.should_training_stop = True
            return control

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if not state.is_world_process_zero or not logs or "loss" not in logs:
                return
            if self._curve is None:
                self._curve = Curve(run.path, state.global_step - 1, loss_picture)
            point = {name: logs[name] for name in ("loss", "learning_rate", "grad_norm") if name in logs}
            self._curve.add_point({"step": state.global_step, **point})
            self._curve.draw(state.max_steps)
            run.tell(step=state.global_step, steps=state.max_steps, loss=logs["loss"])
            hear({"step": state.global_step, "steps": state.max_steps, "loss": logs["loss"]})

    return Watcher()
