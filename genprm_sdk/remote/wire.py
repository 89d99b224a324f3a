"""What servers answer on ``/v1/completions``, read without trusting it.

One reader for the dialects: llama-server shows tokens under ``__verbose`` and log-probabilities as chat APIs
do, vLLM and SGLang show tokens beside the choice and log-probabilities as the legacy API did.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..json_objects import json_object

__all__ = ["Chunk", "MalformedAnswer", "Shown", "bytes_of", "chunk_of", "events", "object_of"]

LONGEST_LINE = 8 << 20
"""Bytes of one event; a server that sends more is broken or hostile."""

HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON may spell half of a character, which no text that is sent can hold."""

TOKEN_ID = "token_id:"
"""How vLLM spells a token that is asked for by number."""


class MalformedAnswer(Exception):
    """A server's answer is no completion."""


@dataclass(frozen=True)
class Shown:
    """A token that could have come next.

    Attributes:
        token: Its number, where the server tells.
        text: Its spelling, where it tells that.
        probability: Its probability.
    """

    token: int | None
    text: str | None
    probability: float


@dataclass(frozen=True)
class Chunk:
    """A part of a completion.

    Attributes:
        text: New text.
        tokens: The new text's tokens, or None where the server does not tell.
        ended: Whether this is the end: ``stop`` at the model's or a stop string, ``length`` at the budget.
        cached: Tokens of the prompt that were in its cache, where it tells.
        shown: What could have come first, likeliest first; empty where it was not asked for.
    """

    text: str
    tokens: tuple[int, ...] | None
    ended: str | None
    cached: int | None
    shown: tuple[Shown, ...]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Top(_Lenient):
    id: int | None = None
    token: str | None = None
    logprob: float


class _Position(_Lenient):
    top_logprobs: list[_Top] = Field(default_factory=list)


class _Logprobs(_Lenient):
    content: list[_Position] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(_Lenient):
    text: str = ""
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Verbose(_Lenient):
    tokens: list[int] | None = None


class _Timings(_Lenient):
    cache_n: int | None = Field(default=None, ge=0)


class _Details(_Lenient):
    cached_tokens: int | None = Field(default=None, ge=0)


class _Usage(_Lenient):
    prompt_tokens_details: _Details | None = None


class _Answer(_Lenient):
    choices: list[_Choice]
    usage: _Usage | None = None
    timings: _Timings | None = None
    verbose: _Verbose | None = Field(default=None, alias="__verbose")


def bytes_of(body: Mapping[str, Any]) -> bytes:
    """A request's body; halves of characters in it become question marks."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", "replace"
    )


def object_of(data: bytes | str) -> dict[str, Any]:
    """A JSON object; halves of characters in it become question marks.

    Raises:
        MalformedAnswer: It is none.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        value = json_object(text)
        if HALF_CHARACTER.search(text):
            value = json_object(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:  # an object that is just read may be too deep to write
        raise MalformedAnswer(f"no JSON object: {error}") from error
    return value


def chunk_of(answer: Mapping[str, Any]) -> Chunk:
    """A whole completion, or an event of a streamed one.

    Raises:
        MalformedAnswer: It is none, or has more than one choice.
    """
    try:
        read = _Answer.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise MalformedAnswer(f"{place}: {first['msg']}") from error
    if len(read.choices) > 1 or (not read.choices and read.usage is None):
        raise MalformedAnswer(f"{len(read.choices)} choices instead of one")
    details = read.usage.prompt_tokens_details if read.usage else None
    cached = details.cached_tokens if details else read.timings.cache_n if read.timings else None
    if not read.choices:
        return Chunk("", (), None, cached, ())
    choice = read.choices[0]
    tokens = choice.token_ids
    if tokens is None and read.verbose is not None:
        tokens = read.verbose.tokens
    return Chunk(
        text=choice.text,
        tokens=None if tokens is None else tuple(tokens),
        ended=choice.finish_reason,
        cached=cached,
        shown=_shown(choice.logprobs),
    )


def _shown(logprobs: _Logprobs | None) -> tuple[Shown, ...]:
    if logprobs is None:
        return ()
    if logprobs.content:
        found = [(top.id, top.token, top.logprob) for top in logprobs.content[0].top_logprobs]
    elif logprobs.top_logprobs and logprobs.top_logprobs[0]:
        found = [(_numbered(text), text, value) for text, value in logprobs.top_logprobs[0].items()]
    else:
        return ()
    if any(math.isnan(value) or value > 1e-3 for *_, value in found):
        raise MalformedAnswer("log-probabilities that are none")
    read = [Shown(token, text, math.exp(min(0.0, value))) for token, text, value in found]
    return tuple(sorted(read, key=lambda shown: -shown.probability))


def _numbered(text: str) -> int | None:
    number = text.removeprefix(TOKEN_ID)
    return int(number) if number != text and number.isascii() and number.isdigit() else None


async def events(stream: AsyncIterable[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    """The objects of server-sent events, up to the mark of their end.

    Lines end at newlines only: model text may hold other characters that Python takes for line ends.

    Raises:
        MalformedAnswer: An event is no object, or endless.
    """
    buffer = bytearray()
    async for piece in stream:
        buffer += piece
        *lines, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        if len(buffer) > LONGEST_LINE:
            raise MalformedAnswer("an event without an end")
        for line in lines:
            field, _, value = bytes(line).rstrip(b"\r").partition(b":")
            if field not in (b"data", b"error") or not value.strip():
                continue
            if value.strip() == b"[DONE]":
                return
            yield object_of(value)
