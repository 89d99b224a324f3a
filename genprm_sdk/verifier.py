"""The verifier: a model, a sandbox and the method, behind ``await verifier.check(steps)``."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from .backends.base import Backend, Sampling
from .chain import LEAST_ROOM, Method, Paths, most_room, waves
from .errors import ClosedError, GenPRMError, InputError
from .events import Event, Finished, PathFinished, StepFinished, StepStarted
from .models import VerifierSettings, find_model
from .protocol import Layout, TurnSettings
from .sandbox import Isolation, Limits, Sandbox
from .slots import Slots
from .types import Report, Solution, StepResult, Usage, VerificationPath
from .voting import combine_paths, first_error, report_verdict

__all__ = ["Verifier"]


class Verifier:
    """Checks solutions step by step with a generative process reward model.

    An async context manager: entering loads the model and starts the sandbox, leaving frees both. One
    verifier serves many checks, also concurrently.

    >>> import asyncio
    >>> async def main() -> None:
    ...     async with Verifier("genprm-mini") as verifier:
    ...         report = await verifier.check(["12 * 7 = 84"], problem="What is 12 * 7?")
    ...         print(report.verdict)
    >>> asyncio.run(main())  # doctest: +SKIP

    Args:
        model: A bundled model's name or the path of a GGUF file.
        backend: A loaded backend to use instead of ``model``; it is not closed here.
        settings: How the model wants to be used; by default what its file says.
        analysis: Whether an analysis is written before the verdict.
        code: Whether code is written before the verdict.
        execute: Whether that code is executed and its output shown to the model.
        sampling: How tokens are drawn; its seed is not used, ``check`` has its own.
        score_temperature: See ``TurnSettings``.
        limits: What a code block may take.
        isolation: How strongly code must be kept apart; see ``sandbox.Isolation``. By default this system's
            kernel wall, without which a check that comes to code raises ``SandboxUnavailable``.
        threads: CPU threads of llama.cpp; see ``LlamaCppBackend.load``.
        context: Tokens a sequence can hold; by default what the model was trained for, at most 8192.
        capacity: Sequences evaluated at once, 2 at least; checks that find no room wait for it.
        exact: Whether the same call with the same seed gives the same report, whatever else runs. Otherwise
            what is evaluated together with a path rounds its logits a little differently, which can change a
            draw; see ``LlamaCppBackend.load``.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "genprm-mini",
        *,
        backend: Backend | None = None,
        settings: VerifierSettings | None = None,
        analysis: bool = True,
        code: bool = True,
        execute: bool = True,
        sampling: Sampling | None = None,
        score_temperature: float = 1.0,
        limits: Limits | None = None,
        isolation: Isolation | None = None,
        threads: int | None = None,
        context: int | None = None,
        capacity: int | None = None,
        exact: bool = False,
    ) -> None:
        if capacity is not None and capacity < LEAST_ROOM:
            raise InputError(f"capacity must be at least {LEAST_ROOM}, not {capacity}")
        self._model = model
        self._given_backend = backend
        self._given_settings = settings
        self._parts = (analysis, code, execute)
        self._sampling = sampling or Sampling()
        self._score_temperature = score_temperature
        self._sandbox_options = (limits, isolation)
        self._load_options = (threads, context, capacity, exact)
        self._resources = AsyncExitStack()
        self._backend: Backend | None = None
        self._sandbox: Sandbox | None = None
        self._settings = settings or VerifierSettings()
        self._layout: Layout | None = None
        self._slots = Slots(0)
        self._turn = TurnSettings(score_temperature=score_temperature)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._opened[0].name

    @property
    def settings(self) -> VerifierSettings:
        """How the model wants to be used."""
        return self._settings

    @property
    def _opened(self) -> tuple[Backend, Layout]:
        if self._backend is None or self._layout is None:
            raise ClosedError("the verifier is not open: use `async with Verifier(...) as verifier:`")
        return self._backend, self._layout

    async def __aenter__(self) -> Self:
        await self._resources.__aenter__()
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def _open(self) -> None:
        analysis, code, execute = self._parts
        if code and execute:  # first, so that it warms up while the model is loaded
            limits, isolation = self._sandbox_options
            self._sandbox = await self._resources.enter_async_context(Sandbox(limits, isolation=isolation))
        backend = self._given_backend
        if backend is None:
            from .backends.llama_cpp import LlamaCppBackend

            name, path = find_model(self._model)
            threads, context, capacity, exact = self._load_options
            loaded = await LlamaCppBackend.load(
                path, name=name, threads=threads, context=context, capacity=capacity, exact=exact
            )
            backend = await self._resources.enter_async_context(loaded)
        self._settings = self._given_settings or VerifierSettings.from_metadata(backend.metadata)
        self._turn = TurnSettings(
            analysis=analysis,
            code=code,
            execute=execute,
            analysis_tokens=self._settings.analysis_tokens,
            turn_tokens=self._settings.turn_tokens,
            rounds=self._settings.rounds,
            score_temperature=self._score_temperature,
        )
        self._layout = Layout(
            backend.frame,
            style=self._settings.style,
            history=self._settings.history,
            direct=not (analysis or code),
        )
        self._slots = Slots(backend.capacity)
        self._backend = backend

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        self._backend = self._sandbox = None
        await self._resources.aclose()

    async def check(
        self,
        steps: str | Iterable[str] | Solution,
        *,
        problem: str | None = None,
        samples: int = 1,
        seed: int = 0,
    ) -> Report:
        """Verify a solution, step by step.

        Args:
            steps: The steps, or one text that is split at blank lines, or a ``Solution``.
            problem: What was to be solved. Without it the model sees the steps alone.
            samples: Independent verification paths a step; their scores are averaged.
            seed: Decides what is drawn; with ``exact`` the same seed gives the same report on one machine.

        Raises:
            InputError: The steps, the problem or a setting cannot be used.
            ContextLengthError: The solution does not fit into the model's context.
            BackendError: The model failed.
            SandboxError: The sandbox failed.
        """
        report = None
        async for event in self.stream(steps, problem=problem, samples=samples, seed=seed):
            if isinstance(event, Finished):
                report = event.report
        assert report is not None
        return report

    async def stream(
        self,
        steps: str | Iterable[str] | Solution,
        *,
        problem: str | None = None,
        samples: int = 1,
        seed: int = 0,
    ) -> AsyncIterator[Event]:
        """Verify a solution and say what happens while it happens; see ``check``.

        Yields:
            Events; the last one is ``Finished`` with the report.
        """
        solution = Solution.of(steps, problem)
        if type(samples) is not int or samples < 1:
            raise InputError(f"samples must be a whole number, at least 1, not {samples!r}")
        backend, layout = self._opened
        method = Method(layout, self._turn, self._sampling, seed)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        check = _Check(backend, self._slots, self._sandbox, method, solution, samples, events.put_nowait)
        task = asyncio.create_task(check.run())
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        except BaseExceptionGroup as group:
            raise _single(group) from None
        finally:
            task.cancel()
            await asyncio.wait([task])


def _single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error a caller should see of those that paths raised together."""
    errors: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            errors.append(error)
    return next((error for error in errors if isinstance(error, GenPRMError)), errors[0])


class _Check:
    """One running check: waves of paths, step after step, and what they add up to."""

    def __init__(
        self,
        backend: Backend,
        slots: Slots,
        sandbox: Sandbox | None,
        method: Method,
        solution: Solution,
        samples: int,
        emit: Callable[[Event], None],
    ) -> None:
        self._backend = backend
        self._slots = slots
        self._sandbox = sandbox
        self._method = method
        self._solution = solution
        self._samples = samples
        self._emit = emit
        self._paths: list[list[VerificationPath]] = [[] for _ in solution.steps]
        self._results: list[StepResult] = []

    async def run(self) -> None:
        started = time.monotonic()
        async with self._slots.reserve(LEAST_ROOM, most_room(self._samples)) as room:
            for numbers in waves(self._method, self._samples, room):
                paths = Paths(self._backend, self._sandbox, self._method, self._solution, numbers, room)
                async with paths:
                    for step in range(len(self._solution.steps)):
                        await self._verify(paths, step, first=numbers.start == 0)
        self._emit(Finished(self._report(time.monotonic() - started)))

    async def _verify(self, paths: Paths, step: int, first: bool) -> None:
        if first:
            self._emit(StepStarted(step, len(self._solution.steps)))

        def finished(path: VerificationPath) -> None:
            self._paths[step].append(path)
            self._emit(PathFinished(step, path))

        await paths.verify(step, finished)
        if len(self._paths[step]) == self._samples:
            result = self._result(step)
            self._results.append(result)
            self._emit(StepFinished(result))

    def _result(self, step: int) -> StepResult:
        paths = tuple(sorted(self._paths[step], key=lambda path: path.index))
        label, score = combine_paths(paths)
        return StepResult(index=step, text=self._solution.steps[step], label=label, score=score, paths=paths)

    def _report(self, seconds: float) -> Report:
        usage = sum((path.usage for step in self._results for path in step.paths), Usage())
        return Report(
            id=self._solution.id,
            problem=self._solution.problem,
            steps=tuple(self._results),
            first_error=first_error(self._results),
            verdict=report_verdict(self._results, len(self._solution.steps)),
            model=self._backend.name,
            samples=self._samples,
            seed=self._method.seed,
            usage=usage.model_copy(update={"seconds": seconds}),
        )
