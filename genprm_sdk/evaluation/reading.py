"""Reads JSON records from a file: one object, an array, or one object a line; the broken ones are told too.

Knows JSON and where in a file a record stands; what a record means is for others to know.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

__all__ = ["Broken", "Place", "Record", "encodable", "read_file", "read_records", "unique_key"]

NOT_UTF8 = re.compile("[\udc80-\udcff\0]")
"""Bytes that are no UTF-8; and the zeros of UTF-16, which a JSON text never holds."""

NOT_FINITE = re.compile(r"NaN|Infinity|[eE]\+?\d\d|\d{200}")
"""What a text with such a number holds, and few others do."""

HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
SPACE = re.compile(r"[ \t\n\r]*")
SHAPES = "give one JSON object, an array of objects, or one object a line"


@dataclass(frozen=True)
class Place:
    """Where a record stands.

    Attributes:
        file: The file's name as the user gave it.
        number: The record's number in the file, from 1.
        line: Its line, from 1; None inside an array.
    """

    file: str
    number: int
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}, record {self.number}" if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Record:
    """One JSON value, not looked into yet."""

    place: Place
    value: object


@dataclass(frozen=True)
class Broken:
    """A record that cannot be used, and why; the message says how to mend it."""

    place: Place
    message: str


def read_file(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: name a file") from None
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{path} cannot be read: {reason}") from None


def read_records(data: bytes, file: str) -> list[Record | Broken]:
    """Every record of a file in order, the broken ones too.

    A broken line loses that line only; a broken array is read up to where it breaks. Blank lines count as
    nothing.
    """
    text = data.decode("utf-8-sig", errors="surrogateescape")
    if not text.strip():
        return []
    first_line = 1 + text[: len(text) - len(text.lstrip())].count("\n")
    try:
        whole = parse(text)
    except ValueError as error:
        lines, items = by_lines(text, file), by_array(text, file)
        best = items if found(items) > found(lines) else lines
        if found(best) or all(line.lstrip().startswith("{") for line in text.split("\n") if line.strip()):
            return best
        return [Broken(Place(file, 1, first_line), f"{error}; {SHAPES}")]
    if isinstance(whole, list):
        return [Record(Place(file, number), value) for number, value in enumerate(whole, 1)]
    return [Record(Place(file, 1, first_line), whole)]


def found(records: Sequence[Record | Broken]) -> int:
    return sum(isinstance(record, Record) and isinstance(record.value, dict) for record in records)


def parse(text: str) -> object:
    """``json.loads`` whose every failure is a ``ValueError`` that reads well after a place."""
    require_utf8(text)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(describe(error)) from None
    except ValueError:
        raise ValueError("a number in it has too many digits") from None
    except RecursionError:
        raise ValueError("this is nested too deeply") from None
    require_writable(value, text)
    return value


def require_utf8(source: str) -> None:
    """Refuse text in another encoding, which JSON's own complaints would only puzzle about."""
    if NOT_UTF8.search(source):
        raise ValueError("this is not UTF-8 text: save it as UTF-8")


def require_writable(value: object, source: str) -> None:
    """Refuse what cannot be written as JSON in UTF-8 again."""
    if NOT_FINITE.search(source):
        try:
            json.dumps(value, allow_nan=False)
        except ValueError:
            raise ValueError("a number in it is not finite: JSON has neither NaN nor Infinity") from None
    if HALF_PAIR.search(source):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(str(error.object)[error.start]):04x}"
            raise ValueError(f"{half} is half of a surrogate pair, not a character") from None


def describe(error: json.JSONDecodeError) -> str:
    where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} column {error.colno}"
    return f"this is not JSON ({error.msg[:1].lower()}{error.msg[1:]}, {where})"


def by_lines(text: str, file: str) -> list[Record | Broken]:
    records: list[Record | Broken] = []
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it splits at.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = Place(file, len(records) + 1, number)
        try:
            records.append(Record(place, parse(line)))
        except ValueError as error:
            records.append(Broken(place, str(error)))
    return records


def by_array(text: str, file: str) -> list[Record | Broken]:
    """The elements of an array up to the place where it breaks."""
    records: list[Record | Broken] = []
    decoder = json.JSONDecoder()
    at = skip_space(text, 0)
    if text[at : at + 1] != "[":
        return records
    at = skip_space(text, at + 1)
    while text[at : at + 1] != "]":
        place = Place(file, len(records) + 1)
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return [*records, torn(place, text, at)]
        try:
            require_utf8(text[at:end])
            require_writable(value, text[at:end])
            records.append(Record(place, value))
        except ValueError as error:
            records.append(Broken(place, str(error)))
        at = skip_space(text, end)
        if text[at : at + 1] == ",":
            at = skip_space(text, at + 1)
        elif text[at : at + 1] != "]":
            return [*records, torn(Place(file, len(records) + 1), text, at)]
    return records


def torn(place: Place, text: str, at: int) -> Broken:
    line = text.count("\n", 0, at) + 1
    return Broken(place, f"the array is not JSON from line {line} on: this record and what follows are lost")


def skip_space(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return at if match is None else match.end()


def unique_key(key: str, used: Counter[str]) -> str:
    """The key, or where another record has it already, the key with ``#2`` and so on.

    Args:
        key: What the record would be called.
        used: The keys that have been given; this one is noted in it.
    """
    wanted = key
    while key in used:
        used[wanted] += 1
        key = f"{wanted}#{used[wanted]}"
    used[key] = 1
    return key


def encodable(text: str) -> str:
    """File names may hold bytes that are no text, and JSON cannot: those become question marks."""
    return text.encode("utf-8", "replace").decode()
