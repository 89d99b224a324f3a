"""Which final answers are the same: by their text, and by what they mean where math-verify is installed.

Reading somebody's LaTeX can take forever or all memory, so it is done in a process of its own, which is ended
when it takes too long.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Self

from ..arguments import shown
from ..errors import InputError

__all__ = ["Answers", "plain_answer"]

LONGEST = 2000
"""Longer answers are compared by their text alone."""

LONGEST_NUMBER = 40

WRAPPED = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:/\d+)?")


def plain_answer(answer: str) -> str:
    """An answer without what does not change it: spaces, case, dollar signs, a full stop; numbers reduced."""
    text = WRAPPED.sub(r"\1", answer).replace("\\!", "").replace("\\,", "").replace("$", "")
    text = " ".join(text.split()).rstrip(".").strip().casefold()
    bare = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    if len(bare) <= LONGEST_NUMBER and NUMBER.fullmatch(bare):
        with suppress(ZeroDivisionError, ValueError):
            return str(Fraction(bare))
    return text


class Answers:
    """Compares answers. An async context manager; its process is started when it is first needed.

    Args:
        patience: Seconds that one comparison may take; longer, and the answers count as different.
        symbolic: Whether math-verify is asked where the texts differ; by default where it is installed
            (``genprm-sdk[agents]``).
    """

    def __init__(self, patience: float = 10.0, symbolic: bool | None = None) -> None:
        self._patience = patience
        found = importlib.util.find_spec("math_verify") is not None
        self._symbolic = found if symbolic is None else symbolic
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def same(self, one: str | float, other: str | float) -> bool:
        """Whether two answers are the same; a number stands for its text.

        Raises:
            InputError: One of them is neither text nor a number.
        """
        one, other = _text(one), _text(other)
        plain = plain_answer(one), plain_answer(other)
        if plain[0] == plain[1]:
            return True
        if all(len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) for text in plain):
            return False
        if not self._symbolic or max(len(one), len(other)) > LONGEST or not all(map(_is_maths, plain)):
            return False
        async with self._turn:
            return await self._asked(one, other)

    async def grouped(self, answers: Sequence[str | float]) -> list[list[int]]:
        """Places of equal answers together, groups and places in order; see ``same``."""
        groups: list[list[int]] = []
        for place, answer in enumerate(answers):
            for group in groups:
                if await self.same(answers[group[0]], answer):
                    group.append(place)
                    break
            else:
                groups.append([place])
        return groups

    async def _asked(self, one: str, other: str) -> bool:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "genprm_sdk.agents.comparing"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        done = False
        try:
            async with asyncio.timeout(self._patience):
                process.stdin.write(json.dumps([one, other]).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
            done = bool(line)
        except (TimeoutError, ConnectionError):
            return False
        finally:
            if not done:
                await self._end()
        return line.strip() == b"true"

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _text(answer: object) -> str:
    if isinstance(answer, str):
        return answer
    with suppress(ValueError):  # a whole number of more digits than Python writes out
        if type(answer) in (int, float):
            return str(answer)
    raise InputError(f"an answer must be text or a number, not {shown(answer)}")


def _is_maths(plain: str) -> bool:
    """Whether an answer may mean the same as one of another text: a word list does not."""
    return bool(re.search(r"[\d\\^=]", plain)) or len(plain) == 1
