"""The benchmarks' record formats, and what their labels mean.

ProcessBench (QwenLM/ProcessBench): ``id, problem, steps, label``; the label is the first wrong step's index
from 0, -1 if there is none. BIG-Bench-Mistake (arXiv 2311.08516): ``input, steps, mistake_index``, the index
from 0, null if there is none. PRMBench (arXiv 2501.03124): ``idx, modified_question, modified_process,
error_steps, classification``; the wrong steps from 1, and every other step is right. Our own, ``labelled``:
``id, problem, steps`` and ``first_error`` (from 0, or null) or ``labels`` (true for a right step).
Knows nothing of models or scores.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InputError
from ..types import Solution, first_message
from .reading import Broken, Record, encodable, read_file, read_records, unique_key

__all__ = ["BENCHMARKS", "SCORED_BY_STEPS", "UNCLASSIFIED", "Benchmark", "Item", "Unreadable", "load"]

Benchmark = Literal["bigbench-mistake", "labelled", "prmbench", "processbench"]
"""What a file of labelled solutions may be."""

SCORED_BY_STEPS: frozenset[Benchmark] = frozenset({"labelled", "prmbench"})
"""Where every labelled step counts, not only the first wrong one."""

UNCLASSIFIED = "(no classification)"
"""Where PRMBench's records go whose classification cannot be read; it is no class of the average."""

Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Item:
    """One labelled solution.

    Attributes:
        key: Unique within a benchmark: the subset, a slash, the record's id (with ``#2`` for its second use).
        subset: The name of the file it comes from, without the suffix; of PRMBench, the classification.
        solution: What is to be checked.
        expected: Index of the first wrong step, or None if all are right.
        place: Where the record stands.
        labels: Whether each step is right; None where nothing is known behind the first wrong one.
    """

    key: str
    subset: str
    solution: Solution
    expected: int | None
    place: str
    labels: tuple[bool, ...] | None = None


@dataclass(frozen=True)
class Unreadable:
    """A record that cannot be used; it counts as wrong wherever its label could belong.

    Attributes:
        key: The subset, a slash, and the record's number in its file.
        subset: As an ``Item``'s; of PRMBench, ``UNCLASSIFIED`` where the classification cannot be read.
        reason: Why it cannot be used.
        place: Where the record stands.
    """

    key: str
    subset: str
    reason: str
    place: str


class BenchmarkRecord(BaseModel):
    """Strict about the fields that matter, indifferent to others."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str | int | None = None
    steps: list[str]

    def question(self) -> str | None:
        raise NotImplementedError

    def expected(self) -> int | None:
        raise NotImplementedError

    def labels(self) -> tuple[bool, ...] | None:
        return None

    @classmethod
    def subset(cls, value: object, file: str) -> str:
        """The subset of a record that may be of any other form, given the name of its file."""
        return file


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


class PRMBenchRecord(BenchmarkRecord):
    """One line of PRMBench."""

    id: str | int | None = Field(None, validation_alias="idx")
    steps: list[str] = Field(validation_alias="modified_process")
    modified_question: Text
    error_steps: list[Annotated[int, Field(ge=1)]]
    classification: Text

    @model_validator(mode="after")
    def _the_wrong_steps_are_steps(self) -> Self:
        last = max(self.error_steps, default=0)
        if last > len(self.steps):
            raise ValueError(f"error_steps says that step {last} is wrong, but there are {len(self.steps)}")
        return self

    def question(self) -> str:
        return self.modified_question

    def expected(self) -> int | None:
        return first_wrong(self.labels())

    def labels(self) -> tuple[bool, ...]:
        return tuple(number not in self.error_steps for number in range(1, len(self.steps) + 1))

    @classmethod
    def subset(cls, value: object, file: str) -> str:
        classification = value.get("classification") if isinstance(value, dict) else None
        return classification if isinstance(classification, str) and classification else UNCLASSIFIED


class LabelledRecord(BenchmarkRecord):
    """One line of a file of somebody's own."""

    problem: Text | None = None
    first_error: int | None = Field(None, ge=0)
    step_labels: list[bool] | None = Field(None, validation_alias="labels")

    @model_validator(mode="after")
    def _there_is_one_truth(self) -> Self:
        if self.step_labels is None:
            if "first_error" not in self.model_fields_set:
                raise ValueError(
                    'there is no label: give "first_error", from 0 or null, or "labels", true where right'
                )
            return self
        if len(self.step_labels) != len(self.steps):
            raise ValueError(f"there are {len(self.step_labels)} labels for {len(self.steps)} steps")
        first = first_wrong(self.step_labels)
        if "first_error" in self.model_fields_set and self.first_error != first:
            raise ValueError(f"first_error is {self.first_error}, but by the labels it is {first}")
        return self

    def question(self) -> str | None:
        return self.problem

    def expected(self) -> int | None:
        return self.first_error if self.step_labels is None else first_wrong(self.step_labels)

    def labels(self) -> tuple[bool, ...] | None:
        return None if self.step_labels is None else tuple(self.step_labels)


def first_wrong(labels: Sequence[bool]) -> int | None:
    return labels.index(False) if False in labels else None


BENCHMARKS: dict[Benchmark, type[BenchmarkRecord]] = {
    "bigbench-mistake": BigBenchMistakeRecord,
    "labelled": LabelledRecord,
    "prmbench": PRMBenchRecord,
    "processbench": ProcessBenchRecord,
}


def load(
    benchmark: Benchmark, path: str | os.PathLike[str], limit: int | None = None
) -> list[Item | Unreadable]:
    """Read a benchmark file, or every ``*.jsonl`` of a folder; each file is a subset.

    Args:
        benchmark: Whose records they are.
        path: A file or a folder.
        limit: At most so many records of each file.

    Raises:
        InputError: There is no such benchmark, nothing is there, or nothing of it is a record of it.
    """
    if benchmark not in BENCHMARKS:
        raise InputError(f"{benchmark!r:.80} is no benchmark: give one of {', '.join(BENCHMARKS)}")
    items: list[Item | Unreadable] = []
    used: Counter[str] = Counter()
    for file in files(Path(path)):
        items += read_subset(benchmark, file, limit, used)
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


def read_subset(
    benchmark: Benchmark, file: Path, limit: int | None, used: Counter[str]
) -> Iterator[Item | Unreadable]:
    name, form = encodable(file.stem), BENCHMARKS[benchmark]
    for record in read_records(read_file(file), str(file))[:limit]:
        number = f"record-{record.place.number}"
        subset = form.subset(record.value if isinstance(record, Record) else None, name)
        try:
            item = interpret(form, record, subset, number)
        except InputError as error:
            yield Unreadable(unique_key(f"{subset}/{number}", used), subset, str(error), str(record.place))
        else:
            yield replace(item, key=unique_key(item.key, used))


def interpret(form: type[BenchmarkRecord], record: Record | Broken, subset: str, number: str) -> Item:
    if isinstance(record, Broken):
        raise InputError(record.message)
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
    return Item(
        key=f"{subset}/{number if identifier is None else identifier}",
        subset=subset,
        solution=solution,
        expected=expected,
        place=str(record.place),
        labels=fields.labels(),
    )
