"""Training: it learns, it resumes bit by bit, and it says what is wrong with a checkpoint."""

from __future__ import annotations

import importlib
import inspect
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from genprm_sdk.training.checkpoint import CheckpointError, latest_step
from genprm_sdk.training.packing import Branch, Row, Tree, pack
from genprm_sdk.training.sft import (
    Progress,
    Shape,
    TrainSettings,
    _rate,
    build_model,
    draw_trees,
    load_weights,
    share_of,
    train,
)
from genprm_sdk.training.team import Team, leading

SHAPE = Shape(vocabulary=300, width=32, layers=1, heads=2, key_value_heads=1, feed_forward=64, context=128)
SETTINGS = TrainSettings(
    steps=60, tokens=256, longest=40, seed=3, warmup=5, checkpoint_every=4, matrix_rate=0.02
)


def counting(rng: random.Random, step: int, longest: int) -> Tree | None:
    """Counting upwards from a random number: easy to learn, and every generator gives another tree."""
    start, length, at = rng.randrange(200), rng.randrange(8, 40), rng.randrange(1, 8)
    trunk = Row([start + i for i in range(at)], [0.1] * at)
    branch = Row([start + i for i in range(at, length)], [1.0] * (length - at))
    return Tree(trunk, [Branch(at, branch)]) if length <= longest else None


def run(settings: TrainSettings, folder: Path, until: int | None = None) -> list[Progress]:
    return list(train(SHAPE, counting, settings, folder, device="cpu", threads=1, until=until))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(SETTINGS, folder)
    return folder


def same(one: Path, other: Path) -> bool:
    left, right = (load_weights(SHAPE, path) for path in (one, other))
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_loss_falls(tmp_path: Path) -> None:
    progress = run(replace(SETTINGS, steps=160), tmp_path)
    assert [report.step for report in progress] == list(range(20, 161, 20))
    assert progress[0].loss > 4  # ln 300 = 5.7
    assert progress[-1].loss < 0.5 * progress[0].loss
    assert progress[-1].seconds_left == 0
    assert all(report.steps == 160 and report.tokens_per_second > 0 for report in progress)


def test_a_split_run_is_the_same_run(uninterrupted: Path, tmp_path: Path) -> None:
    for until in (7, 8, 31):
        assert run(SETTINGS, tmp_path, until=until)[-1].step == until
        assert not same(uninterrupted, tmp_path)
    assert run(SETTINGS, tmp_path)[-1].step == SETTINGS.steps
    assert same(uninterrupted, tmp_path)


def test_another_seed_is_another_run(uninterrupted: Path, tmp_path: Path) -> None:
    run(replace(SETTINGS, seed=4), tmp_path)
    assert not same(uninterrupted, tmp_path)


def test_a_finished_run_does_nothing(uninterrupted: Path) -> None:
    before = files(uninterrupted)
    assert run(SETTINGS, uninterrupted) == []
    assert files(uninterrupted) == before


ALONG = f"""
import random
from genprm_sdk.training.packing import Branch, Row, Tree
from genprm_sdk.training.sft import Shape, TrainSettings, train

{inspect.getsource(counting).replace("-> Tree | None", "")}

def along(team, folder, settings, until):
    progresses = train(
        {SHAPE!r}, counting, settings, folder, device="cpu", threads=1, until=until, team=team
    )
    for _ in progresses:
        pass
"""


@pytest.fixture
def along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the other process does, in a module that it can import."""
    (tmp_path / "work_of_a_training.py").write_text(ALONG)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work_of_a_training", raising=False)
    return importlib.import_module("work_of_a_training").along


def test_two_processes_train_the_same_model_as_one(along: Any, tmp_path: Path) -> None:
    """Bit for bit they cannot: they add up in another order."""
    run(SETTINGS, tmp_path / "alone", until=12)
    folder = tmp_path / "together"
    with leading(2, along, folder, SETTINGS, 12) as team:
        progress = list(
            train(SHAPE, counting, SETTINGS, folder, device="cpu", threads=1, until=12, team=team)
        )
    assert [report.step for report in progress] == [12]
    assert latest_step(folder) == 12
    alone, together = (load_weights(SHAPE, tmp_path / name) for name in ("alone", "together"))
    for name, weights in alone.items():
        torch.testing.assert_close(together[name], weights, atol=2e-2, rtol=0)
        assert not torch.equal(weights, dict(build_model(SHAPE, 3).named_parameters())[name])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_are_even_and_hold_every_tree_once(size: int) -> None:
    drawn = draw_trees(counting, replace(SETTINGS, tokens=2000), 5)
    shares = [share_of(drawn, Team(rank, size)) for rank in range(size)]
    assert sorted(map(id, drawn)) == sorted(id(tree) for share in shares for tree in share)
    sizes = [sum(map(len, share)) for share in shares]
    assert max(sizes) - min(sizes) <= max(map(len, drawn))


def test_a_process_without_a_tree_still_takes_part(along: Any, tmp_path: Path) -> None:
    few = replace(SETTINGS, tokens=1, steps=2)
    assert len(draw_trees(counting, few, 0)) == 1
    with leading(2, along, tmp_path / "run", few, None) as team:
        progress = list(train(SHAPE, counting, few, tmp_path / "run", device="cpu", threads=1, team=team))
    assert [report.step for report in progress] == [2]


CHILD = f"""
from __future__ import annotations
import random, sys, time
from pathlib import Path
from genprm_sdk.training.packing import Branch, Row, Tree
from genprm_sdk.training.sft import Shape, TrainSettings, train

{inspect.getsource(counting)}

def slow(rng, step, longest):
    time.sleep(0.005)
    return counting(rng, step, longest)

for progress in train({SHAPE!r}, slow, {SETTINGS!r}, Path(sys.argv[1]), device="cpu", threads=1):
    pass
"""


def test_a_killed_run_goes_on_as_if_nothing_had_happened(uninterrupted: Path, tmp_path: Path) -> None:
    """Killed twice from outside, at moments that differ from run to run of this test."""
    chance = random.SystemRandom()
    steps = [0]
    for _ in range(2):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], env=environment)
        try:
            deadline = time.monotonic() + 60
            while (latest_step(tmp_path) or 0) <= steps[-1]:
                assert child.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
        finally:
            child.kill()
        assert child.wait() == -signal.SIGKILL
        steps.append(latest_step(tmp_path) or 0)
    assert steps == sorted(set(steps))
    assert steps[-1] < SETTINGS.steps
    assert all(step % SETTINGS.checkpoint_every == 0 for step in steps)
    run(SETTINGS, tmp_path)
    assert same(uninterrupted, tmp_path)


def test_a_run_ends_in_time_with_a_checkpoint(uninterrupted: Path, tmp_path: Path) -> None:
    stopped = list(train(SHAPE, counting, SETTINGS, tmp_path, device="cpu", threads=1, minutes=0))
    assert [progress.step for progress in stopped] == [1]
    assert latest_step(tmp_path) == 1
    run(SETTINGS, tmp_path)
    assert same(uninterrupted, tmp_path)


def test_a_run_that_is_asked_to_stop_ends_with_a_checkpoint(uninterrupted: Path, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    stopped = list(
        train(SHAPE, counting, SETTINGS, tmp_path, device="cpu", threads=1, stop=lambda: next(asked))
    )
    assert [progress.step for progress in stopped] == [3]
    assert latest_step(tmp_path) == 3
    run(SETTINGS, tmp_path)
    assert same(uninterrupted, tmp_path)


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint: train first"):
        load_weights(SHAPE, tmp_path)
    run(SETTINGS, tmp_path, until=1)
    with pytest.raises(CheckpointError, match="holds a model of another shape"):
        load_weights(replace(SHAPE, layers=2), tmp_path)


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 61}, {"matrix_rate": 0.01}])
def test_a_checkpoint_of_other_settings_is_refused(uninterrupted: Path, change: dict[str, float]) -> None:
    before = files(uninterrupted)
    with pytest.raises(
        CheckpointError, match=rf"another recipe \(it differs in settings\.{next(iter(change))}\)"
    ):
        run(replace(SETTINGS, **change), uninterrupted)  # type: ignore[arg-type]
    assert files(uninterrupted) == before


def test_a_checkpoint_of_another_identity_or_shape_is_refused(uninterrupted: Path) -> None:
    with pytest.raises(CheckpointError, match=r"differs in shape\.layers"):
        list(train(replace(SHAPE, layers=2), counting, SETTINGS, uninterrupted, device="cpu"))
    with pytest.raises(CheckpointError, match=r"differs in recipe"):
        list(train(SHAPE, counting, SETTINGS, uninterrupted, identity={"recipe": 1}, device="cpu"))


def test_probes_tell_how_many_texts_are_written_exactly(tmp_path: Path) -> None:
    rng = random.Random(0)
    drawn = [tree for _ in range(40) if (tree := counting(rng, 0, 40)) is not None]
    noise = [Tree(Row([rng.randrange(300) for _ in range(20)], [1.0] * 20)) for _ in range(20)]
    settings = replace(SETTINGS, steps=400, probe_every=200, checkpoint_every=100)
    progress = list(
        train(
            SHAPE,
            counting,
            settings,
            tmp_path,
            probes={"known": drawn, "noise": noise},
            device="cpu",
            threads=1,
        )
    )
    found = [report.exact for report in progress if report.exact is not None]
    assert [report.step for report in progress if report.exact is not None] == [200, 400]
    assert found[-1]["known"] > 0.8
    assert found[-1]["noise"] == 0


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    def batch(seed: int, step: int) -> list[list[int]]:
        random.seed(seed * step)
        torch.manual_seed(seed * step)
        ids: list[list[int]] = pack(draw_trees(counting, replace(SETTINGS, seed=seed), step)).ids.tolist()
        return ids

    assert batch(3, 10) == batch(3, 10)
    assert len({str(batch(seed, step)) for seed in (3, 4) for step in range(30)}) == 60


def test_a_batch_is_full_and_holds_no_longer_sequence() -> None:
    settings = replace(SETTINGS, longest=30, first_longest=30)
    for step in range(40):
        batch = pack(draw_trees(counting, settings, step))
        assert batch.positions.max() < 30
        assert settings.tokens <= batch.ids.numel() < settings.tokens + 40


def test_sequences_grow_longer_as_the_run_goes_on() -> None:
    settings = replace(SETTINGS, first_longest=12, longest=40, lengthening=40)
    longest = [int(pack(draw_trees(counting, settings, step)).positions.max()) for step in (0, 20, 60)]
    assert longest[0] < 12
    assert longest[0] < longest[1] < longest[2] < 40


def test_a_source_of_sequences_that_are_all_too_long_is_an_error() -> None:
    settings = replace(SETTINGS, longest=5, first_longest=5)
    with pytest.raises(ValueError, match="no sequence of at most 5 tokens"):
        draw_trees(counting, settings, 0)


@pytest.mark.parametrize("name", ["steps", "tokens", "warmup", "longest", "probe_every"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        replace(SETTINGS, **{name: 0})


def test_initial_weights_are_a_function_of_the_seed() -> None:
    torch.manual_seed(99)
    one = build_model(SHAPE, 0).state_dict()
    two = build_model(SHAPE, 0).state_dict()
    other = build_model(SHAPE, 1).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    assert one["lm_head.weight"].data_ptr() == one["model.embed_tokens.weight"].data_ptr()


def test_weightless_targets_do_not_change_what_is_learnt(tmp_path: Path) -> None:
    """Forced text: another target behind weight 0 leaves every weight as it was."""

    def with_noise(noise: int) -> Path:
        def source(rng: random.Random, step: int, longest: int) -> Tree | None:
            tree = counting(rng, step, longest)
            if tree is not None:
                tree.branches[0].row.add([noise], 0.0)
            return tree

        folder = tmp_path / str(noise)
        list(train(SHAPE, source, replace(SETTINGS, steps=5), folder, device="cpu", threads=1))
        return folder

    assert same(with_noise(299), with_noise(298))


def test_rates_rise_hold_and_fall() -> None:
    settings = TrainSettings(steps=1000, warmup=100, decay_from=600)
    rates = [_rate(settings, step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[99:601] == [1.0] * 502
    assert all(earlier >= later for earlier, later in pairwise(rates[600:]))
    assert rates[700] == pytest.approx(0.5)  # a quarter of the way: 1 - sqrt(1/4)
    assert rates[999] == pytest.approx(0.01)


def test_rates_that_fall_from_the_start_still_rise_first() -> None:
    rates = [_rate(TrainSettings(steps=400, warmup=10), step) for step in range(400)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) < 1
    assert rates[100] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.02
