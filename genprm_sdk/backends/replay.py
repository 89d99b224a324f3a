"""Record what a backend answers, and replay it exactly, without any model: for tests.

An answer is kept under what led to it: the sequence's text, act by act, and what was asked of it. So a replay
knows what was recorded, in any order, and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import BackendError, ClosedError, ContextLengthError, InputError
from ..models import MetadataValue
from ..prompt import ChatFrame, Segment
from ..types import Probability
from .base import Backend, Counters, Generation, OpenSequence, Sampling, Work

__all__ = ["RecordingBackend", "ReplayBackend"]

M = TypeVar("M", bound=BaseModel)

ROOT = "genprm-recording-1"
"""The format's name, and the key of an empty sequence."""

LONGEST_SHOWN = 100
"""Characters of a text that an error shows."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Header(_Strict):
    format: Literal["genprm-recording-1"] = "genprm-recording-1"
    name: str
    frame: dict[str, str]
    context: int = Field(ge=1)
    capacity: int = Field(ge=1)
    metadata: dict[str, str | int | float | bool | tuple[str, ...]]

    @field_validator("frame")
    @classmethod
    def _is_whole(cls, frame: dict[str, str]) -> dict[str, str]:
        names = {field.name for field in fields(ChatFrame)}
        if frame.keys() != names:
            raise ValueError(f"a frame has exactly {', '.join(sorted(names))}")
        return frame

    @classmethod
    def of(cls, backend: Backend) -> Self:
        return cls(
            name=backend.name,
            frame=asdict(backend.frame),
            context=backend.context,
            capacity=backend.capacity,
            metadata={key: value for key, value in backend.metadata.items() if key.startswith("genprm.")},
        )


class _Written(_Strict):
    text: str
    tokens: int = Field(ge=0)
    finish: Literal["stop", "length", "end"]
    stop: str | None = None
    length: int = Field(ge=0)


class _Record(_Strict):
    """One answer: of exactly one kind.

    Attributes:
        key: What led to it.
        added: Tokens that an append became.
        too_long: Why an append was refused.
        written: A generation, and the sequence's length behind it.
        read: Probabilities.
    """

    key: str
    added: Annotated[int, Field(ge=0)] | None = None
    too_long: str | None = None
    written: _Written | None = None
    read: tuple[Probability, ...] | None = None

    @model_validator(mode="after")
    def _is_one_answer(self) -> Self:
        told = (self.added, self.too_long, self.written, self.read)
        if sum(each is not None for each in told) != 1:
            raise ValueError("an answer is of exactly one kind")
        return self


def _key(before: str, act: str, *details: Any) -> str:
    told = json.dumps([before, act, *details], ensure_ascii=True, sort_keys=True)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _append_key(before: str, segments: Sequence[Segment]) -> str:
    return _key(before, "append", [[segment.kind, segment.text] for segment in segments])


def _generate_key(before: str, stop: Sequence[str], max_tokens: int, sampling: Sampling) -> str:
    return _key(before, "generate", list(stop), max_tokens, asdict(sampling))


class RecordingBackend:
    """A backend that does what another does, and writes its answers to a file.

    Args:
        backend: The other; closed with this one.
        path: The file, JSON lines. What it holds of the same model stays, new answers are added.

    Raises:
        InputError: The file holds something else, or another model's recording.
    """

    def __init__(self, backend: Backend, path: str | os.PathLike[str]) -> None:
        self._backend = backend
        self.name = backend.name
        self.frame = backend.frame
        self.context = backend.context
        self.capacity = backend.capacity
        self.prompts_at_once = backend.prompts_at_once
        self.metadata = backend.metadata
        self._path = Path(path)
        self._writing = asyncio.Lock()
        header = _Header.of(backend)
        if self._path.is_file() and self._path.stat().st_size:
            found, _, whole = _read(self._path)
            if found != header:
                raise InputError(
                    f"{self._path} is a recording of {found.name} under other settings: give another file"
                )
            os.truncate(self._path, whole)
        else:
            self._write(header)

    def _write(self, line: BaseModel) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line.model_dump_json(exclude_none=True) + "\n")

    async def _record(self, record: _Record) -> None:
        async with self._writing:
            await asyncio.to_thread(self._write, record)

    async def open(self, segments: Sequence[Segment]) -> OpenSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        inner = await self._backend.open([])
        sequence = _RecordingSequence(self, inner, ROOT)
        try:
            await sequence.append(segments)
        except BaseException:
            await sequence.close()
            raise
        return sequence

    def counters(self) -> Counters:
        """The other backend's totals."""
        return self._backend.counters()

    async def close(self) -> None:
        """Close the other backend."""
        await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _RecordingSequence:
    def __init__(self, backend: RecordingBackend, inner: OpenSequence, key: str) -> None:
        self._backend = backend
        self._inner = inner
        self._key = key

    @property
    def tokens(self) -> int:
        return self._inner.tokens

    @property
    def work(self) -> Work:
        return self._inner.work

    async def fork(self) -> OpenSequence:
        return _RecordingSequence(self._backend, await self._inner.fork(), self._key)

    async def append(self, segments: Sequence[Segment]) -> int:
        key = _append_key(self._key, segments)
        try:
            added = await self._inner.append(segments)
        except ContextLengthError as error:
            await self._backend._record(_Record(key=key, too_long=str(error)))
            raise
        self._key = key
        await self._backend._record(_Record(key=key, added=added))
        return added

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        before = self._key
        got = await self._inner.generate(stop, max_tokens, sampling, show)
        self._key = _key(before, "written", got.text)
        written = _Written(**asdict(got), length=self._inner.tokens)
        key = _generate_key(before, stop, max_tokens, sampling)
        await self._backend._record(_Record(key=key, written=written))
        return got

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        key = self._key
        read = await self._inner.probabilities(candidates)
        await self._backend._record(_Record(key=_key(key, "read", list(candidates)), read=tuple(read)))
        return read

    async def close(self) -> None:
        await self._inner.close()


class ReplayBackend:
    """A backend that answers from a recording. Load with ``await ReplayBackend.load(path)``.

    What was asked several times is answered as it was then, one after the other, and then as the last time.
    """

    def __init__(self, header: _Header, records: Mapping[str, Sequence[_Record]], path: Path) -> None:
        self.name = header.name
        self.frame = ChatFrame(**header.frame)
        self.context = header.context
        self.capacity = self.prompts_at_once = header.capacity
        self.metadata: Mapping[str, MetadataValue] = header.metadata
        self._records = records
        self._told: dict[str, int] = {}
        self._path = path
        self._closed = False
        self._prompt = self._generated = 0

    @classmethod
    async def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a recording; a last line that was being written when it ended is left out.

        Raises:
            InputError: There is no such file, or it is no recording; names the line.
        """
        file = Path(path)
        header, records, _ = await asyncio.to_thread(_read, file)
        return cls(header, records, file)

    async def open(self, segments: Sequence[Segment]) -> OpenSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        self._check_open()
        sequence = _ReplaySequence(self, ROOT, 0)
        await sequence.append(segments)
        return sequence

    def counters(self) -> Counters:
        """Totals so far; nothing is evaluated."""
        return Counters(self._prompt, self._generated, self._prompt, 0)

    async def close(self) -> None:
        """Answer no more."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the backend is closed")

    def _answer(self, key: str, asked: str) -> _Record:
        records = self._records.get(key)
        if not records:
            raise BackendError(
                f"{self._path} does not hold this: {asked}; record it anew with RecordingBackend"
            )
        told = self._told.get(key, 0)
        self._told[key] = told + 1
        return records[min(told, len(records) - 1)]

    def _damaged(self, key: str) -> BackendError:
        return BackendError(f"{self._path} holds an answer of another kind under {key}: it is damaged")


class _ReplaySequence:
    def __init__(self, backend: ReplayBackend, key: str, tokens: int) -> None:
        self._backend = backend
        self._key = key
        self._tokens = tokens
        self._is_open = True

    @property
    def tokens(self) -> int:
        self._check_open()
        return self._tokens

    @property
    def work(self) -> Work:
        return Work()

    def _check_open(self) -> None:
        self._backend._check_open()
        if not self._is_open:
            raise ClosedError("the sequence is closed")

    async def fork(self) -> OpenSequence:
        self._check_open()
        return _ReplaySequence(self._backend, self._key, self._tokens)

    async def append(self, segments: Sequence[Segment]) -> int:
        self._check_open()
        key = _append_key(self._key, segments)
        text = "".join(each.text for each in segments)
        record = self._backend._answer(key, f"append text that ends in {text[-LONGEST_SHOWN:]!r}")
        if record.too_long is not None:
            raise ContextLengthError(record.too_long)
        if record.added is None:
            raise self._backend._damaged(key)
        self._key, self._tokens = key, self._tokens + record.added
        self._backend._prompt += record.added
        return record.added

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        self._check_open()
        key = _generate_key(self._key, stop, max_tokens, sampling)
        asked = f"generate at most {max_tokens} tokens until {list(stop)} with {sampling}"
        written = self._backend._answer(key, asked).written
        if written is None:
            raise self._backend._damaged(key)
        self._key, self._tokens = _key(self._key, "written", written.text), written.length
        self._backend._generated += written.tokens
        if show is not None and written.text:
            show(written.text)
        return Generation(written.text, written.tokens, written.finish, written.stop)

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        self._check_open()
        key = _key(self._key, "read", list(candidates))
        read = self._backend._answer(key, f"read {list(candidates)}").read
        if read is None or len(read) != len(candidates):
            raise self._backend._damaged(key)
        return list(read)

    async def close(self) -> None:
        self._is_open = False


def _read(path: Path) -> tuple[_Header, dict[str, list[_Record]], int]:
    """A recording's header, its answers by key in the order of their asking, and where its last line ends."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the recording {path}: {error.strerror or error}") from error
    whole = data.rfind(b"\n") + 1
    first, *lines = data[:whole].split(b"\n")[:-1] or [b""]
    header = _line(path, 1, first, _Header)
    records: dict[str, list[_Record]] = {}
    for number, line in enumerate(lines, start=2):
        record = _line(path, number, line, _Record)
        records.setdefault(record.key, []).append(record)
    return header, records, whole


def _line(path: Path, number: int, line: bytes, model: type[M]) -> M:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InputError(f"{path}, line {number}, is no part of a recording: {reason}") from None
