"""A folder's safetensors weights by name, one tensor in memory at a time. Knows files and no model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open

from genprm_sdk.errors import ModelFileError
from genprm_sdk.json_objects import json_object

__all__ = ["Weights"]

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
FLOATS = ("F32", "F16", "BF16")


class Weights:
    """The open files of a folder; a context manager.

    Args:
        folder: Holds ``model.safetensors``, or an index and the files that it names.

    Attributes:
        names: What is stored.

    Raises:
        ModelFileError: There are no weights, or a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._file_of: dict[str, Any] = {}
        try:
            for file in _files(folder):
                opened = self._open.enter_context(safe_open(file, framework="pt"))
                self._file_of |= dict.fromkeys(opened.keys(), opened)
        except (OSError, SafetensorError) as error:
            self._open.close()
            raise ModelFileError(f"{folder} has weights that cannot be read: {error}") from error
        self.names = frozenset(self._file_of)

    def shape(self, name: str) -> tuple[int, ...]:
        """The sizes of a tensor.

        Raises:
            ModelFileError: It is missing, or holds something else than floating-point numbers.
        """
        stored = self._stored(name).get_slice(name)
        kind = stored.get_dtype()
        if kind not in FLOATS:
            raise ModelFileError(
                f"{self._folder} has {name} as {kind}: give the model as float32, float16 or bfloat16"
            )
        return tuple(stored.get_shape())

    def read(self, name: str) -> torch.Tensor:
        """A tensor, in float32.

        Raises:
            ModelFileError: It is missing or damaged, or holds what is no number.
        """
        try:
            tensor: torch.Tensor = self._stored(name).get_tensor(name).to(torch.float32)
        except SafetensorError as error:
            raise ModelFileError(f"{self._folder}: {name} cannot be read: {error}") from error
        if not all(
            end.isfinite() for end in tensor.aminmax()
        ):  # isfinite of it all would need its room again
            raise ModelFileError(f"{self._folder} is damaged: {name} holds what is no number")
        return tensor

    def _stored(self, name: str) -> Any:
        if name not in self._file_of:
            raise ModelFileError(f"{self._folder} lacks {name}")
        return self._file_of[name]

    def close(self) -> None:
        """Close the files; twice is allowed."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _files(folder: Path) -> list[Path]:
    """The files of weights; a whole one counts before an index, as transformers has it."""
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if not (folder / INDEX).is_file():
        advice = ": merge the adapter first" if (folder / "adapter_config.json").is_file() else ""
        raise ModelFileError(f"there are no weights in {folder}: {WHOLE} is missing{advice}")
    try:
        names = set(json_object((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        files = sorted(folder / name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{folder / INDEX} is no index of weights: {error!r:.80}") from error
    for file in files:
        if file.parent != folder or not file.is_file():
            raise ModelFileError(f"{folder} lacks {file.name}, which its index of weights names")
    return files
