"""What a run has finished, in a folder that outlives it.

``settings.json`` says what the results belong to, ``results.jsonl`` grows by a line for each record,
``summary.json`` appears when all are done. Knows files; a run killed at any moment leaves a folder that can
be read again: a torn last line is skipped, and whole files are replaced in one step.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from ..errors import InputError
from ..modes import History, Reasoning
from ..options import CheckOptions, adaptive_of
from ..types import Frozen
from .datasets import Benchmark, Item
from .outcome import Outcome

__all__ = ["ResultStore", "Settings", "digest_of"]


class Settings(Frozen):
    """Everything but the record that decides a result.

    Attributes:
        model: The model's name.
        model_file: A fingerprint of its file, or None if there is no file.
        history: What paths saw of earlier steps, or None for what the model's file says.
        adaptive: See ``options.adaptive_of``.
        version: This library's.
    """

    benchmark: Benchmark
    model: str
    model_file: str | None = None
    samples: int
    seed: int
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE
    history: History | None = None
    adaptive: str = "auto"
    stop_at_first_error: bool = False
    exact: bool = False
    version: str

    @property
    def options(self) -> CheckOptions:
        """What each check is told."""
        return CheckOptions(
            samples=self.samples,
            seed=self.seed,
            adaptive=adaptive_of(self.adaptive),
            stop_at_first_error=self.stop_at_first_error,
        )


def digest_of(item: Item) -> str:
    """Of what a record says, label included."""
    content = f"{item.solution.model_dump_json()}\n{item.expected}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class ResultStore:
    """One run's folder; made by ``open``."""

    def __init__(self, folder: Path, finished: Mapping[str, Outcome]) -> None:
        self._folder = folder
        self._finished = dict(finished)

    @classmethod
    def open(cls, folder: Path, settings: Settings) -> ResultStore:
        """Make the folder, or go on with the results in it.

        Raises:
            InputError: The folder holds results of other settings, or it cannot be written to.
        """
        path = folder / "settings.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if path.exists():
                require_same(folder, path.read_text(encoding="utf-8"), settings)
            elif (folder / "results.jsonl").exists():
                raise InputError(f"{folder} holds results but no settings.json: choose another --out folder")
            else:
                replace_file(path, settings)
            finished = read_results(folder / "results.jsonl")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{folder} cannot be used for results: {error}") from None
        return cls(folder, finished)

    def finished(self, item: Item) -> Outcome | None:
        """The earlier result of the same record; one that ended in an error is not kept."""
        outcome = self._finished.get(item.key)
        if outcome is None or outcome.error is not None or outcome.digest != digest_of(item):
            return None
        return outcome

    def add(self, outcome: Outcome) -> None:
        """Append one result; it is with the operating system when this returns."""
        line = outcome.model_dump_json().encode() + b"\n"
        with (self._folder / "results.jsonl").open("ab+") as file:
            if torn(file):
                line = b"\n" + line
            file.write(line)
        self._finished[outcome.key] = outcome

    def conclude(self, summary: BaseModel) -> Path:
        """Write ``summary.json``."""
        path = self._folder / "summary.json"
        replace_file(path, summary)
        return path


def require_same(folder: Path, text: str, settings: Settings) -> None:
    try:
        earlier = Settings.model_validate_json(text)
    except ValidationError:
        raise InputError(f"{folder}/settings.json cannot be read: choose another --out folder") from None
    different = [
        f"{name} {getattr(earlier, name)!r} instead of {getattr(settings, name)!r}"
        for name in Settings.model_fields
        if getattr(earlier, name) != getattr(settings, name)
    ]
    if different:
        raise InputError(
            f"{folder} holds results of other settings ({', '.join(different)}): choose another --out folder"
        )


def read_results(path: Path) -> dict[str, Outcome]:
    if not path.exists():
        return {}
    outcomes = (parse_line(line) for line in path.read_bytes().split(b"\n") if line.strip())
    return {outcome.key: outcome for outcome in outcomes if outcome is not None}


def parse_line(line: bytes) -> Outcome | None:
    try:
        return Outcome.model_validate_json(line)
    except ValidationError:
        return None


def torn(file: BinaryIO) -> bool:
    """Whether the last line has no end; leaves the file at its end."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def replace_file(path: Path, content: BaseModel) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content.model_dump_json(indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
