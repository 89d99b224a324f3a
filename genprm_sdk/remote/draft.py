"""A generation as it comes from a server, over as many answers as it takes to finish it.

What a cut answer brought stays; the next one goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from ..backends.base import Generation
from ..backends.writing import Writing
from .tokens import Tokens
from .wire import Chunk

__all__ = ["Draft"]


class Draft:
    """What has been written so far.

    Args:
        stop: Strings that end it.
        most: Tokens at most.
        ends_turn: Whether a token is known to end the model's turn.
        show: Called with new text as it comes.

    Attributes:
        drawn: Tokens drawn; where the server does not tell which, its parts.
        result: What came of it, once it is finished.
    """

    def __init__(
        self,
        stop: Sequence[str],
        most: int,
        ends_turn: Callable[[int], bool],
        show: Callable[[str], None] | None,
    ) -> None:
        self._stop = tuple(stop)
        self._most = most
        self._ends_turn = ends_turn
        self._show = show
        self._writing = Writing(stop)
        self._groups: list[tuple[int, ...]] = []
        self._pending: tuple[int, ...] = ()
        self._all_told = True
        self.drawn = 0
        self.result: Generation | None = None

    @property
    def left(self) -> int:
        """Tokens that may still be drawn."""
        return self._most - self.drawn

    @property
    def text(self) -> str:
        """What was written, up to the stop."""
        return self._writing.text

    def begin_answer(self) -> None:
        """Another answer begins, behind the text of those before."""
        self._pending = ()

    def add(self, chunk: Chunk) -> bool:
        """Add a part of an answer; returns whether this finishes the generation."""
        if self.left <= 0 and (chunk.text or chunk.tokens):
            return self._finish("length")
        own_end = self._take(chunk)
        if chunk.text and not own_end:
            self._groups.append(self._pending)
            self._pending = ()
            hit = self._writing.add(chunk.text.encode("utf-8", "replace"))
            if hit is not None:
                return self._finish("stop", self._stop[hit])
        if own_end or chunk.ended == "stop":
            return self._finish("end")
        if chunk.ended == "length":
            return self._finish("length")
        if self._show is not None and chunk.text:
            self._show(self._writing.fresh())
        return False

    def _take(self, chunk: Chunk) -> bool:
        """Count a part's tokens; returns whether one of them ends the turn."""
        if chunk.tokens is None:
            self._all_told = False
            self.drawn += bool(chunk.text)
            return False
        self._pending += chunk.tokens
        self.drawn += len(chunk.tokens) or bool(chunk.text and not self._pending)
        return any(map(self._ends_turn, chunk.tokens))

    def _finish(self, finish: Literal["stop", "length", "end"], stop: str | None = None) -> bool:
        if self._show is not None:
            self._show(self._writing.fresh(last=True))
        self.result = Generation(self._writing.text, self.drawn, finish, stop)
        return True

    async def tokens(self, tokens: Tokens) -> list[int]:
        """What was written, as tokens: those that the server told, a stop inside one cut off."""
        if not self._all_told:
            return await tokens.of_text(self.text)
        kept = self._writing.kept()
        whole = [token for group in self._groups[: kept.whole] for token in group]
        return whole + (await tokens.of_text(kept.tail) if kept.tail else [])
