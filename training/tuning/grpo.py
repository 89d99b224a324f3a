"""GRPO by TRL's trainer, with verification turns in place of its own generation.

Knows what TRL wants and when: prompts in order, ids and masks of turns, rewards, checkpoints. How a turn is
written is ``rollout``'s business, what it is worth ``rl``'s. One process, on one device.
"""

from __future__ import annotations

import logging
import random
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging as reports
from trl import GRPOConfig, GRPOTrainer

from genprm_sdk.errors import InputError
from genprm_sdk.torch_engine.loading import best_device

from ..curve import Curve, shares_picture
from ..pipeline.policy import seed_of
from .folders import settings_of
from .prompts import StepPrompt, drawn_prompts, read_prompts
from .rl import reward_of
from .rollout import Rollouts, WrittenTurn
from .runs import Folder

if TYPE_CHECKING:
    from .rl import RLProgress, RLRecipe

__all__ = ["Reinforcement"]

FROM_TRL = ("entropy", "kl")
"""Numbers of the curve that TRL knows."""

OWN = ("reward", "even", "unparsed", "degraded", "code_failures", "tokens")
"""Numbers of all turns that were written, those too that TRL never sees; it is given them under ``MINE``."""

MINE = "turns/"

draw_curve = shares_picture(
    {
        "reward": {"": "reward"},
        "shares": {
            "verdict unreadable": "unparsed",
            "degraded": "degraded",
            "code failed": "code_failures",
            "nothing to learn": "even",
        },
    }
)

KEPT_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)
"""Copied to the trained model as they are: neither the tokenizer nor the configuration has changed."""


class Reinforcement:
    """One training; ``run`` does it. See ``rl.train_rl``."""

    def __init__(
        self,
        folder: Path,
        data: Path,
        run: Folder,
        recipe: RLRecipe,
        hear: Callable[[RLProgress], None],
        stop: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._data = data
        self._run = run
        self._recipe = recipe
        self._watcher = _Watcher(run, recipe.passes, hear, stop)

    def run(self) -> bool:
        """Train, or go on; returns whether it has come to its end."""
        with _quiet():
            model: Any = AutoModelForCausalLM.from_pretrained(
                self._folder,
                dtype=getattr(torch, self._recipe.precision),
                attn_implementation="sdpa",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
            model.to(best_device())
            settings = settings_of(self._folder)
            if self._recipe.turn_tokens is not None:
                most = min(settings.turn_tokens, self._recipe.turn_tokens)
                settings = replace(settings, turn_tokens=most)
            with Rollouts(
                model, self._folder, settings=settings, temperature=self._recipe.temperature
            ) as rollouts:
                trainer = self._trainer(model, rollouts)
                newest = self._run.newest_checkpoint()
                trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
            if self._watcher.stopped:
                return False
            self._release(trainer.model)
            return True

    def _trainer(self, model: Any, rollouts: Rollouts) -> Any:
        recipe = self._recipe
        prompts = self._prompts(rollouts)
        slots = recipe.steps * recipe.prompts_per_step
        rng = random.Random(f"prompts/{recipe.seed}")
        order = drawn_prompts(prompts, slots * recipe.candidates, rng, balance=recipe.balance)
        tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True, padding_side="left")
        writer = _Writer([prompts[place] for place in order], rollouts, recipe)
        trainer: Any = GRPOTrainer(
            model=model,
            reward_funcs=writer.reward,  # type: ignore[arg-type]
            args=self._arguments(),
            train_dataset=Dataset.from_dict({"prompt": [str(slot) for slot in range(slots)]}),
            processing_class=tokenizer,
            peft_config=self._adapters(),
            rollout_func=writer.rollout,
            callbacks=[self._watcher],
        )
        if trainer.accelerator.num_processes > 1:
            raise InputError(
                "reinforcement learning runs in one process: start it without accelerate or torchrun"
            )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _prompts(self, rollouts: Rollouts) -> list[StepPrompt]:
        prompts = read_prompts(self._data)
        fitting = [prompt for prompt, fits in zip(prompts, rollouts.fit(prompts), strict=True) if fits]
        self._run.tell(data={"steps": len(fitting), "too_long": len(prompts) - len(fitting)})
        if not fitting:
            raise InputError(
                f"{self._data} gives nothing to train on: the context has no room for any of its "
                f"{len(prompts)} steps and a turn; lower turn_tokens, or take shorter ones"
            )
        return fitting

    def _arguments(self) -> Any:
        recipe = self._recipe
        return GRPOConfig(
            output_dir=str(self._run.checkpoints),
            max_steps=recipe.steps * recipe.passes,
            per_device_train_batch_size=recipe.rows,
            gradient_accumulation_steps=recipe.turns // recipe.rows,
            num_generations=recipe.generations,
            num_iterations=recipe.passes,
            shuffle_dataset=False,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=recipe.warmup * recipe.passes,
            weight_decay=0.0,
            beta=recipe.beta,
            epsilon=recipe.epsilon,
            temperature=recipe.temperature,
            seed=recipe.seed,
            bf16=False,
            use_cpu=best_device() == "cpu",
            activation_checkpointing=recipe.gradient_checkpointing,
            save_strategy="steps",
            save_steps=recipe.save_every * recipe.passes,
            save_total_limit=1,
            logging_steps=1,
            report_to=list(recipe.report_to) or "none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )

    def _adapters(self) -> Any:
        if self._recipe.lora is None:
            return None
        from peft import LoraConfig

        return LoraConfig(
            r=self._recipe.lora.rank,
            lora_alpha=self._recipe.lora.alpha,
            lora_dropout=self._recipe.lora.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )

    def _release(self, model: Any) -> None:
        """Write the model, merged, beside the files of the folder that it came from."""
        part = self._run.path / "model.part"
        shutil.rmtree(part, ignore_errors=True)
        whole = model if self._recipe.lora is None else model.merge_and_unload()
        whole.save_pretrained(part)
        for name in KEPT_FILES:
            if (self._folder / name).is_file():
                shutil.copyfile(self._folder / name, part / name)
        shutil.rmtree(self._run.model, ignore_errors=True)
        part.replace(self._run.model)


class _Writer:
    """What the trainer calls for turns and their rewards.

    Args:
        prompts: What is judged, in order, so many of them in each step as there are candidates.
        rollouts: Writes turns.
        recipe: How.
    """

    def __init__(self, prompts: Sequence[StepPrompt], rollouts: Rollouts, recipe: RLRecipe) -> None:
        self._prompts = prompts
        self._rollouts = rollouts
        self._recipe = recipe
        self._numbers: dict[str, float] = {}

    def rollout(self, slots: Sequence[str], trainer: Any) -> dict[str, Any]:
        """The turns of a step: those of the groups that are learnt from."""
        recipe = self._recipe
        step = trainer.state.global_step // recipe.passes
        count = len(slots) // recipe.generations * recipe.candidates
        prompts = self._prompts[step * count : (step + 1) * count]
        written = self._rollouts.write(prompts, recipe.generations, seed_of(recipe.seed, step))
        groups = [
            _Group(turns, [reward_of(turn.path, prompt.label, recipe.degraded_cost) for turn in turns])
            for prompt, turns in zip(prompts, written, strict=True)
        ]
        self._numbers = _numbers(groups)
        chosen = sorted(groups, key=lambda group: group.is_even)[: count // recipe.candidates]
        turns = [turn for group in chosen for turn in group.turns]
        return {
            "prompt_ids": [list(turn.prompt_ids) for turn in turns],
            "completion_ids": [list(turn.completion_ids) for turn in turns],
            "env_mask": [list(turn.mask) for turn in turns],
            "logprobs": None,  # the weights that wrote are those that learn: there is nothing to correct
            "worth": [reward for group in chosen for reward in group.rewards],
        }

    def reward(
        self, worth: list[float], log_metric: Callable[[str, float], None], **rest: Any
    ) -> list[float]:
        """What ``rollout`` said the turns are worth."""
        for name, number in self._numbers.items():
            log_metric(MINE + name, number)
        return worth


@dataclass(frozen=True)
class _Group:
    turns: tuple[WrittenTurn, ...]
    rewards: list[float]

    @property
    def is_even(self) -> bool:
        """Whether there is nothing to learn from it."""
        return len(set(self.rewards)) == 1


def _numbers(groups: Sequence[_Group]) -> dict[str, float]:
    turns = [turn for group in groups for turn in group.turns]
    blocks = [run for turn in turns for run in turn.path.code_runs]
    return {
        "reward": sum(sum(group.rewards) for group in groups) / len(turns),
        "even": sum(group.is_even for group in groups) / len(groups),
        "unparsed": sum(turn.path.verdict is None for turn in turns) / len(turns),
        "degraded": sum(turn.path.degraded is not None for turn in turns) / len(turns),
        "code_failures": sum(run.status != "ok" for run in blocks) / max(1, len(blocks)),
        "tokens": sum(sum(turn.mask) for turn in turns) / len(turns),
    }


class _Watcher(TrainerCallback):
    """Draws the curve, tells progress, and ends with a checkpoint when it is asked to."""

    stopped = False

    def __init__(
        self, run: Folder, passes: int, hear: Callable[[RLProgress], None], stop: Callable[[], bool]
    ) -> None:
        self._run = run
        self._passes = passes
        self._hear = hear
        self._stop = stop
        self._curve: Curve | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Between two steps of the recipe, ask whether to stop."""
        between = state.global_step % self._passes == 0
        if between and state.global_step < state.max_steps and self._stop():
            self.stopped = control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Write down what a step came to; a pass that wrote no new turns says nothing of them."""
        if not logs or MINE + "reward" not in logs:
            return
        step = (state.global_step - 1) // self._passes + 1
        if self._curve is None:
            self._curve = Curve(self._run.path, step - 1, draw_curve)
        numbers = {name: logs[MINE + name] for name in OWN}
        numbers |= {name: logs[name] for name in FROM_TRL if name in logs}
        numbers = {name: float(f"{number:.4g}") for name, number in numbers.items()}
        steps = state.max_steps // self._passes
        self._curve.add_point({"step": step, **numbers})
        self._curve.draw(steps)
        self._run.tell(step=step, steps=steps, reward=numbers["reward"])
        self._hear({"step": step, "steps": steps, **numbers})


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, reports and warnings of the libraries below."""
    level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.ERROR)
    reports.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()  # type: ignore[no-untyped-call]
