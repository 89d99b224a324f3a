"""Trees of tokens packed into one sequence, and the attention that keeps them apart.

A trunk (a problem and its steps) is read once however many branches (one step's verification each) grow from
it; each branch continues from its own place in the trunk and sees nothing else, exactly as a sequence that is
forked at inference. Knows tokens and attention; what they say is the business of ``training.dataset``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    """Tokens that are attended together: they see some earlier tokens whole and, causally, each other.

    Attributes:
        start: Where they begin in the sequence.
        before: The earlier tokens, all of which they see.
        mask: 0 where a query sees a key of the span and -inf elsewhere, (groups * queries, keys): the queries
            of the heads that share a key head stand behind one another.
    """

    start: int
    before: range
    mask: torch.Tensor

    @property
    def size(self) -> int:
        return self.mask.shape[1]


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
        spans = [replace(span, mask=span.mask.to(device, non_blocking=True)) for span in self.spans]
        return Batch(
            self.ids.to(device, non_blocking=True),
            self.positions.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
            spans,
        )


CHUNK = 160
"""Queries attended at a time: on a CPU, small dense products beat fused attention several times over."""


def _mask(size: int, groups: int) -> torch.Tensor:
    mask = torch.zeros(size, size, dtype=torch.bfloat16)
    return mask.masked_fill_(torch.ones(size, size).triu(1).bool(), float("-inf")).repeat(groups, 1)


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
        root = len(ids)
        lay(tree.trunk, 0)
        for start, end in pairwise([*range(0, len(tree.trunk), CHUNK), len(tree.trunk)]):
            spans.append(Span(root + start, range(root, root + start), _mask(end - start, groups)))
        for branch in tree.branches:
            start = len(ids)
            lay(branch.row, branch.at)
            spans.append(Span(start, range(root, root + branch.at), _mask(len(branch.row), groups)))
    return Batch(
        torch.tensor([ids]),
        torch.tensor([positions]),
        torch.tensor([targets]),
        torch.tensor([weights]),
        spans,
    )


class _SpanAttention(torch.autograd.Function):
    """Softmax attention span by span, written out: autograd would copy more than it multiplies."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        spans: list[Span],
        scaling: float,
    ) -> torch.Tensor:
        """Queries (shared, groups, n, width), keys and values (shared, n, width); returns as the queries."""
        output = torch.empty_like(query)
        chances = []
        for span in spans:
            queries = _queries(query, span) * scaling
            scores = torch.bmm(queries, _seen(key, span).transpose(1, 2))
            scores[:, :, len(span.before) :] += span.mask.to(scores.dtype)
            chances.append(scores.softmax(-1))
            _put(output, span, torch.bmm(chances[-1], _seen(value, span)))
        ctx.save_for_backward(query, key, value, *chances)
        ctx.spans, ctx.scaling = spans, scaling
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, *chances = ctx.saved_tensors
        query_gradient = torch.empty_like(query)
        key_gradient = torch.zeros_like(key, dtype=torch.float32)
        value_gradient = torch.zeros_like(value, dtype=torch.float32)
        for span, chance in zip(ctx.spans, chances, strict=True):
            gradient = _queries(gradients[0], span)
            _add(value_gradient, span, torch.bmm(chance.transpose(1, 2), gradient))
            of_chance = torch.bmm(gradient, _seen(value, span).transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_chance, chance, -1, chance.dtype)
            _put(query_gradient, span, torch.bmm(of_scores, _seen(key, span)) * ctx.scaling)
            queries = _queries(query, span) * ctx.scaling
            _add(key_gradient, span, torch.bmm(of_scores.transpose(1, 2), queries))
        return query_gradient, key_gradient.to(key.dtype), value_gradient.to(value.dtype), None, None


def _queries(tensor: torch.Tensor, span: Span) -> torch.Tensor:
    return tensor[:, :, span.start : span.start + span.size].flatten(1, 2)


def _put(tensor: torch.Tensor, span: Span, values: torch.Tensor) -> None:
    shared, groups, _, width = tensor.shape
    tensor[:, :, span.start : span.start + span.size] = values.view(shared, groups, span.size, width)


def _seen(tensor: torch.Tensor, span: Span) -> torch.Tensor:
    """The keys or values that a span sees, its own last."""
    end = span.start + span.size
    if span.before.stop == span.start:
        return tensor[:, span.before.start : end]
    return torch.cat([tensor[:, span.before.start : span.before.stop], tensor[:, span.start : end]], dim=1)


def _add(tensor: torch.Tensor, span: Span, values: torch.Tensor) -> None:
    before = len(span.before)
    tensor[:, span.before.start : span.before.stop] += values[:, :before]
    tensor[:, span.start : span.start + span.size] += values[:, before:]


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
    kind = query.device.type
    narrow = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype
    shared = key.shape[1]
    queries = query[0].to(narrow).view(shared, -1, *query.shape[2:])
    output: torch.Tensor = _SpanAttention.apply(  # type: ignore[no-untyped-call]
        queries, key[0].to(narrow), value[0].to(narrow), spans, scaling
    )
    return output.flatten(0, 1).transpose(0, 1).unsqueeze(0).contiguous(), None
