"""The folder of a training: what it was begun with, how far it is, and what it may go on from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genprm_sdk.errors import InputError, ModelFileError
from genprm_sdk.json_objects import json_object

__all__ = ["Folder", "digest_of_file", "digests_of_weights"]

IDENTITY = "identity.json"
STATE = "state.json"


class Folder:
    """A training's folder: ``identity.json``, ``state.json``, checkpoints and at the end the model.

    Args:
        path: Made if it is not there.

    Raises:
        InputError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path} cannot be used for a training: {error}") from None

    @property
    def model(self) -> Path:
        """Where the finished model lies."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Where the trainer keeps what it goes on from."""
        return self.path / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the training has come to its end."""
        return bool(self.state().get("finished"))

    def identity(self) -> dict[str, Any]:
        """The settings that it was begun with."""
        return self._read(IDENTITY)

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Begin with these settings, or go on with the same.

        Raises:
            InputError: The folder was begun with others; says which.
        """
        known = self.identity()
        wanted = json.loads(json.dumps(identity))
        if not known:
            self._write(IDENTITY, wanted)
        elif known != wanted:
            names = sorted(name for name in {*known, *wanted} if known.get(name) != wanted.get(name))
            listed = ", ".join(
                f"{name} ({_shown(known.get(name))} there, {_shown(wanted.get(name))} now)" for name in names
            )
            raise InputError(
                f"{self.path} was begun with another {listed}: remove that folder to begin anew, or go back"
            )

    def state(self) -> dict[str, Any]:
        """How far it is, as it was last told."""
        return self._read(STATE)

    def tell(self, **state: Any) -> None:
        """Write down how far it is."""
        self._write(STATE, {**self.state(), **state})

    def newest_checkpoint(self) -> Path | None:
        """The newest complete checkpoint."""
        found = [
            path for path in self.checkpoints.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
        ]
        return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return json_object((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path / name} cannot be read: {error}; remove {self.path} to begin anew"
            ) from None

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        part = self.path / f"{name}.part"
        part.write_text(json.dumps(value, indent=1), encoding="utf-8")
        os.replace(part, self.path / name)


def digest_of_file(path: Path) -> str:
    """A digest of a file's content.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def digests_of_weights(folder: Path) -> list[str]:
    """Digests of a model's weights, by which a training knows what it began with.

    Raises:
        ModelFileError: There are none.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelFileError(f"there are no weights in {folder}: give a folder with safetensors")
    return [digest_of_file(file) for file in weights]


def _shown(value: object) -> str:
    return f"{value!r:.60}"
