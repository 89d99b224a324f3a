"""The two benchmarks' record formats, and what their labels mean.

ProcessBench (QwenLM/ProcessBench): ``id, problem, steps, label``; the label is the first wrong step's index
from 0, -1 if there is none. BIG-Bench-Mistake (arXiv 2311.08516): ``input, steps, mistake_index``, the index
from 0, null if there is none. Knows nothing of models or scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InputError
from ..types import Solution, first_message
from .reading import Broken, Record, encodable, read_file, read_records

__all__ = ["BENCHMARKS", "Benchmark", "Item", "Unreadable", "load"]

Benchmark = Literal["bigbench-mistake", "processbench"]

Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Item:
    """One labelled solution.

    Attributes:
        key: Unique within a benchmark: the subset, a slash, the record's id (with ``#2`` for its second use).
        subset: The name of the file it comes from, without the suffix.
        solution: What is to be checked.
        expected: Index of the first wrong step, or None if all are right.
        place: Where the record stands.
    """

    key: str
    subset: str
    solution: Solution
    expected: int | None
    place: str


@dataclass(frozen=True)
class Unreadable:
    """A record that cannot be used; it counts as wrong wherever its label could belong."""

    key: str
    subset: str
    reason: str
    place: str


class BenchmarkRecord(BaseModel):
    """Strict about the fields that matter, indifferent to others."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str | int | None = None
    steps: list[str]

    def question(self) -> str:
        raise NotImplementedError

    def expected(self) -> int | None:
        raise NotImplementedError


class ProcessBenchRecord(BenchmarkRecord):
    """One line of ProcessBench."""

    problem: Text
    label: int = Field(ge=-1)

    def question(self) -> str:
        return self.problem

    def expected(self) -> int | None:
        return None if self.label == -1 else self.label


class BigBenchMistakeRecord(BenchmarkRecord):
    """One line of BIG-Bench-Mistake."""

    input: Text
    mistake_index: int | None = Field(ge=0)

    def question(self) -> str:
        return self.input

    def expected(self) -> int | None:
        return self.mistake_index


BENCHMARKS: dict[Benchmark, type[BenchmarkRecord]] = {
    "bigbench-mistake": BigBenchMistakeRecord,
    "processbench": ProcessBenchRecord,
}


def load(benchmark: Benchmark, path: Path, limit: int | None = None) -> list[Item | Unreadable]:
    """Read a benchmark file, or every ``*.jsonl`` of a folder; each file is a subset.

    Args:
        benchmark: Whose records they are.
        path: A file or a folder.
        limit: At most so many records of each file.

    Raises:
        InputError: Nothing is there, or nothing of it is a record of this benchmark.
    """
    items: list[Item | Unreadable] = []
    for file in files(path):
        items += subset(benchmark, file, limit)
    if not any(isinstance(item, Item) for item in items):
        reason = next((f"; {i.place}: {i.reason}" for i in items if isinstance(i, Unreadable)), "")
        raise InputError(f"{path} holds no usable {benchmark} record{reason}")
    return items


def files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.jsonl"))
    if not found:
        raise InputError(f"{path} holds no .jsonl file")
    return found


def subset(benchmark: Benchmark, file: Path, limit: int | None) -> Iterator[Item | Unreadable]:
    used: dict[str, int] = {}
    name = encodable(file.stem)
    for record in read_records(read_file(file), str(file))[:limit]:
        place = str(record.place)
        number = f"{name}/record-{record.place.number}"
        if isinstance(record, Broken):
            yield Unreadable(number, name, record.message, place)
            continue
        try:
            solution, expected = interpret(BENCHMARKS[benchmark], record)
        except InputError as error:
            yield Unreadable(number, name, str(error), place)
            continue
        key = number if solution.id is None else f"{name}/{solution.id}"
        used[key] = used.get(key, 0) + 1
        if used[key] > 1:
            key = f"{key}#{used[key]}"
        yield Item(key, name, solution, expected, place)


def interpret(form: type[BenchmarkRecord], record: Record) -> tuple[Solution, int | None]:
    if not isinstance(record.value, dict):
        raise InputError(f"a record is a JSON object, not {type(record.value).__name__}")
    try:
        fields = form.model_validate(record.value)
    except ValidationError as error:
        raise InputError(first_message(error)) from None
    identifier = None if fields.id is None else str(fields.id)
    solution = Solution.of(fields.steps, problem=fields.question(), id=identifier)
    expected = fields.expected()
    if expected is not None and expected >= len(solution.steps):
        last = len(solution.steps) - 1
        raise InputError(f"the label says that step {expected} is wrong, but the last step is {last}")
    return solution, expected
