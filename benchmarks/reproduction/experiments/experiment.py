"""What an experiment is, and what it works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from _paths import Judged, Labelled, of_worlds

from genprm_sdk.modes import History, Reasoning
from genprm_sdk.training.tuning.folders import base_folder

from ..models import DOMAIN, trained
from ..results import Result
from ..scales import Scale
from ..verifications import Judging

__all__ = ["BUNDLED", "Experiment", "Work"]

BUNDLED = "genprm-mini"


@dataclass(frozen=True)
class Experiment:
    """One part of the page.

    Attributes:
        name: On the command line, and of its files.
        title: On the page.
        run: Finds it out.
    """

    name: str
    title: str
    run: Callable[[Work], Awaitable[Result]]


@dataclass(frozen=True)
class Work:
    """A scale, a folder in which everything is kept, and somebody who hears of progress."""

    scale: Scale
    folder: Path
    say: Callable[[str], None]

    @cached_property
    def judging(self) -> Judging:
        return Judging(self.folder / "judged", self.say)

    def solutions(self, *domains: str, style: str | None = None) -> list[Labelled]:
        """The same fresh solutions for all experiments."""
        return [each for domain in domains for each in of_worlds(domain, self.scale.solutions, 0, style)]

    async def by_bundled(self) -> list[Judged]:
        """The solutions of the scale's domains by the bundled verifier, with all paths."""
        return await self.judging.by(
            BUNDLED, self.solutions(*self.scale.domains), self.scale.samples, called=BUNDLED
        )

    async def by_small(
        self,
        name: str,
        reasoning: Reasoning = Reasoning.ANALYSIS_CODE,
        history: History | None = None,
    ) -> list[Judged]:
        """Solutions of the one domain by a small verifier."""
        called = name if history is None else f"{name}-seeing-{history}"
        return await self.by_model(self._small(name), called, reasoning, history)

    async def by_model(
        self,
        model: Path,
        called: str,
        reasoning: Reasoning = Reasoning.ANALYSIS_CODE,
        history: History | None = None,
    ) -> list[Judged]:
        """The same by a file or a folder; one at a time, so that what each holds can be told."""
        return await self.judging.by(
            model,
            self.solutions(DOMAIN),
            self.scale.variant_samples,
            reasoning=reasoning,
            history=history,
            at_once=1,
            called=f"mini-{called}",
        )

    async def small_folder(self) -> Path:
        """The small reference verifier as a folder, which can be trained further."""
        file = self._small("reference")
        return await asyncio.to_thread(base_folder, str(file), file.parent / "folder")

    def _small(self, name: str) -> Path:
        return trained(name, self.scale, self.folder / "models", self.say)
