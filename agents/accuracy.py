"""How often an agent is right, and how often it would have been with fewer attempts or turns.

Everything is read off one set of attempts, so that the choices among them are compared on the same draws.

Sources. Best-of-N and pass@N against a majority's vote: arXiv 2504.00891, section 4; self-consistency: arXiv
2203.11171; refinement after each turn, and right answers made wrong: arXiv 2504.00891, section 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ..evaluation.metrics import Array, Estimate, Tally, estimates, share
from ..evaluation.scaling import Point
from ..types import Frozen
from .evaluating import AgentRunSettings, AttemptOutcome, ProblemOutcome
from .spending import Spent

__all__ = [
    "AgentFailure",
    "BestOfNSummary",
    "RefinementSummary",
    "TurnResult",
    "summarise_best_of_n",
    "summarise_refinement",
]

Choice = Callable[[Sequence[AttemptOutcome]], bool]


def best_is_right(attempts: Sequence[AttemptOutcome]) -> bool:
    """Of the usable attempts the one with the best score, the first of equal ones, is right."""
    usable = [each for each in attempts if each.fault is None]
    best = max(usable, key=lambda each: -1.0 if each.score is None else each.score, default=None)
    return best is not None and best.right


def latest_is_right(attempts: Sequence[AttemptOutcome]) -> bool:
    """The last usable attempt is right."""
    return next((each.right for each in reversed(attempts) if each.fault is None), False)


def majority_is_right(attempts: Sequence[AttemptOutcome]) -> bool:
    """The answer that most usable attempts come to, the first of equally frequent ones, is right."""
    votes = Counter(each.group for each in attempts if each.group is not None)
    if not votes:
        return False
    winner = max(votes, key=lambda group: (votes[group], -group))
    return any(each.right for each in attempts if each.group == winner)


def any_is_right(attempts: Sequence[AttemptOutcome]) -> bool:
    """One of the attempts is right: what a perfect choice would come to."""
    return any(each.right for each in attempts)


CHOICES: dict[str, Choice] = {
    "verifier": best_is_right,
    "majority": majority_is_right,
    "pass@N": any_is_right,
}
"""Of Best-of-N's attempts."""

TURN_CHOICES: dict[str, Choice] = {"best": best_is_right, "latest": latest_is_right}
"""Of the attempts up to a turn of refinement."""


class AgentFailure(Frozen):
    """A problem without a result."""

    key: str
    reason: str


class BestOfNSummary(Frozen):
    """A run of Best-of-N, as it is kept in ``summary.json``.

    Attributes:
        settings: What decided the results.
        problems: All of them, the failed ones too.
        accuracy: By choice (``verifier``, ``majority``, ``pass@N``) and number of attempts, the first ones of
            those drawn, with 95% percentile bootstrap intervals over problems.
        failures: Problems that count as wrong because there is no result.
        spent: What all of it cost.
    """

    settings: AgentRunSettings
    problems: int
    accuracy: dict[str, tuple[Point, ...]]
    failures: tuple[AgentFailure, ...]
    spent: Spent


class TurnResult(Frozen):
    """What the answers are after so many repairs.

    Attributes:
        turn: How many repairs there could be.
        accuracy: Of the attempt with the best score so far, which is what the agent returns.
        latest: Of the last one written, whatever its score; what refinement without scores returns.
        broken: Problems that were right before any repair and are wrong now.
        repaired: Problems that were wrong and are right now.
    """

    turn: int
    accuracy: Estimate
    latest: Estimate
    broken: int
    repaired: int


class RefinementSummary(Frozen):
    """A run of refinement, as it is kept in ``summary.json``.

    Attributes:
        settings: What decided the results.
        problems: All of them, the failed ones too.
        turns: After 0 repairs, after at most 1, and so on.
        failures: Problems that count as wrong because there is no result.
        spent: What all of it cost.
    """

    settings: AgentRunSettings
    problems: int
    turns: tuple[TurnResult, ...]
    failures: tuple[AgentFailure, ...]
    spent: Spent


def summarise_best_of_n(
    settings: AgentRunSettings, outcomes: Sequence[ProblemOutcome], counts: Sequence[int]
) -> BestOfNSummary:
    """Choose among the first n attempts in each way, for several n."""
    rows = [
        [choice(outcome.attempts[:count]) for choice in CHOICES.values() for count in counts]
        for outcome in outcomes
    ]
    found = iter(accuracies(rows, settings.seed))
    return BestOfNSummary(
        settings=settings,
        problems=len(outcomes),
        accuracy={
            name: tuple(Point(samples=count, value=next(found)) for count in counts) for name in CHOICES
        },
        failures=failures(outcomes),
        spent=spent(outcomes),
    )


def summarise_refinement(settings: AgentRunSettings, outcomes: Sequence[ProblemOutcome]) -> RefinementSummary:
    """Look at the answers after each turn; a trajectory that ended sooner keeps its answer."""
    turns = range(settings.attempts + 1)
    sofar = [[outcome.until(turn) for turn in turns] for outcome in outcomes]
    best = [[best_is_right(attempts) for attempts in each] for each in sofar]
    latest = [[latest_is_right(attempts) for attempts in each] for each in sofar]
    by_best, by_latest = accuracies(best, settings.seed), accuracies(latest, settings.seed)
    return RefinementSummary(
        settings=settings,
        problems=len(outcomes),
        turns=tuple(
            TurnResult(
                turn=turn,
                accuracy=by_best[turn],
                latest=by_latest[turn],
                broken=sum(right[0] and not right[turn] for right in best),
                repaired=sum(right[turn] and not right[0] for right in best),
            )
            for turn in turns
        ),
        failures=failures(outcomes),
        spent=spent(outcomes),
    )


def accuracies(rows: Sequence[Sequence[bool]], seed: int) -> list[Estimate]:
    """The share of problems that are right, of each column; all columns are resampled together."""
    width = len(rows[0])
    tally = Tally.of_rows([[*map(int, row), 1] for row in rows])
    return list(
        estimates({str(at): partial(share_of_column, at) for at in range(width)}, [tally], seed).values()
    )


def share_of_column(at: int, sums: Array) -> Array:
    return share(sums[..., at], sums[..., -1])


def failures(outcomes: Iterable[ProblemOutcome]) -> tuple[AgentFailure, ...]:
    return tuple(
        AgentFailure(key=outcome.key, reason=outcome.error)
        for outcome in outcomes
        if outcome.error is not None
    )


def spent(outcomes: Iterable[ProblemOutcome]) -> Spent:
    return sum((outcome.spent for outcome in outcomes), Spent())
