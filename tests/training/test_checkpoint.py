"""Checkpoints: in small shards, whole or absent, and refused where they do not belong."""

from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path

import pytest
import torch

from genprm_sdk.training import checkpoint as module
from genprm_sdk.training.checkpoint import (
    SHARD_BYTES,
    Checkpoint,
    CheckpointError,
    check_identity,
    latest_step,
    load_checkpoint,
    save_checkpoint,
)

IDENTITY = {"recipe": {"model": "tiny", "shares": {"arithmetic": 1.0}}, "pair": (1, 2)}


def made(step: int, count: int = 3) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    tensors = {f"model/{number}": torch.randn(50, 40, generator=generator) for number in range(count)}
    tensors["optimiser/0/0/step"] = torch.tensor(float(step))
    tensors["half"] = torch.randn(8, generator=generator).bfloat16()
    return Checkpoint(step, IDENTITY, tensors, {"loss": 0.5})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert latest_step(tmp_path / "none") is None
    assert load_checkpoint(tmp_path / "none") is None
    saved = made(7)
    save_checkpoint(tmp_path, saved)
    check_identity(tmp_path, IDENTITY)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert (loaded.step, loaded.notes) == (7, {"loss": 0.5})
    assert loaded.tensors.keys() == saved.tensors.keys()
    for name, tensor in saved.tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)


def test_only_the_newest_is_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200, 1_000_000):
        save_checkpoint(tmp_path, made(step))
    assert [path.name for path in tmp_path.iterdir()] == ["step-1000000"]
    assert latest_step(tmp_path) == 1_000_000


def test_shards_are_small(tmp_path: Path) -> None:
    tensors = {f"model/{number}": torch.zeros(1_000_000) for number in range(9)}
    save_checkpoint(tmp_path, Checkpoint(1, {}, tensors, {}))
    shards = sorted(tmp_path.glob("step-000001/*.safetensors"))
    assert len(shards) == 3
    assert all(path.stat().st_size <= SHARD_BYTES for path in shards)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert len(loaded.tensors) == 9


@pytest.mark.parametrize("failing", ["save_file", "replace"])
def test_a_disk_that_fills_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    save_checkpoint(tmp_path, made(10))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(module if failing == "save_file" else os, failing, fail)
        with pytest.raises(CheckpointError, match=r"No space left on device; that of step 10 is still whole"):
            save_checkpoint(tmp_path, made(20))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]
    check_identity(tmp_path, IDENTITY)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.step == 10


def test_a_shard_that_cannot_be_written_to_its_end(tmp_path: Path) -> None:
    """The kernel's own refusal, half way through a shard."""
    save_checkpoint(tmp_path, made(10))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(CheckpointError, match="that of step 10 is still whole"):
            save_checkpoint(tmp_path, made(20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]


def test_a_checkpoint_of_another_recipe_is_refused_and_kept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, made(3))
    other = {"recipe": {"model": "tiny", "shares": {"arithmetic": 2.0}}, "pair": (1, 2)}
    with pytest.raises(CheckpointError, match=r"another recipe \(it differs in recipe\.shares\.arithmetic\)"):
        check_identity(tmp_path, other)
    check_identity(tmp_path, IDENTITY)


def folder_of(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, made(3))
    return tmp_path / "step-000003"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"shards": []}',
        '{"shards": {"../../x": 1}}',
        "\x00",
        '{"shards": {"a": 1',
        pytest.param("[" * 100_000, id="deep"),
        '{"step": 3, "identity": {}, "notes": {}, "shards": {"\\u0000": 1}}',
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (folder_of(tmp_path) / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint: remove it"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_torn_shard_is_refused(tmp_path: Path, kept: int) -> None:
    shard = folder_of(tmp_path) / "000.safetensors"
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_a_shard_of_the_right_size_but_other_bytes_is_refused(tmp_path: Path) -> None:
    shard = folder_of(tmp_path) / "000.safetensors"
    shard.write_bytes(b"\xff" * shard.stat().st_size)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_a_shard_that_is_missing_is_refused(tmp_path: Path) -> None:
    (folder_of(tmp_path) / "000.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_what_a_kill_leaves_behind_is_not_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    part = tmp_path / "step-000009.part"
    part.mkdir()
    (part / "000.safetensors").write_bytes(b"half")
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.step == 3
    save_checkpoint(tmp_path, made(9))
    assert latest_step(tmp_path) == 9
    assert not folder.exists()
    assert json.loads((tmp_path / "step-000009" / "manifest.json").read_text())["step"] == 9
