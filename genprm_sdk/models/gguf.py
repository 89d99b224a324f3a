"""What a GGUF file says about itself, read without trusting it.

llama.cpp ends the whole process on some malformed files, so a file is looked over here first: every length is
checked against the file's size before it is used. Of tensors only the shapes are read.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..errors import ModelFileError, UnknownModelError

__all__ = [
    "SPLIT",
    "MetadataValue",
    "gguf_parameters",
    "gguf_parts",
    "read_gguf_metadata",
    "text_value",
    "whole_value",
]

Result = TypeVar("Result")

MetadataValue = str | int | float | bool | tuple[str, ...]
"""An entry of a model file; of its arrays only those of strings are read."""

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 100_000
_MOST_DIMENSIONS = 4

SPLIT = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", flags=re.IGNORECASE)
"""The name of one of several files that are one model together; llama.cpp is given the first."""


def text_value(metadata: Mapping[str, MetadataValue], key: str, default: str = "") -> str:
    """A text entry, or ``default`` where there is none."""
    value = metadata.get(key, default)
    if not isinstance(value, str):
        raise ModelFileError(f"the model file's {key} must be text, not {type(value).__name__}")
    return value


def whole_value(metadata: Mapping[str, MetadataValue], key: str, default: int) -> int:
    """A whole number at least 0, or ``default`` where there is none."""
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ModelFileError(f"the model file's {key} must be a whole number, not {value!r:.80}")
    return value


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self.left = size

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ModelFileError("it ends in the middle of its metadata")
        data = self.file.read(count)
        if len(data) != count:
            raise ModelFileError("it ends in the middle of its metadata")
        self.left -= count
        return data

    def number(self, code: str) -> int | float | bool:
        value: int | float | bool = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        return value

    def count(self) -> int:
        return int(self.number("Q"))

    def string(self) -> str:
        return self.take(self.count()).decode("utf-8", "surrogateescape")

    def array(self) -> tuple[str, ...] | None:
        """An array of strings; other arrays are passed over."""
        kind, count = int(self.number("I")), self.count()
        if kind == _STRING:
            if count * 8 > self.left:
                raise ModelFileError("an array is longer than the file")
            return tuple(self.string() for _ in range(count))
        if kind not in _NUMBERS:
            raise ModelFileError(f"an array has elements of the unknown type {kind}")
        size = struct.calcsize(f"<{_NUMBERS[kind]}") * count
        if size > self.left:
            raise ModelFileError("an array is longer than the file")
        self.file.seek(size, os.SEEK_CUR)
        self.left -= size
        return None


def read_gguf_metadata(path: Path) -> dict[str, MetadataValue]:
    """Read and check the header of a GGUF file.

    Raises:
        UnknownModelError: There is no such file.
        ModelFileError: It cannot be read, is no GGUF, is torn, or its vocabulary has an entry twice.
    """
    return _looking_at(path, lambda reader: _read(reader)[0])


def gguf_parameters(path: Path) -> int:
    """How many numbers the tensors of a model file hold; of several files, of all.

    Raises:
        UnknownModelError: There is no such file.
        ModelFileError: It cannot be read, is no GGUF or is torn.
    """
    return sum(_looking_at(part, _parameters) for part in gguf_parts(path))


def gguf_parts(path: Path) -> list[Path]:
    """The files of a model whose first one is given."""
    split = SPLIT.fullmatch(path.name)
    if split is None:
        return [path]
    count = int(split["parts"])
    return [path.with_name(f"{split['stem']}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1)]


def _looking_at(path: Path, look: Callable[[_Reader], Result]) -> Result:
    try:
        with path.open("rb") as file:
            return look(_Reader(file, path.stat().st_size))
    except FileNotFoundError:
        raise UnknownModelError(f"there is no model file {path}") from None
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}") from error
    except (ModelFileError, struct.error, ValueError) as error:
        raise ModelFileError(f"{path} is not a usable GGUF model file: {error}") from error


def _parameters(reader: _Reader) -> int:
    total = 0
    for _ in range(_read(reader)[1]):
        reader.string()
        dimensions = int(reader.number("I"))
        if dimensions > _MOST_DIMENSIONS:
            raise ModelFileError(f"a tensor has {dimensions} dimensions")
        total += math.prod(reader.count() for _ in range(dimensions))
        reader.take(12)  # its type and where it lies
    return total


def _read(reader: _Reader) -> tuple[dict[str, MetadataValue], int]:
    """The metadata, and how many tensors are described behind it."""
    if reader.left < 24 or reader.take(4) != b"GGUF":
        raise ModelFileError("it does not start with the letters GGUF")
    version = int(reader.number("I"))
    if version not in (2, 3):
        raise ModelFileError(f"its format version is {version}, and 2 or 3 is needed")
    tensors, entries = reader.count(), reader.count()
    if entries > _MOST_ENTRIES:
        raise ModelFileError(f"it claims {entries} metadata entries")
    metadata: dict[str, MetadataValue] = {}
    for _ in range(entries):
        key = reader.string()
        kind = int(reader.number("I"))
        if kind == _STRING:
            metadata[key] = reader.string()
        elif kind == _ARRAY:
            items = reader.array()
            if items is not None:
                metadata[key] = items
        elif kind in _NUMBERS:
            metadata[key] = reader.number(_NUMBERS[kind])
        else:
            raise ModelFileError(f"the entry {key[:80]!r} has the unknown type {kind}")
    tokens = metadata.get("tokenizer.ggml.tokens", ())
    if isinstance(tokens, tuple) and len(set(tokens)) != len(tokens):
        raise ModelFileError("its vocabulary has an entry twice")
    return metadata, tensors
