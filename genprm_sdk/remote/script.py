"""What a sequence holds between requests: tokens, or text where a server takes no tokens. Never changed."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from ..errors import InputError
from ..prompt import Segment
from .draft import Draft
from .probing import Prompt
from .tokens import Tokens

__all__ = ["Script", "TextScript", "TokenScript"]

BYTES_A_TOKEN = 3
"""Of text whose tokens nobody counts; low, so that a context is rather taken for full too early."""

LONGEST_SPECIAL = 64

_SPECIAL = re.compile(
    r"<\|[^|<>\n]{1,60}\|?>|<｜[^｜<>\n]{1,60}｜>|</?(?:s|bos|eos|pad|unk|think|tool_call)>|\[/?INST\]"
    r"|<(?:start|end)_of_\w+>",
    re.IGNORECASE,
)
"""How control tokens of the common vocabularies are spelled."""


class Script(Protocol):
    """What a sequence holds."""

    @property
    def length(self) -> int:
        """In tokens."""
        ...

    @property
    def prompt(self) -> Prompt:
        """What is sent."""
        ...

    @property
    def prompt_key(self) -> Hashable:
        """The same for the same prompt."""
        ...

    async def with_segments(self, segments: Sequence[Segment]) -> Self:
        """This and an append."""
        ...

    async def with_draft(self, draft: Draft) -> Self:
        """This and what a generation has written so far."""
        ...


@dataclass(frozen=True)
class TokenScript:
    """Tokens.

    Attributes:
        tokenizer: What makes them.
        tokens: The tokens.
    """

    tokenizer: Tokens
    tokens: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def prompt(self) -> Prompt:
        return list(self.tokens)

    @property
    def prompt_key(self) -> Hashable:
        return self.tokens

    async def with_segments(self, segments: Sequence[Segment]) -> TokenScript:
        return TokenScript(self.tokenizer, (*self.tokens, *await self.tokenizer.of_segments(segments)))

    async def with_draft(self, draft: Draft) -> TokenScript:
        return TokenScript(self.tokenizer, (*self.tokens, *await draft.tokens(self.tokenizer)))


@dataclass(frozen=True)
class TextScript:
    """Text, for servers that take no tokens.

    Attributes:
        text: The text.
        content: How much of its end is content.
    """

    text: str = ""
    content: int = 0

    @property
    def length(self) -> int:
        return -(-len(self.text.encode("utf-8", "replace")) // BYTES_A_TOKEN)

    @property
    def prompt(self) -> Prompt:
        return self.text

    @property
    def prompt_key(self) -> Hashable:
        return self.text

    async def with_segments(self, segments: Sequence[Segment]) -> TextScript:
        script = self
        for segment in segments:
            if segment.kind == "control":
                script = TextScript(script.text + segment.text)
            else:
                script = script._with_content(segment.text)
        return script

    async def with_draft(self, draft: Draft) -> TextScript:
        return self._with_content(draft.text)

    def _with_content(self, text: str) -> TextScript:
        begin = len(self.text) - min(self.content, LONGEST_SPECIAL)
        found = _SPECIAL.search(self.text[begin:] + text)
        if found:
            raise InputError(
                f"the text holds {found[0]!r}, which a server that takes prompts as text alone reads as a "
                "special token: take it out, or use a server that takes tokens"
            )
        return TextScript(self.text + text, self.content + len(text))
