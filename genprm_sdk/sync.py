"""The verifier for scripts and notebooks: the same names without ``async``.

    from genprm_sdk.sync import Verifier

    with Verifier("genprm-mini") as verifier:
        report = verifier.check(steps, problem=problem)

An event loop runs in a thread of its own, so this also works where one is running already, as in a notebook.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from . import verifier as asynchronous
from .errors import ClosedError, GenPRMError
from .events import Event
from .models import VerifierSettings
from .modes import History
from .options import CheckOptions
from .scoring import Aggregate, SolutionScores
from .types import Report
from .verifier import AT_ONCE, Checked, Ranked, Steps

__all__ = ["Verifier"]

Result = TypeVar("Result")


class Verifier:
    """A blocking ``genprm_sdk.Verifier``; takes the same arguments, and may be used by several threads.

    Ctrl-C during a check cancels it and leaves nothing running.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._verifier = asynchronous.Verifier(*arguments, **named)
        self._resources = ExitStack()
        self._portal: BlockingPortal | None = None
        self._loop_thread: int | None = None

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            portal = resources.enter_context(start_blocking_portal())
            opened: AbstractContextManager[Any] = portal.wrap_async_context_manager(self._verifier)
            resources.enter_context(opened)
            self._loop_thread = portal.call(threading.get_ident)
            self._resources = resources.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        self._resources.__exit__(kind, error, trace)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._verifier.name

    @property
    def settings(self) -> VerifierSettings:
        """How the model wants to be used."""
        return self._verifier.settings

    @property
    def history(self) -> History:
        """What a path sees of earlier steps."""
        return self._verifier.history

    def check(self, steps: Steps, *, problem: str | None = None, **options: Unpack[CheckOptions]) -> Report:
        """Verify a solution, step by step; see ``genprm_sdk.Verifier.check``."""
        return self._wait(lambda: self._verifier.check(steps, problem=problem, **options))

    def score(
        self, steps: Steps, *, problem: str | None = None, **options: Unpack[CheckOptions]
    ) -> SolutionScores:
        """The numbers alone; see ``genprm_sdk.Verifier.score``."""
        return self._wait(lambda: self._verifier.score(steps, problem=problem, **options))

    def rank(
        self,
        solutions: Iterable[Steps],
        *,
        problem: str | None = None,
        by: Aggregate = "min",
        concurrency: int = AT_ONCE,
        **options: Unpack[CheckOptions],
    ) -> list[Ranked]:
        """Order solutions of one problem, the best first; see ``genprm_sdk.Verifier.rank``."""
        return self._wait(
            lambda: self._verifier.rank(solutions, problem=problem, by=by, concurrency=concurrency, **options)
        )

    def stream(
        self, steps: Steps, *, problem: str | None = None, **options: Unpack[CheckOptions]
    ) -> Iterator[Event]:
        """Verify a solution and say what happens while it happens; see ``genprm_sdk.Verifier.stream``."""
        return self._iterate(lambda: self._verifier.stream(steps, problem=problem, **options))

    def check_many(
        self,
        solutions: Iterable[Steps],
        *,
        concurrency: int = AT_ONCE,
        ordered: bool = False,
        **options: Unpack[CheckOptions],
    ) -> Iterator[Checked]:
        """Verify many solutions, a few at a time; see ``genprm_sdk.Verifier.check_many``."""
        return self._iterate(
            lambda: self._verifier.check_many(solutions, concurrency=concurrency, ordered=ordered, **options)
        )

    def _wait(self, work: Callable[[], Awaitable[Result]]) -> Result:
        if self._portal is None:
            raise ClosedError("the verifier is not open: use `with Verifier(...) as verifier:`")
        if threading.get_ident() == self._loop_thread:
            raise GenPRMError(
                "a blocking verifier was called from inside its own event loop, which would wait for itself "
                "for ever: use the asynchronous genprm_sdk.Verifier there"
            )

        async def run() -> Result:
            return await work()

        future = self._portal.start_task_soon(run)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _iterate(self, begin: Callable[[], AsyncGenerator[Result, None]]) -> Iterator[Result]:
        iterator = begin()

        async def following() -> tuple[Result] | None:
            try:
                return (await anext(iterator),)
            except StopAsyncIteration:
                return None

        try:
            while (item := self._wait(following)) is not None:
                yield item[0]
        finally:
            if self._portal is not None:
                self._wait(iterator.aclose)
