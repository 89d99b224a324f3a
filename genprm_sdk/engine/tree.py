"""The prefix tree: which runs of tokens lie in the cache, and under which streams.

Pure bookkeeping. A node is a run of tokens behind its parent's, and lies in the cache as long as it is in the
tree. A stream *ends* at a node; it holds every run from the root to there, so each leaf has at least
one stream that ends at it, and any stream that ends below a node can lend the node's run to others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Node", "PrefixTree"]


class Node:
    """A run of keys; see ``PrefixTree``.

    Attributes:
        parent: The node before it; None for the root.
        keys: Its run.
        start: The position of the run's first key.
        children: The nodes behind it, by their first key.
        streams: The streams that end here.
    """

    __slots__ = ("children", "keys", "parent", "start", "streams")

    def __init__(self, parent: Node | None, keys: list[int], start: int) -> None:
        self.parent = parent
        self.keys = keys
        self.start = start
        self.children: dict[int, Node] = {}
        self.streams: set[int] = set()

    @property
    def end(self) -> int:
        """The position behind the run."""
        return self.start + len(self.keys)

    def path(self) -> Iterator[Node]:
        """This node and those before it, without the root."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent

    def lender(self) -> int:
        """A stream that holds everything up to here."""
        node = self
        while not node.streams:
            node = next(iter(node.children.values()))
        return next(iter(node.streams))


class PrefixTree:
    """Runs of keys that begin alike share the nodes of what they have in common.

    A key is an integer that stands for a token; equal keys are interchangeable.
    """

    def __init__(self) -> None:
        self.root = Node(None, [], 0)
        self.size = 0
        """Keys in all runs together."""

    def match(self, node: Node, keys: Sequence[int]) -> tuple[Node, int]:
        """Follow ``keys`` from behind ``node`` as far as the tree goes, without changing it.

        Returns:
            The last node that was entered, and how many keys were found; the last may end inside that node.
        """
        found = 0
        while found < len(keys) and (child := node.children.get(keys[found])) is not None:
            common = _common(child.keys, keys, found)
            found += common
            node = child
            if common < len(child.keys):
                break
        return node, found

    def enter(self, node: Node, keys: Sequence[int]) -> tuple[Node, int]:
        """As ``match``, but the returned node ends where the found keys do: it is split if need be."""
        begin = node.end
        last, found = self.match(node, keys)
        if last.end > begin + found:
            last = self._split(last, begin + found - last.start)
        return last, found

    def extend(self, node: Node, keys: Sequence[int]) -> Node:
        """Add a run behind ``node``, none of whose children begins with its first key."""
        assert keys[0] not in node.children
        child = Node(node, list(keys), node.end)
        node.children[keys[0]] = child
        self.size += len(keys)
        return child

    def remove(self, leaf: Node) -> None:
        """Take a leaf out; no stream may end at it any more."""
        assert leaf.parent is not None
        assert not leaf.children
        assert not leaf.streams
        del leaf.parent.children[leaf.keys[0]]
        self.size -= len(leaf.keys)

    def nodes(self) -> Iterator[Node]:
        """All nodes but the root."""
        waiting = list(self.root.children.values())
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children.values()

    def _split(self, node: Node, at: int) -> Node:
        """Cut a node in two; returns the upper one. What ends at the node still does."""
        assert node.parent is not None
        upper = Node(node.parent, node.keys[:at], node.start)
        node.parent.children[upper.keys[0]] = upper
        node.parent, node.keys, node.start = upper, node.keys[at:], node.start + at
        upper.children[node.keys[0]] = node
        return upper


def _common(run: list[int], keys: Sequence[int], start: int) -> int:
    """How many keys of a run are those of ``keys`` from ``start`` on."""
    length = min(len(run), len(keys) - start)
    if run[:length] == list(keys[start : start + length]):
        return length
    return next(at for at in range(length) if run[at] != keys[start + at])
