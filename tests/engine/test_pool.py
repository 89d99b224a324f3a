"""The pool's bookkeeping against a cache that is simulated cell by cell."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from genprm_sdk.engine.pool import Chain, Pool
from genprm_sdk.engine.tree import PrefixTree

STREAMS = 5
CELLS = 40
TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=9)


class Cell:
    """A place in the cache, distinct from every other."""

    def __init__(self, token: int) -> None:
        self.token = token


class SimulatedStreams:
    """What a cache does with its streams: with cells in common, or each with its own."""

    def __init__(self, *, own: bool) -> None:
        self.own = own
        self.held: list[dict[int, Cell]] = [{} for _ in range(STREAMS)]

    def evaluate(self, stream: int, position: int, token: int) -> None:
        assert position == len(self.held[stream]), "a token must be the next of its stream"
        self.held[stream][position] = Cell(token)

    def share(self, source: int, target: int, start: int, end: int) -> None:
        assert source != target
        for position in range(0 if self.own else start, end):
            cell = self.held[source][position]
            self.held[target][position] = Cell(cell.token) if self.own else cell
        self.held[target] = dict(sorted(self.held[target].items()))

    def drop(self, stream: int, start: int, end: int = -1) -> None:
        for position in list(self.held[stream]):
            if position >= start and (end < 0 or position < end):
                del self.held[stream][position]

    def save(self, stream: int) -> list[int]:
        return [cell.token for cell in self.held[stream].values()]

    def restore(self, stream: int, state: list[int]) -> None:
        self.held[stream] = {position: Cell(token) for position, token in enumerate(state)}

    @property
    def cells(self) -> int:
        return len({id(cell) for held in self.held for cell in held.values()})


class PoolMachine(RuleBasedStateMachine):
    """Chains that come, grow, give way and go, in any order."""

    own = False
    left: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.streams = SimulatedStreams(own=self.own)
        cells = None if self.own else CELLS
        self.pool = Pool(self.streams, STREAMS, cells, left=self.left, keeps_bits=self.own)
        self.chains: list[Chain] = []

    def evaluate(self, chain: Chain, upto: int) -> None:
        if not self.pool.attach(chain):
            return
        chain.busy = True
        self.pool.reuse(chain, upto)
        count = upto - chain.evaluated
        if count > 0 and self.pool.make_room(count):
            assert chain.stream is not None
            for position in range(chain.evaluated, upto):
                self.streams.evaluate(chain.stream, position, chain.tokens[position])
            self.pool.evaluated(chain, count)

    @rule(tokens=TOKENS, parent=st.integers(0, 20))
    def begin(self, tokens: list[int], parent: int) -> None:
        before = self.chains[parent].tokens if parent < len(self.chains) else []
        if len(before) + len(tokens) <= CELLS // 2:
            self.chains.append(Chain([*before, *tokens]))

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100), part=st.floats(0, 1))
    def run(self, pick: int, part: float) -> None:
        chain = self.chains[pick % len(self.chains)]
        self.evaluate(chain, max(chain.evaluated, round(part * len(chain.tokens))))

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100), tokens=TOKENS)
    def grow(self, pick: int, tokens: list[int]) -> None:
        chain = self.chains[pick % len(self.chains)]
        if len(chain.tokens) + len(tokens) <= CELLS // 2:
            chain.tokens += tokens

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100), part=st.floats(0, 1))
    def commit(self, pick: int, part: float) -> None:
        chain = self.chains[pick % len(self.chains)]
        if chain.stream is not None and chain.busy:
            self.pool.commit(chain, round(part * chain.evaluated))

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100), part=st.floats(0, 1))
    def take_back(self, pick: int, part: float) -> None:
        chain = self.chains[pick % len(self.chains)]
        length = round(part * len(chain.tokens))
        del chain.tokens[length:]
        self.pool.shorten(chain, length)
        if not chain.tokens:
            self.chains.remove(chain)
            self.pool.part(chain)

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100))
    def rest(self, pick: int) -> None:
        chain = self.chains[pick % len(self.chains)]
        if chain.stream is not None:
            self.pool.commit(chain)
        chain.busy = False

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100))
    def go(self, pick: int) -> None:
        chain = self.chains.pop(pick % len(self.chains))
        chain.busy = False
        self.pool.part(chain)

    @invariant()
    def chains_have_their_own_tokens_in_the_cache(self) -> None:
        for chain in self.chains:
            if chain.stream is not None:
                held = [cell.token for cell in self.streams.held[chain.stream].values()]
                assert held == chain.tokens[: chain.evaluated]
            elif chain.saved is not None:
                assert chain.saved == chain.tokens[: chain.evaluated]
            else:
                assert chain.evaluated == 0

    @invariant()
    def streams_are_nobody_s_twice(self) -> None:
        taken = [chain.stream for chain in self.chains if chain.stream is not None]
        assert len(taken) == len(set(taken))

    @invariant()
    def every_cell_is_counted(self) -> None:
        if not self.own:
            assert self.streams.cells == self.pool.used <= CELLS
            assert 0 <= self.pool.pinned() <= self.pool.used


class TidyMachine(PoolMachine):
    """The same where chains that have gone may leave little behind."""

    left = 6


class OwnCellsMachine(PoolMachine):
    """The same where each stream has cells of its own."""

    own = True


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTidyPool = TidyMachine.TestCase
TestTidyPool.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestPoolOfOwnCells = OwnCellsMachine.TestCase
TestPoolOfOwnCells.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def evaluated(pool: Pool, streams: SimulatedStreams, tokens: list[int]) -> Chain:
    chain = Chain(list(tokens))
    assert pool.attach(chain)
    pool.reuse(chain, len(tokens))
    assert pool.make_room(len(tokens) - chain.evaluated)
    assert chain.stream is not None
    for position in range(chain.evaluated, len(tokens)):
        streams.evaluate(chain.stream, position, tokens[position])
    pool.evaluated(chain, len(tokens) - chain.evaluated)
    pool.commit(chain)
    return chain


def test_a_chain_that_has_gone_serves_the_next_with_the_same_beginning() -> None:
    streams = SimulatedStreams(own=False)
    pool = Pool(streams, STREAMS, CELLS)
    pool.part(evaluated(pool, streams, [1, 2, 3, 4, 5]))
    late = Chain([1, 2, 3, 9])
    assert pool.known(late, 4) == 3
    pool.attach(late)
    assert pool.reuse(late, 4) == 3
    assert pool.used == 5


def test_who_was_not_used_for_longest_gives_way_first() -> None:
    streams = SimulatedStreams(own=False)
    pool = Pool(streams, STREAMS, CELLS)
    for first in (0, 1, 2):
        pool.part(evaluated(pool, streams, [first, *[7] * 9]))
    pool.part(evaluated(pool, streams, [0, *[7] * 9]))
    assert pool.make_room(20)
    assert pool.known(Chain([1, 7, 7]), 3) == 0
    assert pool.known(Chain([0, 7, 7]), 3) == 3


def test_a_shared_beginning_outlives_what_stood_behind_it() -> None:
    streams = SimulatedStreams(own=False)
    pool = Pool(streams, STREAMS, CELLS)
    pool.part(evaluated(pool, streams, [1, 1, 1, 2, 2]))
    pool.part(evaluated(pool, streams, [1, 1, 1, 3, 3]))
    assert pool.make_room(CELLS - 5)
    assert pool.known(Chain([1, 1, 1, 3, 3]), 5) == 5
    assert pool.known(Chain([1, 1, 1, 2, 2]), 5) == 3


def test_chains_that_have_gone_leave_no_more_than_they_may() -> None:
    streams = SimulatedStreams(own=False)
    pool = Pool(streams, STREAMS, CELLS, left=10)
    open_still = evaluated(pool, streams, [9, *[8] * 11])
    open_still.busy = False
    for first in (0, 1, 2):
        pool.part(evaluated(pool, streams, [first, *[7] * 5]))
    assert pool.used == 12 + 6
    assert pool.known(Chain([2, 7]), 2) == 2
    assert open_still.stream is not None


def test_the_same_text_written_twice_is_kept_once() -> None:
    streams = SimulatedStreams(own=False)
    pool = Pool(streams, STREAMS, CELLS)
    chains = [Chain([4]), Chain([4])]
    for chain in chains:
        pool.attach(chain)
        assert chain.stream is not None
        for position, token in enumerate([4, 5, 6]):
            streams.evaluate(chain.stream, position, token)
        chain.tokens = [4, 5, 6]
        pool.evaluated(chain, 3)
    assert pool.used == 6
    for chain in chains:
        pool.commit(chain)
    assert pool.used == streams.cells == 3


def test_the_tree_splits_where_paths_part() -> None:
    tree = PrefixTree()
    node = tree.extend(tree.root, [1, 2, 3, 4])
    node.streams.add(0)
    upper, found = tree.enter(tree.root, [1, 2, 9])
    assert (found, upper.keys, upper.end) == (2, [1, 2], 2)
    assert (node.keys, node.start, node.parent) == ([3, 4], 2, upper)
    assert upper.lender() == 0
    tree.extend(upper, [9]).streams.add(1)
    assert tree.size == 5
    assert tree.match(tree.root, [1, 2, 9, 9])[1] == 3
