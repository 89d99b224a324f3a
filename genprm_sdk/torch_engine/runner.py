"""The model: evaluates runs of tokens behind what is known, and single tokens of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .slab import Layout, Slab
from .tree import Node, States

__all__ = ["Run", "Runner"]


@dataclass(frozen=True)
class Run:
    """Tokens to be evaluated behind a node; at least one."""

    node: Node
    tokens: Sequence[int]


class Runner:
    """A loaded model. For one thread, in torch's inference mode.

    Args:
        model: A causal language model of transformers.
        layout: Of its keys and values.
    """

    def __init__(self, model: Any, layout: Layout) -> None:
        self.layout = layout
        self._model = model
        self._device = model.get_input_embeddings().weight.device

    def read(self, runs: Sequence[Run]) -> list[States]:
        """The keys and values of some runs."""
        begins, count = [run.node.end for run in runs], max(len(run.tokens) for run in runs)
        slab = Slab(self.layout)
        slab.reserve(len(runs), max(begins) + count)
        for row, run in enumerate(runs):
            slab.load(row, run.node)
        padded = [[*run.tokens, *[0] * (count - len(run.tokens))] for run in runs]
        self._evaluate(slab, padded, begins, [len(run.tokens) for run in runs])
        return [slab.read(row, run.node.end, run.node.end + len(run.tokens)) for row, run in enumerate(runs)]

    def step(self, slab: Slab, tokens: Sequence[int], lengths: list[int]) -> Tensor:
        """Evaluate one token behind each row of a slab; returns their raw logits, (rows, vocabulary)."""
        return self._evaluate(slab, [[token] for token in tokens], lengths, [1] * len(lengths))

    def _evaluate(self, slab: Slab, tokens: list[list[int]], begins: list[int], counts: list[int]) -> Tensor:
        count = len(tokens[0])
        slab.aim(begins, count)
        places = torch.tensor(begins)[:, None] + torch.arange(count)
        mask: Tensor | None = None
        if len(set(begins)) > 1 or (count > 1 and begins[0]):
            mask = torch.arange(slab.width) <= places[:, None, :, None]
            mask = mask.to(self._device)
        # Padding has position 0, for a learnt position may not exist so far behind a row's end.
        positions = places.masked_fill(torch.arange(count) >= torch.tensor(counts)[:, None], 0)
        output = self._model(
            input_ids=torch.tensor(tokens, device=self._device),
            attention_mask=mask,
            position_ids=positions.to(self._device),
            past_key_values=slab.cache(),
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits
