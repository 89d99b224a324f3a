"""Prompts as segments: what is a model's control language and what is mere content.

A control segment may hold the template's special tokens; a content segment (a problem, a step, a forced tag,
a program's output) never does, whatever its characters spell. Neighbouring segments of one append are
tokenised as one run between special tokens, so ids equal the usual tokenizer's on harmless text.

Knows chat templates as strings in between contents; knows nothing of the method or of any engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import ModelFileError

__all__ = ["ChatFrame", "Segment", "content", "control", "cuts_inside", "tokenizer_runs"]


@dataclass(frozen=True)
class Segment:
    """A piece of a prompt; ``kind`` says whether special tokens in it are meant."""

    kind: Literal["control", "content"]
    text: str


def control(text: str) -> Segment:
    """Text of the chat template: its special tokens are meant."""
    return Segment("control", text)


def content(text: str) -> Segment:
    """Any other text: it is never read for special tokens."""
    return Segment("content", text)


def tokenizer_runs(
    segments: Sequence[Segment], special_tokens: Sequence[str]
) -> list[tuple[Literal["special", "text"], str]]:
    """Cut segments into special tokens and the runs of text between them.

    Args:
        segments: What one append adds, in order.
        special_tokens: The spellings of the vocabulary's control tokens.

    Returns:
        Pairs of kind and text; no two neighbours are text, no text is empty.
    """
    by_length = sorted((token for token in special_tokens if token), key=len, reverse=True)
    runs: list[tuple[Literal["special", "text"], str]] = []

    def add_text(text: str) -> None:
        if not text:
            return
        if runs and runs[-1][0] == "text":
            runs[-1] = ("text", runs[-1][1] + text)
        else:
            runs.append(("text", text))

    for segment in segments:
        if segment.kind == "content":
            add_text(segment.text)
            continue
        rest = segment.text
        while rest:
            places = [(at, token) for token in by_length if (at := rest.find(token)) >= 0]
            if not places:
                add_text(rest)
                break
            at, token = min(places, key=lambda place: (place[0], -len(place[1])))
            add_text(rest[:at])
            runs.append(("special", token))
            rest = rest[at + len(token) :]
    return runs


def cuts_inside(spellings: Iterable[str]) -> re.Pattern[str] | None:
    """Where to split a text so that no piece of it spells one of these: behind the first character of each.

    Returns:
        A pattern that matches nothing but places, or None if nothing of these can be cut.
    """
    longest_first = sorted((text for text in spellings if len(text) > 1), key=len, reverse=True)
    if not longest_first:
        return None
    places = (f"(?<={re.escape(text[0])})(?={re.escape(text[1:])})" for text in longest_first)
    return re.compile("|".join(places))


@dataclass(frozen=True)
class ChatFrame:
    """A chat template, seen as the control text around and between the messages.

    Attributes:
        opening: Before the system message.
        system_to_user: Between the system message and the first user message.
        user_to_assistant: Between a user message and a finished assistant message.
        assistant_to_user: Between a finished assistant message and the next user message.
        generation: After the last user message when the assistant is to speak.
        bare: After the last user message otherwise, without a trailing end-of-sequence token.
    """

    opening: str
    system_to_user: str
    user_to_assistant: str
    assistant_to_user: str
    generation: str
    bare: str

    @classmethod
    def from_template(cls, template: str, bos_token: str = "", eos_token: str = "") -> ChatFrame:
        """Read the frame off a Jinja chat template, as stored in a model file.

        The template is rendered in Jinja's sandbox and within limits: a model file or a server is untrusted.

        Raises:
            ModelFileError: The template fails, drops or repeats a message, or frames turns unevenly.
        """
        from .rendering import renderer

        marks = [f"\x02{name}\x03" for name in ("system", "user1", "assistant", "user2")]
        messages = [
            {"role": role, "content": mark}
            for role, mark in zip(("system", "user", "assistant", "user"), marks, strict=True)
        ]

        try:
            render = renderer(template)
            asking, finished = (
                render(
                    messages=messages,
                    add_generation_prompt=prompt,
                    bos_token=bos_token,
                    eos_token=eos_token,
                )
                for prompt in (True, False)
            )
        except Exception as error:
            raise ModelFileError(f"the model file's chat template cannot be rendered: {error}") from error
        parts = _between(asking, marks)
        bare = _between(finished, marks)[-1]
        if eos_token:
            bare = bare.rstrip("\n").removesuffix(eos_token)
        return cls(parts[0], parts[1], parts[2], parts[3], parts[4], bare)


def _between(text: str, marks: Sequence[str]) -> list[str]:
    """The texts before, between and after the marks, each of which must occur once, in order."""
    parts = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            role = mark.strip("\x02\x03").rstrip("12")
            raise ModelFileError(
                f"the model file's chat template does not show the {role} message exactly once and in order"
            )
        parts.append(before)
    return [*parts, text]
