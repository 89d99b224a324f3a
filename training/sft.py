"""Supervised training of a small decoder on tokenised rows, resumable at any step.

Every batch is a function of the seed and the step's number, so a run that was killed goes on from its last
checkpoint as if nothing had happened. Knows models, optimisers and checkpoints; what the rows say is the
business of ``training.dataset``.
"""

from __future__ import annotations

import math
import os
import pickle
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .dataset import Batch, Row, collate

__all__ = ["Progress", "Shape", "TrainSettings", "build_model", "load_weights", "train"]

RowSource = Callable[[random.Random], Row]

POOL = 4
"""Steps that share a pool of rows, which is sorted by length so that little is padding."""


@dataclass(frozen=True)
class Shape:
    """A Qwen2-shaped decoder's sizes; the embedding is tied to the output."""

    vocabulary: int
    width: int = 192
    layers: int = 5
    heads: int = 6
    key_value_heads: int = 3
    feed_forward: int = 512
    context: int = 4096


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps of the whole run.
        tokens: Tokens of a batch, on average.
        longest_row: Longer rows are left out.
        first_longest: The same at the first step.
        lengthening: Steps over which the one grows into the other.
        seed: Determines every batch and the initial weights.
        matrix_rate: Peak learning rate of the hidden matrices (Muon).
        other_rate: Peak learning rate of everything else (AdamW).
        warmup: Steps of linear warm-up.
        decay_from: Step from which the rates fall, as 1 - sqrt of the way to the end (arXiv 2405.18392).
        checkpoint_every: Steps between checkpoints.
    """

    steps: int
    tokens: int = 4096
    longest_row: int = 1536
    first_longest: int = 1536
    lengthening: int = 0
    seed: int = 0
    matrix_rate: float = 0.02
    other_rate: float = 0.003
    warmup: int = 100
    decay_from: int = 0
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        for name in ("steps", "tokens", "longest_row", "first_longest", "warmup", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Progress:
    """What a run reports as it goes: loss in nats a written token, speed in padded tokens a second."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float


def build_model(shape: Shape, seed: int) -> nn.Module:
    """A freshly initialised ``transformers`` Qwen2 model of the given shape."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        attn_implementation="sdpa",  # type: ignore[call-arg]
        rms_norm_eps=1e-6,
        bos_token_id=None,
        eos_token_id=0,
        use_cache=False,
    )
    return Qwen2ForCausalLM(config)


def longest_at(settings: TrainSettings, step: int) -> int:
    """Length of the longest row that a step may draw: short rows first teach copying soonest."""
    way = min(1.0, step / max(1, settings.lengthening))
    return round(settings.first_longest + way * (settings.longest_row - settings.first_longest))


def draw_rows(source: RowSource, settings: TrainSettings, pool: int) -> list[list[Row]]:
    """The rows of ``POOL`` consecutive steps: each row that is drawn is used once, beside rows of its length.

    Raises:
        ValueError: The source gives nothing but rows that are too long.
    """
    rng = random.Random(f"{settings.seed}/{pool}")
    longest = longest_at(settings, pool * POOL)
    rows: list[Row] = []
    tokens = refused = 0
    while tokens < POOL * settings.tokens or len(rows) < POOL:
        row = source(rng)
        if len(row) <= longest:
            rows.append(row)
            tokens += len(row)
            refused = 0
        else:
            refused += 1
            if refused > 10_000:
                raise ValueError(f"the source gives no row of at most {longest} tokens")
    rows.sort(key=len)
    groups: list[list[Row]] = [[] for _ in range(POOL)]
    before = 0
    for row in rows:
        groups[min(POOL - 1, before * POOL // tokens)].append(row)
        before += len(row)
    if not all(groups):
        groups = [rows[at::POOL] for at in range(POOL)]
    rng.shuffle(groups)
    return groups


class Batches:
    """Batches by step; a pool is drawn once for the steps that share it."""

    def __init__(self, source: RowSource, settings: TrainSettings) -> None:
        self._source = source
        self._settings = settings
        self._pool = -1
        self._groups: list[list[Row]] = []

    def at(self, step: int) -> Batch:
        """The batch of one step, a function of the seed and the step alone."""
        if step // POOL != self._pool:
            self._pool = step // POOL
            self._groups = draw_rows(self._source, self._settings, self._pool)
        return collate(self._groups[step % POOL])


def _loss(model: nn.Module, batch: Batch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted loss to minimise, and the mean loss of the written tokens for the report."""
    hidden = model.model(  # type: ignore[operator]
        input_ids=batch.ids.to(device)
    ).last_hidden_state
    weights = batch.weights.to(device)
    kept = weights > 0
    logits = model.lm_head(hidden[kept]).float()  # type: ignore[operator]
    losses = nn.functional.cross_entropy(logits, batch.targets.to(device)[kept], reduction="none")
    chosen = weights[kept]
    return (losses * chosen).sum() / chosen.sum(), losses.detach()[chosen == 1.0].mean()


def _optimisers(model: nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    hidden: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (hidden if parameter.ndim == 2 and "embed" not in name else other).append(parameter)
    return [
        torch.optim.Muon(
            hidden, lr=settings.matrix_rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="original"
        ),
        torch.optim.AdamW(other, lr=settings.other_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _rate(settings: TrainSettings, step: int) -> float:
    way = max(0, step - settings.decay_from) / max(1, settings.steps - settings.decay_from)
    return min(1.0, (step + 1) / settings.warmup) * max(0.01, 1.0 - math.sqrt(way))


def _save(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def _load(path: Path, device: torch.device | str) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is damaged or no checkpoint: remove it to start anew") from error
    if not isinstance(state, dict) or not {"identity", "step", "model", "optimisers"} <= state.keys():
        raise ValueError(f"{path} is no checkpoint of this training: remove it to start anew")
    return state


def train(
    shape: Shape,
    source: RowSource,
    settings: TrainSettings,
    checkpoint: Path,
    threads: int | None = None,
    until: int | None = None,
) -> Iterator[Progress]:
    """Train from the checkpoint if there is one, else from scratch, and yield progress.

    Args:
        shape: The model's sizes.
        source: Draws one row; must depend on nothing but the generator it is given.
        settings: How long and how fast.
        checkpoint: File to resume from and to write; complete or absent, never torn.
        threads: CPU threads for torch; None leaves torch's own choice.
        until: Stop (with a checkpoint) after this step, for tests and for splitting a run.

    Raises:
        ValueError: The checkpoint is damaged, or belongs to a run with other settings.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(shape, settings.seed).to(device).train()
    optimisers = _optimisers(model, settings)
    identity = {"shape": asdict(shape), "settings": asdict(settings)}
    first = 0
    if checkpoint.exists():
        state = _load(checkpoint, device)
        if state["identity"] != identity:
            raise ValueError(f"{checkpoint} belongs to a run with other settings: remove it to start anew")
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        first = state["step"]
    last = settings.steps if until is None else min(settings.steps, until)

    def checkpoint_now(step: int) -> None:
        _save(
            checkpoint,
            {
                "identity": identity,
                "step": step,
                "model": model.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            },
        )

    started, tokens, recent = time.monotonic(), 0, math.nan
    with ThreadPoolExecutor(max_workers=1) as ahead:
        batches = Batches(source, settings)
        waiting: Future[Batch] = ahead.submit(batches.at, first)
        for step in range(first, last):
            batch = waiting.result()
            waiting = ahead.submit(batches.at, step + 1)
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss, written = _loss(model, batch, device)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            rate = _rate(settings, step)
            for optimiser, peak in zip(optimisers, (settings.matrix_rate, settings.other_rate), strict=True):
                for group in optimiser.param_groups:
                    group["lr"] = peak * rate
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            tokens += batch.ids.numel()
            value = written.item()
            recent = value if math.isnan(recent) else 0.95 * recent + 0.05 * value
            done = step + 1
            if done % settings.checkpoint_every == 0 or done == last:
                checkpoint_now(done)
            if done % 20 == 0 or done == last:
                elapsed = time.monotonic() - started
                left = elapsed / (done - first) * (settings.steps - done)
                yield Progress(done, settings.steps, recent, tokens / elapsed, left)


def load_weights(shape: Shape, checkpoint: Path) -> dict[str, torch.Tensor]:
    """The float32 weights of a checkpoint, by ``transformers``' names.

    Raises:
        ValueError: The checkpoint is damaged, or holds a model of another shape.
    """
    state = _load(checkpoint, "cpu")
    if state["identity"]["shape"] != asdict(shape):
        raise ValueError(f"{checkpoint} holds a model of another shape")
    return {name: weight.float() for name, weight in state["model"].items()}
