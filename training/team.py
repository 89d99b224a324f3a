"""Processes that train one model together: each takes its share of a batch, and they add up the gradients.

On a CPU, a second process speeds up a small model where a second thread does not. Knows processes and sums;
what is added up is the business of ``training.sft``.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import distributed

from .stopping import deaf, with_signals_held_back

__all__ = ["ALONE", "Team", "TeamError", "leading", "usable_cores"]

MOST_BY_DEFAULT = 4


class TeamError(RuntimeError):
    """A process of the team has ended before its time."""


@dataclass(frozen=True)
class Team:
    """One process's place in its team.

    Attributes:
        rank: From 0, the leader's.
        size: How many processes.
    """

    rank: int = 0
    size: int = 1

    def add_up(self, values: torch.Tensor) -> None:
        """Replace values by their sums over all processes; waits for the others.

        Raises:
            TeamError: One of them is gone.
        """
        if self.size > 1:
            try:
                distributed.all_reduce(values)
            except RuntimeError as error:
                raise TeamError("a process of the training has ended; run it again to go on") from error


ALONE = Team()


def usable_cores() -> int:
    """How many processes may work at a time, at most four."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_BY_DEFAULT, cores)


@contextmanager
def leading(size: int, work: Callable[..., None], *arguments: object) -> Iterator[Team]:
    """Start the other processes of a team and lead it; they are gone at the end, however it comes.

    Args:
        size: Processes in all; with 1 there is nothing to start.
        work: A module's function: what the others do, given their place in the team and the arguments.
        arguments: Anything that can be pickled.
    """
    if size == 1:
        yield ALONE
        return
    with TemporaryDirectory(prefix="genprm-team-") as folder:
        context = multiprocessing.get_context("spawn")
        others = [
            context.Process(target=_follow, args=(folder, Team(rank, size), work, arguments), daemon=True)
            for rank in range(1, size)
        ]
        started: list[BaseProcess] = []
        try:
            with with_signals_held_back():
                for other in others:
                    other.start()
                    started.append(other)
            _wait_for(others, Path(folder))
            distributed.init_process_group("gloo", init_method=_store(folder), rank=0, world_size=size)
            yield Team(0, size)
        finally:
            for running in started:
                running.kill()
                running.join()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _store(folder: str) -> str:
    return f"file://{folder}/store"


def _wait_for(others: Sequence[BaseProcess], folder: Path) -> None:
    while len(list(folder.glob("ready-*"))) < len(others):
        if not all(other.is_alive() for other in others):
            raise TeamError("a process of the training could not start")
        time.sleep(0.05)


def _follow(folder: str, team: Team, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    deaf()  # the leader is told too, and ends the others
    (Path(folder) / f"ready-{team.rank}").touch()
    distributed.init_process_group("gloo", init_method=_store(folder), rank=team.rank, world_size=team.size)
    try:
        work(team, *arguments)
    except TeamError:
        return  # the leader is gone, and with it whoever could be told
