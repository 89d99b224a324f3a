"""Packed trees: every sequence is computed as if it stood alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from transformers import Qwen2ForCausalLM

from genprm_sdk.training.packing import CHUNK, Branch, Row, Tree, pack
from genprm_sdk.training.sft import Shape, build_model

SHAPE = Shape(vocabulary=300, width=32, layers=2, heads=4, key_value_heads=2, feed_forward=64, context=1024)
GROUPS = SHAPE.heads // SHAPE.key_value_heads


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any]:
    """The model with the attention of packed trees, and the same weights with transformers' own."""
    packed = build_model(SHAPE, 0).eval()
    plain = build_model(SHAPE, 0, attention="sdpa").eval()
    assert isinstance(plain, Qwen2ForCausalLM)
    return packed, plain


def row(rng: random.Random, size: int) -> Row:
    return Row([rng.randrange(300) for _ in range(size)], [rng.choice((0.0, 0.1, 1.0)) for _ in range(size)])


def trees(seed: int) -> list[Tree]:
    rng = random.Random(seed)
    drawn = []
    for _ in range(rng.randint(1, 4)):
        size = rng.choice((1, 2, 40, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7))
        ats = [rng.randint(1, size) for _ in range(rng.randint(0, 4))]
        drawn.append(Tree(row(rng, size), [Branch(at, row(rng, rng.randint(1, 200))) for at in sorted(ats)]))
    return drawn


def alone(model: Any, ids: list[int]) -> torch.Tensor:
    result: torch.Tensor = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return result


@pytest.mark.parametrize("seed", range(12))
@torch.no_grad()
def test_a_packed_sequence_sees_what_it_would_see_alone(models: tuple[Any, Any], seed: int) -> None:
    packed, plain = models
    drawn = trees(seed)
    batch = pack(drawn, GROUPS)
    hidden = packed.model(
        input_ids=batch.ids, position_ids=batch.positions, spans=batch.spans
    ).last_hidden_state[0]
    at = 0
    for tree in drawn:
        size = len(tree.trunk)
        torch.testing.assert_close(hidden[at : at + size], alone(plain, tree.trunk.ids), atol=2e-5, rtol=1e-4)
        at += size
        for branch in tree.branches:
            whole = alone(plain, tree.trunk.ids[: branch.at] + branch.row.ids)
            size = len(branch.row)
            torch.testing.assert_close(hidden[at : at + size], whole[branch.at :], atol=2e-5, rtol=1e-4)
            at += size
    assert at == hidden.shape[0]


def test_gradients_flow_from_branches_into_the_trunk(models: tuple[Any, Any]) -> None:
    packed, _ = models
    tree = Tree(row(random.Random(0), 30), [Branch(20, row(random.Random(1), 10))])
    batch = pack([tree], GROUPS)
    embedded = packed.model.embed_tokens(batch.ids).detach().requires_grad_()
    hidden = packed.model(
        inputs_embeds=embedded, position_ids=batch.positions, spans=batch.spans
    ).last_hidden_state
    hidden[0, 30:].sum().backward()
    touched = embedded.grad[0].abs().sum(-1) > 0
    assert touched.tolist() == [True] * 20 + [False] * 10 + [True] * 10


@pytest.mark.parametrize("seed", range(6))
def test_gradients_are_those_of_plain_attention(models: tuple[Any, Any], seed: int) -> None:
    packed, plain = models
    rng = random.Random(seed)
    trunk, branch = row(rng, rng.choice((3, CHUNK + 5, 2 * CHUNK))), row(rng, rng.randint(1, 200))
    at = rng.randint(1, len(trunk))
    direction = torch.randn(at + len(branch), SHAPE.width, generator=torch.Generator().manual_seed(seed))

    batch = pack([Tree(trunk, [Branch(at, branch)])], GROUPS)
    hidden = packed.model(
        input_ids=batch.ids, position_ids=batch.positions, spans=batch.spans
    ).last_hidden_state[0]
    own = torch.cat([hidden[:at], hidden[len(trunk) :]])
    found = torch.autograd.grad((own * direction).sum(), list(packed.model.parameters()))
    alone_hidden = alone(plain, trunk.ids[:at] + branch.ids)
    expected = torch.autograd.grad((alone_hidden * direction).sum(), list(plain.model.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4 * float(other.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("seed", range(12))
def test_targets_and_weights_stay_within_their_row(seed: int) -> None:
    drawn = trees(seed)
    batch = pack(drawn, GROUPS)
    rows = [each for tree in drawn for each in (tree.trunk, *(branch.row for branch in tree.branches))]
    assert batch.ids.tolist() == [[token for each in rows for token in each.ids]]
    assert batch.targets.tolist() == [[token for each in rows for token in [*each.ids[1:], 0]]]
    weights = torch.tensor([[weight for each in rows for weight in [*each.weights[1:], 0.0]]])
    assert torch.equal(batch.weights, weights)
    assert sum(span.size for span in batch.spans) == batch.ids.shape[1] == sum(map(len, drawn))


def test_positions_go_on_from_the_trunk() -> None:
    rng = random.Random(0)
    batch = pack([Tree(row(rng, 5), [Branch(2, row(rng, 3)), Branch(5, row(rng, 2))]), Tree(row(rng, 2))])
    assert batch.positions.tolist() == [[0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 0, 1]]


def test_row_adds_up() -> None:
    made = Row()
    made.add([1, 2], 0.1)
    made.add([], 1.0)
    made.add([3], 1.0)
    assert (made.ids, made.weights, len(made)) == ([1, 2, 3], [0.1, 0.1, 1.0], 3)
