"""The GenPRM loop: what a path sees of earlier steps, and the paths of one check over all of them.

A ``Conversation`` is a prompt that ends with the step to be judged; three kinds of paths keep one each
(history ``rationales``), or share one (``shared``, ``steps``). Knows no report and no vote.

What does not fit is forgotten by one rule: where a conversation leaves no room for a turn, the older half of
the verifications that it still shows is left out of it, and again, until there is room or none is left. Steps
are never left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from .backends.base import Backend, OpenSequence
from .errors import ContextLengthError
from .events import Event
from .modes import History
from .prompt import Segment
from .protocol import Layout, TurnResult
from .sandbox import Sandbox, Session
from .tracing import span
from .turn import Base, Method, Place, Turn
from .types import Solution, VerificationPath

__all__ = ["Need", "Paths", "Workshop", "open_paths"]

LEAST_SHARE = 4
"""A turn is kept at least this part of the context free, if it may take as much."""


@dataclass
class _Opened:
    """A sequence, and the end of its prompt that is kept back to be tokenised together with a turn.

    Attributes:
        sequence: All but that.
        rest: The end.
        rest_tokens: Its length.
    """

    sequence: OpenSequence
    rest: list[Segment] = field(default_factory=list)
    rest_tokens: int = 0

    @property
    def base(self) -> Base:
        return Base(self.sequence, tuple(self.rest), self.tokens)

    @property
    def tokens(self) -> int:
        return self.sequence.tokens + self.rest_tokens

    async def append(self, segments: Sequence[Segment], *, joins_turn: bool) -> None:
        """Append to the prompt; the content at its end is kept back if it joins the turn.

        Raises:
            ContextLengthError: It does not fit; the prompt cannot be used any more.
        """
        whole, rest = _divided([*self.rest, *segments], joins_turn)
        if whole:
            await self.sequence.append(whole)
        await self.keep_back(rest)

    async def keep_back(self, rest: list[Segment]) -> None:
        """Let this be what is kept back.

        Raises:
            ContextLengthError: It does not fit.
        """
        self.rest, self.rest_tokens = rest, 0
        if rest:
            measure = await self.sequence.fork()
            try:
                self.rest_tokens = await measure.append(rest)
            finally:
                await measure.close()


def _divided(segments: list[Segment], joins_turn: bool) -> tuple[list[Segment], list[Segment]]:
    """A prompt's segments, and the content at their end if that joins the turn."""
    end = len(segments)
    while joins_turn and end and segments[end - 1].kind == "content":
        end -= 1
    return segments[:end], segments[end:]


class Conversation:
    """A prompt that ends with the step to be judged, and what it was made of.

    Args:
        backend: Where it is opened.
        layout: Where things stand in it.
        solution: What is judged.
        longest_turn: Tokens to keep free.
    """

    def __init__(self, backend: Backend, layout: Layout, solution: Solution, longest_turn: int) -> None:
        self._backend = backend
        self._layout = layout
        self._steps = solution.steps
        self._problem = solution.problem
        self._most = backend.context - min(longest_turn, backend.context // LEAST_SHARE)
        self._turns: list[str | None] = []
        self._opened: _Opened | None = None
        self.forgotten = 0

    @property
    def step(self) -> int:
        """The step at its end."""
        return len(self._turns)

    async def base(self) -> Base:
        """What a turn begins from, opened if it is not.

        Raises:
            ContextLengthError: It does not fit; names the step.
        """
        if self._opened is None:
            self._opened = await self._open(self._turns)
        return self._opened.base

    async def base_at(self, step: int) -> Base:
        """The same for an earlier step, as it was then; the caller closes its sequence."""
        return (await self._open(self._turns[:step])).base

    async def advance(self, turn: str | None, written: OpenSequence | None = None) -> None:
        """Go on to the next step.

        Args:
            turn: The verification that is shown of the step before; None shows none.
            written: A sequence that ends with that verification, to go on with; it is this one's from now on.

        Raises:
            ContextLengthError: The steps alone do not fit; names the step.
        """
        next_step = self._steps[self.step + 1]
        self._turns.append(turn)
        if written is not None:
            await self.park()
            self._opened = _Opened(written)
        if self._opened is not None:
            if written is not None:
                segments = self._layout.after_generated_turn(next_step)
            else:
                segments = self._between(turn, next_step)
            try:
                await self._opened.append(segments, joins_turn=self._layout.joins_turn)
            except ContextLengthError as error:
                await self.park()
                if not self._forget():
                    raise naming(self.step, error) from error
        await self._make_room()

    async def _make_room(self) -> None:
        while True:
            try:
                base = await self.base()
            except ContextLengthError:
                if not self._forget():
                    raise
                continue
            if base.length <= self._most or not self._forget():
                return
            await self.park()

    def _forget(self) -> bool:
        """Leave out the older half of the verifications that are still shown; whether there was one."""
        shown = [index for index, turn in enumerate(self._turns) if turn is not None]
        for index in shown[: (len(shown) + 1) // 2]:
            self._turns[index] = None
            self.forgotten += 1
        return bool(shown)

    def _between(self, turn: str | None, step: str) -> list[Segment]:
        return self._layout.next_step(step) if turn is None else self._layout.after_turn(turn, step)

    async def _open(self, turns: Sequence[str | None]) -> _Opened:
        at, joins_turn = 0, self._layout.joins_turn
        whole, rest = _divided(self._layout.opening(self._problem, self._steps[0]), joins_turn)
        try:
            opened = _Opened(await self._backend.open(whole))
        except ContextLengthError as error:
            raise naming(at, error) from error
        try:
            await opened.keep_back(rest)
            for at, turn in enumerate(turns, start=1):
                await opened.append(self._between(turn, self._steps[at]), joins_turn=joins_turn)
        except BaseException as error:
            await opened.sequence.close()
            if isinstance(error, ContextLengthError):
                raise naming(at, error) from error
            raise
        return opened

    async def park(self) -> None:
        """Free the sequence; it is opened again where it is needed."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.sequence.close()


def naming(step: int, error: ContextLengthError) -> ContextLengthError:
    """The error with the step that did not fit in front."""
    return ContextLengthError(f"step {step}: {error}")


@dataclass(frozen=True)
class Need:
    """Sequences that a check needs.

    Attributes:
        kept: From step to step.
        a_turn: While a turn runs.
    """

    kept: int
    a_turn: int

    @classmethod
    def of(cls, history: History, samples: int, capacity: int, *, catches_up: bool) -> Need:
        """What so many paths need.

        Those with a history of their own keep a sequence each, where the backend has so many places; else
        they read their history again for every step.
        """
        if history == History.RATIONALES:
            return cls(samples, 1) if samples < capacity else cls(0, 2)
        return cls(1, 2 if catches_up else 1)

    @property
    def least(self) -> int:
        """So many that one turn can run."""
        return self.kept + self.a_turn

    def turns(self, held: int) -> asyncio.Semaphore:
        """Room for the turns that may run at once where so many sequences are held."""
        return asyncio.Semaphore(max(1, (held - self.kept) // self.a_turn))


class Paths(Protocol):
    """The paths of one check."""

    async def begin(self) -> None:
        """Open the first step."""
        ...

    def ready(self) -> list[int]:
        """Numbers of the paths that can judge this step."""
        ...

    async def verify(self, path: int, stage: int) -> VerificationPath:
        """Judge this step on one path; different paths may at once."""
        ...

    async def advance(self) -> None:
        """Go on to the next step.

        Raises:
            ContextLengthError: It does not fit.
        """
        ...

    async def close(self) -> None:
        """Free every sequence and session."""
        ...


Hear = Callable[[Event], None]
Extra = Callable[[int, VerificationPath], None]


@dataclass(frozen=True)
class Workshop:
    """What all kinds of paths share: where sequences, sessions and turns come from.

    Attributes:
        backend: Where sequences are opened.
        sandbox: Where code runs; None where none is run.
        method: How it is done.
        solution: What is checked.
        samples: Paths.
        keeps: Whether sequences may stay open from step to step.
        turns: Room for turns.
        hear: Called with what happens inside turns, or None.
        extra: Called with judgements of earlier steps that paths make in order to catch up.
    """

    backend: Backend
    sandbox: Sandbox | None
    method: Method
    solution: Solution
    samples: int
    keeps: bool
    turns: asyncio.Semaphore
    hear: Hear | None
    extra: Extra

    def conversation(self) -> Conversation:
        return Conversation(self.backend, self.method.layout, self.solution, self.method.longest_turn)

    def session(self) -> Session | None:
        return None if self.sandbox is None else self.sandbox.session()

    async def judge(
        self,
        place: Place,
        base: Base,
        session: Session | None,
        forgotten: int = 0,
        keep: Callable[[TurnResult, OpenSequence], None] | None = None,
    ) -> VerificationPath:
        """Run one turn.

        Args:
            place: Which one.
            base: What it begins from.
            session: Where its code runs.
            forgotten: Verifications that the base no longer shows.
            keep: Takes the finished turn and its sequence over, which is closed otherwise.
        """
        turn = Turn(self.method, place, base, session, self.hear)
        with span("path", step=place.step, path=place.path, reasoning=self.method.stages[place.stage]):
            try:
                result = await turn.run()
                if keep is not None:
                    keep(result, turn.give_sequence())
            finally:
                await turn.close()
        return turn.path(result, forgotten)


class _StepsPaths:
    """Paths that see the steps alone: forks of one conversation, with a session each.

    A session's variables come from its path's own code, and the model, which sees no earlier code, counts on
    them: a path that was left out on earlier steps catches up on them before it judges this one.
    """

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._trunk = workshop.conversation()
        self._sessions: dict[int, Session | None] = {}
        self._executed: dict[int, int] = {}

    async def begin(self) -> None:
        await self._trunk.base()

    def ready(self) -> list[int]:
        return list(range(self._workshop.samples))

    async def verify(self, path: int, stage: int) -> VerificationPath:
        workshop, step = self._workshop, self._trunk.step
        async with workshop.turns:
            session = None
            if workshop.method.stages[stage].executes:
                if path not in self._sessions:
                    self._sessions[path] = workshop.session()
                session = self._sessions[path]
                await self._catch_up(path, stage, session)
                self._executed[path] = step + 1
            return await workshop.judge(Place(path, step, stage), await self._trunk.base(), session)

    async def _catch_up(self, path: int, stage: int, session: Session | None) -> None:
        for step in range(self._executed.get(path, 0), self._trunk.step):
            base = await self._trunk.base_at(step)
            try:
                judged = await self._workshop.judge(Place(path, step, stage), base, session)
            finally:
                await base.sequence.close()
            self._executed[path] = step + 1
            self._workshop.extra(step, judged)

    async def advance(self) -> None:
        await self._trunk.advance(None)

    async def close(self) -> None:
        await self._trunk.park()
        for session in self._sessions.values():
            if session is not None:
                await session.close()


class _SharedPaths:
    """Paths that see one verification of each earlier step, that of path 0, and begin with its variables."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._trunk = workshop.conversation()
        self._session = workshop.session()
        self._copies: list[Session] = []
        self._leader: tuple[str, Session | None] | None = None

    async def begin(self) -> None:
        await self._trunk.base()

    def ready(self) -> list[int]:
        return list(range(self._workshop.samples))

    async def verify(self, path: int, stage: int) -> VerificationPath:
        async with self._workshop.turns:
            session = None
            if self._session is not None and self._workshop.method.stages[stage].executes:
                session = await self._session.fork()
                self._copies.append(session)
            place = Place(path, self._trunk.step, stage)
            base = await self._trunk.base()
            judged = await self._workshop.judge(place, base, session, self._trunk.forgotten)
            if path == 0:
                self._leader = judged.text, session
            return judged

    async def advance(self) -> None:
        assert self._leader is not None, "path 0 judges every step"
        text, session = self._leader
        if session is not None and self._session is not None:
            self._copies.remove(session)
            self._copies.append(self._session)
            self._session = session
        await self._drop_copies()
        await self._trunk.advance(text)

    async def _drop_copies(self) -> None:
        while self._copies:
            await self._copies.pop().close()

    async def close(self) -> None:
        await self._trunk.park()
        await self._drop_copies()
        if self._session is not None:
            await self._session.close()


class _OwnPaths:
    """Paths that see their own verifications; one that is left out on a step is out for good."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._conversations = {path: workshop.conversation() for path in range(workshop.samples)}
        self._sessions = {path: workshop.session() for path in range(workshop.samples)}
        self._written: dict[int, tuple[str, OpenSequence | None]] = {}
        self._parks = not workshop.keeps
        self._continues = workshop.method.layout.style == "chat" and not self._parks

    async def begin(self) -> None:
        await self._conversations[0].base()  # the others find its tokens in the cache
        if self._parks:
            await self._conversations[0].park()

    def ready(self) -> list[int]:
        return list(self._conversations)

    async def verify(self, path: int, stage: int) -> VerificationPath:
        conversation = self._conversations[path]

        def keep(result: TurnResult, sequence: OpenSequence) -> None:
            self._written[path] = (result.text, sequence)

        async with self._workshop.turns:
            await self._drop_written(path)
            place = Place(path, conversation.step, stage)
            base = await conversation.base()
            executes = self._workshop.method.stages[stage].executes
            session = self._sessions[path] if executes else None
            try:
                judged = await self._workshop.judge(
                    place, base, session, conversation.forgotten, keep if self._continues else None
                )
            finally:
                if self._parks:
                    await conversation.park()
            if not self._continues:
                self._written[path] = (judged.text, None)
            return judged

    async def _drop_written(self, path: int) -> None:
        _, sequence = self._written.pop(path, ("", None))
        if sequence is not None:
            await sequence.close()

    async def advance(self) -> None:
        for path in list(self._conversations):
            if path not in self._written:
                await self._leave(path)
                continue
            text, sequence = self._written.pop(path)
            await self._conversations[path].advance(text, sequence)
            if self._parks:
                await self._conversations[path].park()

    async def _leave(self, path: int) -> None:
        await self._conversations.pop(path).park()
        session = self._sessions.pop(path)
        if session is not None:
            await session.close()

    async def close(self) -> None:
        for path in list(self._written):
            await self._drop_written(path)
        for path in list(self._conversations):
            await self._leave(path)


_KINDS: dict[History, Callable[[Workshop], Paths]] = {
    History.STEPS: _StepsPaths,
    History.SHARED: _SharedPaths,
    History.RATIONALES: _OwnPaths,
}


@asynccontextmanager
async def open_paths(history: History, workshop: Workshop) -> AsyncIterator[Paths]:
    """The paths of one check, at the first step; leaving frees all they hold."""
    paths = _KINDS[history](workshop)
    try:
        await paths.begin()
        yield paths
    finally:
        await paths.close()
