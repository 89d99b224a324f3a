"""Which solutions a file for ``genprm check`` holds.

Knows the names that data sets use for a problem. Reads everything before the model is loaded, so that a wrong
file costs no waiting.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..evaluation.reading import Broken, Place, Record, read_file, read_records
from ..types import Solution

__all__ = ["Entry", "read_solutions"]

PROBLEM_NAMES = ("problem", "input", "question")


@dataclass(frozen=True)
class Entry:
    """A solution and where it comes from; ``id`` is as the input has it, a number stays a number."""

    place: Place
    solution: Solution
    id: str | int | float | None

    @property
    def title(self) -> str:
        return str(self.place) if self.id is None else str(self.id)


def read_solutions(file: str, limit: int | None = None) -> list[Entry | Broken]:
    """The first ``limit`` records of a file, ``-`` for stdin.

    Raises:
        InputError: The file cannot be read, or holds no record at all.
    """
    if file == "-":
        name, data = "<stdin>", sys.stdin.buffer.read()
    else:
        name, data = file, read_file(Path(file))
    records = read_records(data, name)
    if not records:
        raise InputError(f'{name} holds no records: give objects like {{"problem": "...", "steps": ["..."]}}')
    return [record if isinstance(record, Broken) else entry(record) for record in records[:limit]]


def entry(record: Record) -> Entry | Broken:
    try:
        return interpret(record)
    except InputError as error:
        return Broken(record.place, str(error))


def interpret(record: Record) -> Entry:
    fields = record.value
    if not isinstance(fields, dict):
        raise InputError(f"a record is a JSON object, not {json_name(fields)}")
    if fields.get("steps") is None:
        raise InputError('there are no "steps": give a list of texts, or one text split at blank lines')
    problem = next((fields[name] for name in PROBLEM_NAMES if fields.get(name) is not None), None)
    identifier = fields.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, (str, int, float, type(None))):
        raise InputError(f"the id must be text or a number, not {json_name(identifier)}")
    steps = fields["steps"]
    if not isinstance(steps, (str, list)):
        raise InputError(f"steps must be a list of texts or one text, not {json_name(steps)}")
    solution = Solution.of(steps, problem=problem, id=None if identifier is None else str(identifier))
    return Entry(record.place, solution, identifier)


def json_name(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
