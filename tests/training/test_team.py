"""Teams: sums over processes, and nobody left behind."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from genprm_sdk.training.team import ALONE, Team, TeamError, leading, usable_cores

WORK = """
import os
import time
from pathlib import Path

import torch


def add_rank(team, folder):
    (folder / str(team.rank)).write_text(str(os.getpid()))
    values = torch.full((3,), float(team.rank + 1))
    team.add_up(values)
    time.sleep(600)


def add_once(team, folder):
    team.add_up(torch.zeros(3))
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that other processes can import."""
    (tmp_path / "work_of_a_team.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work_of_a_team", raising=False)
    return importlib.import_module("work_of_a_team")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_team_adds_up_and_is_gone_at_the_end(work: Any, tmp_path: Path) -> None:
    with leading(3, work.add_rank, tmp_path) as team:
        assert team == Team(0, 3)
        values = torch.tensor([1.0, 10.0, 100.0])
        team.add_up(values)
        assert values.tolist() == [6.0, 15.0, 105.0]
        pids = [int((tmp_path / name).read_text()) for name in ("1", "2")]
        assert not any(map(gone, pids))
    assert all(map(gone, pids))


def test_an_error_of_the_leader_ends_the_others_too(work: Any, tmp_path: Path) -> None:
    def fail() -> None:
        with leading(2, work.add_rank, tmp_path) as team:
            team.add_up(torch.zeros(3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert gone(int((tmp_path / "1").read_text()))


def test_a_process_that_has_ended_is_an_error(work: Any, tmp_path: Path) -> None:
    with leading(2, work.add_once, tmp_path) as team:
        team.add_up(torch.zeros(3))
        with pytest.raises(TeamError, match="run it again to go on"):
            team.add_up(torch.zeros(3))


def test_a_process_that_cannot_start_is_an_error(
    work: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work_of_a_team.py").unlink()
    with pytest.raises(TeamError, match="could not start"), leading(2, work.add_once, tmp_path):
        pytest.fail("it has started")
    assert "work_of_a_team" in capfd.readouterr().err


def test_alone_nothing_is_started() -> None:
    with leading(1, print) as team:
        assert team is ALONE
        values = torch.ones(2)
        team.add_up(values)
    assert values.tolist() == [1.0, 1.0]


def test_usable_cores() -> None:
    assert 1 <= usable_cores() <= 4
