"""Two runs of an agent on the same problems: how far apart they are, and whether that may be chance.

The same paired bootstrap as of two runs on a benchmark, ``evaluation.comparison``; what is compared are the
choices among the first attempts, or the answers after each turn, as ``accuracy.py`` has them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..evaluation.comparison import Difference, differences, paired, read_folder, require_same_benchmark
from ..evaluation.metrics import Tally
from ..evaluation.scaling import doublings
from ..types import Frozen
from .accuracy import CHOICES, TURN_CHOICES, Choice, share_of_column
from .evaluating import AgentRunSettings, ProblemOutcome

__all__ = ["AgentComparison", "AgentRun", "compare_agents", "read_agent_run"]


class AgentRun(Frozen):
    """A run as its folder holds it."""

    folder: str
    settings: AgentRunSettings
    outcomes: dict[str, ProblemOutcome]


class AgentComparison(Frozen):
    """Two runs on the problems that both have.

    Attributes:
        first: What decided the first run's results.
        second: And the second's.
        records: How many problems both have.
        only_first: Problems that the first alone has, or that have changed since.
        only_second: The same of the second.
        accuracy: Differences by choice, and by the number of attempts or turns that both runs have.
    """

    first: AgentRunSettings
    second: AgentRunSettings
    records: int
    only_first: int
    only_second: int
    accuracy: dict[str, dict[str, Difference]]


def read_agent_run(folder: str | os.PathLike[str]) -> AgentRun:
    """Read a run's folder, also that of a run that is not finished.

    Raises:
        InputError: It holds no run of an agent, or none of this version's format.
    """
    settings, outcomes, unchecked = read_folder(
        Path(folder), AgentRunSettings, ProblemOutcome, "best-of-n or refine"
    )
    outcomes |= {key: ProblemOutcome(key=key, error=reason) for key, reason in unchecked.items()}
    return AgentRun(folder=str(folder), settings=settings, outcomes=outcomes)


def compare_agents(first: AgentRun, second: AgentRun, seed: int = 0) -> AgentComparison:
    """Hold the second run against the first.

    Args:
        first: A run.
        second: Another of the same kind; policies, critics and options may differ.
        seed: Of the resamples.

    Raises:
        InputError: One is of best-of-n and one of refine, or they have no problem in common.
    """
    kind = first.settings.benchmark
    require_same_benchmark((first.folder, kind), (second.folder, second.settings.benchmark))
    pairs = paired((first.folder, first.outcomes), (second.folder, second.outcomes))
    most = min(first.settings.attempts, second.settings.attempts)
    columns = _by_attempts(most) if kind == "best-of-n" else _by_turns(most)

    def row(outcome: ProblemOutcome) -> list[int]:
        return [*(int(right(outcome)) for right in columns.values()), 1]

    tally = Tally.of_rows([[*row(mine), *row(theirs)] for mine, theirs in pairs])
    metrics = {str(at): partial(share_of_column, at) for at in range(len(columns))}
    found = differences(metrics, [tally], seed)
    accuracy: dict[str, dict[str, Difference]] = {}
    for (choice, number), apart in zip(columns, found.values(), strict=True):
        accuracy.setdefault(choice, {})[str(number)] = apart
    return AgentComparison(
        first=first.settings,
        second=second.settings,
        records=len(pairs),
        only_first=len(first.outcomes) - len(pairs),
        only_second=len(second.outcomes) - len(pairs),
        accuracy=accuracy,
    )


Columns = dict[tuple[str, int], Callable[[ProblemOutcome], bool]]


def _by_attempts(most: int) -> Columns:
    def right(choice: Choice, count: int, outcome: ProblemOutcome) -> bool:
        return choice(outcome.attempts[:count])

    return {
        (name, count): partial(right, choice, count)
        for name, choice in CHOICES.items()
        for count in doublings(most)
    }


def _by_turns(most: int) -> Columns:
    def right(choice: Choice, turn: int, outcome: ProblemOutcome) -> bool:
        return choice(outcome.until(turn))

    return {
        (name, turn): partial(right, choice, turn)
        for name, choice in TURN_CHOICES.items()
        for turn in range(most + 1)
    }
