"""Who has what in the cache: chains get streams, share prefixes, and give way when room is needed.

Knows the prefix tree and how to move tokens between streams, not what chains are evaluated for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .tree import Node, PrefixTree

__all__ = ["Chain", "Pool", "Streams"]


class Streams(Protocol):
    """What a cache can do with its streams; see ``Context``."""

    def share(self, source: int, target: int, start: int, end: int) -> None: ...

    def drop(self, stream: int, start: int, end: int = -1) -> None: ...

    def save(self, stream: int) -> Any: ...

    def restore(self, stream: int, state: Any) -> None: ...


@dataclass(eq=False)
class Chain:
    """A sequence of tokens, and what of it lies in the cache.

    The first ``node.end`` evaluated tokens are in the tree; those behind are the chain's own until they are
    committed.

    Attributes:
        tokens: All of it.
        alone: For each token, whether it must be evaluated without its neighbours; empty where that does not
            matter. Attention to one query and to several round differently.
        stream: Where it lies; None if it does not.
        node: Where its part of the tree ends.
        evaluated: How many tokens lie in the cache.
        busy: Whether it is being evaluated, and must not give way.
        saved: Its state as bytes, if it had to give way but must come back to the bit.
    """

    tokens: list[int] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)
    stream: int | None = None
    node: Node | None = None
    evaluated: int = 0
    busy: bool = False
    saved: Any = None

    def keys(self, start: int, end: int) -> list[int]:
        """What the tree knows its tokens by."""
        if not self.alone:
            return self.tokens[start:end]
        pairs = zip(self.tokens[start:end], self.alone[start:end], strict=True)
        return [2 * token + alone for token, alone in pairs]


class Pool:
    """The cache's streams and cells, divided among chains.

    Args:
        streams: Moves tokens in the cache.
        count: How many streams there are.
        cells: Tokens that fit into the cache together; None where each stream has cells of its own.
        left: Cells at most that chains which have gone may leave filled; None for all.
        keeps_bits: Whether a chain that gives way is saved, so that it comes back to the bit.
    """

    def __init__(
        self,
        streams: Streams,
        count: int,
        cells: int | None,
        *,
        left: int | None = None,
        keeps_bits: bool = False,
    ) -> None:
        self._streams = streams
        self._cells = cells
        self._left = left
        self._keeps_bits = keeps_bits
        self._tree = PrefixTree()
        self._free = list(range(count - 1, -1, -1))
        self._owners: dict[int, Chain | None] = {}
        self._ends: dict[int, Node] = {}
        self._used: dict[int, int] = {}
        self._clock = 0
        self._uncommitted = 0

    @property
    def used(self) -> int:
        """Cells that hold something; a run that several share counts once."""
        return self._tree.size + self._uncommitted

    def pinned(self) -> int:
        """Cells that cannot be had before some chain is done."""
        return self._held_by(chain for chain in self._owners.values() if chain is not None and chain.busy)

    def _held_by(self, chains: Iterable[Chain]) -> int:
        nodes: set[Node] = set()
        for chain in chains:
            if chain.node is not None:
                nodes.update(chain.node.path())
        return self._uncommitted + sum(len(node.keys) for node in nodes)

    # ------------------------------------------------------------------ chains come and go

    def attach(self, chain: Chain) -> bool:
        """Give a chain a stream, if it has none; its state comes back, if it was saved.

        Returns:
            Whether there was one, if need be by letting others give way.
        """
        if chain.stream is not None:
            self._touch(chain.stream)
            return True
        while not self._free:
            if not self._give_way_a_stream():
                return False
        stream = self._free.pop()
        chain.stream, chain.node = stream, self._tree.root
        self._owners[stream], self._ends[stream] = chain, self._tree.root
        self._touch(stream)
        if chain.saved is not None:
            self._streams.restore(stream, chain.saved)
            chain.saved = None
            self._uncommitted += chain.evaluated
            self.commit(chain)
        else:
            chain.evaluated = 0
        return True

    def known(self, chain: Chain, upto: int) -> int:
        """How many of a chain's first ``upto`` tokens would not have to be evaluated."""
        if chain.stream is None and chain.saved is None:
            return self._tree.match(self._tree.root, chain.keys(0, upto))[1]
        if chain.node is None or chain.evaluated > chain.node.end:
            return chain.evaluated
        return chain.evaluated + self._tree.match(chain.node, chain.keys(chain.evaluated, upto))[1]

    def reuse(self, chain: Chain, upto: int) -> int:
        """Take over from the tree what an attached chain needs before ``upto``; returns how many tokens."""
        assert chain.stream is not None
        assert chain.node is not None
        if chain.evaluated > chain.node.end or chain.evaluated >= upto:
            return 0
        node, found = self._tree.enter(chain.node, chain.keys(chain.evaluated, upto))
        if found:
            self._streams.share(node.lender(), chain.stream, chain.evaluated, chain.evaluated + found)
            self._move(chain, node)
            chain.evaluated += found
        return found

    def evaluated(self, chain: Chain, count: int) -> None:
        """Note that the next ``count`` tokens of a chain have been evaluated."""
        chain.evaluated += count
        self._uncommitted += count

    def cut(self, chain: Chain, length: int) -> None:
        """Take back what a chain has evaluated behind ``length``, none of it committed."""
        if chain.evaluated <= length:
            return
        assert chain.stream is not None
        assert chain.node is not None
        assert chain.node.end <= length
        self._streams.drop(chain.stream, length)
        self._uncommitted -= chain.evaluated - length
        chain.evaluated = length

    def commit(self, chain: Chain, upto: int | None = None) -> None:
        """Put what a chain has evaluated, or its first ``upto`` tokens, into the tree, for others to use.

        Where the tree already has the same tokens, the chain's own cells are given up for those.
        """
        assert chain.stream is not None
        assert chain.node is not None
        start = chain.node.end
        end = chain.evaluated if upto is None else min(upto, chain.evaluated)
        if end <= start:
            return
        keys = chain.keys(start, end)
        node, found = self._tree.enter(chain.node, keys)
        if found and self._cells is not None:
            lender = node.lender()
            self._streams.drop(chain.stream, start, start + found)
            self._streams.share(lender, chain.stream, start, start + found)
        if found < len(keys):
            node = self._tree.extend(node, keys[found:])
        self._uncommitted -= len(keys)
        self._move(chain, node)

    def shorten(self, chain: Chain, length: int) -> None:
        """Let a chain hold its first ``length`` tokens at most; its others may have changed already."""
        if chain.evaluated <= length:
            return
        if chain.node is not None and chain.node.end <= length:
            self.cut(chain, length)
        else:
            self.part(chain)

    def part(self, chain: Chain) -> None:
        """Take a chain's stream away; what it has committed stays until its room is needed."""
        if chain.stream is not None and chain.node is not None:
            self.cut(chain, chain.node.end)
            self._detach(chain, for_good=True)
            self._tidy()
        chain.saved, chain.evaluated = None, 0

    def _tidy(self) -> None:
        """Empty what chains left that have gone, least recently used first, down to what may be left."""
        if self._left is None:
            return
        surplus = self.used - self._left
        surplus -= self._held_by(chain for chain in self._owners.values() if chain is not None)
        while surplus > 0:
            before = self.used
            if not self._give_way(lambda stream: self._owners[stream] is None):
                return
            surplus -= before - self.used

    # ------------------------------------------------------------------ making room

    def make_room(self, count: int) -> bool:
        """Let chains give way until ``count`` cells are free; least recently used first.

        Returns:
            Whether they are.
        """
        if self._cells is None:
            return True
        while self.used + count > self._cells:
            if not self._give_way():
                return False
        return True

    def _give_way(self, may: Callable[[int], bool] | None = None) -> bool:
        """Empty the leaf that was used least recently, of those whose streams all may; idle ones may."""
        may = may or self._is_idle
        ends = {self._ends[stream] for stream in self._owners if may(stream)} - {self._tree.root}
        yielding = [end for end in ends if not end.children and all(map(may, end.streams))]
        if not yielding:
            return False
        self._empty(min(yielding, key=lambda leaf: max(self._used[stream] for stream in leaf.streams)))
        return True

    def _give_way_a_stream(self) -> bool:
        """Free the idle stream that was used least recently, with what it alone holds."""
        idle = filter(self._is_idle, self._owners)
        for stream in sorted(idle, key=lambda stream: self._used[stream]):
            if (chain := self._owners[stream]) is not None:
                self._detach(chain)
            while stream in self._ends:
                if self._ends[stream].children or len(self._ends[stream].streams) > 1:
                    self._free_stream(stream)
                else:
                    self._empty(self._ends[stream])
            return True
        return False

    def _is_idle(self, stream: int) -> bool:
        owner = self._owners[stream]
        return owner is None or not owner.busy

    def _empty(self, leaf: Node) -> None:
        """Take a leaf whose streams are all idle out of the cache; one stays for its parent, if needed."""
        for stream in list(leaf.streams):
            if (chain := self._owners[stream]) is not None:
                self._detach(chain)
        for stream in list(leaf.streams)[1:]:
            self._free_stream(stream)
        (stream,) = leaf.streams
        parent = leaf.parent
        assert parent is not None
        if parent.parent is None or parent.streams or len(parent.children) > 1:
            self._free_stream(stream)
        else:
            self._streams.drop(stream, leaf.start)
            leaf.streams.discard(stream)
            parent.streams.add(stream)
            self._ends[stream] = parent
        self._tree.remove(leaf)

    def _detach(self, chain: Chain, *, for_good: bool = False) -> None:
        """Part a chain, all of it committed, from its stream, which stays if the tree needs it."""
        stream = chain.stream
        assert stream is not None
        chain.stream = chain.node = None
        if self._keeps_bits and chain.evaluated and not for_good:
            chain.saved = self._streams.save(stream)
        else:
            chain.evaluated = 0
        self._owners[stream] = None
        self._touch(stream)
        self._free_if_needless(stream)

    def _free_if_needless(self, stream: int) -> None:
        node = self._ends[stream]
        if node.parent is None or node.children or len(node.streams) > 1:
            self._free_stream(stream)

    def _free_stream(self, stream: int) -> None:
        self._streams.drop(stream, 0)
        node = self._ends.pop(stream)
        node.streams.discard(stream)
        del self._owners[stream], self._used[stream]
        self._free.append(stream)

    # ------------------------------------------------------------------ small steps

    def _move(self, chain: Chain, node: Node) -> None:
        """Let a chain's stream end at another node; streams that only kept what it now holds are freed."""
        stream = chain.stream
        assert stream is not None
        assert chain.node is not None
        chain.node.streams.discard(stream)
        node.streams.add(stream)
        self._ends[stream] = chain.node = node
        self._touch(stream)
        for above in node.path():
            for other in [other for other in above.streams if self._owners[other] is None]:
                self._free_stream(other)

    def _touch(self, stream: int) -> None:
        self._clock += 1
        self._used[stream] = self._clock
