"""The GenPRM loop: verification paths over the steps of a solution.

A path drives one turn's state machine against an open sequence and a sandbox session. ``Paths`` holds what
the paths of one check share and keep: with the history ``steps`` one trunk that all of them fork, with the
history ``rationales`` a sequence a path that grows by its own turns. Knows no engine and no report.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from .backends.base import Backend, OpenSequence, Sampling, Work
from .errors import ContextLengthError
from .prompt import content
from .protocol import (
    Action,
    Append,
    Execute,
    Generate,
    Generated,
    Layout,
    ReadVerdict,
    Rewind,
    TurnResult,
    TurnSettings,
    verification_turn,
)
from .sandbox import Sandbox, Session
from .types import CodeRun, Solution, Usage, VerificationPath
from .wording import VERDICT_CANDIDATES

__all__ = ["LEAST_ROOM", "Method", "Paths", "most_room", "waves"]

NO_CODE = "Code format error: No code found."


@dataclass(frozen=True)
class Method:
    """How a check is done, apart from the solution.

    Attributes:
        layout: Where things stand in a prompt.
        turn: Parts and budgets of a turn.
        sampling: How tokens are drawn; its seed is replaced by one that belongs to path, step and call.
        seed: The check's seed.
    """

    layout: Layout
    turn: TurnSettings
    sampling: Sampling
    seed: int

    def draw(self, path: int, step: int, call: int) -> Sampling:
        """Sampling for one generation, independent of what else runs and when."""
        digest = hashlib.blake2b(f"{self.seed}/{path}/{step}/{call}".encode(), digest_size=4).digest()
        return replace(self.sampling, seed=int.from_bytes(digest, "big"))


LEAST_ROOM = 2
"""Sequences without which no path can run: what it starts from, and the turn it writes."""


def most_room(samples: int) -> int:
    """Sequences that so many paths can make use of."""
    return 2 * samples + 1


def waves(method: Method, samples: int, room: int) -> list[range]:
    """Path numbers that run through the solution together, in ``room`` sequences.

    Paths with a history of their own hold one sequence each and need another while they verify.
    """
    size = samples if method.layout.history == "steps" else max(1, room // 2)
    return [range(start, min(start + size, samples)) for start in range(0, samples, size)]


class Paths:
    """The paths of one wave, from the first step to the last.

    Args:
        backend: Where sequences are opened.
        sandbox: Where code runs, one session a path; None where none is run.
        method: How it is done.
        solution: What is checked.
        numbers: The paths' numbers.
        room: Sequences that may be open at once.
    """

    def __init__(
        self,
        backend: Backend,
        sandbox: Sandbox | None,
        method: Method,
        solution: Solution,
        numbers: range,
        room: int,
    ) -> None:
        self._backend = backend
        self._sandbox = sandbox
        self._method = method
        self._solution = solution
        self._numbers = numbers
        self._resources = AsyncExitStack()
        self._bases: dict[int, OpenSequence] = {}
        self._trunk: OpenSequence | None = None
        self._sessions: dict[int, Session] = {}
        self._shares_trunk = method.layout.history == "steps"
        concurrent = room - 1 if self._shares_trunk else room - len(numbers)
        self._turns = asyncio.Semaphore(max(1, concurrent))

    async def __aenter__(self) -> Self:
        await self._resources.__aenter__()
        try:
            if self._sandbox is not None:
                for number in self._numbers:
                    session = self._sandbox.session()
                    self._sessions[number] = await self._resources.enter_async_context(session)
            opening = self._method.layout.opening(self._solution.problem, self._solution.steps[0])
            with naming_step(0):
                self._trunk = await self._backend.open(opening)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for sequence in (*self._bases.values(), self._trunk):
                if sequence is not None:
                    await sequence.close()
        finally:
            await self._resources.__aexit__(kind, error, trace)

    async def verify(self, step: int, finished: Callable[[VerificationPath], None]) -> None:
        """Judge one step on every path; steps must come in order.

        Args:
            step: The step's index.
            finished: Called with each path's result, in the order in which they finish.

        Raises:
            ContextLengthError: The step does not fit behind what the path already holds.
        """
        if step and self._shares_trunk:
            assert self._trunk is not None
            with naming_step(step):
                await self._trunk.append(self._method.layout.next_step(self._solution.steps[step]))
        elif not step and not self._shares_trunk:
            await self._fork_bases()
        async with asyncio.TaskGroup() as group:
            for number in self._numbers:
                group.create_task(self._verify_on(number, step, finished))

    async def _fork_bases(self) -> None:
        assert self._trunk is not None
        first, *others = self._numbers
        for number in others:
            self._bases[number] = await self._trunk.fork()
        self._bases[first], self._trunk = self._trunk, None

    async def _verify_on(self, number: int, step: int, finished: Callable[[VerificationPath], None]) -> None:
        async with self._turns:
            base = self._trunk if self._shares_trunk else self._bases[number]
            assert base is not None
            turn = _RunningTurn(self._method, base, self._sessions.get(number), number, step)
            try:
                result = await turn.run()
                if not self._shares_trunk and step + 1 < len(self._solution.steps):
                    await self._continue_base(number, step, turn, result)
            finally:
                await turn.close()
        finished(turn.path(result))

    async def _continue_base(self, number: int, step: int, turn: _RunningTurn, result: TurnResult) -> None:
        """Make the finished turn and the next step part of the path's own history."""
        layout, text = self._method.layout, self._solution.steps[step + 1]
        with naming_step(step + 1):
            if layout.style == "reference":
                await self._bases[number].append(layout.after_turn(result.text, text))
            else:
                old, self._bases[number] = self._bases[number], turn.give_sequence()
                await old.close()
                await self._bases[number].append(layout.after_generated_turn(text))


@contextmanager
def naming_step(step: int) -> Iterator[None]:
    """Say in a ``ContextLengthError`` which step did not fit."""
    try:
        yield
    except ContextLengthError as error:
        raise ContextLengthError(f"step {step}: {error}") from error


class _RunningTurn:
    """One turn's machine, the sequence it writes to, and what it has cost."""

    def __init__(
        self, method: Method, base: OpenSequence, session: Session | None, number: int, step: int
    ) -> None:
        self._method = method
        self._base = base
        self._session = session
        self._number = number
        self._step = step
        self._sequence: OpenSequence | None = None
        self._work = Work()
        self._calls = 0
        self._prompt = self._generated = self._shared = self._runs = 0
        self._out_of_context = False
        self._started = time.monotonic()
        self._text = ""

    async def run(self) -> TurnResult:
        machine = verification_turn(self._step, self._method.turn)
        try:
            action = next(machine)
            while True:
                action = machine.send(await self._do(action))
        except StopIteration as end:
            result: TurnResult = end.value
            return result
        except ContextLengthError:
            self._out_of_context = True
            return TurnResult(self._text, None, (), None, None, None)
        finally:
            machine.close()

    async def _do(self, action: Action) -> int | Generated | CodeRun | tuple[float, float]:
        if isinstance(action, Append):
            return await self._append(action.text)
        if isinstance(action, Rewind):
            await self.close()
            self._text = ""
            return await self._append(action.text)
        if isinstance(action, Execute):
            return await self._execute(action.code)
        assert self._sequence is not None
        if isinstance(action, ReadVerdict):
            p_yes, p_no = await self._sequence.probabilities(VERDICT_CANDIDATES)
            return p_yes, p_no
        return await self._generate(self._sequence, action)

    async def _append(self, text: str) -> int:
        segments = [content(text)] if text else []
        if self._sequence is None:
            self._sequence = await self._base.fork()
            self._shared += self._base.tokens
            segments = [*self._method.layout.asking(), *segments]
        self._prompt += await self._sequence.append(segments)
        self._text += text
        return self._sequence.tokens - self._base.tokens

    async def _generate(self, sequence: OpenSequence, action: Generate) -> Generated:
        sampling = self._method.draw(self._number, self._step, self._calls)
        self._calls += 1
        generation = await sequence.generate((*action.stop, *action.pause), action.max_tokens, sampling)
        self._generated += generation.tokens
        self._text += generation.text
        return Generated(generation.text, generation.stop, sequence.tokens - self._base.tokens)

    async def _execute(self, code: str | None) -> CodeRun:
        if code is None:
            return CodeRun(code="", status="error", message=NO_CODE, feedback=NO_CODE)
        assert self._session is not None, "a method that executes code has a sandbox"
        self._runs += 1
        return await self._session.run(code)

    def give_sequence(self) -> OpenSequence:
        """Hand over the sequence that holds the finished turn."""
        assert self._sequence is not None
        sequence, self._sequence = self._sequence, None
        self._work.add(sequence.work)
        return sequence

    async def close(self) -> None:
        if self._sequence is not None:
            await self.give_sequence().close()

    def path(self, result: TurnResult) -> VerificationPath:
        return VerificationPath(
            index=self._number,
            verdict=result.verdict,
            score=result.score,
            text=result.text,
            analysis=result.analysis,
            code_runs=result.code_runs,
            degraded="context" if self._out_of_context else result.degraded,
            usage=Usage(
                prompt_tokens=self._prompt,
                shared_tokens=self._shared,
                cached_tokens=self._work.cached,
                evaluated_tokens=self._work.evaluated,
                generated_tokens=self._generated,
                model_runs=self._work.evaluations,
                companions=self._work.companions,
                cache_peak=self._work.peak,
                queued_seconds=self._work.queued,
                code_runs=self._runs,
                seconds=time.monotonic() - self._started,
            ),
        )
