"""Supervised training of a small decoder on trees of tokens, resumable at any step, on a CPU or a CUDA GPU.

Every batch is a function of the seed and the step's number, so a run that was killed goes on from its last
checkpoint as if nothing had happened. Knows models and optimisers; what the trees say is the business of
``training.dataset`` and ``training.solving``.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .checkpoint import Checkpoint, CheckpointError, check_identity, load_checkpoint, save_checkpoint
from .packing import ATTENTION, Batch, Tree, pack, tree_attention
from .stopping import Stop, never
from .team import ALONE, Team

__all__ = [
    "Progress",
    "Shape",
    "TrainSettings",
    "TreeSource",
    "build_model",
    "identity_of",
    "load_tied",
    "load_weights",
    "train",
]

TreeSource = Callable[[random.Random, int, int], Tree | None]
"""Draws a tree, given a generator, the step and the longest length of a sequence; None where it is longer."""

PATIENCE = 10_000
"""Draws without a tree that is short enough before the source is blamed."""


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

    def __post_init__(self) -> None:
        for name, size in asdict(self).items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, not {size}")
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}, which its {self.heads} heads cannot share evenly")
        if self.width // self.heads % 2:
            raise ValueError(
                f"width is {self.width} and heads are {self.heads}, which makes heads of width "
                f"{self.width // self.heads}; positions need an even one"
            )
        if self.heads % self.key_value_heads:
            raise ValueError(
                f"heads are {self.heads}, which {self.key_value_heads} key_value_heads cannot share evenly"
            )


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps of the whole run.
        tokens: Tokens of a batch, on average.
        longest: Longer sequences (trunk and branch) are left out.
        first_longest: The same at the first step.
        lengthening: Steps over which the one grows into the other.
        seed: Determines every batch and the initial weights.
        matrix_rate: Peak learning rate of the hidden matrices (Muon).
        other_rate: Peak learning rate of everything else (AdamW).
        warmup: Steps of linear warm-up.
        decay_from: Step from which the rates fall, as 1 - sqrt of the way to the end (arXiv 2405.18392).
        checkpoint_every: Steps between checkpoints.
        probe_every: Steps between measurements on fresh problems.
    """

    steps: int
    tokens: int = 4096
    longest: int = 1536
    first_longest: int = 1536
    lengthening: int = 0
    seed: int = 0
    matrix_rate: float = 0.02
    other_rate: float = 0.003
    warmup: int = 100
    decay_from: int = 0
    checkpoint_every: int = 200
    probe_every: int = 1000

    def __post_init__(self) -> None:
        least_one = (
            "steps",
            "tokens",
            "longest",
            "first_longest",
            "warmup",
            "checkpoint_every",
            "probe_every",
        )
        for name in least_one:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Progress:
    """What a run reports as it goes.

    Attributes:
        step: Steps done.
        steps: Steps of the whole run.
        loss: Moving average in nats a written token.
        tokens_per_second: Speed since this process began.
        seconds_left: Until the end of the run, at that speed.
        exact: From time to time, by the name of a probe: the share of its fresh texts that greedy decoding
            would write token by token.
    """

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float
    exact: Mapping[str, float] | None = None


def build_model(shape: Shape, seed: int, attention: str = ATTENTION) -> Any:
    """A freshly initialised ``transformers`` Qwen2 model of the given shape.

    Args:
        shape: Its sizes.
        seed: Determines the weights.
        attention: That of packed trees, for training, or one of ``transformers``' own, for generating.
    """
    from transformers import AttentionInterface, Qwen2Config, Qwen2ForCausalLM

    AttentionInterface.register(ATTENTION, tree_attention)
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
        attn_implementation=attention,  # type: ignore[call-arg]
        rms_norm_eps=1e-6,
        bos_token_id=None,
        eos_token_id=0,
        use_cache=False,
    )
    return Qwen2ForCausalLM(config)


def longest_at(settings: TrainSettings, step: int) -> int:
    """Length of the longest sequence that a step may draw: short ones first teach copying soonest."""
    way = min(1.0, step / max(1, settings.lengthening))
    return round(settings.first_longest + way * (settings.longest - settings.first_longest))


def draw_trees(source: TreeSource, settings: TrainSettings, step: int) -> list[Tree]:
    """The trees of one step, a function of the seed and the step alone.

    Raises:
        ValueError: The source gives nothing that is short enough.
    """
    rng = random.Random(f"{settings.seed}/{step}")
    longest = longest_at(settings, step)
    trees: list[Tree] = []
    tokens = refused = 0
    while tokens < settings.tokens:
        tree = source(rng, step, longest)
        if tree is None:
            refused += 1
            if refused > PATIENCE:
                raise ValueError(f"the source gives no sequence of at most {longest} tokens")
            continue
        trees.append(tree)
        tokens += len(tree)
    return trees


def share_of(trees: list[Tree], team: Team) -> list[Tree]:
    """One process's trees, longest first: shares of about the same length."""
    shares: list[list[Tree]] = [[] for _ in range(team.size)]
    sizes = [0] * team.size
    for tree in sorted(trees, key=len, reverse=True):
        least = sizes.index(min(sizes))
        shares[least].append(tree)
        sizes[least] += len(tree)
    return shares[team.rank]


def _hidden(model: nn.Module, batch: Batch) -> torch.Tensor:
    result: torch.Tensor = model.model(  # type: ignore[operator]
        input_ids=batch.ids, position_ids=batch.positions, spans=batch.spans
    ).last_hidden_state
    return result


def _loss(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The weighted sum of losses to minimise; the sum of weights; sum and number of the written losses."""
    kept = batch.weights > 0
    logits = model.lm_head(_hidden(model, batch)[kept]).float()  # type: ignore[operator]
    losses = nn.functional.cross_entropy(logits, batch.targets[kept], reduction="none")
    chosen = batch.weights[kept]
    written = losses.detach()[chosen == 1.0]
    return (losses * chosen).sum(), [chosen.sum(), written.sum(), torch.tensor(float(written.numel()))]


@dataclass(frozen=True)
class _Sums:
    """What a team adds up over a step, beside the gradients."""

    loss: float
    tokens: int
    over: bool


def _backward(model: nn.Module, batch: Batch | None, over: bool, team: Team) -> _Sums:
    """Leave the whole team's gradient of the mean loss in the model's parameters."""
    parameters = list(model.parameters())
    place = parameters[0].device
    sums = [torch.zeros(3)]
    if batch is None:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
    else:
        batch = batch.to(place)
        with torch.autocast(place.type, dtype=torch.bfloat16):
            loss, found = _loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        sums = [value.reshape(1) for value in found]
    own = torch.tensor([float(batch.ids.numel() if batch else 0), float(over)])
    gradients = [parameter.grad.flatten() for parameter in parameters if parameter.grad is not None]
    whole = torch.cat([value.to(place) for value in (*sums, own, *gradients)])
    team.add_up(whole)
    weight, written, count, tokens, overs = whole[:5].tolist()
    parts = torch.split(whole[5:], [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = (part / weight).view_as(parameter)
    return _Sums(written / max(1.0, count), round(tokens), overs > 0)


@torch.no_grad()
def exact_shares(
    model: nn.Module, probes: Mapping[str, list[Tree]], device: torch.device, groups: int
) -> dict[str, float]:
    """By probe, the share of written texts whose every token is the likeliest one.

    A text is a branch, or the trunk of a tree without branches. Forced text stands as it is, so this is the
    share that greedy decoding writes exactly.
    """
    shares = {}
    for name, trees in probes.items():
        right = total = 0
        for tree in trees:
            batch = pack([tree], groups).to(device)
            with torch.autocast(device.type, dtype=torch.bfloat16):
                hidden = _hidden(model, batch)
                guesses = model.lm_head(hidden).argmax(-1)  # type: ignore[operator]
            missed = (guesses != batch.targets) & (batch.weights == 1.0)
            sizes = [len(tree.trunk), *(len(branch.row) for branch in tree.branches)]
            texts = missed[0].split(sizes)[1:] if tree.branches else (missed[0],)
            right += sum(not bool(text.any()) for text in texts)
            total += len(texts)
        shares[name] = right / total
    return shares


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


def _tensors(model: nn.Module, optimisers: list[torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items() if name != TIED}
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{index}/{name}": tensor for name, tensor in state.items()}
    return tensors


def _restore(model: nn.Module, optimisers: list[torch.optim.Optimizer], checkpoint: Checkpoint) -> None:
    states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in optimisers]
    weights = {}
    try:
        for name, tensor in checkpoint.tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "model":
                weights[rest] = tensor
            else:
                number, index, field = rest.split("/")
                states[int(number)].setdefault(int(index), {})[field] = tensor
        load_tied(model, weights)
        for optimiser, state in zip(optimisers, states, strict=True):
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    except (RuntimeError, ValueError, LookupError) as error:
        raise CheckpointError("the checkpoint holds another model: remove it to start anew") from error


EMBEDDING = "model.embed_tokens.weight"
TIED = "lm_head.weight"
"""Shares its memory with the embedding, and is not stored."""


def load_tied(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Put stored weights into a model.

    Raises:
        RuntimeError: They are another model's.
        KeyError: They hold no embedding.
    """
    model.load_state_dict({**weights, TIED: weights[EMBEDDING]})


def identity_of(
    shape: Shape, settings: TrainSettings, rest: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a checkpoint must agree in to be gone on with."""
    return {"shape": asdict(shape), "settings": asdict(settings), **(rest or {})}


def train(
    shape: Shape,
    source: TreeSource,
    settings: TrainSettings,
    folder: Path,
    *,
    identity: Mapping[str, Any] | None = None,
    initial: Mapping[str, torch.Tensor] | None = None,
    probes: Mapping[str, list[Tree]] | None = None,
    device: str | None = None,
    threads: int | None = None,
    until: int | None = None,
    minutes: float | None = None,
    stop: Stop = never,
    team: Team = ALONE,
) -> Iterator[Progress]:
    """Train from the newest checkpoint if there is one, else from scratch, and yield progress.

    Args:
        shape: The model's sizes.
        source: Draws one tree; must depend on nothing but what it is given.
        settings: How long and how fast.
        folder: Where checkpoints lie.
        identity: What else decides the result; a checkpoint of another identity is refused.
        initial: Weights to begin with, where there is no checkpoint; None draws them from the seed.
        probes: Trees of fresh problems by name, measured from time to time.
        device: ``cpu``, ``cuda``, …; None takes a GPU where there is one.
        threads: CPU threads for torch; None leaves torch's own choice.
        until: Stop (with a checkpoint) after this step.
        minutes: Stop (with a checkpoint) after this time, for machines that are lent by the minute.
        stop: Asked at every step; where one process of a team is told so, all stop (with a checkpoint).
        team: This process's place among those that train together. All must be given the same, but for
            ``stop``; the leader alone writes checkpoints and measures.

    Raises:
        TeamError: Another process of the team is gone.
        CheckpointError: The checkpoint is damaged, belongs to another run, or cannot be written.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = build_model(shape, settings.seed).to(place).train()
    optimisers = _optimisers(model, settings)
    whole = identity_of(shape, settings, identity)
    check_identity(folder, whole)
    groups = shape.heads // shape.key_value_heads
    first, recent = 0, math.nan
    found = load_checkpoint(folder)
    if found is not None:
        _restore(model, optimisers, found)
        first, recent = found.step, float(found.notes["loss"])
    elif initial is not None:
        load_tied(model, initial)
    last = settings.steps if until is None else min(settings.steps, until)

    def checkpoint_now(step: int) -> None:
        notes = {"loss": recent}
        save_checkpoint(folder, Checkpoint(step, whole, _tensors(model, optimisers), notes))

    def draw(step: int) -> Batch | None:
        trees = share_of(draw_trees(source, settings, step), team)
        return pack(trees, groups) if trees else None

    started, tokens = time.monotonic(), 0
    with ThreadPoolExecutor(max_workers=1) as ahead:
        waiting = ahead.submit(draw, first)
        for step in range(first, last):
            batch = waiting.result()
            done = step + 1
            if done < last:
                waiting = ahead.submit(draw, done)
            over = stop() or (minutes is not None and time.monotonic() - started > 60 * minutes)
            sums = _backward(model, batch, over, team)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            rate = _rate(settings, step)
            for optimiser, peak in zip(optimisers, (settings.matrix_rate, settings.other_rate), strict=True):
                for group in optimiser.param_groups:
                    group["lr"] = peak * rate
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            tokens += sums.tokens
            recent = sums.loss if math.isnan(recent) else 0.95 * recent + 0.05 * sums.loss
            ending = sums.over or done == last
            if team.rank == 0 and (done % settings.checkpoint_every == 0 or ending):
                checkpoint_now(done)
            exact = None
            if team.rank == 0 and probes and (done % settings.probe_every == 0 or done == settings.steps):
                exact = exact_shares(model, probes, place, groups)
            if done % 20 == 0 or ending or exact:
                elapsed = time.monotonic() - started
                left = elapsed / (done - first) * (settings.steps - done)
                yield Progress(done, settings.steps, recent, tokens / elapsed, left, exact)
            if ending:
                break


def load_weights(shape: Shape, folder: Path) -> dict[str, torch.Tensor]:
    """The float32 weights of the newest checkpoint, by ``transformers``' names.

    Raises:
        CheckpointError: There is none, it is damaged, or it holds a model of another shape.
    """
    found = load_checkpoint(folder)
    if found is None:
        raise CheckpointError(f"{folder} holds no checkpoint: train first")
    if found.identity.get("shape") != asdict(shape):
        raise CheckpointError(f"{folder} holds a model of another shape")
    return {
        name.removeprefix("model/"): tensor.float()
        for name, tensor in found.tensors.items()
        if name.startswith("model/")
    }
