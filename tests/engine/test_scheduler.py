"""The scheduler on a real model, driven call by call, against a reference that recomputes everything.

The cache is so small that chains give way, are evicted and come back all the time.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from genprm_sdk.backends import Sampling
from genprm_sdk.engine.context import Context, Row, Setup
from genprm_sdk.engine.pool import Chain
from genprm_sdk.engine.requests import Generate, ReadLabels, ReadLogits, Request
from genprm_sdk.engine.scheduler import Scheduler
from genprm_sdk.models import find_model

MODEL = find_model("genprm-mini")[1]
LENGTH = 96
GREEDY = Sampling(temperature=0)
TOLERANCE = 0.6
"""Logits have a spread of about 3; rounding in a shared cache moves them by up to 0.3 here."""

SHARED = Setup(cells=100, streams=5, threads=1, flash_attention=True)
EXACT = Setup(cells=LENGTH * 3, streams=3, threads=1, exact=True, flash_attention=False)
TEXTS = st.integers(1, 40).flatmap(lambda size: st.lists(st.integers(0, 1), min_size=size, max_size=size))


class Reference:
    """Logits of a sequence by itself: nothing shared, nothing kept."""

    def __init__(self) -> None:
        setup = Setup(cells=512, streams=1, threads=1, exact=True, flash_attention=False)
        self.context = Context(MODEL, setup)

    def logits(self, tokens: Sequence[int], alone: Sequence[bool]) -> NDArray[np.float32]:
        """The logits behind the last token.

        Args:
            tokens: The sequence.
            alone: Which tokens are evaluated by themselves; the others go together with their neighbours.
        """
        self.context.drop(0, 0)
        start = 0
        while start < len(tokens):
            end = start + 1
            while end < len(tokens) and not alone[start] and not alone[end]:
                end += 1
            last = end == len(tokens)
            rows = [Row(tokens[at], at, 0, wanted=last and at == end - 1) for at in range(start, end)]
            self.context.decode(rows)
            start = end
        return self.context.logits(len(rows) - 1)


@functools.cache
def loaded(setup: Setup) -> Context:
    return Context(MODEL, setup)


@functools.cache
def reference() -> Reference:
    return Reference()


class SchedulerMachine(RuleBasedStateMachine):
    """Sequences that are opened, forked, continued, read, cancelled and closed in any order."""

    setup: ClassVar[Setup] = SHARED
    worst: ClassVar[float] = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.model, self.reference = loaded(self.setup), reference()
        for stream in range(self.setup.streams):
            self.model.drop(stream, 0)
        self.model.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
        self.scheduler = Scheduler(self.model, most=4)
        self.chains: list[Chain] = []
        self.asked: dict[Request, tuple[list[int], list[bool]]] = {}

    # ------------------------------------------------------------------ what callers do

    @rule(letters=TEXTS, parent=st.integers(0, 12))
    def open_or_fork(self, letters: list[int], parent: int) -> None:
        source = self.chains[parent] if parent < len(self.chains) else None
        chain = Chain()
        if source is not None and self.is_idle(source):
            chain = Chain(list(source.tokens), list(source.alone))
        self.append_to(chain, letters)
        self.chains.append(chain)

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100), letters=TEXTS)
    def append(self, pick: int, letters: list[int]) -> None:
        chain = self.chains[pick % len(self.chains)]
        if self.is_idle(chain):
            self.append_to(chain, letters)

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100), most=st.integers(1, 50), stop=st.sampled_from([(), ("e",), ("th", " a")]))
    def generate(self, pick: int, most: int, stop: tuple[str, ...]) -> None:
        chain = self.chains[pick % len(self.chains)]
        most = min(most, LENGTH - len(chain.tokens))
        if self.is_idle(chain) and most > 0:
            self.submit(Generate(chain, stop, most, GREEDY))

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100))
    def read(self, pick: int) -> None:
        chain = self.chains[pick % len(self.chains)]
        if self.is_idle(chain):
            self.submit(ReadLogits(chain))

    @precondition(lambda self: self.chains)
    @rule(
        pick=st.integers(0, 100),
        labels=st.lists(st.lists(st.integers(20, 24), min_size=1, max_size=4), min_size=1, max_size=4),
    )
    def read_labels(self, pick: int, labels: list[list[int]]) -> None:
        chain = self.chains[pick % len(self.chains)]
        if self.is_idle(chain) and len(chain.tokens) + 4 <= LENGTH:
            self.submit(ReadLabels(chain, labels, LENGTH))

    @precondition(lambda self: self.asked)
    @rule(count=st.integers(1, 12))
    def step(self, count: int) -> None:
        for _ in range(count):
            for request in self.scheduler.step():
                self.check(request)

    @precondition(lambda self: self.asked)
    @rule(pick=st.integers(0, 100))
    def cancel(self, pick: int) -> None:
        request = list(self.asked)[pick % len(self.asked)]
        tokens, alone = self.asked.pop(request)
        assert self.scheduler.cancel(request)
        assert not self.scheduler.cancel(request)
        assert request.chain.tokens == tokens
        assert request.chain.alone == (alone if self.setup.exact else [])

    @precondition(lambda self: self.chains)
    @rule(pick=st.integers(0, 100))
    def close(self, pick: int) -> None:
        chain = self.chains[pick % len(self.chains)]
        if self.is_idle(chain):
            self.chains.remove(chain)
            self.scheduler.release(chain)

    def teardown(self) -> None:
        for _ in range(3000):
            if self.scheduler.idle:
                break
            for request in self.scheduler.step():
                self.check(request)
        assert self.scheduler.idle, "requests were never finished"
        assert not self.asked

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def the_cache_is_not_overfull(self) -> None:
        now = self.scheduler.snapshot()
        assert now.running + now.waiting == len(self.asked)
        if not self.setup.exact:
            assert now.used_cells <= now.cells

    def check(self, request: Request) -> None:
        tokens, alone = self.asked.pop(request)
        assert request.error is None
        chain, reference = request.chain, self.reference
        assert chain.evaluated <= max(0, len(chain.tokens) - 1)
        if isinstance(request, ReadLogits):
            assert request.result is not None
            assert chain.tokens == tokens
            self.compare(request.result, reference.logits(tokens, alone))
        elif isinstance(request, ReadLabels):
            assert request.result is not None
            assert chain.tokens == tokens
            for label, got in zip(request._labels, request.result, strict=True):
                assert got == pytest.approx(
                    self.probability(tokens, alone, label), rel=1e-9 if self.setup.exact else 1.5
                )
        elif isinstance(request, Generate):
            assert request.result is not None
            assert chain.tokens[: len(tokens)] == tokens
            written = b"".join(self.model.vocabulary.piece(token) for token in chain.tokens[len(tokens) :])
            assert written.decode("utf-8", "replace") == request.result.text
            if request.result.finish == "length":
                for at in range(len(tokens), len(chain.tokens)):
                    logits = reference.logits(chain.tokens[:at], chain.alone[:at] or self.flags(alone, at))
                    chosen = float(logits[chain.tokens[at]])
                    assert chosen >= float(logits.max()) - (0 if self.setup.exact else 2 * TOLERANCE)

    def flags(self, alone: list[bool], length: int) -> list[bool]:
        return [*alone, *[True] * length][:length]

    def probability(self, tokens: list[int], alone: list[bool], label: tuple[int, ...]) -> float:
        total = 0.0
        for at, token in enumerate(label):
            logits = self.reference.logits([*tokens, *label[:at]], [*alone, *[True] * at]).astype(np.float64)
            total += float(logits[token] - logits.max() - np.log(np.exp(logits - logits.max()).sum()))
        return float(np.exp(total))

    def compare(self, got: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        if self.setup.exact:
            assert np.array_equal(got, expected)
        else:
            difference = float(np.abs(got - expected).max())
            type(self).worst = max(self.worst, difference)
            assert difference < TOLERANCE

    # ------------------------------------------------------------------ small steps

    def is_idle(self, chain: Chain) -> bool:
        return all(request.chain is not chain for request in self.asked)

    def append_to(self, chain: Chain, letters: list[int]) -> None:
        tokens = [30 + letter for letter in letters][: LENGTH - len(chain.tokens)]
        chain.tokens += tokens
        if self.setup.exact:
            chain.alone += [len(tokens) == 1] * len(tokens)

    def submit(self, request: Request) -> None:
        chain = request.chain
        tokens = chain.tokens[: request.length]
        alone = chain.alone[: request.length] or [False] * len(tokens)
        self.asked[request] = (tokens, alone)
        self.scheduler.submit(request)


class ExactMachine(SchedulerMachine):
    """The same where results must not depend, to the bit, on anything else."""

    setup = EXACT


SETTINGS = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestShared = SchedulerMachine.TestCase
TestShared.settings = SETTINGS
TestExact = ExactMachine.TestCase
TestExact.settings = SETTINGS
