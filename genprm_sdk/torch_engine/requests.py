"""What can be asked of a sequence: to be continued, or what could come next.

A request holds a copy of the sequence's tokens and lays one token after the other behind them; the sequence
takes them over when the request has ended well, so one that is cancelled has changed nothing.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..backends.base import Generation, Sampling, Work
from ..backends.logits import NO_NUMBERS, log_probabilities
from ..backends.tokenizer import TextTokenizer
from ..backends.writing import Writing
from ..errors import BackendError, ContextLengthError, InputError
from .tree import Node

__all__ = ["Generate", "Prefix", "ReadLabels", "Request"]

Finish = Literal["stop", "length", "end"]


class Prefix:
    """A sequence's tokens, and how many of them were evaluated.

    Attributes:
        tokens: All of it.
        node: Where what was evaluated ends, which is never behind the last token but one; None for nowhere.
        charged: How many tokens the sequence's own requests have evaluated, or taken over from others.
        drawn: Where the tokens stand that the model drew; those of a token that a stop has cut are not.
    """

    def __init__(
        self,
        tokens: list[int],
        node: Node | None = None,
        charged: int = 0,
        drawn: tuple[range, ...] = (),
    ) -> None:
        self.tokens = tokens
        self.node = node
        self.charged = charged
        self.drawn = drawn


class Request(ABC):
    """One thing asked of one sequence.

    Attributes:
        prefix: The sequence's tokens; the request's own are laid behind them.
        length: The sequence's length when the request was made.
        done: What the caller waits for.
        work: What the request has cost so far.
        since: When it began to wait, on the performance counter.
    """

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = Prefix(list(prefix.tokens), prefix.node, prefix.charged, prefix.drawn)
        self.length = len(prefix.tokens)
        self.done: Future[None] = Future()
        self.work = Work()
        self.since = 0.0

    @property
    @abstractmethod
    def kept(self) -> int:
        """How many of the tokens were evaluated and are the sequence's to keep."""

    def resume(self) -> None:  # noqa: B027 - most go on where they were
        """Prepare to go on in another row, which holds what was kept."""


class Generate(Request):
    """Let the model write.

    Args:
        prefix: What it continues; not empty.
        stop: Strings that end it.
        most: Tokens at most, and at least one.
        sampling: How tokens are drawn.
        show: Called with new text as it is written, whole characters only.

    Attributes:
        drawn: Tokens drawn so far.
        result: What was written, when it is done.
    """

    def __init__(
        self,
        prefix: Prefix,
        stop: Sequence[str],
        most: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(prefix)
        self.sampling = sampling
        self.drawn = 0
        self.result: Generation | None = None
        self._stop = tuple(stop)
        self._most = most
        self.show = show
        self._writing = Writing(stop)
        self._random = random.Random(sampling.seed % 2**64)
        self._kept: int | None = None

    @property
    def kept(self) -> int:
        whole = len(self.prefix.tokens) if self._kept is None else self._kept
        return min(whole, len(self.prefix.tokens) - 1)

    def place(self) -> float:
        """Where in the probability of all tokens the next one is."""
        return self._random.random()

    def take(self, token: int | None, vocabulary: TextTokenizer) -> bool:
        """Go on with the token that was drawn; returns whether that was all."""
        if token is None:
            raise BackendError(NO_NUMBERS)
        self.drawn += 1
        if vocabulary.ends_turn(token):
            return self._finish("end")
        self.prefix.tokens.append(token)
        hit = self._writing.add(vocabulary.piece(token))
        if hit is not None:
            kept = self._writing.kept()
            self._kept = self.length + kept.whole
            self.prefix.tokens[self._kept :] = vocabulary.text_tokens(kept.tail)
            return self._finish("stop", self._stop[hit])
        if self.drawn >= self._most:
            return self._finish("length")
        if self.show is not None:
            self.show(self._writing.fresh())
        return False

    def _finish(self, finish: Finish, stop: str | None = None) -> bool:
        if self.show is not None:
            self.show(self._writing.fresh(last=True))
        end = len(self.prefix.tokens) if self._kept is None else self._kept
        self.prefix.drawn = (*self.prefix.drawn, range(self.length, end))
        self.result = Generation(self._writing.text, self.drawn, finish, stop)
        return True


class ReadLabels(Request):
    """Read how likely each of some texts is to come next, from raw logits.

    The tokens of the labels form a tree, which is walked token by token beside what others write.

    Args:
        prefix: What they would continue; not empty.
        labels: The tokens of each text, at least one each.
        room: Tokens that the context holds.

    Attributes:
        result: The probabilities, when it is done.
    """

    def __init__(self, prefix: Prefix, labels: Sequence[Sequence[int]], room: int) -> None:
        if not labels or not all(labels):
            raise InputError("there must be a candidate, and none may be empty")
        if len(prefix.tokens) + max(map(len, labels)) - 1 > room:
            raise ContextLengthError(f"the context of {room} tokens is full: no verdict can be read")
        super().__init__(prefix)
        self.result: list[float] | None = None
        self._labels = [tuple(label) for label in labels]
        # Sorted, so that between a prefix and the one it continues are only others that continue that.
        self._prefixes = sorted({label[:at] for label in self._labels for at in range(len(label))})
        self._known: list[NDArray[np.float64]] = []

    @property
    def kept(self) -> int:
        return self.length - 1

    def take(self, logits: NDArray[np.float32]) -> bool:
        """Go on with the logits behind the last token; returns whether that was all."""
        self._known.append(log_probabilities(logits))
        if len(self._known) < len(self._prefixes):
            self.prefix.tokens[self.length :] = self._prefixes[len(self._known)]
            return False
        known = dict(zip(self._prefixes, self._known, strict=True))
        self.resume()
        self.result = [
            float(np.exp(sum(known[label[:at]][token] for at, token in enumerate(label))))
            for label in self._labels
        ]
        return True

    def resume(self) -> None:
        self._known = []
        del self.prefix.tokens[self.length :]
