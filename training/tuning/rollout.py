"""Verification turns of a model while it is being trained, token by token: what was written by whom.

Runs the protocol's turns (``genprm_sdk.turn``) on the weights as they are, with code executed in the sandbox
while the model writes, and hands out ids with a mask of those that the model drew. The prompt and all forced
text have the ids that a ``Verifier`` shows the model; every other token is the model's own, and only in the
turn in question. Knows nothing of rewards or of a trainer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from genprm_sdk.backends.base import OpenSequence, Sampling
from genprm_sdk.backends.tokenizer import TextTokenizer, frame_of_folder
from genprm_sdk.backends.transformers import DEFAULT_CONTEXT, ROW_BYTES, TransformersBackend
from genprm_sdk.chain import Conversation
from genprm_sdk.errors import ClosedError, ContextLengthError
from genprm_sdk.models import VerifierSettings
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.protocol import Layout, TurnSettings
from genprm_sdk.sandbox import Isolation, Limits, Sandbox, Session
from genprm_sdk.torch_engine.engine import Engine, EngineSequence
from genprm_sdk.torch_engine.loading import layout_of
from genprm_sdk.torch_engine.runner import Runner
from genprm_sdk.turn import Base, Method, Place, Turn
from genprm_sdk.types import Solution, VerificationPath

from ..pipeline.policy import all_of, seed_of
from .prompts import StepPrompt, executed_code

__all__ = ["Rollouts", "WrittenTurn"]

T = TypeVar("T")

AT_ONCE = 8
"""Prompts in work at a time."""


@dataclass(frozen=True)
class WrittenTurn:
    """One verification turn as tokens.

    A turn that was degraded went back to the end of its analysis and was asked for its verdict. It is given
    as it was before it went back, because what it wrote there is what led it astray.

    Attributes:
        prompt_ids: All tokens before the first that the model drew: the prompt and the turn's forced opening.
        completion_ids: The rest of the turn; at least one token.
        mask: For each of those, 1 where the model itself drew it, and 0 for forced text, code output, and
            what is left of a token in which a part ended. The model's own end of turn is no part of a turn.
        path: The turn as a report holds it: text, verdict, code runs, why it was degraded.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    mask: tuple[int, ...]
    path: VerificationPath


class _RecordedTurn(Turn):
    """A turn that keeps the tokens of the sequence it first wrote to."""

    written: tuple[tuple[int, ...], tuple[bool, ...]] = (), ()

    def give_sequence(self) -> OpenSequence:
        """Hand over the sequence; if it is the first, what it holds stays known here."""
        sequence = super().give_sequence()
        assert isinstance(sequence, EngineSequence)
        if not self.written[0]:
            self.written = sequence.token_ids, sequence.drawn
        return sequence


class Rollouts:
    """Writes verification turns with a model in memory. A context manager; for one thread at a time.

    Entering starts a thread with an event loop, the engine's thread and the sandbox, leaving ends them. The
    model may be changed between two calls, not during one; it must stay on its device.

    Args:
        model: A causal language model of transformers; with adapters, the model they were put into.
        folder: Where its tokenizer and chat template are.
        settings: How the model wants to be used.
        temperature: Of sampling, from all tokens: what is drawn must be what the trainer thinks was drawn.
        limits: What a code block may take.
        isolation: How strongly code must be kept apart; see ``sandbox.Isolation``.
        context: Tokens a sequence can hold; by default what the model was trained for, at most 8192.
        capacity: Turns evaluated at once.

    Raises:
        ModelFileError: The folder or the model cannot be used.
        InputError: A setting is out of range.
    """

    def __init__(
        self,
        model: Any,
        folder: Path,
        *,
        settings: VerifierSettings,
        temperature: float = 1.0,
        limits: Limits | None = None,
        isolation: Isolation | None = None,
        context: int | None = None,
        capacity: int = 64,
    ) -> None:
        self._settings = settings
        self._model = model
        self._frame = frame_of_folder(folder)
        self._vocabulary = TextTokenizer.of_folder(folder)
        self._folder = folder
        self._sampling = Sampling(temperature=temperature, top_p=1.0, top_k=0)
        self._sandbox_options = (limits, isolation)
        trained = int(getattr(model.config.get_text_config(), "max_position_embeddings", DEFAULT_CONTEXT))
        self._context = min(context or DEFAULT_CONTEXT, trained)
        self._capacity = capacity
        self._resources = ExitStack()
        self._portal: BlockingPortal | None = None
        self._studio: _Studio | None = None

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            portal = resources.enter_context(start_blocking_portal())
            with _evaluating(self._model):
                opened: AbstractContextManager[_Studio] = portal.wrap_async_context_manager(self._opened())
                self._studio = resources.enter_context(opened)
            self._resources = resources.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = self._studio = None
        self._resources.__exit__(kind, error, trace)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[_Studio]:
        limits, isolation = self._sandbox_options
        async with Sandbox(limits, isolation=isolation) as sandbox:
            places = layout_of(self._folder, self._model)
            engine = Engine(
                Runner(self._model, places),
                self._vocabulary,
                length=self._context,
                most=self._capacity,
                cells=max(self._context, ROW_BYTES // places.token_bytes),
            )
            name = self._folder.resolve().name
            async with TransformersBackend(name, {}, self._frame, engine, self._capacity) as backend:
                yield _Studio(backend, sandbox, self._settings, self._sampling)

    def fit(self, prompts: Sequence[StepPrompt]) -> list[bool]:
        """For each prompt whether the context holds it and, behind it, a turn that uses up its budgets."""
        return self._wait(lambda studio: studio.fit(prompts))

    def write(
        self, prompts: Sequence[StepPrompt], generations: int, seed: int
    ) -> list[tuple[WrittenTurn, ...]]:
        """Let the model judge each prompt some times.

        Args:
            prompts: What is judged.
            generations: How often each.
            seed: What is drawn is a function of it, of the prompt's place, and of the weights; up to
                rounding, for what is evaluated together rounds a little differently.

        Returns:
            For each prompt its turns, in the order of their numbers.

        Raises:
            ContextLengthError: A prompt does not fit.
            BackendError: The model failed.
            SandboxError: The sandbox failed.
            ClosedError: This is not open.
        """
        with _evaluating(self._model):
            return self._wait(lambda studio: studio.write(prompts, generations, seed))

    def _wait(self, work: Callable[[_Studio], Coroutine[Any, Any, T]]) -> T:
        if self._portal is None or self._studio is None:
            raise ClosedError("the rollouts are not open: use `with Rollouts(...) as rollouts:`")
        future = self._portal.start_task_soon(work, self._studio)
        try:
            result: T = future.result()
            return result
        except BaseException:
            future.cancel()
            raise


class _Studio:
    """A model, a sandbox and the method, on one event loop.

    Args:
        backend: The model.
        sandbox: Where code runs.
        settings: How the model wants to be used.
        sampling: How tokens are drawn.
    """

    def __init__(
        self, backend: TransformersBackend, sandbox: Sandbox, settings: VerifierSettings, sampling: Sampling
    ) -> None:
        self._backend = backend
        self._sandbox = sandbox
        self._settings = settings
        self._sampling = sampling
        self._room = anyio.Semaphore(AT_ONCE)

    def _method(self, reasoning: Reasoning) -> Method:
        settings = self._settings
        turn = TurnSettings(
            analysis=reasoning.has_analysis,
            code=reasoning.has_code,
            execute=reasoning.executes,
            analysis_tokens=settings.analysis_tokens,
            turn_tokens=settings.turn_tokens,
            rounds=settings.rounds,
        )
        frame, direct = self._backend.frame, reasoning is Reasoning.DIRECT
        return Method(
            Layout(frame, style=settings.style, direct=direct), (reasoning,), (turn,), self._sampling, seed=0
        )

    async def fit(self, prompts: Sequence[StepPrompt]) -> list[bool]:
        """See ``Rollouts.fit``."""
        return [await self._fits(prompt) for prompt in prompts]

    async def _fits(self, prompt: StepPrompt) -> bool:
        method = self._method(prompt.reasoning)
        try:
            async with self._conversation(prompt, method) as conversation:
                length = (await conversation.base()).length
        except ContextLengthError:
            return False
        return length + method.longest_turn <= self._backend.context

    async def write(
        self, prompts: Sequence[StepPrompt], generations: int, seed: int
    ) -> list[tuple[WrittenTurn, ...]]:
        """See ``Rollouts.write``."""
        return await all_of(
            self._group(prompt, generations, seed_of(seed, place)) for place, prompt in enumerate(prompts)
        )

    async def _group(self, prompt: StepPrompt, generations: int, seed: int) -> tuple[WrittenTurn, ...]:
        method = replace(self._method(prompt.reasoning), seed=seed)
        async with (
            self._room,
            self._conversation(prompt, method) as conversation,
            self._sandbox.session() as session,
        ):
            if method.executes:
                for code in (code for turn in prompt.turns for code in executed_code(turn)):
                    await session.run(code)
            base = await conversation.base()
            turns = await all_of(
                self._turn(method, Place(path, prompt.step, 0), base, session, conversation.forgotten)
                for path in range(generations)
            )
            return tuple(turns)

    async def _turn(
        self, method: Method, place: Place, base: Base, before: Session, forgotten: int
    ) -> WrittenTurn:
        async with await before.fork() as session:
            turn = _RecordedTurn(method, place, base, session)
            try:
                result = await turn.run()
            finally:
                await turn.close()
        ids, drawn = turn.written
        begin = drawn.index(True) if any(drawn) else len(ids) - 1
        path = turn.path(result, forgotten)
        return WrittenTurn(ids[:begin], ids[begin:], tuple(map(int, drawn[begin:])), path)

    @asynccontextmanager
    async def _conversation(self, prompt: StepPrompt, method: Method) -> AsyncIterator[Conversation]:
        """The prompt as a verifier's path would have it."""
        solution = Solution(problem=prompt.problem, steps=prompt.steps)
        conversation = Conversation(self._backend, method.layout, solution, method.longest_turn)
        shown = self._settings.history != History.STEPS
        try:
            for turn in prompt.turns:
                await conversation.advance(turn if shown else None)
            yield conversation
        finally:
            await conversation.park()


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Without what happens in training alone, such as dropout."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
