"""What goes through the model next: continuous batching, a step at a time.

Each step reads a piece of what waits to be read and then lets every row write one token. A beginning that
several share is read once: who comes second waits until the first has read it. Requests are admitted in the
order in which they came; where the rows outgrow the memory for them, the youngest gives way and is resumed
later. No threads, and no clock but for the metrics.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ..backends.base import Sampling, Work
from ..backends.tokenizer import TextTokenizer
from ..errors import BackendError, GenPRMError
from .requests import Generate, ReadLabels, Request
from .runner import Run, Runner
from .sampling import draw
from .slab import Slab, rounded
from .tree import Node, Tree

__all__ = ["Scheduler"]

AT_ONCE = 2048
"""Tokens that are read in a step, padding included, where nobody waits for it."""

BESIDE = 256
"""The same where rows are writing meanwhile."""

MARGIN = 64
"""Columns that a row should find free behind its own when it is admitted."""

MEMORY = "the device's memory is full: load the model with a smaller capacity or context"


T = TypeVar("T")
Ended = tuple[Request, Exception | None]
"""A request that is done, and what went wrong."""


class Scheduler:
    """Requests on one model.

    Args:
        runner: The model.
        vocabulary: Its tokens.
        most: Requests in evaluation at once.
        cells: Tokens that the rows which write may hold together, each counted with the longest's length.
    """

    def __init__(self, runner: Runner, vocabulary: TextTokenizer, most: int, cells: int) -> None:
        self.totals = Work()
        self._runner = runner
        self._vocabulary = vocabulary
        self._most = most
        self._cells = cells
        self._tree = Tree()
        self._waiting: deque[Request] = deque()
        self._reading: list[Request] = []
        self._rows: list[Request] = []
        self._slab = Slab(runner.layout)
        self._oldest_next = True

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._waiting or self._reading or self._rows)

    @property
    def held(self) -> int:
        """Tokens whose keys and values are in memory."""
        own = (len(row.prefix.tokens) - 1 - _node(row).end for row in self._rows)
        return self._tree.size + sum(own)

    def submit(self, request: Request) -> None:
        """Put a request into the queue."""
        request.since = time.perf_counter()
        self._waiting.append(request)

    def drop(self, unwanted: Callable[[Request], bool]) -> list[Request]:
        """Take out the requests that nobody waits for any more; returns them."""
        gone = [request for request in self.requests() if unwanted(request)]
        for request in gone:
            if request in self._rows:
                self._vacate(request)
            elif request in self._reading:
                self._reading.remove(request)
            else:
                self._waiting.remove(request)
        return gone

    def requests(self) -> Iterator[Request]:
        """All that is not done."""
        yield from (*self._rows, *self._reading, *self._waiting)

    def rest(self) -> None:
        """Free what only running rows need; to be called where there are none."""
        self._slab = Slab(self._runner.layout)

    def step(self) -> list[Ended]:
        """Go on by a step; returns the requests that are done, with what went wrong."""
        try:
            self._admit()
            self._read()
            self._seat()
            return self._write() if self._rows else []
        except torch.OutOfMemoryError:
            waiting = set(self._waiting)
            failed = self.drop(lambda request: request not in waiting)
            self.rest()
            return [(request, BackendError(MEMORY)) for request in failed]

    # ------------------------------------------------------------------ reading

    def _admit(self) -> None:
        while self._waiting and len(self._reading) + len(self._rows) < self._most:
            request = self._waiting.popleft()
            self._charge(request, Work(queued=time.perf_counter() - request.since))
            self._reading.append(request)

    def _read(self) -> None:
        """Evaluate a piece of what some requests have before their last tokens."""
        leading = list(self._leading())
        if not leading:
            return
        most = BESIDE if self._rows else AT_ONCE
        group = self._alike(leading, most)
        runs = []
        for request in group:
            tokens, node = request.prefix.tokens, _node(request)
            runs.append(Run(node, tokens[node.end : min(len(tokens) - 1, node.end + most)]))
        for request, run, states in zip(group, runs, self._runner.read(runs), strict=True):
            request.prefix.node = self._tree.extend(run.node, run.tokens, states)
            request.prefix.charged = request.prefix.node.end
            self._charge(
                request, Work(evaluated=len(run.tokens), evaluations=1, companions=len(runs), peak=self.held)
            )

    def _leading(self) -> Iterator[Request]:
        """Requests with something to read, without those whose next tokens another is about to read."""
        led: set[tuple[Node, int]] = set()
        for request in self._reading:
            prefix = request.prefix
            node = prefix.node or self._tree.root
            prefix.node = node = self._tree.enter(node, prefix.tokens[node.end : -1])
            if node.end > prefix.charged:
                self._charge(request, Work(cached=node.end - prefix.charged))
                prefix.charged = node.end
            if node.end == len(prefix.tokens) - 1:
                continue
            place = node, prefix.tokens[node.end]
            if place not in led:
                led.add(place)
                yield request

    def _alike(self, leading: Sequence[Request], most: int) -> list[Request]:
        """Requests that are read together: about equally much, and together not too much.

        By turns the first who came and the one with the least to read decide how much that is.
        """

        def count(request: Request) -> int:
            return min(len(request.prefix.tokens) - 1 - _node(request).end, most)

        by_count = sorted(leading, key=count)
        first = leading[0] if self._oldest_next else by_count[0]
        self._oldest_next = not self._oldest_next
        group, longest, width = [first], count(first), _node(first).end + count(first)
        for request in by_count:
            if request is first or not longest <= 2 * count(request) <= 4 * longest:
                continue
            longest = max(longest, count(request))
            width = max(width, _node(request).end + longest)
            if (len(group) + 1) * longest > most or (len(group) + 1) * width > self._cells:
                break
            group.append(request)
        return group

    # ------------------------------------------------------------------ writing

    def _seat(self) -> None:
        """Give rows to requests that have read all, as far as there is room."""
        before = len(self._rows)
        for request in filter(_has_read, list(self._reading)):
            width = max(map(_width, (*self._rows, request))) + MARGIN
            if self._rows and rounded(width) * (len(self._rows) + 1) > self._cells:
                break
            self._reading.remove(request)
            self._rows.append(request)
        if len(self._rows) > before:
            self._slab.reserve(len(self._rows), max(map(_width, self._rows)) + MARGIN)
            for row in range(before, len(self._rows)):
                self._slab.load(row, _node(self._rows[row]))

    def _write(self) -> list[Ended]:
        """Evaluate the last token of every row and let its request go on."""
        width = max(map(_width, self._rows))
        while len(self._rows) > 1 and rounded(width) * len(self._rows) > self._cells:
            self._give_way()
            width = max(map(_width, self._rows))
        self._slab.reserve(len(self._rows), width)
        rows = list(self._rows)
        tokens = [row.prefix.tokens[-1] for row in rows]
        logits = self._runner.step(self._slab, tokens, [len(row.prefix.tokens) - 1 for row in rows])
        for row in rows:
            self._charge(row, Work(evaluated=1, evaluations=1, companions=len(rows)))
        ended = list(self._advance(rows, logits))
        if ended:
            held = self.held
            for row in rows:
                self._charge(row, Work(peak=held))
        for row, error in ended:
            if error is None:
                self._keep(row)
            self._vacate(row)
        return ended

    def _advance(self, rows: Sequence[Request], logits: Tensor) -> Iterator[Ended]:
        """Let requests see the logits behind their rows; those that are done come back."""
        alike: dict[Sampling, list[tuple[int, Generate]]] = {}
        for at, row in enumerate(rows):
            if isinstance(row, Generate):
                alike.setdefault(replace(row.sampling, seed=0), []).append((at, row))
            elif isinstance(row, ReadLabels):
                yield from _ended(row, row.take, logits[at].cpu().numpy())
        for sampling, writing in alike.items():
            chosen = logits if len(writing) == len(rows) else logits[[at for at, _ in writing]]
            tokens = draw(chosen, sampling, [row.place() for _, row in writing])
            for (_, row), token in zip(writing, tokens, strict=True):
                yield from _ended(row, partial(row.take, vocabulary=self._vocabulary), token)

    def _keep(self, request: Request) -> None:
        """Put what a row has evaluated and its sequence keeps into the tree."""
        node, end = _node(request), request.kept
        if end > node.end:
            states = self._slab.read(self._rows.index(request), node.end, end)
            request.prefix.node = self._tree.extend(node, request.prefix.tokens[node.end : end], states)
            request.prefix.charged = end

    def _give_way(self) -> None:
        """Let the youngest row wait; it goes on with what it has written, or begins again to read labels."""
        youngest = max(self._rows, key=lambda row: row.since)
        self._keep(youngest)
        self._vacate(youngest)
        youngest.resume()
        self._reading.insert(0, youngest)

    def _vacate(self, request: Request) -> None:
        """Take a row away; the last one moves into its place."""
        at = self._rows.index(request)
        last = self._rows.pop()
        if last is not request:
            self._slab.move(len(self._rows), at)
            self._rows[at] = last

    def _charge(self, request: Request, cost: Work) -> None:
        request.work.add(cost)
        self.totals.add(cost)


def _ended(request: Request, take: Callable[[T], bool], seen: T) -> Iterator[Ended]:
    """Let a request take what came; it comes back if it is done, with what went wrong."""
    try:
        if take(seen):
            yield request, None
    except GenPRMError as error:
        yield request, error


def _node(request: Request) -> Node:
    """Where what a request has read ends; known since it was admitted."""
    assert request.prefix.node is not None
    return request.prefix.node


def _width(request: Request) -> int:
    """Columns that a request's row needs for its next step."""
    return len(request.prefix.tokens)


def _has_read(request: Request) -> bool:
    return _node(request).end == len(request.prefix.tokens) - 1
