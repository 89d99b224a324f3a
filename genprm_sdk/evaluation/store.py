"""What a run has finished, in a folder that outlives it.

``settings.json`` says what the results belong to, ``results.jsonl`` grows by a line for each record and
``reports/`` by a page, ``summary.json`` appears when all are done. Knows files; a run killed at any moment
leaves a folder that can be read again: a torn last line is skipped, and whole files are replaced in one step.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Generic, Literal, Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import InputError
from ..json_objects import json_object

__all__ = [
    "FORMAT",
    "REPORTS",
    "Format",
    "Kept",
    "Result",
    "ResultStore",
    "page_name",
    "read_results",
    "read_unchecked",
    "write_text",
]

Format = Literal[2]
FORMAT: Format = 2
"""Of a folder; the first one kept no paths."""

SETTINGS, RESULTS, SUMMARY = "settings.json", "results.jsonl", "summary.json"
REPORTS = "reports"
LONGEST_NAME = 60


class Kept(Protocol):
    """What the store needs of a result: a pydantic model with these fields."""

    @property
    def key(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def error(self) -> str | None: ...
    def model_dump_json(self) -> str: ...
    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self: ...


Result = TypeVar("Result", bound=Kept)


class ResultStore(Generic[Result]):
    """One run's folder; made by ``open``."""

    def __init__(self, folder: Path, finished: Mapping[str, Result]) -> None:
        self.folder = folder
        self._finished = dict(finished)

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], settings: BaseModel, kind: type[Result]
    ) -> ResultStore[Result]:
        """Make the folder, or go on with the results in it.

        Args:
            folder: Where.
            settings: What decides the results; they belong to no others.
            kind: What a result is.

        Raises:
            InputError: The folder holds results of other settings, another process is at work in it, or it
                cannot be written to.
        """
        folder = Path(folder)
        path = folder / SETTINGS
        try:
            (folder / REPORTS).mkdir(parents=True, exist_ok=True)
            with alone(folder):
                if path.exists():
                    require_same(folder, path.read_text(encoding="utf-8"), settings)
                elif (folder / RESULTS).exists():
                    raise InputError(
                        f"{folder} holds results but no settings.json: choose another --out folder"
                    )
                else:
                    write_text(path, document(settings))
                finished = {} if not (folder / RESULTS).exists() else read_results(folder / RESULTS, kind)
        except (OSError, UnicodeDecodeError) as error:
            raise unwritable(folder, error) from None
        return cls(folder, finished)

    def alone(self) -> AbstractContextManager[None]:
        """For as long as this lasts, no other process may write here; the system ends it with this process.

        Raises:
            InputError: Another process is at work in the folder, or it is gone.
        """
        return alone(self.folder)

    def finished(self, key: str, digest: str) -> Result | None:
        """The earlier result of the same record; one that ended in an error is not kept."""
        result = self._finished.get(key)
        if result is None or result.error is not None or result.digest != digest:
            return None
        return result

    def add(self, result: Result, page: str | None = None) -> None:
        """Append one result, its page first; both are with the operating system when this returns.

        Raises:
            InputError: The folder cannot be written to any more.
        """
        line = result.model_dump_json().encode() + b"\n"
        try:
            if page is not None:
                write_text(self.folder / REPORTS / page_name(result.key), page)
            with (self.folder / RESULTS).open("ab+") as file:
                if torn(file):
                    line = b"\n" + line
                file.write(line)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        self._finished[result.key] = result

    def conclude(self, summary: BaseModel) -> Path:
        """Write ``summary.json``."""
        path = self.folder / SUMMARY
        try:
            write_text(path, document(summary))
        except OSError as error:
            raise unwritable(self.folder, error) from None
        return path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another process is at work in {folder}: wait for it, or choose another --out folder"
            ) from None
        yield
    finally:
        os.close(descriptor)


def page_name(key: str) -> str:
    """A file name for a record: readable, one of its own, and harmless whatever the key holds."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", key)[:LONGEST_NAME].strip("-")
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{readable}-{digest}.html".removeprefix("-")


def require_same(folder: Path, text: str, settings: BaseModel) -> None:
    wanted = settings.model_dump(mode="json")
    try:
        earlier = json_object(text)
    except ValueError:
        raise InputError(f"{folder}/settings.json cannot be read: choose another --out folder") from None
    if earlier.get("format") != FORMAT:
        raise InputError(
            f"{folder} holds results of another version's format, which this one cannot go on with: "
            "choose another --out folder"
        )
    different = [
        f"{name} {earlier.get(name)!r:.80} instead of {value!r:.80}"
        for name, value in wanted.items()
        if earlier.get(name) != value
    ]
    if different:
        raise InputError(
            f"{folder} holds results of other settings ({', '.join(different)}): choose another --out folder"
        )


def read_results(path: Path, kind: type[Result]) -> dict[str, Result]:
    """The results of a file by their keys, the last of each; lines that cannot be read are skipped.

    Raises:
        OSError: The file cannot be read.
    """
    results = (parse_line(line, kind) for line in path.read_bytes().split(b"\n") if line.strip())
    return {result.key: result for result in results if result is not None}


def parse_line(line: bytes, kind: type[Result]) -> Result | None:
    try:
        return kind.model_validate_json(line)
    except ValidationError:
        return None


def read_unchecked(folder: Path, results: Mapping[str, object]) -> dict[str, str]:
    """What the summary lists as a failure although no result was ever kept, such as a record that is no JSON.

    They have no line in ``results.jsonl``: once they are mended nothing would take it out again.

    Args:
        folder: A run's.
        results: Its results by their keys.

    Returns:
        The reasons by the keys; none while there is no summary.
    """
    try:
        failures = json_object((folder / SUMMARY).read_bytes())["failures"]
        return {str(each["key"]): str(each["reason"]) for each in failures if each["key"] not in results}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def torn(file: BinaryIO) -> bool:
    """Whether the last line has no end; leaves the file at its end."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def document(content: BaseModel) -> str:
    return content.model_dump_json(indent=2) + "\n"


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step.

    Raises:
        OSError: It cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def unwritable(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder} cannot be used for results: {error}")
