"""Training: it learns, it resumes bit by bit, and it says what is wrong with a checkpoint."""

from __future__ import annotations

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

import pytest
import torch

from genprm_sdk.training.dataset import Row
from genprm_sdk.training.sft import (
    Batches,
    Progress,
    Shape,
    TrainSettings,
    _rate,
    build_model,
    load_weights,
    train,
)

SHAPE = Shape(vocabulary=300, width=32, layers=1, heads=2, key_value_heads=1, feed_forward=64, context=128)
SETTINGS = TrainSettings(
    steps=60, tokens=256, longest_row=40, seed=3, warmup=5, checkpoint_every=4, matrix_rate=0.02
)


def rows(rng: random.Random) -> Row:
    """Counting upwards from a random number: easy to learn, and every generator gives another row."""
    start, length = rng.randrange(200), rng.randrange(8, 40)
    return Row([start + i for i in range(length)], [0.1, *[1.0] * (length - 1)])


def run(settings: TrainSettings, checkpoint: Path, until: int | None = None) -> list[Progress]:
    return list(train(SHAPE, rows, settings, checkpoint, threads=1, until=until))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    checkpoint = tmp_path_factory.mktemp("uninterrupted") / "checkpoint.pt"
    run(SETTINGS, checkpoint)
    return checkpoint


def same(one: Path, other: Path) -> bool:
    left, right = (load_weights(SHAPE, path) for path in (one, other))
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_falls(tmp_path: Path) -> None:
    progress = run(replace(SETTINGS, steps=160), tmp_path / "checkpoint.pt")
    assert [report.step for report in progress] == list(range(20, 161, 20))
    assert progress[0].loss > 4  # ln 300 = 5.7
    assert progress[-1].loss < 0.5 * progress[0].loss
    assert progress[-1].seconds_left == 0
    assert all(report.steps == 160 and report.tokens_per_second > 0 for report in progress)


def test_a_split_run_is_the_same_run(uninterrupted: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    for until in (7, 8, 31):
        assert run(SETTINGS, checkpoint, until=until)[-1].step == until
        assert not same(uninterrupted, checkpoint)
    assert run(SETTINGS, checkpoint)[-1].step == SETTINGS.steps
    assert same(uninterrupted, checkpoint)


def test_another_seed_is_another_run(uninterrupted: Path, tmp_path: Path) -> None:
    run(replace(SETTINGS, seed=4), tmp_path / "checkpoint.pt")
    assert not same(uninterrupted, tmp_path / "checkpoint.pt")


def test_a_finished_run_does_nothing(uninterrupted: Path) -> None:
    before = uninterrupted.read_bytes()
    assert run(SETTINGS, uninterrupted) == []
    assert uninterrupted.read_bytes() == before


CHILD = f"""
from __future__ import annotations
import random, sys, time
from pathlib import Path
from genprm_sdk.training.dataset import Row
from genprm_sdk.training.sft import Shape, TrainSettings, train

{inspect.getsource(rows)}

def slow(rng):
    time.sleep(0.005)
    return rows(rng)

for progress in train({SHAPE!r}, slow, {SETTINGS!r}, Path(sys.argv[1]), threads=1):
    pass
"""


def step_of(checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    return int(torch.load(checkpoint, weights_only=True)["step"])


def test_a_killed_run_goes_on_as_if_nothing_had_happened(uninterrupted: Path, tmp_path: Path) -> None:
    """Killed twice from outside, at moments that differ from run to run of this test."""
    checkpoint = tmp_path / "checkpoint.pt"
    chance = random.SystemRandom()
    steps = [0]
    for _ in range(2):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(checkpoint)], env=environment)
        try:
            deadline = time.monotonic() + 60
            while step_of(checkpoint) <= steps[-1]:
                assert child.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
        finally:
            child.kill()
        assert child.wait() == -signal.SIGKILL
        steps.append(step_of(checkpoint))
    assert steps == sorted(set(steps))
    assert steps[-1] < SETTINGS.steps
    assert all(step % SETTINGS.checkpoint_every == 0 for step in steps)
    run(SETTINGS, checkpoint)
    assert same(uninterrupted, checkpoint)


def test_a_half_written_checkpoint_is_not_read(uninterrupted: Path, tmp_path: Path) -> None:
    """What a kill during saving leaves behind lies beside the checkpoint, never in its place."""
    checkpoint = tmp_path / "checkpoint.pt"
    run(SETTINGS, checkpoint, until=9)
    checkpoint.with_suffix(".part").write_bytes(checkpoint.read_bytes()[:1000])
    run(SETTINGS, checkpoint)
    assert same(uninterrupted, checkpoint)


@pytest.mark.parametrize("kept", [0, 10, 1000, -1])
def test_a_torn_checkpoint_is_refused(uninterrupted: Path, tmp_path: Path, kept: int) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(uninterrupted.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged or no checkpoint: remove it"):
        run(SETTINGS, checkpoint)
    with pytest.raises(ValueError, match="damaged"):
        load_weights(SHAPE, checkpoint)


@pytest.mark.parametrize("other", [b"not a checkpoint", b"PK\x03\x04", b"\x80\x02}."])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, other: bytes) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(other)
    with pytest.raises(ValueError, match="remove it to start anew"):
        run(SETTINGS, checkpoint)
    assert checkpoint.read_bytes() == other


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save({"model": {}}, checkpoint)
    with pytest.raises(ValueError, match="is no checkpoint of this training"):
        run(SETTINGS, checkpoint)


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 61}, {"matrix_rate": 0.01}])
def test_a_checkpoint_of_other_settings_is_refused(uninterrupted: Path, change: dict[str, float]) -> None:
    before = uninterrupted.read_bytes()
    with pytest.raises(ValueError, match="belongs to a run with other settings"):
        run(replace(SETTINGS, **change), uninterrupted)  # type: ignore[arg-type]
    assert uninterrupted.read_bytes() == before


def test_a_checkpoint_of_another_shape_is_refused(uninterrupted: Path) -> None:
    other = replace(SHAPE, layers=2)
    with pytest.raises(ValueError, match="belongs to a run with other settings"):
        list(train(other, rows, SETTINGS, uninterrupted, threads=1))
    with pytest.raises(ValueError, match="holds a model of another shape"):
        load_weights(other, uninterrupted)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    def batch(seed: int, step: int) -> list[list[int]]:
        random.seed(seed * step)
        torch.manual_seed(seed * step)
        ids: list[list[int]] = Batches(rows, replace(SETTINGS, seed=seed)).at(step).ids.tolist()
        return ids

    assert batch(3, 10) == batch(3, 10)
    distinct = {str(batch(seed, step)) for seed in (3, 4) for step in range(30)}
    assert len(distinct) == 60
    in_order = Batches(rows, SETTINGS)
    assert [in_order.at(step).ids.tolist() for step in range(9)] == [batch(3, step) for step in range(9)]


def test_a_batch_is_full_and_holds_no_longer_row() -> None:
    batches = Batches(rows, replace(SETTINGS, longest_row=30, first_longest=30))
    sizes = []
    for step in range(80):
        batch = batches.at(step)
        assert batch.ids.shape == batch.targets.shape == batch.weights.shape
        assert batch.ids.shape[1] <= 30
        sizes.append(batch.ids.numel())
    assert SETTINGS.tokens <= sum(sizes) / len(sizes) < 1.5 * SETTINGS.tokens


def test_every_row_that_is_drawn_is_used_once() -> None:
    drawn: list[list[int]] = []

    def noted(rng: random.Random) -> Row:
        row = rows(rng)
        drawn.append(row.ids)
        return row

    batches = Batches(noted, SETTINGS)
    used = []
    for step in range(40):
        batch = batches.at(step)
        lengths = ((batch.weights > 0).sum(1) + 1).tolist()
        used += [ids[:length] for ids, length in zip(batch.ids.tolist(), lengths, strict=True)]
    assert sorted(used) == sorted(drawn)


def test_rows_grow_longer_as_the_run_goes_on() -> None:
    settings = replace(SETTINGS, first_longest=12, longest_row=40, lengthening=40)
    batches = Batches(rows, settings)
    longest = [
        max(batches.at(step).ids.shape[1] for step in range(start, start + 4)) for start in (0, 20, 60)
    ]
    assert longest[0] <= 12
    assert longest[0] < longest[1] < longest[2]


def test_every_step_has_a_row_even_where_rows_outgrow_batches() -> None:
    settings = replace(SETTINGS, tokens=5)
    batches = Batches(rows, settings)
    assert all(len(batches.at(step).ids) >= 1 for step in range(20))


def test_a_source_of_rows_that_are_all_too_long_is_an_error() -> None:
    settings = replace(SETTINGS, longest_row=5, first_longest=5)
    with pytest.raises(ValueError, match="no row of at most 5 tokens"):
        Batches(rows, settings).at(0)


@pytest.mark.parametrize("name", ["steps", "tokens", "warmup", "longest_row"])
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


def test_padding_and_weightless_targets_do_not_change_what_is_learnt(tmp_path: Path) -> None:
    """Forced text: another target behind weight 0 leaves every weight as it was."""

    def with_noise(rng: random.Random) -> Row:
        row = rows(rng)
        return Row([*row.ids, 299], [*row.weights, 0.0])

    def with_other_noise(rng: random.Random) -> Row:
        row = rows(rng)
        return Row([*row.ids, 298], [*row.weights, 0.0])

    settings = replace(SETTINGS, steps=5)
    paths = [tmp_path / "one.pt", tmp_path / "other.pt"]
    for path, source in zip(paths, (with_noise, with_other_noise), strict=True):
        list(train(SHAPE, source, settings, path, threads=1))
    assert same(*paths)


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
