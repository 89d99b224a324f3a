"""Text to tokens for a server: with a tokenizer on this machine, or with the server's own.

Either way content never becomes a control token: what a server's tokenizer finds in plain text all the same
(``<think>``, say) is recognised by how that token is spelled, and cut.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from ..backends.tokenizer import TextTokenizer
from ..errors import BackendError
from ..prompt import Segment, cuts_inside, tokenizer_runs

__all__ = ["LocalTokens", "ServerTokens", "Tokens"]

CACHED = 4096
LONGEST_CACHED = 20_000
"""Texts remembered with their tokens, and characters of one that is."""

_TAG = re.compile(r"<[^<>\s]{1,60}>")
"""What vocabularies' added tokens look like."""

Tokenize = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Tokens(Protocol):
    """How text becomes a server's tokens."""

    async def of_segments(self, segments: Sequence[Segment]) -> list[int]:
        """The tokens of what one append adds."""
        ...

    async def of_text(self, text: str) -> list[int]:
        """The tokens of plain text, never a special one."""
        ...

    async def spelling(self, token: int) -> str:
        """How a token is spelled, or nothing where it is part of a character."""
        ...

    def ends_turn(self, token: int) -> bool:
        """Whether a token is known to end the model's turn."""
        ...


class LocalTokens:
    """Tokens of a ``tokenizer.json``."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer

    async def of_segments(self, segments: Sequence[Segment]) -> list[int]:
        return self._tokenizer.tokens(segments)

    async def of_text(self, text: str) -> list[int]:
        return self._tokenizer.text_tokens(text)

    async def spelling(self, token: int) -> str:
        return self._tokenizer.piece(token).decode("utf-8", "ignore")

    def ends_turn(self, token: int) -> bool:
        return self._tokenizer.ends_turn(token)


class ServerTokens:
    """Tokens of llama-server's ``/tokenize``.

    Args:
        ask: Sends a request there.
    """

    def __init__(self, ask: Tokenize) -> None:
        self._ask = ask
        self._special: dict[str, int] = {}
        self._ends: set[int] = set()
        self._spellings: dict[int, str] = {}
        self._texts: OrderedDict[str, list[int]] = OrderedDict()
        self._controls: set[str] = set()

    async def of_segments(self, segments: Sequence[Segment]) -> list[int]:
        for segment in segments:
            if segment.kind == "control" and segment.text not in self._controls:
                await self._learn(segment.text)
        tokens: list[int] = []
        for kind, text in tokenizer_runs(segments, tuple(self._special)):
            tokens += [self._special[text]] if kind == "special" else await self.of_text(text)
        return tokens

    async def of_text(self, text: str) -> list[int]:
        if text not in self._texts:
            tokens = await self._plain(text)
            if len(text) > LONGEST_CACHED:
                return tokens
            self._texts[text] = tokens
            if len(self._texts) > CACHED:
                self._texts.popitem(last=False)
        self._texts.move_to_end(text)
        return list(self._texts[text])

    async def spelling(self, token: int) -> str:
        return self._spellings.get(token, "")

    def ends_turn(self, token: int) -> bool:
        return token in self._ends

    async def _learn(self, control: str) -> None:
        """Find the special tokens in a chat template's text: those that the same text is not as content.

        Tags that are tokens in any text are kept whole here, but end no turn.
        """
        for token, spelling in await self._pairs(control, special=True):
            if len(spelling) < 2:
                continue
            if [token] != [each for each, _ in await self._pairs(spelling, special=False)]:
                self._ends.add(token)
            elif not _TAG.fullmatch(spelling):
                continue
            self._special[spelling] = token
        self._controls.add(control)

    async def _plain(self, text: str) -> list[int]:
        pairs = await self._pairs(text, special=False)
        cut = cuts_inside({tag for _, spelling in pairs for tag in _TAG.findall(spelling)})
        if cut is None:
            return [token for token, _ in pairs]
        pieces = cut.split(text)
        if len(pieces) == 1:
            raise BackendError("the server's /tokenize finds a token in a text that does not hold it")
        return [token for piece in pieces for token in await self.of_text(piece)]

    async def _pairs(self, text: str, *, special: bool) -> list[tuple[int, str]]:
        if not text:
            return []
        body = {"content": text, "add_special": False, "parse_special": special, "with_pieces": True}
        found = (await self._ask(body)).get("tokens")
        if not isinstance(found, list):
            raise BackendError("the server's /tokenize answers without tokens")
        pairs = []
        for entry in found:
            token, piece = (entry.get("id"), entry.get("piece")) if isinstance(entry, dict) else (None, None)
            if not isinstance(token, int):
                raise BackendError("the server's /tokenize answers with something that is no token")
            spelling = piece if isinstance(piece, str) else ""
            self._spellings[token] = spelling
            pairs.append((token, spelling))
        return pairs
