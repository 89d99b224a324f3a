"""How often the answer is still reached from behind each step: completions of all prefixes, as one tree.

Solutions of one problem share the prefixes they have in common. What is drawn next is decided from outcomes
alone (``Tree``), so that the same can be replayed without a model; draws are numbered, and a draw's seed
belongs to its prefix and number: whoever stops early has drawn the first of those that would have come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from genprm_sdk.errors import ContextLengthError
from genprm_sdk.types import Frozen

from .answers import Answers
from .policy import FIRST_STEP, Policy, Prefixes, all_of, seed_of
from .progress import Rule, decided
from .records import Drop, Estimate, Estimated, Estimates, Rollouts

__all__ = ["MonteCarloSettings", "Prefix", "Sequential", "Tree", "estimate"]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Sequential(Frozen):
    """When completions of a step are enough before there are K.

    Attributes:
        confidence: Posterior probability that endless completions would give the same label.
        least: Completions of a prefix before a first look.
        wave: Completions between two looks.
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    least: Count = 8
    wave: Count = 8


class MonteCarloSettings(Frozen):
    """How many completions.

    Attributes:
        schedule: Pairs of a share and K: problems solved less often than the share get that K (the paper's).
        completions: K of all others.
        start: Draws of the whole problem before K is chosen; the policy's own rollouts count.
        sequential: When fewer are enough; None always draws K.
    """

    schedule: tuple[tuple[Share, Count], ...] = ((0.1, 128), (0.9, 64))
    completions: Count = 32
    start: Count = 32
    sequential: Sequential | None = Sequential()

    def most(self, solved: float) -> int:
        """K for a problem that is solved so often."""
        return next((count for below, count in self.schedule if solved < below), self.completions)


class Prefix:
    """A beginning of one or several solutions.

    Attributes:
        pieces: Its steps, each with what stands behind it.
        before: The prefix without the last step, or None for no step at all.
        given: Outcomes that were there from the start.
        outcomes: All outcomes so far.
    """

    def __init__(self, pieces: tuple[str, ...], before: Prefix | None, given: str = "") -> None:
        self.pieces = pieces
        self.before = before
        self.given = len(given)
        self.outcomes = given

    @property
    def estimate(self) -> Estimate:
        """Its score so far."""
        return Estimate(outcomes=self.outcomes)


class Tree:
    """A problem's prefixes, and which of them want more completions.

    Args:
        rollouts: The solutions.
        settings: How many completions.
        rule: What labels will be decided by.
        own: Whether the completions come from the model that drew the rollouts, whose outcomes then count.
    """

    def __init__(self, rollouts: Rollouts, settings: MonteCarloSettings, rule: Rule, *, own: bool) -> None:
        self._rollouts = rollouts
        self._settings = settings
        self._rule = rule
        self._start = Prefix((), None, rollouts.outcomes if own else "")
        self._prefixes: dict[tuple[str, ...], Prefix] = {(): self._start}
        for rollout in rollouts.rollouts:
            pieces = tuple(step + rollout.separator for step in rollout.steps[:-1])
            for length in range(1, len(pieces) + 1):
                before = self._prefixes[pieces[: length - 1]]
                self._prefixes.setdefault(pieces[:length], Prefix(pieces[:length], before))
        self._most: int | None = None

    @property
    def _sorted(self) -> list[Prefix]:
        return sorted(self._prefixes.values(), key=lambda prefix: len(prefix.pieces))

    def wanted(self) -> list[tuple[Prefix, int]]:
        """The prefixes that need completions now, and how many; nothing when all is decided."""
        start, settings = self._start, self._settings
        if self._most is None:
            if len(start.outcomes) < settings.start:
                return [(start, settings.start - len(start.outcomes))]
            self._most = settings.most(start.estimate.score)
        if settings.sequential is None:
            return self._missing(self._most)
        return self._undecided(self._most, settings.sequential)

    def _missing(self, most: int) -> list[tuple[Prefix, int]]:
        """Up to K everywhere, but not behind a score of 0."""
        return [
            (prefix, most - len(prefix.outcomes)) for prefix in self._living() if len(prefix.outcomes) < most
        ]

    def _undecided(self, most: int, sequential: Sequential) -> list[tuple[Prefix, int]]:
        """A wave for whichever end of an undecided step is known less well, relative to its score."""
        counts: dict[tuple[str, ...], int] = {}
        for prefix in self._living():
            before, drawn = prefix.before, len(prefix.outcomes)
            if before is None:
                continue
            if drawn < min(sequential.least, most):
                counts[prefix.pieces] = min(sequential.least, most) - drawn
            elif not decided(self._rule, before.estimate, prefix.estimate, sequential.confidence):
                ends = [end for end in (prefix, before) if len(end.outcomes) < most]
                if ends:
                    end = max(ends, key=_uncertainty)
                    counts[end.pieces] = min(sequential.wave, most - len(end.outcomes))
        return [(self._prefixes[pieces], count) for pieces, count in counts.items()]

    def _living(self) -> Iterable[Prefix]:
        """The prefixes before which the answer is reached; those before them have all they need by then."""
        for prefix in self._sorted:
            if prefix.before is None or self._alive(prefix.before):
                yield prefix

    def _alive(self, prefix: Prefix) -> bool:
        if not prefix.estimate.score:
            return False
        if self._settings.sequential is None and self._most and len(prefix.outcomes) < self._most:
            return False
        return prefix.before is None or self._alive(prefix.before)

    def add(self, prefix: Prefix, outcomes: str) -> None:
        """Outcomes of more completions."""
        prefix.outcomes += outcomes

    def estimates(self, tokens: int) -> Estimates:
        """What came out.

        Args:
            tokens: That all completions took.
        """
        most = self._most or self._settings.completions
        living = list(self._living())
        solutions = []
        for rollout in self._rollouts.rollouts:
            pieces = tuple(step + rollout.separator for step in rollout.steps[:-1])
            steps = [self._prefixes[pieces[:length]].estimate for length in range(1, len(pieces) + 1)]
            solutions.append(Estimated(rollout=rollout, steps=(*steps, Estimate(known=rollout.correct))))
        return Estimates(
            problem=self._rollouts.problem,
            start=self._start.estimate,
            solutions=tuple(solutions),
            most=most,
            drawn=sum(len(prefix.outcomes) - prefix.given for prefix in self._prefixes.values()),
            full=sum(max(len(prefix.outcomes), most) - prefix.given for prefix in living),
            tokens=tokens,
        )


def _uncertainty(prefix: Prefix) -> float:
    """The relative standard deviation of a score's posterior."""
    right, drawn = prefix.estimate.right + 0.5, len(prefix.outcomes) + 1.0
    return float(((drawn - right) / (right * (drawn + 1.0))) ** 0.5)


async def estimate(
    rollouts: Rollouts,
    completer: Policy,
    answers: Answers,
    settings: MonteCarloSettings,
    rule: Rule,
    seed: int,
    *,
    own: bool,
) -> Estimates | Drop:
    """Score every prefix of a problem's solutions.

    Args:
        rollouts: The solutions.
        completer: What goes on behind a prefix.
        answers: Reads answers.
        settings: How many completions.
        rule: What labels will be decided by.
        seed: Decides what is drawn, with the prefix and the draw's number.
        own: Whether the completer is the model that drew the rollouts.
    """
    problem = rollouts.problem
    tree = Tree(rollouts, settings, rule, own=own)
    prefixes = Prefixes(completer, problem.text)
    tokens = 0

    async def complete(prefix: Prefix, count: int) -> tuple[str, int]:
        forced = "" if prefix.pieces else FIRST_STEP
        first = len(prefix.outcomes)
        async with prefixes.at(prefix.pieces) as base:

            async def one(number: int) -> tuple[bool, int]:
                drawn = seed_of(seed, "completion", problem.text, *prefix.pieces, number)
                generation = await completer.draw(base, forced, drawn)
                if generation.finish != "end":
                    return False, generation.tokens
                return bool(await answers.right(problem, generation.text)), generation.tokens

            results = await all_of(one(number) for number in range(first, first + count))
        return "".join("01"[right] for right, _ in results), sum(cost for _, cost in results)

    try:
        while wanted := await asyncio.to_thread(tree.wanted):
            found = await all_of(complete(prefix, count) for prefix, count in wanted)
            for (prefix, _), (outcomes, cost) in zip(wanted, found, strict=True):
                tree.add(prefix, outcomes)
                tokens += cost
    except ContextLengthError as error:
        return Drop(reason="a solution does not fit into the completion model's context", detail=str(error))
    finally:
        await prefixes.close()
    return tree.estimates(tokens)
