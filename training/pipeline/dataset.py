"""Training examples: the protocol's conversations, and their way to files."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from pydantic import field_validator

from genprm_sdk import wording
from genprm_sdk.errors import InputError, MissingExtraError
from genprm_sdk.modes import Reasoning
from genprm_sdk.types import Frozen

from .records import Conversation, Drop, Kept, Message
from .store import StoreError
from .variants import TRAINABLE, reduced

__all__ = [
    "DatasetSettings",
    "conversation",
    "read_conversations",
    "write",
    "write_jsonl",
    "write_lines",
    "write_parquet",
]

BATCH = 256


class DatasetSettings(Frozen):
    """What a verifier is to write.

    Attributes:
        reasoning: ``direct``, ``analysis``, ``code`` or ``analysis+code`` (the paper's variants).
    """

    reasoning: Reasoning = Reasoning.ANALYSIS_CODE

    @field_validator("reasoning")
    @classmethod
    def _trainable(cls, reasoning: Reasoning) -> Reasoning:
        if reasoning not in TRAINABLE:
            raise ValueError(f"reasoning must be one of {', '.join(TRAINABLE)}, not {reasoning}")
        return reasoning


def conversation(kept: Kept, settings: DatasetSettings) -> Conversation | Drop:
    """A kept solution as a conversation: a step is a user's message, its verification the assistant's."""
    steps = kept.rollout.steps[: len(kept.turns)]
    direct = settings.reasoning is Reasoning.DIRECT
    system = wording.DIRECT_SYSTEM if direct else wording.REVIEW_SYSTEM
    messages = [Message(role="system", content=system)]
    train: list[tuple[int, int, int]] = []
    for index, (step, whole) in enumerate(zip(steps, kept.turns, strict=True)):
        turn = reduced(whole, index, settings.reasoning)
        if turn is None:
            return Drop(reason=f"a verification without {settings.reasoning}", detail=f"step {index + 1}")
        asked = step if index else f"{kept.problem.text}\n{step}"
        messages.append(Message(role="user", content=asked))
        train += [(len(messages), start, end) for start, end in turn.written]
        messages.append(Message(role="assistant", content=turn.text))
    return Conversation(
        problem=kept.problem.text,
        domain=kept.problem.domain,
        reasoning=settings.reasoning,
        steps=steps,
        labels=tuple(label.correct for label in kept.labels[: len(steps)]),
        messages=tuple(messages),
        train=tuple(train),
    )


def read_conversations(data: Path) -> Iterator[Conversation]:
    """The conversations of a file, one at a time.

    Raises:
        InputError: A line is none; names it.
    """
    try:
        with data.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Conversation.model_validate_json(line)
                except ValueError as error:
                    reason = str(error).splitlines()[0]
                    raise InputError(f"{data}, line {number} is no conversation: {reason}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{data} cannot be read: {error}") from None


async def write_jsonl(records: AsyncIterator[Conversation], path: Path) -> int:
    """One record a line; returns how many there are. See ``write_lines``."""
    return await write_lines((record.model_dump_json() async for record in records), path)


def check_target(path: Path) -> None:
    """Make sure that a file can lie there.

    Raises:
        InputError: It has no folder, or is one.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist: make it first")
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder; name a file in it")


async def write_lines(lines: AsyncIterator[str], path: Path) -> int:
    """Lines to a file, which is replaced whole or not at all; returns how many there are.

    Raises:
        InputError: Its folder does not exist.
        StoreError: It cannot be written.
    """
    check_target(path)
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with part.open("w", encoding="utf-8") as file:
            async for line in lines:
                file.write(line + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error}") from None
    return count


async def write_parquet(records: AsyncIterator[Conversation], path: Path) -> int:
    """The same as Parquet, a batch of records at a time.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: Its folder does not exist.
        StoreError: It cannot be written.
    """
    check_target(path)
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("pyarrow", "data", "Writing Parquet")
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.string()
    message = pyarrow.struct([("role", text), ("content", text)])
    span = pyarrow.struct(
        [("message", pyarrow.int32()), ("start", pyarrow.int32()), ("end", pyarrow.int32())]
    )
    schema = pyarrow.schema(
        [
            ("problem", text),
            ("domain", text),
            ("reasoning", text),
            ("steps", pyarrow.list_(text)),
            ("labels", pyarrow.list_(pyarrow.bool_())),
            ("messages", pyarrow.list_(message)),
            ("train", pyarrow.list_(span)),
        ]
    )
    part = path.with_name(path.name + ".part")
    count = 0
    batch: list[dict[str, Any]] = []
    try:
        with parquet.ParquetWriter(part, schema) as writer:

            def flush() -> None:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
                batch.clear()

            async for record in records:
                row = record.model_dump()
                row["train"] = [
                    dict(zip(("message", "start", "end"), each, strict=True)) for each in record.train
                ]
                batch.append(row)
                count += 1
                if len(batch) >= BATCH:
                    flush()
            flush()
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error}") from None
    return count


async def write(records: AsyncIterator[Conversation], path: Path) -> int:
    """Write a file of the kind that its name says.

    Raises:
        InputError: It says neither ``.jsonl`` nor ``.parquet``, or its folder does not exist.
    """
    if path.suffix == ".jsonl":
        return await write_jsonl(records, path)
    if path.suffix == ".parquet":
        return await write_parquet(records, path)
    raise InputError(f"{path.name} must end in .jsonl or .parquet")
