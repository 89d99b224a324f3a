"""The verifier for scripts and notebooks: the same checks without ``async``.

    from genprm_sdk.sync import Verifier

    with Verifier("genprm-mini") as verifier:
        report = verifier.check(steps, problem=problem)

An event loop runs in a thread of its own, so this also works where one is running already, as in a notebook.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from . import verifier as asynchronous
from .errors import ClosedError
from .types import Report, Solution

__all__ = ["Verifier"]


class Verifier:
    """A blocking ``genprm_sdk.Verifier``; takes the same arguments.

    Ctrl-C during a check cancels it and leaves nothing running.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._verifier = asynchronous.Verifier(*arguments, **named)
        self._resources = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            portal = resources.enter_context(start_blocking_portal())
            opened: AbstractContextManager[Any] = portal.wrap_async_context_manager(self._verifier)
            resources.enter_context(opened)
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

    def check(
        self,
        steps: str | Iterable[str] | Solution,
        *,
        problem: str | None = None,
        samples: int = 1,
        seed: int = 0,
    ) -> Report:
        """Verify a solution, step by step; see ``genprm_sdk.Verifier.check``."""
        if self._portal is None:
            raise ClosedError("the verifier is not open: use `with Verifier(...) as verifier:`")

        async def run() -> Report:
            return await self._verifier.check(steps, problem=problem, samples=samples, seed=seed)

        future = self._portal.start_task_soon(run)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
