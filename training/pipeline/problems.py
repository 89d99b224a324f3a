"""Where problems come from: worlds, by seed, or a JSON Lines file with answers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from genprm_sdk.errors import InputError
from genprm_sdk.types import Solution

from ..worlds import WORLDS
from .records import Drop, Problem

__all__ = ["file_problems", "world_problems"]

TEXT_NAMES = ("problem", "question", "input")
ANSWER_NAMES = ("answer", "final_answer", "target")


def world_problems(domains: Mapping[str, int], seed: int) -> Iterator[Problem]:
    """So many exercises of each domain to learn from; a larger number begins with the same ones."""
    for domain, count in domains.items():
        for number in range(count):
            exercise = WORLDS[domain].practice(random.Random(f"pipeline/{seed}/{domain}/{number}"))
            yield Problem(
                text=exercise.problem, answer=exercise.answer, domain=domain, source=f"{domain}/{number}"
            )


def file_problems(path: Path, limit: int | None = None) -> Iterator[tuple[str, Problem | Drop]]:
    """The records of a file, a line at a time, each with its line as text.

    A line that cannot be used is a ``Drop`` that names it.

    Raises:
        InputError: The file cannot be read, or no line has a problem and an answer.
    """
    usable = found = 0
    first: Drop | None = None
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.strip():
                    continue
                if limit is not None and found >= limit:
                    break
                found += 1
                record = _read(raw, f"{path.name}:{number}")
                if isinstance(record, Problem):
                    usable += 1
                else:
                    first = first or record
                yield raw.decode("utf-8", "replace"), record
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not usable:
        why = f"the first: {first.detail}" if first is not None else "it is empty"
        raise InputError(
            f"{path} has no usable problem ({why}); a line is "
            '{"problem": "…", "answer": "…"}, with the answer that solutions are held against'
        )


def _read(raw: bytes, source: str) -> Problem | Drop:
    try:
        record: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return Drop(reason="the record is no JSON", detail=f"{source}: no JSON")
    if not isinstance(record, dict):
        return Drop(reason="the record is no JSON object", detail=f"{source}: no JSON object")
    text, answer = _first(record, TEXT_NAMES), _first(record, ANSWER_NAMES)
    if not isinstance(text, str) or not text.strip():
        return Drop(reason="the record has no problem", detail=f"{source}: no text under `problem`")
    if answer is None or not str(answer).strip():
        return Drop(reason="the record has no answer", detail=f"{source}: nothing under `answer`")
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return Drop(
            reason="the answer is no text or number", detail=f"{source}: no text or number under `answer`"
        )
    try:
        Solution(problem=text, steps=("-",))
        return Problem(text=text, answer=str(answer).strip(), source=source)
    except ValidationError as error:
        return Drop(reason="the problem cannot be used", detail=f"{source}: {error.errors()[0]['msg']}")


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)
