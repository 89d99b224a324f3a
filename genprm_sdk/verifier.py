"""The verifier: a model, a sandbox and the method, behind ``await verifier.check(steps)``."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Self, Unpack, get_args

import anyio

from .arguments import instance_of, one_of, shown, whole_number
from .backends.base import Backend, Sampling
from .backends.loading import LoadOptions, ModelSource, find_source
from .backends.shared import shared_backend
from .batch import bounded
from .cancellation import cancelled_once
from .check import Check, Places
from .errors import ClosedError, GenPRMError, InputError, ModelError, UnreadableVerdictWarning
from .events import Event
from .models import VerifierSettings
from .modes import History, Reasoning, member_of
from .options import MOST_SAMPLES, CheckOptions, Plan
from .protocol import Layout, TurnSettings
from .sandbox import Isolation, Limits, Sandbox
from .scoring import Aggregate, SolutionScores
from .slots import Slots, slots_of
from .turn import Method
from .types import Report, Solution

__all__ = ["Checked", "Ranked", "Steps", "Verifier"]

Steps = str | Iterable[str] | Solution
"""A solution's steps: their texts, one text that is split at blank lines, or a ``Solution``."""

LEAST_CAPACITY = 2
MOST_SESSIONS = 2 * (MOST_SAMPLES + 1)
AT_ONCE = 4
READABLE_MASS = 0.05
"""Below this share of Yes and No together, a model does not know that it was asked for a verdict."""


@dataclass(frozen=True)
class Checked:
    """One of many solutions, checked or not.

    Attributes:
        index: Its place among them, from 0.
        report: What was found, or None.
        error: Why there is no report, or None; its own ``report`` holds what was finished.
    """

    index: int
    report: Report | None
    error: GenPRMError | None = None


@dataclass(frozen=True)
class Ranked:
    """A solution's place among others.

    Attributes:
        index: Its place in what was given, from 0.
        score: What it was ranked by, or None if none of its steps could be read.
        report: What was found.
    """

    index: int
    score: float | None
    report: Report


class Verifier:
    """Checks solutions step by step with a generative process reward model.

    An async context manager, entered once: entering loads the model and starts the sandbox, leaving frees
    both. One verifier serves many checks, also concurrently, of the event loop it was entered in. Verifiers
    of one loop that ask for the same model in the same way share it.

        async with Verifier("genprm-mini") as verifier:
            report = await verifier.check(["12 * 7 = 84"], problem="What is 12 * 7?")

    Args:
        model: A bundled or published model's name, the path of a GGUF file or of a folder of safetensors, a
            Hugging Face repository, or the address of a server; see ``models.locate``.
        backend: A loaded backend to use instead of ``model``; it is not closed here. Or the name of the one
            that shall run ``model``: ``llama.cpp``, ``transformers`` or ``openai``.
        settings: How the model wants to be used; by default what its file says.
        reasoning: What is written before a verdict, see ``Reasoning``; by default what the model's file says
            that it was trained for, which is analysis and code where it says nothing.
        history: What a path sees of earlier steps; see ``History``. By default what the model's file says.
        sampling: How tokens are drawn; its seed is not used, each check has its own.
        score_temperature: Divides the log-odds of Yes over No: 1 is the model's own probability, about 0.6
            what the reference's serving amounts to. ``evaluation.calibration`` fits one to labelled data.
        limits: What a code block may take.
        isolation: How strongly code must be kept apart; see ``sandbox.Isolation``. By default this system's
            kernel wall, without which a check that comes to code raises ``SandboxUnavailable``.
        threads: CPU threads; see the backends' ``load``.
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
        backend: Backend | str | None = None,
        settings: VerifierSettings | None = None,
        reasoning: Reasoning | str | None = None,
        history: History | str | None = None,
        sampling: Sampling | None = None,
        score_temperature: float = 1.0,
        limits: Limits | None = None,
        isolation: Isolation | None = None,
        threads: int | None = None,
        context: int | None = None,
        capacity: int | None = None,
        exact: bool = False,
    ) -> None:
        if capacity is not None:
            whole_number(capacity, "capacity", LEAST_CAPACITY)
        if not (backend is None or isinstance(backend, str) or hasattr(backend, "open")):
            raise InputError(f"backend must be a loaded backend or the name of one, not {shown(backend)}")
        self._given_backend = None if isinstance(backend, str) else backend
        self._given_settings = instance_of(VerifierSettings, settings, "settings")
        self._given_reasoning = None if reasoning is None else member_of(Reasoning, reasoning, "reasoning")
        self._given_history = None if history is None else member_of(History, history, "history")
        self._sampling = instance_of(Sampling, sampling, "sampling") or Sampling()
        self._score_temperature = score_temperature
        self._sandbox_options = (instance_of(Limits, limits, "limits"), isolation)
        self._source: ModelSource | None = None
        if self._given_backend is None:
            options = LoadOptions(threads, context, capacity, exact)
            self._source = find_source(model, backend if isinstance(backend, str) else None, options)
        self._resources = AsyncExitStack()
        self._entered = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._backend: Backend | None = None
        self._sandbox: Sandbox | None = None
        self._settings = settings or VerifierSettings()
        self._places = Places(Slots(0), Slots(0))
        self._warned = False
        self._turn_of(self.reasoning)  # a score_temperature that cannot be used is refused before loading

    @property
    def name(self) -> str:
        """The model's name."""
        return self._opened.name

    @property
    def settings(self) -> VerifierSettings:
        """How the model wants to be used."""
        return self._settings

    @property
    def reasoning(self) -> Reasoning:
        """What is written before a verdict, if a call does not say."""
        return self._given_reasoning or self._settings.reasoning

    @property
    def history(self) -> History:
        """What a path sees of earlier steps."""
        return self._given_history or self._settings.history

    @property
    def _opened(self) -> Backend:
        if self._backend is None:
            raise ClosedError("the verifier is not open: use `async with Verifier(...) as verifier:`")
        return self._backend

    async def __aenter__(self) -> Self:
        if self._entered:
            raise GenPRMError(
                "the verifier is open already: enter it once, and use what that gives wherever it is needed"
            )
        self._entered = True
        await self._resources.__aenter__()
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def _open(self) -> None:
        known = self._given_reasoning or (self._given_settings and self._given_settings.reasoning)
        if known and known.executes:  # first, so that it warms up while the model is loaded
            await self._sandbox_for_code().__aenter__()
        backend = self._given_backend or await self._load()
        self._settings = self._given_settings or self._settings_of(backend)
        if not known and self.reasoning.executes:
            await self._sandbox_for_code().__aenter__()
        self._places = Places(slots_of(backend, backend.capacity), Slots(MOST_SESSIONS))
        self._loop = asyncio.get_running_loop()
        self._backend = backend

    def _sandbox_for_code(self) -> Sandbox:
        if self._sandbox is None:
            limits, isolation = self._sandbox_options
            self._sandbox = Sandbox(limits, isolation=isolation, max_sessions=MOST_SESSIONS)
            self._resources.push_async_callback(self._sandbox.close)
        return self._sandbox

    async def _load(self) -> Backend:
        source = self._source
        assert source is not None, "there is a model where no backend was given"
        key = await asyncio.to_thread(source.key)
        return await self._resources.enter_async_context(shared_backend(key, source.load))

    def _settings_of(self, backend: Backend) -> VerifierSettings:
        known = self._source.located.settings if self._source is not None else None
        return known or VerifierSettings.from_metadata(backend.metadata)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        self._backend = self._sandbox = None
        try:
            with anyio.CancelScope(shield=True):
                await self._resources.aclose()
        finally:
            self._entered = False

    async def check(
        self, steps: Steps, *, problem: str | None = None, **options: Unpack[CheckOptions]
    ) -> Report:
        """Verify a solution, step by step.

        Args:
            steps: The steps, or one text that is split at blank lines, or a ``Solution``.
            problem: What was to be solved. Without it the model sees the steps alone.
            options: ``samples``, ``seed``, ``reasoning``, ``adaptive``, ``cascade``,
                ``stop_at_first_error``, ``budget``; see ``CheckOptions``.

        Raises:
            InputError: The steps, the problem or an option cannot be used.
            ContextLengthError: The problem and the first step do not fit into the model's context.
            BackendError: The model failed.
            SandboxError: The sandbox failed.

        What was finished before an error rides on it, as its ``report``.
        """
        return await self._run(self._prepared(Solution.of(steps, problem), options))

    async def stream(
        self, steps: Steps, *, problem: str | None = None, **options: Unpack[CheckOptions]
    ) -> AsyncGenerator[Event, None]:
        """Verify a solution and say what happens while it happens; see ``check``.

        Yields:
            Events (``genprm_sdk.events``); the last one is ``Finished`` with the report. Leaving early
            cancels the check.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        solution = Solution.of(steps, problem)
        check = self._prepared(solution, options, emit=events.put_nowait)
        task = asyncio.create_task(self._run(check))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])

    async def score(
        self, steps: Steps, *, problem: str | None = None, **options: Unpack[CheckOptions]
    ) -> SolutionScores:
        """The numbers alone: each step's score, and what they come to; see ``check``."""
        solution = Solution.of(steps, problem)
        return (await self._run(self._prepared(solution, options, for_scores=True))).scores

    async def check_many(
        self,
        solutions: Iterable[Steps] | AsyncIterable[Steps],
        *,
        concurrency: int = AT_ONCE,
        ordered: bool = False,
        **options: Unpack[CheckOptions],
    ) -> AsyncGenerator[Checked, None]:
        """Verify many solutions, a few at a time.

        Args:
            solutions: ``Solution``s, which may have a problem and an id each, or their steps alone; taken one
                after another, as there is room.
            concurrency: How many at a time.
            ordered: Whether they come in the order they were given in, or as they finish.
            options: See ``CheckOptions``; a budget is for each solution.

        Yields:
            One ``Checked`` for each. What fails for one solution's sake is its ``error``; the others go on.

        Raises:
            InputError: An option cannot be used, or ``solutions`` is one alone.
            ClosedError: The verifier is closed.
            ModelError: The model cannot be used at all.
        """
        self._plan(options, for_scores=False)
        _check_several(solutions, concurrency)

        async def one(index: int, steps: Steps) -> Checked:
            try:
                return Checked(index, await self.check(steps, **options))
            except (ClosedError, ModelError):
                raise
            except GenPRMError as error:
                return Checked(index, error.report, error)

        async with aclosing(bounded(one, solutions, concurrency, ordered=ordered)) as results:
            async for checked in results:
                yield checked

    async def rank(
        self,
        solutions: Iterable[Steps] | AsyncIterable[Steps],
        *,
        problem: str | None = None,
        by: Aggregate = "min",
        concurrency: int = AT_ONCE,
        **options: Unpack[CheckOptions],
    ) -> list[Ranked]:
        """Order solutions of one problem, the best first: Best-of-N is the first one.

        Args:
            solutions: What is ranked.
            problem: What they solve, if they do not say so themselves.
            by: What makes a solution's score of its steps'; see ``SolutionScores``.
            concurrency: How many are checked at a time.
            options: See ``CheckOptions``.

        Returns:
            All of them; equal ones in the order they were given in, unreadable ones last.

        Raises:
            GenPRMError: One of them cannot be checked; ``InputError`` names it by its index.
        """
        self._plan(options, for_scores=True)
        _check_several(solutions, concurrency)
        one_of(get_args(Aggregate), by, "by")

        async def one(index: int, steps: Steps) -> Ranked:
            try:
                check = self._prepared(Solution.of(steps, problem), options, for_scores=True)
                report = await self._run(check)
            except InputError as error:
                named = type(error)(f"solution {index}: {error}")
                named.report = error.report
                raise named from error
            return Ranked(index, report.scores.by(by), report)

        async with aclosing(bounded(one, solutions, concurrency, ordered=True)) as results:
            ranked = [each async for each in results]
        return sorted(ranked, key=lambda each: -1.0 if each.score is None else each.score, reverse=True)

    def _plan(self, options: CheckOptions, *, for_scores: bool) -> Plan:
        auto = self.history != History.RATIONALES and not for_scores
        return Plan.of(options, self.reasoning, auto_adaptive=auto)

    def _prepared(
        self,
        solution: Solution,
        options: CheckOptions,
        *,
        emit: Callable[[Event], None] | None = None,
        for_scores: bool = False,
    ) -> Check:
        backend = self._opened
        if self._loop is not asyncio.get_running_loop():
            raise ClosedError(
                "the verifier belongs to another event loop: open one in this loop, or use genprm_sdk.sync"
            )
        plan = self._plan(options, for_scores=for_scores)
        layout = Layout(
            backend.frame,
            style=self._settings.style,
            direct=plan.stages == (Reasoning.DIRECT,),
        )
        turns = tuple(self._turn_of(stage) for stage in plan.stages)
        method = Method(layout, plan.stages, turns, self._sampling, plan.seed)
        sandbox = self._sandbox_for_code() if method.executes else None
        return Check(
            backend, sandbox, self._places, self.history, method, plan, solution, emit, emit is not None
        )

    def _turn_of(self, reasoning: Reasoning) -> TurnSettings:
        return TurnSettings(
            analysis=reasoning.has_analysis,
            code=reasoning.has_code,
            execute=reasoning.executes,
            analysis_tokens=self._settings.analysis_tokens,
            turn_tokens=self._settings.turn_tokens,
            rounds=self._settings.rounds,
            score_temperature=self._score_temperature,
        )

    async def _run(self, check: Check) -> Report:
        report = await cancelled_once(check.run())
        if not self._warned and _is_unreadable(report):
            self._warned = True
            warnings.warn(
                f"the verdicts of {shown(report.model)} cannot be read: it is probably no generative process "
                "reward model, which answers `\\boxed{Yes}` or `\\boxed{No}` (arXiv 2504.00891)",
                UnreadableVerdictWarning,
                stacklevel=3,
            )
        return report


def _check_several(solutions: object, concurrency: object) -> None:
    whole_number(concurrency, "concurrency")
    if isinstance(solutions, str | Solution | Mapping):
        raise InputError(f"solutions must be several, not one {type(solutions).__name__}: put it into a list")
    if not isinstance(solutions, Iterable | AsyncIterable):
        raise InputError(f"solutions must be a list or another iterable, not {shown(solutions)}")


def _is_unreadable(report: Report) -> bool:
    paths = [path for step in report.steps for path in step.all_paths]
    masses = [path.verdict_mass for path in paths if path.verdict_mass is not None]
    if not paths:
        return False
    return all(path.verdict is None for path in paths) or sum(masses) < READABLE_MASS * max(1, len(masses))
