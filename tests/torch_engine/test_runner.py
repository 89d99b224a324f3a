"""The model's runs: padding, masks and what rows held before change nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from genprm_sdk.torch_engine.loading import Placement
from genprm_sdk.torch_engine.runner import Run, Runner
from genprm_sdk.torch_engine.slab import Layout, Slab
from genprm_sdk.torch_engine.tree import Node, Tree

TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,
    )
    return Qwen2ForCausalLM(config).eval()


@pytest.fixture
def runner(model: Qwen2ForCausalLM) -> Runner:
    output = model(input_ids=torch.zeros((1, 3), dtype=torch.long), use_cache=True)
    return Runner(model, Layout.of(output.past_key_values))


def tokens_of(length: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 300, (length,), generator=generator).tolist()


def plain(model: Qwen2ForCausalLM, tokens: list[int]) -> Tensor:
    logits: Tensor = model(input_ids=torch.tensor([tokens])).logits[0, -1]
    return logits


def read(runner: Runner, tree: Tree, texts: list[list[int]]) -> list[Node]:
    runs = [Run(tree.root, text) for text in texts]
    return [
        tree.extend(tree.root, run.tokens, states)
        for run, states in zip(runs, runner.read(runs), strict=True)
    ]


@pytest.mark.parametrize("lengths", [[20, 20, 20], [3, 40, 17, 1]], ids=["equal", "ragged"])
def test_steps_of_rows_are_steps_of_each(model: Qwen2ForCausalLM, runner: Runner, lengths: list[int]) -> None:
    tree = Tree()
    texts = [tokens_of(length, seed) for seed, length in enumerate(lengths)]
    nodes = read(runner, tree, texts)
    again = runner.read([Run(node, tokens_of(2 + at, 50 + at)) for at, node in enumerate(nodes)])
    texts = [[*text, *tokens_of(2 + at, 50 + at)] for at, text in enumerate(texts)]
    nodes = [
        tree.extend(node, text[node.end :], states)
        for node, text, states in zip(nodes, texts, again, strict=True)
    ]
    slab = Slab(runner.layout)
    slab.reserve(len(nodes), 64)
    for row, node in enumerate(nodes):
        slab.load(row, node)
    for step in range(3):
        drawn = tokens_of(len(texts), 90 + step)
        logits = runner.step(slab, drawn, [len(text) for text in texts])
        texts = [[*text, token] for text, token in zip(texts, drawn, strict=True)]
        for row, text in enumerate(texts):
            assert (logits[row] - plain(model, text)).abs().max() < TOLERANCE


def test_what_a_row_held_before_does_not_matter(model: Qwen2ForCausalLM, runner: Runner) -> None:
    texts = [tokens_of(5, 1), tokens_of(30, 2)]
    nodes = read(runner, Tree(), texts)
    slab = Slab(runner.layout)
    slab.reserve(2, 64)
    for bank in slab._banks:
        bank.fill_(math.nan)
    for row, node in enumerate(nodes):
        slab.load(row, node)
    logits = runner.step(slab, [7, 8], [5, 30])
    for row, (text, token) in enumerate(zip(texts, (7, 8), strict=True)):
        assert (logits[row] - plain(model, [*text, token])).abs().max() < TOLERANCE


def test_rows_stay_when_room_is_made_and_when_they_move(model: Qwen2ForCausalLM, runner: Runner) -> None:
    texts = [tokens_of(100, 1), tokens_of(120, 2)]
    nodes = read(runner, Tree(), texts)
    slab = Slab(runner.layout)
    slab.reserve(2, 121)
    for row, node in enumerate(nodes):
        slab.load(row, node)
    slab.move(1, 0)
    slab.reserve(1, 200)
    logits = runner.step(slab, [9], [120])
    assert (logits[0] - plain(model, [*texts[1], 9])).abs().max() < TOLERANCE
    states = slab.read(0, 0, 120)
    for mine, theirs in zip(states, nodes[1].states, strict=True):
        assert torch.equal(mine, theirs)


def test_the_type_of_weights_follows_the_device() -> None:
    assert Placement(device="cpu").type is torch.float32
    assert Placement(device="cuda:1").type is torch.bfloat16
    assert Placement(device="cuda:1", dtype="float16").type is torch.float16
