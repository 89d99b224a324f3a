"""The tree of keys and values against a plain list of sequences."""

from __future__ import annotations

import gc
import random

import torch

from genprm_sdk.torch_engine.tree import Node, States, Tree


def states_of(tokens: list[int], start: int) -> States:
    """Numbers that tell token and position."""
    numbers = torch.tensor([100.0 * (start + at) + token for at, token in enumerate(tokens)])
    return (numbers[None, None, :, None],)


def spelt(node: Node) -> list[int]:
    return [token for part in node.path() for token in part.tokens]


def numbers(node: Node) -> list[float]:
    return [number for part in node.path() for number in part.states[0].flatten().tolist()]


def grown(tree: Tree, tokens: list[int]) -> Node:
    known = tree.enter(tree.root, tokens)
    rest = tokens[known.end :]
    return tree.extend(known, rest, states_of(rest, known.end)) if rest else known


def test_random_sequences_keep_their_numbers_and_share_what_they_can() -> None:
    for seed in range(30):
        draw = random.Random(seed)
        tree = Tree()
        held: list[tuple[list[int], Node]] = []
        for _ in range(60):
            if held and draw.random() < 0.4:
                held.pop(draw.randrange(len(held)))
            else:
                before = draw.choice(held)[0] if held and draw.random() < 0.7 else []
                tokens = before[: draw.randint(0, len(before))]
                tokens = [*tokens, *(draw.randint(0, 2) for _ in range(draw.randint(1, 8)))]
                held.append((tokens, grown(tree, tokens)))
            for at in range(len(held)):  # no name may hold a node when the next one is let go
                assert spelt(held[at][1]) == held[at][0]
                assert numbers(held[at][1]) == states_of(held[at][0], 0)[0].flatten().tolist()
            prefixes = {tuple(tokens[:at]) for tokens, _ in held for at in range(1, len(tokens) + 1)}
            assert tree.size == len(prefixes)


def test_what_is_put_there_twice_is_kept_once() -> None:
    tree = Tree()
    one = tree.extend(tree.root, [1, 2, 3], states_of([1, 2, 3], 0))
    other = tree.extend(tree.root, [1, 2, 4, 5], states_of([1, 2, 4, 5], 0))
    assert one.parent is other.parent
    assert tree.extend(tree.root, [1, 2, 3], states_of([9, 9, 9], 0)) is one
    assert tree.size == 5


def test_a_branch_goes_with_its_last_holder_without_the_collector() -> None:
    gc.disable()
    try:
        tree = Tree()
        one = grown(tree, [1, 2, 3, 4])
        other = grown(tree, [1, 2, 5])
        del one
        assert tree.size == 3
        assert spelt(other) == [1, 2, 5]
        del other
        assert tree.size == 0
    finally:
        gc.enable()
