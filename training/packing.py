"""Trees of tokens packed into one sequence, and the attention that keeps them apart.

A trunk (a problem and its steps) is read once however many branches (one step's verification each) grow from
it; each branch continues from its own place in the trunk and sees nothing else, exactly as a sequence that is
forked at inference. Knows tokens and attention; what they say is the business of ``training.dataset``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import nn

__all__ = ["ATTENTION", "Batch", "Branch", "Row", "Span", "Tree", "pack"]

ATTENTION = "genprm_tree"
"""The name under which ``transformers`` finds the attention of packed trees."""


@dataclass
class Row:
    """Tokens in a row; ``weights`` holds the loss weight of each token as a *target*."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, ids: list[int], weight: float) -> None:
        self.ids += ids
        self.weights += [weight] * len(ids)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Branch:
    """Tokens that continue the first ``at`` tokens of a trunk."""

    at: int
    row: Row


@dataclass
class Tree:
    """A trunk and what grows from it; a trunk without branches is a plain row."""

    trunk: Row
    branches: list[Branch] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.trunk) + sum(len(branch.row) for branch in self.branches)


@dataclass(frozen=True)
class Span:
    """Tokens that are attended together: they see some earlier spans whole and, causally, each other.

    Attributes:
        size: How many tokens.
        before: The numbers of the earlier spans that they see.
        mask: 0 where a query sees a key and -inf elsewhere, (groups * queries, keys): the queries of the
            heads that share a key head stand behind one another.
    """

    size: int
    before: range
    mask: torch.Tensor


@dataclass
class Batch:
    """Trees behind one another in one sequence of n tokens.

    Attributes:
        ids: Token ids, (1, n).
        positions: Each token's position in its own sequence, (1, n).
        targets: The token that follows, (1, n).
        weights: Loss weight of each target, (1, n); 0 where there is none.
        spans: The sequence cut into spans, in order.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    spans: list[Span]

    def to(self, device: torch.device) -> Batch:
        spans = [Span(span.size, span.before, span.mask.to(device, non_blocking=True)) for span in self.spans]
        return Batch(
            self.ids.to(device, non_blocking=True),
            self.positions.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
            spans,
        )


CHUNK = 160
"""Queries attended at a time: on a CPU, small dense products beat fused attention several times over."""


def _mask(before: int, size: int, groups: int) -> torch.Tensor:
    mask = torch.zeros(size, before + size, dtype=torch.bfloat16)
    mask[:, before:].masked_fill_(torch.ones(size, size).triu(1).bool(), float("-inf"))
    return mask.repeat(groups, 1)


def pack(trees: list[Tree], groups: int = 1) -> Batch:
    """Lay trees out in one sequence.

    Args:
        trees: At least one.
        groups: Query heads a key head.
    """
    ids: list[int] = []
    positions: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    spans: list[Span] = []

    def lay(row: Row, position: int) -> None:
        ids.extend(row.ids)
        positions.extend(range(position, position + len(row)))
        targets.extend([*row.ids[1:], 0])
        weights.extend([*row.weights[1:], 0.0])

    for tree in trees:
        lay(tree.trunk, 0)
        root = len(spans)
        cuts = {*range(0, len(tree.trunk), CHUNK), *(branch.at for branch in tree.branches), len(tree.trunk)}
        stops: dict[int, int] = {}
        for start, end in pairwise(sorted(cuts)):
            spans.append(Span(end - start, range(root, len(spans)), _mask(start, end - start, groups)))
            stops[end] = len(spans)
        for branch in tree.branches:
            lay(branch.row, branch.at)
            mask = _mask(branch.at, len(branch.row), groups)
            spans.append(Span(len(branch.row), range(root, stops[branch.at]), mask))
    return Batch(
        torch.tensor([ids]),
        torch.tensor([positions]),
        torch.tensor([targets]),
        torch.tensor([weights]),
        spans,
    )


def tree_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    spans: list[Span],
    scaling: float,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of packed trees, span by span; called as ``transformers`` calls its attention functions."""
    _, heads, _, width = query.shape
    shared = key.shape[1]
    sizes = [span.size for span in spans]
    queries, keys, values = (torch.split(tensor[0], sizes, dim=1) for tensor in (query, key, value))
    outputs = []
    for number, span in enumerate(spans):
        seen = [*span.before, number]
        these_keys = torch.cat([keys[part] for part in seen], dim=1)
        these_values = torch.cat([values[part] for part in seen], dim=1)
        these_queries = queries[number].reshape(shared, -1, width)
        mask = span.mask.to(query.dtype).expand(shared, *span.mask.shape)
        scores = torch.baddbmm(mask, these_queries, these_keys.transpose(1, 2), alpha=scaling)
        output = torch.bmm(scores.softmax(-1), these_values)
        outputs.append(output.view(heads, span.size, width))
    return torch.cat(outputs, dim=1).transpose(0, 1).unsqueeze(0).contiguous(), None
