"""A backend that remembers what was written behind which text, so that a kept beginning is not checked again.

A verifier that checks a repaired solution with the same seed asks, for every step that was kept, exactly what
it asked before. Behind this backend such a question is answered from memory, and the model is put before the
text only when something new is asked. Code still runs, because later steps use its variables.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ..backends.base import Backend, Counters, Generation, OpenSequence, Sampling, Work
from ..errors import ClosedError
from ..models import MetadataValue
from ..prompt import Segment, content

__all__ = ["Remembered", "RememberingBackend", "counting"]

MOST_ANSWERS = 50_000


@dataclass
class Remembered:
    """What came from memory.

    Attributes:
        tokens: Written tokens.
        turns: Verdicts whose probabilities were asked for.
    """

    tokens: int = 0
    turns: int = 0


_counted: ContextVar[Remembered | None] = ContextVar("remembered", default=None)


@contextmanager
def counting() -> Iterator[Remembered]:
    """Count what comes from memory within, also in tasks that are started within."""
    remembered = Remembered()
    token = _counted.set(remembered)
    try:
        yield remembered
    finally:
        _counted.reset(token)


class RememberingBackend:
    """Another backend with a memory.

    Args:
        backend: What is asked where nothing is remembered; closed with this one.
        most: Answers that are kept; the least recently used goes first.
    """

    def __init__(self, backend: Backend, most: int = MOST_ANSWERS) -> None:
        self.name = backend.name
        self.frame = backend.frame
        self.context = backend.context
        self.capacity = backend.capacity
        self.prompts_at_once = backend.prompts_at_once
        self.metadata: Mapping[str, MetadataValue] = backend.metadata
        self._backend = backend
        self._answers: OrderedDict[bytes, Any] = OrderedDict()
        self._most = most

    async def open(self, segments: Sequence[Segment]) -> OpenSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        sequence = RememberingSequence(self, b"", 0, (), None)
        await sequence.append(segments)
        return sequence

    def counters(self) -> Counters:
        """Those of the backend below."""
        return self._backend.counters()

    async def close(self) -> None:
        """Close the backend below."""
        self._answers.clear()
        await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def recall(self, key: bytes) -> Any:
        """What is remembered under a key, or None."""
        if key in self._answers:
            self._answers.move_to_end(key)
        return self._answers.get(key)

    def keep(self, key: bytes, answer: Any) -> None:
        """Remember an answer."""
        self._answers[key] = answer
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)

    async def opened(self, acts: Sequence[tuple[Segment, ...]]) -> OpenSequence:
        """A sequence of the backend below that holds all of these."""
        sequence = await self._backend.open(acts[0])
        try:
            for act in acts[1:]:
                await sequence.append(act)
        except BaseException:
            await sequence.close()
            raise
        return sequence


class RememberingSequence:
    """A sequence that is put before the model when it must be; see ``OpenSequence``."""

    def __init__(
        self,
        backend: RememberingBackend,
        key: bytes,
        tokens: int,
        acts: tuple[tuple[Segment, ...], ...],
        below: OpenSequence | None,
    ) -> None:
        self._backend = backend
        self._key = key
        self._tokens = tokens
        self._acts = acts
        self._below = below
        self._closed = False

    @property
    def tokens(self) -> int:
        """Length in tokens."""
        return self._tokens

    @property
    def work(self) -> Work:
        """What its requests have cost below; nothing for what was remembered."""
        return Work() if self._below is None else self._below.work

    async def _real(self) -> OpenSequence:
        if self._closed:
            raise ClosedError("the sequence is closed")
        if self._below is None:
            self._below = await self._backend.opened(self._acts)
        return self._below

    def _asking(self, *asked: object) -> bytes:
        return hashlib.sha256(self._key + repr(asked).encode("utf-8", "backslashreplace")).digest()

    def _took(self, key: bytes, act: tuple[Segment, ...], tokens: int) -> None:
        self._key, self._tokens, self._acts = key, tokens, (*self._acts, act)

    async def fork(self) -> OpenSequence:
        """An independent sequence with the same tokens."""
        below = None if self._below is None else await self._below.fork()
        return RememberingSequence(self._backend, self._key, self._tokens, self._acts, below)

    async def append(self, segments: Sequence[Segment]) -> int:
        """Append text that was not generated; returns the number of tokens it became."""
        act = tuple(segments)
        key = self._asking("append", act)
        count: int | None = self._backend.recall(key)
        if count is None or self._below is not None:
            if self._acts:
                count = await (await self._real()).append(act)
            else:
                self._below = await self._backend.opened([act])
                count = self._below.tokens
            self._backend.keep(key, count)
        self._took(key, act, self._tokens + count)
        return count

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        """Let the model write, or say what it wrote before."""
        key = self._asking("generate", tuple(stop), max_tokens, sampling)
        known: tuple[Generation, int] | None = self._backend.recall(key)
        if known is None:
            below = await self._real()
            generation = await below.generate(stop, max_tokens, sampling, show)
            self._backend.keep(key, (generation, below.tokens))
            self._took(key, (content(generation.text),), below.tokens)
            return generation
        generation, tokens = known
        counted = _counted.get()
        if counted is not None:
            counted.tokens += generation.tokens
        await self._forget_below()
        self._took(key, (content(generation.text),), tokens)
        if show is not None and generation.text:
            show(generation.text)
        return generation

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        """Probability of each text as the next one."""
        key = self._asking("probabilities", tuple(candidates))
        known: list[float] | None = self._backend.recall(key)
        if known is None:
            known = await (await self._real()).probabilities(candidates)
            self._backend.keep(key, known)
        else:
            counted = _counted.get()
            if counted is not None:
                counted.turns += 1
        return list(known)

    async def _forget_below(self) -> None:
        """What is below does not hold what was remembered; it is opened again where it is needed."""
        below, self._below = self._below, None
        if below is not None:
            await below.close()

    async def close(self) -> None:
        """Free the sequence."""
        self._closed = True
        await self._forget_below()
