"""One running check: which paths judge which step, when that is enough, and the report.

Paths are started in the order of their numbers, as many at a time as the soonest possible decision needs, and
what is decided depends on nothing but what they found: not on which was faster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

from .backends.base import Backend
from .chain import Need, Paths, Workshop, open_paths
from .errors import ContextLengthError, GenPRMError
from .events import Event, Finished, PathFinished, StepFinished, StepStarted
from .modes import History
from .options import Plan
from .sandbox import Sandbox
from .slots import Slots
from .tracing import span
from .turn import Method
from .types import Report, Solution, StepResult, Stopped, Usage, VerificationPath
from .voting import combine_paths, first_error, report_verdict, settled, soonest

__all__ = ["Check", "Places"]


class Places(NamedTuple):
    """Room for sequences and sessions, which several checks share.

    Attributes:
        sequences: That a backend can hold.
        sessions: That a sandbox can hold.
    """

    sequences: Slots
    sessions: Slots


class _Enough(Exception):
    """The check ends before its last step."""

    def __init__(self, why: Stopped) -> None:
        self.why = why


class Check:
    """A solution on its way to a report.

    Args:
        backend: The model.
        sandbox: Where code runs; None where none is run.
        places: Room in both.
        history: What paths see of earlier steps.
        method: How a turn is done.
        plan: How many paths, and when to stop.
        solution: What is checked.
        emit: Called with events, or None.
        with_text: Whether events tell what paths write.
    """

    def __init__(
        self,
        backend: Backend,
        sandbox: Sandbox | None,
        places: Places,
        history: History,
        method: Method,
        plan: Plan,
        solution: Solution,
        emit: Callable[[Event], None] | None = None,
        with_text: bool = False,
    ) -> None:
        self._backend = backend
        self._sandbox = sandbox
        self._places = places
        self._history = history
        self._method = method
        self._plan = plan
        self._solution = solution
        self._emit = emit or (lambda event: None)
        self._hear = emit if with_text else None
        self._results: list[StepResult] = []
        self._judging: tuple[list[VerificationPath], list[VerificationPath]] | None = None
        self._extra: dict[int, list[VerificationPath]] = {}
        self._verifications = self._written = self._longest = 0
        self._stopped: Stopped | None = None
        self._started = time.monotonic()

    async def run(self) -> Report:
        """Check the solution.

        Raises:
            GenPRMError: Something failed; its ``report`` holds what was finished.
        """
        with span("check", model=self._backend.name, steps=len(self._solution.steps)):
            deadline = asyncio.timeout(self._plan.budget.seconds)
            try:
                async with deadline:
                    await self._run()
            except _Enough as enough:
                self._stopped = enough.why
            except TimeoutError:
                if not deadline.expired():
                    raise
                self._stopped = "seconds"
            except BaseExceptionGroup as group:
                raise self._with_report(_single(group)) from None
            except GenPRMError as error:
                raise self._with_report(error) from None
        self._finish_step(emit=True)
        report = self.report()
        self._emit(Finished(report))
        return report

    async def _run(self) -> None:
        capacity, samples = self._backend.capacity, self._plan.samples
        catches_up = self._method.executes and (self._plan.adaptive or self._plan.cascade) is not None
        need = Need.of(self._history, samples, capacity, catches_up=catches_up)
        least = min(max(need.least, capacity // self._backend.prompts_at_once), capacity)
        async with AsyncExitStack() as stack:
            if self._sandbox is not None:
                sessions = samples + 1
                await stack.enter_async_context(self._places.sessions.reserve(sessions, sessions))
            most = max(least, need.kept + need.a_turn * samples)
            held = await stack.enter_async_context(self._places.sequences.reserve(least, most))
            workshop = Workshop(
                backend=self._backend,
                sandbox=self._sandbox,
                method=self._method,
                solution=self._solution,
                samples=samples,
                keeps=need.kept > 0,
                turns=need.turns(held),
                hear=self._hear,
                extra=self._catch_up,
            )
            await self._judge_all(await stack.enter_async_context(open_paths(self._history, workshop)))

    async def _judge_all(self, paths: Paths) -> None:
        last = len(self._solution.steps) - 1
        for step in range(last + 1):
            self._emit(StepStarted(step, last + 1))
            with span("step", step=step):
                await self._judge(paths, step)
            result = self._finish_step(emit=True)
            if step == last:
                return
            if result is not None and result.label == "incorrect" and self._plan.stop_at_first_error:
                raise _Enough("first_error")
            try:
                await paths.advance()
            except ContextLengthError:
                raise _Enough("context") from None

    async def _judge(self, paths: Paths, step: int) -> None:
        cheaper: list[VerificationPath] = []
        for stage in range(len(self._plan.stages)):
            judged: list[VerificationPath] = []
            self._judging = judged, cheaper
            await self._vote(paths, step, stage, judged)
            _, score = combine_paths(judged)
            if stage + 1 == len(self._plan.stages):
                return
            if self._plan.cascade is not None and self._plan.cascade.is_sure(score):
                return
            cheaper = [*cheaper, *sorted(judged, key=_number)]

    async def _vote(self, paths: Paths, step: int, stage: int, judged: list[VerificationPath]) -> None:
        """Let paths judge a step, in the order of their numbers, until that is enough."""
        waiting = paths.ready()
        adaptive = self._plan.adaptive
        while waiting:
            scores = [path.score for path in sorted(judged, key=_number)]
            if adaptive is not None and judged and settled(scores, len(waiting), adaptive):
                return
            count = self._affordable(soonest(scores, len(waiting), adaptive))
            wave, waiting = waiting[:count], waiting[count:]
            async with asyncio.TaskGroup() as group:
                for number in wave:
                    group.create_task(self._verify(paths, step, number, stage, judged))

    async def _verify(
        self, paths: Paths, step: int, number: int, stage: int, judged: list[VerificationPath]
    ) -> None:
        path = await paths.verify(number, stage)
        self._count(path)
        judged.append(path)
        self._emit(PathFinished(step, path))

    def _catch_up(self, step: int, path: VerificationPath) -> None:
        self._count(path)
        self._extra.setdefault(step, []).append(path)
        self._emit(PathFinished(step, path))

    def _count(self, path: VerificationPath) -> None:
        self._verifications += 1
        self._written += path.usage.generated_tokens
        self._longest = max(self._longest, path.usage.generated_tokens)

    def _affordable(self, wanted: int) -> int:
        """How many of the paths that are wanted the budget allows to start together."""
        budget = self._plan.budget
        if budget.samples is not None:
            if self._verifications >= budget.samples:
                raise _Enough("samples")
            wanted = min(wanted, budget.samples - self._verifications)
        if budget.tokens is not None:
            if self._written >= budget.tokens:
                raise _Enough("tokens")
            left = budget.tokens - self._written
            wanted = min(wanted, max(1, left // self._longest if self._longest else 1))
        return wanted

    def _finish_step(self, *, emit: bool) -> StepResult | None:
        """Make a result of what has judged the step at hand, if anything has."""
        if self._judging is None or not (self._judging[0] or self._judging[1]):
            return None
        judged, cheaper = self._judging
        self._judging = None
        if not judged:  # a cascade that was cut between two stages
            deepest = cheaper[-1].reasoning
            judged = [path for path in cheaper if path.reasoning == deepest]
            cheaper = [path for path in cheaper if path.reasoning != deepest]
        paths = tuple(sorted(judged, key=_number))
        label, score = combine_paths(paths)
        index = len(self._results)
        text = self._solution.steps[index]
        result = StepResult(
            index=index, text=text, label=label, score=score, paths=paths, cheaper=tuple(cheaper)
        )
        self._results.append(result)
        if emit:
            self._emit(StepFinished(result))
        return result

    def report(self) -> Report:
        """What was found so far."""
        steps = [
            step.model_copy(update={"extra": tuple(sorted(self._extra[step.index], key=_number))})
            if step.index in self._extra
            else step
            for step in self._results
        ]
        usage = sum((path.usage for step in steps for path in step.all_paths), Usage())
        return Report(
            id=self._solution.id,
            problem=self._solution.problem,
            steps=tuple(steps),
            first_error=first_error(steps),
            verdict=report_verdict(steps, len(self._solution.steps)),
            model=self._backend.name,
            samples=self._plan.samples,
            seed=self._plan.seed,
            reasoning=self._plan.stages,
            history=self._history,
            total_steps=len(self._solution.steps),
            stopped=self._stopped,
            usage=usage.model_copy(update={"seconds": time.monotonic() - self._started}),
        )

    def _with_report(self, error: BaseException) -> BaseException:
        if isinstance(error, GenPRMError):
            self._finish_step(emit=False)
            error.report = self.report() if self._results else None
        return error


def _number(path: VerificationPath) -> int:
    return path.index


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
