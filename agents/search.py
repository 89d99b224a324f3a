"""Verifier-guided search over steps: a beam, or one greedy search from each of several beginnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Unpack

from ..arguments import whole_number
from ..errors import InputError
from ..verifier import Verifier
from .agent import Agent, AgentSettings, Run, Wanted, normal
from .critic import Critic
from .policy import Policy, user
from .spending import Stopped
from .trajectory import Attempt, Turn

__all__ = ["StepSearch"]

MOST_CANDIDATES = 256


class StepSearch(Agent):
    """Writes a step at a time, has every candidate judged and goes on from the best ones.

    A policy that cannot continue a text is asked for one that begins with the steps so far, and what it
    writes behind the next step is dropped, which costs it as many times more as solutions have steps. With a
    critic that remembers (``open_critic``) only the new steps are judged. It ends where the beginnings that
    are kept are whole solutions; a level of which nothing can be used is spent, and written once more where
    nothing is whole yet.

    Args:
        policy: Who writes.
        critic: Who judges: a critic or an open ``Verifier``.
        width: Beginnings that are kept; as many solutions are found.
        expand: Candidates for the next step of each.
        diverse: Whether each of the first ``width`` beginnings is searched on its own (diverse verifier tree
            search), rather than all candidates compared with each other.
        steps: Levels, at most, and so steps of a solution.
        settings: See ``Agent``.
    """

    kind = "step-search"

    def __init__(
        self,
        policy: Policy,
        critic: Critic | Verifier,
        *,
        width: int = 2,
        expand: int = 4,
        diverse: bool = False,
        steps: int = 32,
        **settings: Unpack[AgentSettings],
    ) -> None:
        super().__init__(policy, critic, **settings)
        for name, value in (("width", width), ("expand", expand), ("steps", steps)):
            whole_number(value, name, most=MOST_CANDIDATES)
        if width * expand > MOST_CANDIDATES:
            raise InputError(f"width times expand must be at most {MOST_CANDIDATES}, not {width * expand}")
        self._width = width
        self._expand = expand
        self._diverse = diverse
        self._steps = steps

    async def _work(self, run: Run) -> Stopped:
        if not run.turns:
            run.begin_turn()
        useless = 0
        while True:
            await self._complete(run)
            beams = self._beams(run, run.turns)
            if beams is not None and not beams:
                return "finished"
            level = [run.attempts[index] for index in run.turns[-1].attempts]
            useless = 0 if any(attempt.fault is None for attempt in level) else useless + 1
            if useless > 1 or len(run.turns) >= self._steps or run.turns_spent:
                return "turns"
            run.begin_turn()

    async def _complete(self, run: Run) -> None:
        """Have the latest level's missing candidates written, and all of its candidates judged."""
        *before, level = run.turns
        missing = self._wanted(run, self._beams(run, before))[len(level.attempts) :]
        if missing:
            await run.ask_all(missing)
        await run.judge_all([run.attempts[index] for index in run.turns[-1].attempts])
        run.end_turn()

    def _wanted(self, run: Run, beams: Sequence[Attempt] | None) -> list[Wanted]:
        """The candidates of a level, in order."""
        question = user(self.templates.solving(run.problem))
        if beams is None:
            return [Wanted([question], one_step=True)] * (self._width * self._expand)
        return [
            Wanted(
                [question],
                parent=beam.index,
                prefix=f"{beam.text.rstrip()}\n\n",
                kept=len(beam.steps),
                one_step=True,
            )
            for beam in beams
            for _ in range(self._expand)
        ]

    def _beams(self, run: Run, turns: Iterable[Turn]) -> list[Attempt] | None:
        """The beginnings to go on from behind some levels, none at the end; None where there is none yet.

        Where nothing is whole yet, a level of which nothing can be used leaves those before it.
        """
        beams: list[Attempt] | None = None
        finished = 0
        for turn in turns:
            written = [run.attempts[index] for index in turn.attempts]
            chosen = self._chosen(written, finished)
            if chosen or finished:
                finished += sum(attempt.complete for attempt in chosen)
                beams = [attempt for attempt in chosen if not attempt.complete]
        return beams

    def _chosen(self, written: Sequence[Attempt], finished: int) -> list[Attempt]:
        """Of one level's candidates those that are kept, the best first."""
        room = self._width - finished
        if not self._diverse:
            return _best(written)[:room]
        trees: dict[int, list[Attempt]] = {}
        for attempt in written:
            root = -1 - attempt.index % self._width if attempt.parent is None else attempt.parent
            trees.setdefault(root, []).append(attempt)
        return [best for tree in trees.values() for best in _best(tree)[:1]][:room]


def _best(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The usable ones, the best first, and of those that say the same the first."""
    different: dict[str, Attempt] = {}
    for attempt in attempts:
        if attempt.fault is None:
            different.setdefault(normal(attempt.steps), attempt)
    return sorted(
        different.values(), key=lambda each: -1.0 if each.score is None else each.score, reverse=True
    )
