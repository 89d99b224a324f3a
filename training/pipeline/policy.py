"""A model that solves problems step by step: its prompt, its draws, the open prefixes that they share."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from genprm_sdk import wording
from genprm_sdk.backends.base import Backend, Generation, OpenSequence, Sampling
from genprm_sdk.prompt import ChatFrame, Segment, content, control

__all__ = ["FIRST_STEP", "Policy", "Prefixes", "all_of", "question", "seed_of", "split_numbered"]

T = TypeVar("T")

FIRST_STEP = "Step 1:"
"""What every solution begins with, so that the others are numbered as well."""

STEP = re.compile(r"^Step (\d+):", re.MULTILINE)
SYSTEM_ROLE = "system"


def seed_of(*parts: object) -> int:
    """A seed of 32 bits that belongs to these parts and to nothing else."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def question(frame: ChatFrame, problem: str, system: str | None) -> list[Segment]:
    """What a policy reads before it writes a solution.

    Args:
        frame: Its chat template.
        problem: The problem's text.
        system: The system message; None leaves out the turn itself.
    """
    if system is None:
        opening = [control(_without_system(frame))]
    else:
        opening = [control(frame.opening), content(system), control(frame.system_to_user)]
    return [*opening, content(problem + wording.SOLVING_REQUEST), control(frame.generation)]


def _without_system(frame: ChatFrame) -> str:
    """A frame knows a conversation with a system turn only: the user's header is found again inside it."""
    head, role, _ = frame.opening.partition(SYSTEM_ROLE)
    if not role:
        return frame.opening + frame.system_to_user
    for at in (at for at, character in enumerate(head) if at == 0 or character in "<["):
        header = frame.system_to_user.find(head[at:])
        if header >= 0:
            return head[:at] + frame.system_to_user[header:]
    return head + frame.system_to_user


def split_numbered(text: str) -> tuple[tuple[str, ...], str] | None:
    """Cut a solution into its numbered steps.

    Returns:
        The steps and what stands between them; None where they do not count from 1 without a gap, or one is
        blank.
    """
    found = list(STEP.finditer(text))
    if not found or found[0].start() or [int(mark[1]) for mark in found] != list(range(1, len(found) + 1)):
        return None
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    pieces = [text[mark.start() : end] for mark, end in zip(found, ends, strict=True)]
    steps = tuple(piece.strip() for piece in pieces)
    if any(step == mark[0] for step, mark in zip(steps, found, strict=True)):
        return None
    spaced = all(re.search(r"\n[ \t]*\n\s*\Z", piece) for piece in pieces[:-1])
    return steps, wording.STEP_SEPARATOR if spaced else "\n"


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; the first error cancels the others and is raised when they have ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@dataclass(frozen=True)
class Policy:
    """A loaded model and how it is asked.

    Attributes:
        sampling: How tokens are drawn; the seed is replaced by each draw's own.
        longest: Tokens of one draw at most.
        system: The system message, if there is one.
        room: For draws at once.
        prefixes: That one problem may keep open.
    """

    backend: Backend
    sampling: Sampling
    longest: int
    system: str | None
    room: asyncio.Semaphore
    prefixes: int

    @classmethod
    def of(
        cls, backend: Backend, sampling: Sampling, longest: int, system: str | None, problems: int
    ) -> Policy:
        """Divide a backend's capacity: some for open prefixes, the most for draws.

        Args:
            problems: That are worked on at once.
        """
        prefixes = max(1, backend.capacity // (4 * problems))
        room = asyncio.Semaphore(max(1, backend.capacity - prefixes * problems))
        return cls(backend, sampling, longest, system, room, prefixes)

    async def open(self, problem: str) -> OpenSequence:
        """A sequence that ends where a solution begins.

        Raises:
            ContextLengthError: The problem does not fit.
        """
        return await self.backend.open(question(self.backend.frame, problem, self.system))

    async def draw(self, base: OpenSequence, forced: str, seed: int) -> Generation:
        """What the model writes behind a prefix, up to its own end; ``forced`` is not in the text."""
        async with self.room:
            sequence = await base.fork()
            try:
                if forced:
                    await sequence.append([content(forced)])
                sampling = Sampling(
                    self.sampling.temperature,
                    self.sampling.top_p,
                    self.sampling.top_k,
                    self.sampling.min_p,
                    seed,
                )
                return await sequence.generate([], self.longest, sampling)
            finally:
                await sequence.close()


class _Open:
    def __init__(self, sequence: OpenSequence) -> None:
        self.sequence = sequence
        self.users = 0


class Prefixes:
    """One problem's prefixes as a tree of forks: each is read once, behind the longest one that is open.

    Those that are not in use are closed when there are too many, the longest unused first.
    """

    def __init__(self, policy: Policy, problem: str) -> None:
        self._policy = policy
        self._problem = problem
        self._open: OrderedDict[tuple[str, ...], _Open] = OrderedDict()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def at(self, pieces: Sequence[str]) -> AsyncIterator[OpenSequence]:
        """The sequence behind these pieces of a solution, to be forked."""
        wanted = tuple(pieces)
        async with self._lock:
            entry = self._open.get(wanted)
            if entry is None:
                entry = self._open[wanted] = _Open(await self._opened(wanted))
            self._open.move_to_end(wanted)
            entry.users += 1
            await self._make_room()
        try:
            yield entry.sequence
        finally:
            entry.users -= 1

    async def _opened(self, wanted: tuple[str, ...]) -> OpenSequence:
        length = max((n for n in range(len(wanted)) if wanted[:n] in self._open), default=-1)
        if length < 0:
            sequence, length = await self._policy.open(self._problem), 0
        else:
            sequence = await self._open[wanted[:length]].sequence.fork()
        try:
            for piece in wanted[length:]:
                await sequence.append([content(piece)])
        except BaseException:
            await sequence.close()
            raise
        return sequence

    async def _make_room(self) -> None:
        for pieces in [pieces for pieces, entry in self._open.items() if not entry.users]:
            if len(self._open) <= self._policy.prefixes:
                return
            await self._open.pop(pieces).sequence.close()

    async def close(self) -> None:
        """Free all of them."""
        while self._open:
            _, entry = self._open.popitem()
            await entry.sequence.close()
