"""Errors go through pickle, as they do on their way out of a worker process."""

from __future__ import annotations

import pickle

from genprm_sdk.agents import AgentError, Trajectory
from genprm_sdk.errors import MissingExtraError


def test_a_missing_extra_comes_back_whole() -> None:
    error = MissingExtraError("a", "b", "c")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is MissingExtraError
    assert (str(again), again.package, again.extra) == (str(error), "a", "b")


def test_an_agents_error_comes_back_with_its_trajectory() -> None:
    trajectory = Trajectory(agent="refine", problem="P", policy="p")
    again = pickle.loads(pickle.dumps(AgentError("it failed", trajectory)))
    assert (str(again), again.trajectory) == ("it failed", trajectory)
