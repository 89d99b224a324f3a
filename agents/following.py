"""What there is of a problem while its agent works, put together from what the agent says."""

from __future__ import annotations

import time

from .events import AgentEvent, AttemptJudged, AttemptWritten, TurnFinished, TurnStarted
from .trajectory import Attempt, Trajectory, best_of

__all__ = ["Following"]


class Following:
    """Hears an agent's events; agents that stay in one turn tell a trajectory only at its end."""

    def __init__(self) -> None:
        self._known: Trajectory | None = None
        self._since = time.monotonic()
        self._attempts: dict[int, Attempt] = {}

    def hear(self, event: AgentEvent) -> None:
        """Take notice of an event."""
        if isinstance(event, TurnStarted | TurnFinished):
            self._known = event.trajectory
            self._since = time.monotonic()
            self._attempts.clear()
        elif isinstance(event, AttemptWritten | AttemptJudged):
            self._attempts[event.attempt.index] = event.attempt

    def trajectory(self) -> Trajectory | None:
        """All that there is so far; None where no turn was heard of."""
        known = self._known
        if known is None or not self._attempts:
            return known
        written = tuple(index for index in sorted(self._attempts) if index >= len(known.attempts))
        attempts = (
            *(self._attempts.get(attempt.index, attempt) for attempt in known.attempts),
            *(self._attempts[index] for index in written),
        )
        turn = known.turns[-1]
        turn = turn.model_copy(update={"attempts": (*turn.attempts, *written)})
        return known.model_copy(
            update={
                "turns": (*known.turns[:-1], turn),
                "attempts": attempts,
                "best": best_of(attempts),
                "spent": sum((attempts[index].spent for index in written), known.spent),
                "seconds": known.seconds + time.monotonic() - self._since,
            }
        )
