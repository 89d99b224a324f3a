"""How a command gets its verifier: the one place where the command line meets the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Unpack

from ..events import Event
from ..modes import History, Reasoning
from ..options import CheckOptions
from ..sandbox import Isolation
from ..types import Report, Solution

__all__ = ["DEFAULT_MODEL", "DEFAULT_POLICY", "Checker", "OpenChecker", "open_verifier"]

DEFAULT_MODEL = "genprm-mini"
DEFAULT_POLICY = "policy-mini"


class Checker(Protocol):
    """What the commands need of a verifier."""

    @property
    def name(self) -> str: ...

    @property
    def reasoning(self) -> Reasoning: ...

    @property
    def history(self) -> History: ...

    async def check(self, steps: Solution, **options: Unpack[CheckOptions]) -> Report: ...

    def stream(self, steps: Solution, **options: Unpack[CheckOptions]) -> AsyncIterator[Event]: ...


OpenChecker = Callable[[], AbstractAsyncContextManager[Checker]]


def open_verifier(
    model: str,
    threads: int | None = None,
    reasoning: Reasoning | None = None,
    history: History | None = None,
    isolation: Isolation | None = None,
    exact: bool = False,
) -> AbstractAsyncContextManager[Checker]:
    """A verifier that loads its model when it is entered."""
    from ..verifier import Verifier

    return Verifier(
        model, reasoning=reasoning, history=history, threads=threads, isolation=isolation, exact=exact
    )
