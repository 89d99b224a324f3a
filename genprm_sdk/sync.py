"""The verifier for scripts and notebooks: the same names without ``async``.

    from genprm_sdk.sync import Verifier

    with Verifier("genprm-mini") as verifier:
        report = verifier.check(steps, problem=problem)

An event loop runs in a thread of its own, so this also works where one is running already, as in a notebook.
Agents without ``async`` are in ``genprm_sdk.agents.sync``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TypeVar, Unpack

from .backends.base import Backend, Sampling
from .blocking import LOOP
from .errors import ClosedError
from .events import Event
from .models import VerifierSettings
from .modes import History, Reasoning
from .options import CheckOptions
from .sandbox import Isolation, Limits
from .scoring import Aggregate, SolutionScores
from .types import Report
from .verifier import AT_ONCE, Checked, Ranked, Steps
from .verifier import Verifier as AsyncVerifier

__all__ = ["Verifier"]

Result = TypeVar("Result")


class Verifier:
    """A blocking ``genprm_sdk.Verifier``; takes the same arguments, and may be used by several threads.

    Ctrl-C during a check cancels it and leaves nothing running. A forked process opens one of its own.
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
        self._verifier = AsyncVerifier(
            model,
            backend=backend,
            settings=settings,
            reasoning=reasoning,
            history=history,
            sampling=sampling,
            score_temperature=score_temperature,
            limits=limits,
            isolation=isolation,
            threads=threads,
            context=context,
            capacity=capacity,
            exact=exact,
        )
        self._resources = ExitStack()
        self._process: int | None = None

    def __enter__(self) -> Self:
        self._resources.enter_context(LOOP.opened(self._verifier))
        self._process = os.getpid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process = None
        self._resources.__exit__(kind, error, trace)

    @property
    def asynchronous(self) -> AsyncVerifier:
        """The verifier behind this one, of the event loop that all blocking objects share."""
        return self._verifier

    @property
    def name(self) -> str:
        """The model's name."""
        return self._verifier.name

    @property
    def settings(self) -> VerifierSettings:
        """How the model wants to be used."""
        return self._verifier.settings

    @property
    def reasoning(self) -> Reasoning:
        """What is written before a verdict, if a call does not say."""
        return self._verifier.reasoning

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
        self._require_open()
        return LOOP.wait(work)

    def _iterate(self, begin: Callable[[], AsyncGenerator[Result, None]]) -> Iterator[Result]:
        self._require_open()
        return LOOP.iterate(begin)

    def _require_open(self) -> None:
        if self._process is None:
            raise ClosedError("the verifier is not open: use `with Verifier(...) as verifier:`")
        if self._process != os.getpid():
            raise ClosedError("the verifier was opened before this process was forked: open one in it")
