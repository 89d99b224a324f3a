"""Keys and values of what was evaluated, as a tree of token runs that lives as long as its ends are held.

A node keeps the nodes before it alive and not those behind it, so what no sequence needs any more is gone
with the last sequence that did. Nodes may be cut in two; the numbers they hold never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

from torch import Tensor

__all__ = ["Node", "States", "Tree"]

States = tuple[Tensor, ...]
"""Keys and values of a run of tokens, one tensor a bank; see ``Layout``. The tokens are the third axis."""


class Node:
    """A run of tokens with its keys and values.

    Attributes:
        parent: The node before it; None for the root.
        tokens: Its run.
        states: Their keys and values.
        start: The position of the run's first token.
    """

    __slots__ = ("__weakref__", "children", "parent", "start", "states", "tokens")

    def __init__(self, parent: Node | None, tokens: list[int], states: States) -> None:
        self.parent = parent
        self.tokens = tokens
        self.states = states
        self.start = 0 if parent is None else parent.end
        self.children: WeakValueDictionary[int, Node] = WeakValueDictionary()

    @property
    def end(self) -> int:
        """The position behind the run."""
        return self.start + len(self.tokens)

    def path(self) -> list[Node]:
        """The nodes from the beginning to this one, without the root."""
        nodes: list[Node] = []
        node = self
        while node.parent is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


class Tree:
    """Sequences that begin alike share the nodes of what they have in common. For one thread."""

    def __init__(self) -> None:
        self.root = Node(None, [], ())

    @property
    def size(self) -> int:
        """Tokens in all nodes that live."""
        size, waiting = 0, [self.root]
        while waiting:
            node = waiting.pop()
            size += len(node.tokens)
            waiting += node.children.values()
        return size

    def enter(self, node: Node, tokens: Sequence[int]) -> Node:
        """Follow ``tokens`` from behind ``node`` as far as the tree goes; a node is split where they part."""
        found = 0
        while found < len(tokens) and (child := node.children.get(tokens[found])) is not None:
            common = _common(child.tokens, tokens, found)
            found += common
            if common < len(child.tokens):
                return _split(child, common)
            node = child
        return node

    def extend(self, node: Node, tokens: Sequence[int], states: States) -> Node:
        """The node behind ``node`` that holds these tokens; what the tree has already is not put there."""
        last = self.enter(node, tokens)
        found = last.end - node.end
        if found == len(tokens):
            return last
        child = Node(last, list(tokens[found:]), tuple(bank[:, :, found:] for bank in states))
        last.children[tokens[found]] = child
        return child


def _split(node: Node, at: int) -> Node:
    """Cut a node in two; returns the upper one. Who holds the node holds both."""
    assert node.parent is not None
    upper = Node(node.parent, node.tokens[:at], tuple(bank[:, :, :at] for bank in node.states))
    node.parent.children[upper.tokens[0]] = upper
    node.parent, node.tokens, node.start = upper, node.tokens[at:], node.start + at
    node.states = tuple(bank[:, :, at:] for bank in node.states)
    upper.children[node.tokens[0]] = node
    return upper


def _common(run: list[int], tokens: Sequence[int], start: int) -> int:
    """How many tokens of a run are those of ``tokens`` from ``start`` on; at least the first is."""
    length = min(len(run), len(tokens) - start)
    if run[:length] == list(tokens[start : start + length]):
        return length
    return next(at for at in range(length) if run[at] != tokens[start + at])
