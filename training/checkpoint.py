"""Checkpoints of a run: complete or absent, in shards small enough to travel, refused where they are alien.

A checkpoint is a folder ``step-000400`` with a manifest and safetensors shards. It is written under another
name and renamed when it is complete, so neither a kill nor a full disk can harm the one before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genprm_sdk.json_objects import json_object

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "check_identity",
    "latest_step",
    "load_checkpoint",
    "save_checkpoint",
]

SHARD_BYTES = 15_000_000
MANIFEST = "manifest.json"


class CheckpointError(ValueError):
    """A checkpoint that is damaged, belongs to another run, or cannot be written."""


@dataclass(frozen=True)
class Checkpoint:
    """A run's state after some step.

    Attributes:
        step: Optimiser steps done.
        identity: What decides the run's result, as JSON values; another identity is another run.
        tensors: Weights and optimiser states by name.
        notes: Anything small to carry along, as JSON values.
    """

    step: int
    identity: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]
    notes: Mapping[str, Any]


def _folder(root: Path, step: int) -> Path:
    return root / f"step-{step:06d}"


def _steps(root: Path) -> list[int]:
    if not root.is_dir():
        return []
    names = (re.fullmatch(r"step-(\d{6,})", path.name) for path in root.iterdir())
    return sorted(int(name[1]) for name in names if name)


def latest_step(root: Path) -> int | None:
    """The step of the newest complete checkpoint in a folder, or None."""
    steps = _steps(root)
    return steps[-1] if steps else None


def _shards(tensors: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.nbytes > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.detach().contiguous().cpu()
        size += tensor.nbytes
    return shards


def save_checkpoint(root: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and then remove the older ones.

    Raises:
        CheckpointError: It cannot be written; the last good checkpoint is untouched.
    """
    target = _folder(root, checkpoint.step)
    part = target.with_suffix(".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        sizes = {}
        for number, shard in enumerate(_shards(checkpoint.tensors)):
            path = part / f"{number:03d}.safetensors"
            save_file(shard, path)
            sizes[path.name] = path.stat().st_size
        manifest = {
            "step": checkpoint.step,
            "identity": checkpoint.identity,
            "notes": checkpoint.notes,
            "shards": sizes,
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        kept = latest_step(root)
        rest = "there is none before it" if kept is None else f"that of step {kept} is still whole"
        raise CheckpointError(f"cannot write the checkpoint {target}: {error}; {rest}") from error
    for step in _steps(root):
        if step != checkpoint.step:
            shutil.rmtree(_folder(root, step), ignore_errors=True)


def _damaged(folder: Path) -> CheckpointError:
    return CheckpointError(
        f"{folder} is damaged or no checkpoint: remove it to start from an older one or anew"
    )


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json_object((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder) from error
    if not {"step", "identity", "notes", "shards"} <= manifest.keys():
        raise _damaged(folder)
    return manifest


def check_identity(root: Path, identity: Mapping[str, Any]) -> None:
    """Make sure that the newest checkpoint, if there is one, belongs to a run.

    Raises:
        CheckpointError: It is damaged, or belongs to another run.
    """
    step = latest_step(root)
    if step is None:
        return
    found, wanted = _manifest(_folder(root, step))["identity"], json.loads(json.dumps(identity))
    if found != wanted:
        places = ", ".join(sorted(_differences(found, wanted)))
        raise CheckpointError(
            f"{_folder(root, step)} belongs to another recipe (it differs in {places}): "
            "take another folder or remove it"
        )


def load_checkpoint(root: Path) -> Checkpoint | None:
    """Read the newest checkpoint, or None where there is none.

    Raises:
        CheckpointError: It is damaged.
    """
    step = latest_step(root)
    if step is None:
        return None
    folder = _folder(root, step)
    manifest = _manifest(folder)
    tensors: dict[str, torch.Tensor] = {}
    try:
        for name, size in manifest["shards"].items():
            path = folder / name
            if path.name != name or path.stat().st_size != size:
                raise _damaged(folder)
            tensors |= load_file(path)
    except (OSError, ValueError, AttributeError, TypeError, SafetensorError) as error:
        raise _damaged(folder) from error
    return Checkpoint(manifest["step"], manifest["identity"], tensors, manifest["notes"])


def _differences(one: Any, other: Any, path: str = "") -> set[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        found: set[str] = set()
        for key in one.keys() | other.keys():
            found |= _differences(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
        return found
    return set() if one == other else {path}
