"""Whether a solution's answer is the problem's: worlds compare texts, mathematics needs ``math-verify``.

Only LaTeX is read, since ``math-verify``'s reader of plain expressions evaluates Python, and what a model
wrote is hostile. It may still take forever or all memory, so each of a few processes, whose memory is
limited, takes one comparison at a time, and is replaced where it does not answer.
"""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import re
from collections import OrderedDict
from collections.abc import Awaitable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self

from genprm_sdk.agents.comparing import equal, limit_memory
from genprm_sdk.errors import MissingExtraError

from ..worlds import boxed_answer
from .records import Problem

__all__ = ["Answers", "boxed"]

PATIENCE = 30.0
"""Seconds for one comparison."""

REMEMBERED = 4096
LONGEST = 2000
"""Characters of an answer that is compared at all."""

BOX = "\\boxed{"


def boxed(text: str) -> str | None:
    """What stands in the last ``\\boxed{}`` whose braces balance, or None."""
    start = text.rfind(BOX)
    while start >= 0:
        depth = 1
        for at in range(start + len(BOX), len(text)):
            if text[at] in "{}" and text[at - 1] != "\\":
                depth += 1 if text[at] == "{" else -1
            if not depth:
                return text[start + len(BOX) : at].strip()
        start = text.rfind(BOX, 0, start)
    return None


def _plain(answer: str) -> str:
    return re.sub(r"\s+", " ", answer.strip().strip("$").rstrip(".").strip())


def _equivalent(gold: str, given: str) -> bool:
    """Runs in a process of its own."""
    try:
        return equal(gold, given)
    except Exception:  # whatever a parser raises over somebody's text: they cannot be called the same
        return False


def _ready() -> None:
    limit_memory()
    importlib.import_module("math_verify")


class Answers:
    """Compares answers; an async context manager.

    Args:
        mathematics: Whether answers that differ as texts may be equal as mathematics.
        processes: How many compare at a time.
        patience: Seconds for one comparison, after which the answers count as different.
    """

    def __init__(self, *, mathematics: bool = True, processes: int = 1, patience: float = PATIENCE) -> None:
        self._mathematics = mathematics
        self._patience = patience
        self._processes = processes
        self._idle: asyncio.Queue[ProcessPoolExecutor] = asyncio.Queue()
        self._all: set[ProcessPoolExecutor] = set()
        self._known: OrderedDict[tuple[str, str], bool] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._all:
            self._end(next(iter(self._all)))

    async def right(self, problem: Problem, text: str) -> bool | None:
        """Whether the text ends with the problem's answer; None if it comes to no answer.

        Raises:
            MissingExtraError: ``math-verify`` is needed and not installed.
        """
        if problem.domain is not None:
            answer = boxed_answer(text)
            return None if answer is None else answer == problem.answer
        given = boxed(text)
        if not given:
            return None
        gold = boxed(problem.answer) or problem.answer
        if _plain(given) == _plain(gold):
            return True
        if not self._mathematics or len(given) > LONGEST:
            return False
        pair = (gold, given)
        if pair not in self._known:
            self._known[pair] = await self._compared(gold, given)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[pair]

    async def _compared(self, gold: str, given: str) -> bool:
        if not self._all:
            if importlib.util.find_spec("math_verify") is None:
                raise MissingExtraError("math-verify", "data", "Comparing answers as mathematics")
            for _ in range(self._processes):
                self._start()
        process = await self._idle.get()
        try:
            async with asyncio.timeout(self._patience):
                same = await _result(process, gold, given)
        except (TimeoutError, BrokenProcessPool):
            self._end(process)
            self._start()
            return False
        except BaseException:
            self._end(process)
            self._start()
            raise
        self._idle.put_nowait(process)
        return same

    def _start(self) -> None:
        process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _ready)
        self._all.add(process)
        self._idle.put_nowait(process)

    def _end(self, process: ProcessPoolExecutor) -> None:
        self._all.discard(process)
        for worker in list((process._processes or {}).values()):
            worker.kill()
        process.shutdown(wait=False, cancel_futures=True)


def _result(process: ProcessPoolExecutor, gold: str, given: str) -> Awaitable[bool]:
    return asyncio.get_running_loop().run_in_executor(process, _equivalent, gold, given)
