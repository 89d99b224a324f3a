"""The engine: one thread that owns a model, and sequences that any asyncio task can use.

Requests from all tasks, also of different event loops, meet in one scheduler, so that they go through the
model together. A sequence is a list of tokens; where they lie in the cache, or whether they do, is the
scheduler's business, so any number of sequences can be open.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..backends.base import Counters, Generation, Sampling
from ..backends.sequences import SequenceBase, check_candidates, check_generation
from ..backends.threads import loaded_in_thread
from ..errors import BackendError, ClosedError, ContextLengthError, InputError
from ..prompt import Segment
from .context import Context, Setup
from .metrics import Snapshot
from .pool import Chain
from .requests import Generate, ReadLabels, ReadLogits, Request
from .scheduler import Scheduler

__all__ = ["Engine", "EngineSequence"]

R = TypeVar("R", bound=Request)
log = logging.getLogger(__name__)

EXIT_SECONDS = 10
"""How long a leaving program waits for an engine that was not closed."""

LINGER_SECONDS = 0.0003
"""How long an engine that had nothing to do waits for company for the request that wakes it: paths that end a
round together come back together, and would otherwise fall out of step."""

LONG_TEXT = 4096
"""Characters; more are tokenised beside the event loop."""


class Engine:
    """A loaded model that many sequences use at once. Made by ``Engine.load``."""

    def __init__(self, context: Context, length: int, most: int) -> None:
        self.length = length
        self.vocabulary = context.vocabulary
        self.setup = context.setup
        self._context = context
        self._scheduler = Scheduler(context, most)
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._asked: dict[Request, _Asked] = {}
        self._closed = self._ended = False
        self._ending = threading.RLock()  # the garbage collector may release a sequence inside it
        self._prompt = self._generated = 0
        self._sequences: weakref.WeakSet[EngineSequence] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._run, name="genprm-engine", daemon=True)
        self._thread.start()
        _running.add(self)

    @classmethod
    async def load(cls, path: Path, setup: Setup, *, length: int, most: int) -> Engine:
        """Load a model file.

        Args:
            path: A GGUF file whose metadata has been looked over.
            setup: How to load it.
            length: Tokens a sequence can hold; not more than the cache does.
            most: Requests in evaluation at once.

        Raises:
            ModelFileError: llama.cpp cannot load the file, or cannot generate with it.
            BackendError: The cache cannot be set up.
        """
        if length > setup.cells:
            raise InputError(f"a sequence of {length} tokens does not fit into a cache of {setup.cells}")
        return await loaded_in_thread(lambda: cls(Context(path, setup), length, most), cls.shut)

    # ------------------------------------------------------------------ for callers

    async def open(self, segments: Sequence[Segment]) -> EngineSequence:
        """A new sequence that holds ``segments``.

        Raises:
            ContextLengthError: They do not fit.
            ClosedError: The engine is closed.
        """
        self._check_open()
        sequence = EngineSequence(self, Chain())
        try:
            await sequence.append(segments)
        except BaseException:
            await sequence.close()
            raise
        return sequence

    def counters(self) -> Counters:
        """Totals since the start."""
        totals = self._scheduler.totals
        return Counters(self._prompt, self._generated, totals.cached, totals.evaluated)

    def snapshot(self) -> Snapshot:
        """How things stand."""
        return replace(self._scheduler.snapshot(), open=len(self._sequences), generated=self._generated)

    async def close(self) -> None:
        """End what runs with a ``ClosedError`` and free the model; twice is allowed."""
        self.shut()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def shut(self) -> None:
        """Begin to close, from any thread, without waiting."""
        self._closed = True
        self._post(_nothing)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the backend is closed")

    async def _ask(self, request: R) -> R:
        """Have a request done; a cancelled caller leaves nothing running."""
        self._check_open()
        asked = _Asked(asyncio.get_running_loop())
        if not self._post(lambda: self._submit(request, asked)):
            request.end()
            raise ClosedError("the backend is closed")
        try:
            await asyncio.shield(asked.done)
        except asyncio.CancelledError:
            cancelled = _Asked(asyncio.get_running_loop())
            if self._post(lambda: self._cancel(request, cancelled)):
                await cancelled.certainly()
            raise
        if request.error is not None:
            raise request.error
        return request

    def _release(self, chain: Chain) -> None:
        self._post(lambda: self._let_go(chain))

    def _post(self, message: Callable[[], None]) -> bool:
        """Have something done on the engine's thread; returns whether that still runs."""
        with self._ending:
            if not self._ended:
                self._inbox.put(message)
            return not self._ended

    # ------------------------------------------------------------------ on the engine's thread

    def _run(self) -> None:
        try:
            while not self._closed:
                self._take_messages()
                for request in self._scheduler.step():
                    self._answer(request)
        except Exception as error:
            log.exception("the engine broke down")
            self._closed = True
            self._fail_all(BackendError, f"the engine broke down: {type(error).__name__}: {error}")
        finally:
            self._closed = True
            with self._ending:
                self._ended = True
            try:
                self._drain()
            finally:
                self._fail_all(ClosedError, "the backend is closed")
                self._context.free()

    def _take_messages(self) -> None:
        if self._scheduler.idle:
            self._inbox.get()()
            time.sleep(LINGER_SECONDS)
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                return
            try:
                message()
            except Exception:
                if not self._ended:
                    raise
                log.exception("a message to an engine that has ended")

    def _submit(self, request: Request, asked: _Asked) -> None:
        self._asked[request] = asked
        self._scheduler.submit(request)

    def _cancel(self, request: Request, cancelled: _Asked) -> None:
        try:
            if self._scheduler.cancel(request):
                self._answer(request)
            else:
                self._scheduler.take_back(request)
        finally:
            cancelled.answer()

    def _let_go(self, chain: Chain) -> None:
        for request in [request for request in self._asked if request.chain is chain]:
            request.error = ClosedError("the sequence was closed")
            self._scheduler.cancel(request)
            self._answer(request)
        self._scheduler.release(chain)

    def _answer(self, request: Request) -> None:
        if isinstance(request, Generate):
            self._generated += request.drawn
        self._asked.pop(request).answer()

    def _fail_all(self, kind: type[BackendError], message: str) -> None:
        for request in list(self._asked):
            request.error = kind(message)
            request.end()
            self._answer(request)


_running: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _shut_all() -> None:
    """End the threads of engines that nobody closed before Python takes itself apart."""
    for engine in list(_running):
        engine.shut()
        engine._thread.join(EXIT_SECONDS)


class _Asked:
    """Who waits for a request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.done: asyncio.Future[None] = loop.create_future()

    def answer(self) -> None:
        """Wake the waiting task; from any thread."""
        # A loop that was closed meanwhile has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set)

    async def certainly(self) -> None:
        """Wait for the answer, however often the waiting task is cancelled."""
        while not self.done.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self.done])

    def _set(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _on_this_loop(show: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """``show``, to be called from any thread; a loop that was closed meanwhile shows nothing more."""
    if show is None:
        return None
    loop = asyncio.get_running_loop()

    def from_anywhere(text: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(show, text)

    return from_anywhere


def _nothing() -> None:
    """Wakes the engine's thread."""


class EngineSequence(SequenceBase[Chain]):
    """A sequence in an engine; see ``OpenSequence``."""

    def __init__(self, engine: Engine, chain: Chain) -> None:
        super().__init__(chain)
        self._engine = engine
        self._letting_go = weakref.finalize(self, engine._release, chain)  # also if nobody closes it
        self._letting_go.atexit = False
        engine._sequences.add(self)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens themselves."""
        return tuple(self._open.tokens)

    def _check_backend(self) -> None:
        self._engine._check_open()

    def _length(self, state: Chain) -> int:
        return len(state.tokens)

    async def fork(self) -> EngineSequence:
        """An independent sequence with the same tokens; nothing is evaluated again."""
        chain = self._idle
        return EngineSequence(self._engine, Chain(list(chain.tokens), list(chain.alone)))

    async def append(self, segments: Sequence[Segment]) -> int:
        """Append text that was not generated; returns the number of tokens it became."""
        chain, vocabulary = self._idle, self._engine.vocabulary
        if sum(len(segment.text) for segment in segments) > LONG_TEXT:
            with self._asked():
                tokens = await asyncio.to_thread(vocabulary.tokens, segments)
            chain = self._idle
        else:
            tokens = vocabulary.tokens(segments)
        needed = len(chain.tokens) + len(tokens)
        if needed > self._engine.length:
            raise ContextLengthError(
                f"the text needs {needed} tokens and the context holds {self._engine.length}: "
                "shorten it, or load the model with a larger context"
            )
        chain.tokens += tokens
        if self._engine.setup.exact:
            chain.alone += [len(tokens) == 1] * len(tokens)
        self._engine._prompt += len(tokens)
        return len(tokens)

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        """Let the model write until a stop string, its own end, or ``max_tokens``."""
        check_generation(stop, max_tokens)
        chain = self._beginning
        most = min(max_tokens, self._engine.length - len(chain.tokens))
        if most == 0:
            return Generation("", 0, "length")
        request = await self._ask(Generate(chain, stop, most, sampling, _on_this_loop(show)))
        assert request.result is not None
        return request.result

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        """Probability of each text as the next one, from raw logits."""
        check_candidates(candidates)
        labels = [self._engine.vocabulary.text_tokens(text) for text in candidates]
        request = await self._ask(ReadLabels(self._beginning, labels, self._engine.length))
        assert request.result is not None
        return request.result

    async def logits(self) -> NDArray[np.float32]:
        """The raw logits of the next token, shape (vocabulary,)."""
        request = await self._ask(ReadLogits(self._beginning))
        assert request.result is not None
        return request.result

    async def close(self) -> None:
        """Free the sequence; closing twice is allowed."""
        self._state = None
        self._engine._sequences.discard(self)
        self._letting_go()

    async def _ask(self, request: R) -> R:
        try:
            with self._asked():
                return await self._engine._ask(request)
        finally:
            self._work.add(request.work)
