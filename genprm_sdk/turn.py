"""One verification turn while it runs: the protocol's machine, a sequence, a session, and what it costs.

Knows what each of the machine's actions does to a sequence and a sandbox. Knows no step before and no report.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .backends.base import OpenSequence, Sampling, Work
from .errors import ContextLengthError
from .events import CodeExecuted, Event, PathRestarted, TextWritten
from .modes import Reasoning
from .prompt import Segment, content
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
from .sandbox import Session
from .tracing import span
from .types import CodeRun, CodeStatus, Usage, VerificationPath
from .wording import VERDICT_CANDIDATES

__all__ = ["Base", "Method", "Place", "Turn"]

NO_CODE = "Code format error: No code found."
CALLS_A_STAGE = 1000


@dataclass(frozen=True)
class Method:
    """How a check is done, apart from the solution.

    Attributes:
        layout: Where things stand in a prompt.
        stages: Kinds of reasoning, in the order in which they are tried.
        turns: Parts and budgets of each stage's turns.
        sampling: How tokens are drawn; its seed is replaced by one that belongs to path, step and call.
        seed: The check's seed.
    """

    layout: Layout
    stages: tuple[Reasoning, ...]
    turns: tuple[TurnSettings, ...]
    sampling: Sampling
    seed: int

    def draw(self, place: Place, call: int) -> Sampling:
        """Sampling for one generation, independent of what else runs and when."""
        key = f"{self.seed}/{place.path}/{place.step}/{place.stage * CALLS_A_STAGE + call}"
        digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
        return replace(self.sampling, seed=int.from_bytes(digest, "big"))

    @property
    def executes(self) -> bool:
        """Whether code is run in any stage."""
        return any(stage.executes for stage in self.stages)

    @property
    def longest_turn(self) -> int:
        """Tokens that a turn may take."""
        return max(
            turn.verdict_tokens + (turn.analysis and turn.analysis_tokens) + (turn.code and turn.turn_tokens)
            for turn in self.turns
        )


@dataclass(frozen=True)
class Place:
    """Which turn: the path's number, the step's index, the stage's."""

    path: int
    step: int
    stage: int


@dataclass(frozen=True)
class Base:
    """What a turn begins from.

    Attributes:
        sequence: The prompt, which the turn forks.
        rest: The prompt's end, where that is tokenised together with the turn's beginning.
        length: Of both, in tokens.
    """

    sequence: OpenSequence
    rest: tuple[Segment, ...]
    length: int


class Turn:
    """A turn on a fork of a sequence.

    Args:
        method: How it is done.
        place: Which one it is.
        base: What it begins from: a prompt that ends with the step.
        session: Where its code runs; None where none is run.
        hear: Called with what happens, or None.
    """

    def __init__(
        self,
        method: Method,
        place: Place,
        base: Base,
        session: Session | None,
        hear: Callable[[Event], None] | None = None,
    ) -> None:
        self._method = method
        self._place = place
        self._base = base
        self._session = session
        self._hear = hear
        self._sequence: OpenSequence | None = None
        self._work = Work()
        self._calls = 0
        self._prompt = self._generated = self._shared = self._runs = 0
        self._failures: Counter[CodeStatus] = Counter()
        self._seconds = dict.fromkeys(("prompt", "generate", "verdict", "code"), 0.0)
        self._out_of_context = False
        self._started = time.monotonic()
        self._text = ""

    async def run(self) -> TurnResult:
        """Let the machine run to its end; out of context, the turn ends without a verdict."""
        machine = verification_turn(self._place.step, self._method.turns[self._place.stage])
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
            self._tell(PathRestarted(self._place.step, self._place.path))
            return await self._append(action.text)
        if isinstance(action, Execute):
            return await self._execute(action.code)
        assert self._sequence is not None
        if isinstance(action, ReadVerdict):
            with self._timed("verdict"):
                p_yes, p_no = await self._sequence.probabilities(VERDICT_CANDIDATES)
            return p_yes, p_no
        return await self._generate(self._sequence, action)

    async def _append(self, text: str) -> int:
        segments = [content(text)] if text else []
        with self._timed("prompt"):
            if self._sequence is None:
                self._sequence = await self._base.sequence.fork()
                self._shared += self._base.sequence.tokens
                segments = [*self._base.rest, *self._method.layout.asking(), *segments]
            self._prompt += await self._sequence.append(segments)
        self._text += text
        self._tell_text(text, generated=False)
        return self._sequence.tokens - self._base.length

    async def _generate(self, sequence: OpenSequence, action: Generate) -> Generated:
        sampling = self._method.draw(self._place, self._calls)
        self._calls += 1
        show = None if self._hear is None else self._show
        with self._timed("generate"), span("generate", max_tokens=action.max_tokens):
            generation = await sequence.generate(
                (*action.stop, *action.pause), action.max_tokens, sampling, show
            )
        self._generated += generation.tokens
        self._text += generation.text
        return Generated(generation.text, generation.stop, sequence.tokens - self._base.length)

    async def _execute(self, code: str | None) -> CodeRun:
        if code is None:
            run = CodeRun(code="", status="error", message=NO_CODE, feedback=NO_CODE)
        else:
            assert self._session is not None, "a method that executes code has a sandbox"
            with self._timed("code"), span("code"):
                run = await self._session.run(code)
            self._runs += 1
        if run.status != "ok":
            self._failures[run.status] += 1
        self._tell(CodeExecuted(self._place.step, self._place.path, run))
        return run

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[phase] += time.perf_counter() - started

    def _show(self, text: str) -> None:
        self._tell_text(text, generated=True)

    def _tell_text(self, text: str, *, generated: bool) -> None:
        if text:
            self._tell(TextWritten(self._place.step, self._place.path, text, generated))

    def _tell(self, event: Event) -> None:
        if self._hear is not None:
            self._hear(event)

    def give_sequence(self) -> OpenSequence:
        """Hand over the sequence that holds the finished turn."""
        assert self._sequence is not None
        sequence, self._sequence = self._sequence, None
        self._work.add(sequence.work)
        return sequence

    async def close(self) -> None:
        """Free the sequence, unless it was handed over."""
        if self._sequence is not None:
            await self.give_sequence().close()

    def path(self, result: TurnResult, forgotten: int) -> VerificationPath:
        """The turn as callers see it; once its sequence is closed or handed over."""
        return VerificationPath(
            index=self._place.path,
            verdict=result.verdict,
            score=result.score,
            verdict_mass=result.verdict_mass,
            reasoning=self._method.stages[self._place.stage],
            forgotten=forgotten,
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
                code_failures=dict(self._failures),
                prompt_seconds=self._seconds["prompt"],
                generate_seconds=self._seconds["generate"],
                verdict_seconds=self._seconds["verdict"],
                code_seconds=self._seconds["code"],
                seconds=time.monotonic() - self._started,
            ),
        )
