"""The engine: one thread that runs a model, and sequences that any asyncio task can use.

Requests from all tasks, also of different event loops, meet in one scheduler. A request carries all it needs
and a sequence takes over what it found, so whoever stops waiting for one has nothing to undo.
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
from typing import TypeVar

import torch

from ..backends.base import Counters, Generation, Sampling
from ..backends.sequences import SequenceBase, check_candidates, check_generation
from ..backends.tokenizer import TextTokenizer
from ..errors import BackendError, ClosedError, ContextLengthError
from ..prompt import Segment
from .requests import Generate, Prefix, ReadLabels, Request
from .runner import Runner
from .scheduler import Scheduler

__all__ = ["Engine", "EngineSequence"]

R = TypeVar("R", bound=Request)
log = logging.getLogger(__name__)

EXIT_SECONDS = 10
"""How long a leaving program waits for an engine that was not closed."""

LINGER_SECONDS = 0.0003
"""How long an engine that had nothing to do waits for company for the request that wakes it."""

LONG_TEXT = 4096
"""Characters; more are tokenised beside the event loop."""


class Engine:
    """A loaded model that many sequences use at once.

    Args:
        runner: The model.
        vocabulary: Its tokens.
        length: Tokens a sequence can hold.
        most: Requests in evaluation at once.
        cells: Tokens that rows which write may hold together; see ``Scheduler``.
        threads: CPU threads of torch, for the whole process; None leaves them as they are.
    """

    def __init__(
        self,
        runner: Runner,
        vocabulary: TextTokenizer,
        *,
        length: int,
        most: int,
        cells: int,
        threads: int | None = None,
    ) -> None:
        self.length = length
        self.vocabulary = vocabulary
        self._threads = threads
        self._scheduler: Scheduler | None = Scheduler(runner, vocabulary, most, cells)
        self._totals = self._scheduler.totals
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closed = self._ended = False
        self._ending = threading.Lock()
        self._prompt = self._generated = 0
        self._thread = threading.Thread(target=self._run, name="genprm-torch", daemon=True)
        self._thread.start()
        _running.add(self)

    # ------------------------------------------------------------------ for callers

    async def open(self, segments: Sequence[Segment]) -> EngineSequence:
        """A new sequence that holds ``segments``.

        Raises:
            ContextLengthError: They do not fit.
            ClosedError: The engine is closed.
        """
        self.check_open()
        sequence = EngineSequence(self, Prefix([]))
        await sequence.append(segments)
        return sequence

    def counters(self) -> Counters:
        """Totals since the start."""
        return Counters(self._prompt, self._generated, self._totals.cached, self._totals.evaluated)

    async def close(self) -> None:
        """End what runs with a ``ClosedError`` and free the model; twice is allowed."""
        self.shut()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def shut(self) -> None:
        """Begin to close, from any thread, without waiting."""
        self._closed = True
        self._post(_nothing)

    def check_open(self) -> None:
        """Raise a ``ClosedError`` if the engine is closed."""
        if self._closed:
            raise ClosedError("the backend is closed")

    async def ask(self, request: Request) -> None:
        """Have a request done; one whose caller is cancelled ends before the next step."""
        self.check_open()
        if not self._post(lambda: self._submit(request)):
            raise ClosedError("the backend is closed")
        await asyncio.wrap_future(request.done)

    def end(self, request: Request) -> None:
        """Have a request fail because its sequence was closed."""
        self._post(lambda: self._end(lambda other: other is request, "the sequence was closed"))

    def note_prompt(self, tokens: int) -> None:
        """Count tokens that were appended."""
        self._prompt += tokens

    def _post(self, message: Callable[[], None]) -> bool:
        """Have something done on the engine's thread; returns whether that still runs."""
        with self._ending:
            if not self._ended:
                self._inbox.put(message)
            return not self._ended

    # ------------------------------------------------------------------ on the engine's thread

    def _run(self) -> None:
        assert self._scheduler is not None
        try:
            if self._threads is not None:
                torch.set_num_threads(self._threads)
            with torch.inference_mode():
                while not self._closed:
                    self._take_messages(self._scheduler)
                    self._step(self._scheduler)
        except Exception as error:
            log.exception("the engine broke down")
            self._closed = True
            self._end(
                lambda request: True, f"the engine broke down: {type(error).__name__}: {error}", BackendError
            )
        finally:
            self._closed = True
            with self._ending:
                self._ended = True
            self._drain()
            self._end(lambda request: True, "the backend is closed")
            self._scheduler = None

    def _step(self, scheduler: Scheduler) -> None:
        self._end(lambda request: request.done.cancelled())
        for request, error in scheduler.step():
            self._answer(request, error)

    def _take_messages(self, scheduler: Scheduler) -> None:
        if scheduler.idle:
            scheduler.rest()
            self._inbox.get()()
            time.sleep(LINGER_SECONDS)
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                return
            message()

    def _submit(self, request: Request) -> None:
        assert self._scheduler is not None
        self._scheduler.submit(request)

    def _end(
        self,
        unwanted: Callable[[Request], bool],
        message: str = "",
        kind: type[BackendError] = ClosedError,
    ) -> None:
        assert self._scheduler is not None
        for request in self._scheduler.drop(unwanted):
            self._answer(request, kind(message))

    def _answer(self, request: Request, error: Exception | None) -> None:
        if isinstance(request, Generate):
            self._generated += request.drawn
        if not request.done.set_running_or_notify_cancel():
            return
        if error is None:
            request.done.set_result(None)
        else:
            request.done.set_exception(error)


_running: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _shut_all() -> None:
    """End the threads of engines that nobody closed before Python takes itself apart."""
    for engine in list(_running):
        engine.shut()
        engine._thread.join(EXIT_SECONDS)


def _nothing() -> None:
    """Wakes the engine's thread."""


class EngineSequence(SequenceBase[Prefix]):
    """A sequence in an engine; see ``OpenSequence``."""

    def __init__(self, engine: Engine, prefix: Prefix) -> None:
        super().__init__(prefix)
        self._engine = engine
        self._request: Request | None = None

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens themselves."""
        return tuple(self._open.tokens)

    @property
    def drawn(self) -> tuple[bool, ...]:
        """For each token whether the model drew it.

        Text that was appended it did not draw, nor what is left of a token in which a stop string ended:
        that was tokenised again.
        """
        prefix = self._open
        places = {place for drawn in prefix.drawn for place in drawn}
        return tuple(place in places for place in range(len(prefix.tokens)))

    def _check_backend(self) -> None:
        self._engine.check_open()

    def _length(self, state: Prefix) -> int:
        return len(state.tokens)

    async def fork(self) -> EngineSequence:
        """An independent sequence with the same tokens; nothing is evaluated again."""
        prefix = self._idle
        return EngineSequence(self._engine, Prefix(list(prefix.tokens), prefix.node, drawn=prefix.drawn))

    async def append(self, segments: Sequence[Segment]) -> int:
        """Append text that was not generated; returns the number of tokens it became."""
        prefix, vocabulary = self._idle, self._engine.vocabulary
        if sum(len(segment.text) for segment in segments) > LONG_TEXT:
            with self._asked():
                tokens = await asyncio.to_thread(vocabulary.tokens, segments)
            prefix = self._idle
        else:
            tokens = vocabulary.tokens(segments)
        needed = len(prefix.tokens) + len(tokens)
        if needed > self._engine.length:
            raise ContextLengthError(
                f"the text needs {needed} tokens and the context holds {self._engine.length}: "
                "shorten it, or load the model with a larger context"
            )
        prefix.tokens += tokens
        self._engine.note_prompt(len(tokens))
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
        prefix = self._beginning
        most = min(max_tokens, self._engine.length - len(prefix.tokens))
        if most == 0:
            return Generation("", 0, "length")
        request = Generate(prefix, stop, most, sampling)
        if show is not None:
            request.show = _on_this_loop(show, request)
        await self._ask(request)
        assert request.result is not None
        return request.result

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        """Probability of each text as the next one, from raw logits."""
        check_candidates(candidates)
        labels = [self._engine.vocabulary.text_tokens(text) for text in candidates]
        request = ReadLabels(self._beginning, labels, self._engine.length)
        await self._ask(request)
        assert request.result is not None
        return request.result

    async def close(self) -> None:
        """Free the sequence; closing twice is allowed."""
        self._state = None
        if self._request is not None:
            self._engine.end(self._request)

    async def _ask(self, request: Request) -> None:
        try:
            with self._asked():
                self._request = request
                await self._engine.ask(request)
                if self._state is not None:
                    self._state = request.prefix
        finally:
            self._request = None
            self._work.add(request.work)


def _on_this_loop(show: Callable[[str], None], request: Request) -> Callable[[str], None]:
    """``show``, to be called from any thread; nothing is shown to a caller that was cancelled."""
    loop = asyncio.get_running_loop()

    def here(text: str) -> None:
        if not request.done.cancelled():
            show(text)

    def from_anywhere(text: str) -> None:
        # A loop that was closed meanwhile has nobody left to show it to.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(here, text)

    return from_anywhere
