"""What goes through the model next: continuous batching over one cache.

Each step packs the next tokens of all running requests and chunks of waiting prompts into one batch. Prompts
that begin alike are evaluated once: who comes second waits until it can take over what the first has done.
Requests are admitted in the order in which they came, as far as the cache has room; where it runs out,
the youngest gives way and is resumed later. No threads, and no clock but for the metrics, so that the same
calls always do the same.

Where results must be exact, sequences are evaluated so that each token's arithmetic is always the same: a
token that was generated goes alone in its stream, tokens that were appended never do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from ..backends.base import Work
from ..errors import BackendError, GenPRMError
from .context import BATCH, CacheFull, Context, Row
from .metrics import Snapshot
from .pool import Chain, Pool
from .requests import Request

__all__ = ["Scheduler"]

FEW = 8
"""A request with so few pending tokens goes ahead of prompts."""

BESIDE = 128
"""Tokens of prompts in a batch that others wait for."""

LEAST_SHARE = 16
"""Tokens that a prompt gets at least where several share a batch."""

MARGIN = 32
"""Cells that a request should find free beside its own when it is admitted."""

LEFT = 1024
"""Cells that closed sequences may leave filled without flash attention, for then every token attends to every
filled cell, whoever's it is: 8,000 of them made a step of the bundled model ten times slower."""

BALANCE = 4096
"""Without flash attention, one more sequence takes from each of the n that run a part of what a step costs
anyway, but the cells it adds cost each of them: it joins if cells x n x (n + 1) are no more than this."""

Plan = list[tuple[Request, int]]
"""Requests, and how many of their next tokens are evaluated."""


class Scheduler:
    """Requests on one context.

    Args:
        context: The loaded model.
        most: Requests in evaluation at once.
    """

    def __init__(self, context: Context, most: int) -> None:
        setup = context.setup
        self._context = context
        self._most = min(most, setup.streams)
        self._exact = setup.exact
        self._cells = None if setup.exact else setup.cells
        self._is_slow_when_full = setup.is_slow_when_full
        left = LEFT if self._is_slow_when_full else None
        self._pool = Pool(context, setup.streams, self._cells, left=left, keeps_bits=setup.exact)
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._arrivals = 0
        self._alone_next = True
        self._totals = Work()
        self._iterations = self._preempted = 0
        self._busy = self._decoding = self._sampling = 0.0
        self._pinned = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._running and not self._waiting

    @property
    def totals(self) -> Work:
        """What all requests have cost."""
        return self._totals

    def submit(self, request: Request) -> None:
        """Put a request into the queue; its chain must not be in another."""
        self._arrivals += 1
        request.number = self._arrivals
        request.since = time.perf_counter()
        self._waiting.append(request)

    def cancel(self, request: Request) -> bool:
        """Take a request out; its chain has the tokens it had before. Returns whether it was still there."""
        if request in self._waiting:
            self._waiting.remove(request)
        elif request in self._running:
            self._running.remove(request)
        else:
            return False
        request.withdraw()
        self._end(request, request.length)
        return True

    def take_back(self, request: Request) -> None:
        """Give the chain of a request that is done the tokens it had before."""
        request.withdraw()
        self._pool.shorten(request.chain, max(0, request.length - 1))

    def release(self, chain: Chain) -> None:
        """Let a chain go that is in no request; what it has in the cache stays for others."""
        self._pool.part(chain)

    def snapshot(self) -> Snapshot:
        """How things stand; cheap, and may be called from any thread."""
        totals = self._totals
        used = self._pool.used
        return Snapshot(
            running=len(self._running),
            waiting=len(self._waiting),
            cells=self._context.setup.cells,
            used_cells=used,
            cached_cells=max(0, used - self._pinned),
            evaluated=totals.evaluated,
            cached=totals.cached,
            iterations=self._iterations,
            sequences=totals.evaluations,
            preempted=self._preempted,
            busy_seconds=self._busy,
            decode_seconds=self._decoding,
            sampling_seconds=self._sampling,
            queued_seconds=totals.queued,
        )

    def step(self) -> list[Request]:
        """Run the model once; returns the requests that are done, with their results or errors."""
        begin = time.perf_counter()
        self._admit()
        plan = self._fitting(self._exact_plan() if self._exact else self._plan())
        done = self._evaluate(plan) if plan else []
        if done:
            self._pinned = self._pool.pinned()
        self._busy += time.perf_counter() - begin
        return done

    # ------------------------------------------------------------------ who runs

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._most:
            request = self._waiting[0]
            if self._running and not self._has_room_for(request):
                return
            if not self._pool.attach(request.chain):
                return
            self._waiting.popleft()
            request.chain.busy = True
            self._charge(request, Work(queued=time.perf_counter() - request.since))
            self._running.append(request)

    def _has_room_for(self, request: Request) -> bool:
        if self._cells is None:
            return True
        needed = len(request.chain.tokens) - self._pool.known(request.chain, request.first_wanted)
        expected = sum(running.pending for running in self._running)
        others = len(self._running)
        if self._is_slow_when_full and (needed + MARGIN) * others * (others + 1) > BALANCE:
            return False
        return self._pool.pinned() + expected + needed + MARGIN <= self._cells

    def _preempt_youngest(self) -> Request:
        request = max(self._running, key=lambda running: running.number)
        self._running.remove(request)
        self._pool.shorten(request.chain, min(request.kept, len(request.chain.tokens) - 1))
        if request.chain.stream is not None:
            self._pool.commit(request.chain)
        request.chain.busy = False
        request.since = time.perf_counter()
        self._waiting.appendleft(request)
        self._preempted += 1
        return request

    # ------------------------------------------------------------------ what they run

    def _plan(self) -> Plan:
        """All short continuations, and a fair share of the rest of the batch for each prompt."""
        steps, prompts = [], []
        room = BATCH
        for request in self._leading():
            if request.pending > FEW:
                prompts.append(request)
            elif request.pending <= room:
                steps.append((request, request.pending))
                room -= request.pending
        room = min(room, BESIDE) if steps else room
        if prompts:  # the first who came gets a share even if all others are shorter
            oldest = min(prompts, key=lambda request: request.number)
            prompts.sort(key=lambda request: (request is not oldest, request.pending))
        plan = steps
        for at, request in enumerate(prompts):
            count = min(request.pending, room, max(LEAST_SHARE, room // (len(prompts) - at)))
            if count:
                plan.append((request, count))
            room -= count
        return plan

    def _leading(self) -> Iterable[Request]:
        """Running requests, without those whose next tokens another is just evaluating."""
        led: set[tuple[int, int]] = set()
        for request in self._running:
            chain = request.chain
            if found := self._pool.reuse(chain, request.first_wanted):
                self._charge(request, Work(cached=found))
            if (request.pending > FEW or self._exact) and chain.node is not None:
                place = (id(chain.node), chain.keys(chain.evaluated, chain.evaluated + 1)[0])
                if chain.evaluated == chain.node.end and request.pending > 1:
                    if place in led:
                        continue
                    led.add(place)
            yield request

    def _exact_plan(self) -> Plan:
        """Single tokens of all streams, or some tokens of one, by turns."""
        single, several = [], []
        for request in self._leading():
            alone, at = request.chain.alone, request.chain.evaluated
            if alone[at]:
                single.append((request, 1))
            else:
                end = next((end for end in range(at, len(alone)) if alone[end]), len(alone))
                several.append((request, min(end - at, BATCH - 1)))
        self._alone_next = bool(single) and (self._alone_next or not several)
        plan = single if self._alone_next else several[:1]
        self._alone_next = not self._alone_next
        return plan

    def _fitting(self, plan: Plan) -> Plan:
        """The plan without what the cache has no room for, even if others give way."""
        while not self._pool.make_room(sum(count for _, count in plan)):
            if len(self._running) > 1:
                gone = self._preempt_youngest()
                plan = [(request, count) for request, count in plan if request is not gone]
            else:
                assert self._cells is not None
                request, count = plan[0]
                plan = [(request, min(count, self._cells - self._pool.used))]
        return plan

    def _evaluate(self, plan: Plan) -> list[Request]:
        rows: list[Row] = []
        wanted: list[tuple[Request, int, int]] = []
        for request, count in plan:
            tokens, stream, first_wanted = request.chain.tokens, request.chain.stream, request.first_wanted
            assert stream is not None
            for position in self._positions(request.chain, count):
                if position >= first_wanted:
                    wanted.append((request, position, len(rows)))
                rows.append(Row(tokens[position], position, stream, position >= first_wanted))
        begin = time.perf_counter()
        try:
            self._context.decode(rows)
        except CacheFull:
            if len(self._running) > 1:
                self._preempt_youngest()
                return []
            return self._fail(plan, "the cache is too small for this request")
        except BackendError as error:
            return self._fail(plan, str(error))
        decoded = time.perf_counter()
        for request, position, row in wanted:
            try:
                request.see(self._context, position, row)
            except GenPRMError as error:
                request.error = error
        self._decoding += decoded - begin
        self._sampling += time.perf_counter() - decoded
        self._iterations += 1
        return [request for request, count in plan if self._go_on(request, count, len(plan))]

    def _positions(self, chain: Chain, count: int) -> range:
        """Which positions to evaluate for ``count`` new ones.

        Where results must be exact and only one of several tokens that go together is left, the one before
        it is evaluated again, because tokens that were appended never go alone.
        """
        first = chain.evaluated
        if chain.alone and count == 1 and not chain.alone[first]:
            assert chain.stream is not None
            self._context.drop(chain.stream, first - 1)
            return range(first - 1, first + 1)
        return range(first, first + count)

    def _go_on(self, request: Request, count: int, sequences: int) -> bool:
        """Take a request further behind its evaluated tokens; returns whether it is done."""
        chain = request.chain
        self._pool.evaluated(chain, count)
        self._charge(
            request, Work(evaluated=count, evaluations=1, companions=sequences, peak=self._pool.used)
        )
        self._pool.commit(chain, min(request.first_wanted, request.length - 1))
        if request.pending and request.error is None:
            return False
        try:
            done = request.error is not None or request.advance(self._context)
        except GenPRMError as error:
            request.error, done = error, True
        if done:
            self._running.remove(request)
            self._end(request, request.kept)
        else:
            self._pool.shorten(chain, min(request.kept, request.first_wanted))
        return done

    def _fail(self, plan: Plan, message: str) -> list[Request]:
        """End the requests of a plan that could not be evaluated."""
        for request, _ in plan:
            self.cancel(request)
            request.error = BackendError(message)
        return [request for request, _ in plan]

    def _end(self, request: Request, kept: int) -> None:
        """Part from a request; the last token of its chain stays unevaluated for whoever needs its logits."""
        chain = request.chain
        self._pool.shorten(chain, max(0, min(kept, len(chain.tokens) - 1)))
        if chain.stream is not None:
            self._pool.commit(chain)
        chain.busy = False
        request.end()

    def _charge(self, request: Request, cost: Work) -> None:
        request.work.add(cost)
        self._totals.add(cost)
