"""What can be asked of a chain: to be continued, or what could come next.

A request says from which token on it needs logits, sees them as they come, and then says whether it is done.
It knows tokens and text, nothing of streams, batches or threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..backends.base import Generation, Sampling, Work
from ..backends.logits import log_probabilities
from ..backends.writing import Writing
from ..errors import ContextLengthError, InputError
from .context import Context
from .pool import Chain
from .sampling import Sampler

__all__ = ["Generate", "ReadLabels", "ReadLogits", "Request"]

Finish = Literal["stop", "length", "end"]


class Request(ABC):
    """One thing asked of one chain.

    Attributes:
        chain: The chain.
        length: Its length when the request was made; it has this length again if the request is cancelled.
        work: What the request has cost so far.
        error: Why it failed, if it did.
        number: Its place in the order of arrival.
        since: When it began to wait, on the performance counter.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.length = len(chain.tokens)
        self.work = Work()
        self.error: Exception | None = None
        self.number = 0
        self.since = 0.0

    @property
    @abstractmethod
    def first_wanted(self) -> int:
        """The position of the first token whose logits are needed; all behind it need theirs too."""

    @property
    def kept(self) -> int:
        """How many of the tokens that ``advance`` found are still the chain's."""
        return len(self.chain.tokens)

    @property
    def pending(self) -> int:
        """Tokens still to be evaluated before the request can go on."""
        return len(self.chain.tokens) - self.chain.evaluated

    @abstractmethod
    def see(self, context: Context, position: int, row: int) -> None:
        """Look at the logits of a wanted token of the batch that was evaluated last."""

    @abstractmethod
    def advance(self, context: Context) -> bool:
        """Go on, all tokens having been evaluated; returns whether the request is done."""

    def withdraw(self) -> None:
        """Give the chain the tokens it had when the request was made."""
        self._cut(self.length)

    def end(self) -> None:  # noqa: B027 - most have nothing to free
        """Free what the request holds, however it ended; twice is allowed."""

    def _add(self, tokens: Sequence[int]) -> None:
        self.chain.tokens += tokens
        if self.chain.alone:
            self.chain.alone += [True] * len(tokens)

    def _cut(self, length: int) -> None:
        del self.chain.tokens[length:], self.chain.alone[length:]


class Generate(Request):
    """Let the model write.

    Args:
        chain: What it continues; not empty.
        stop: Strings that end it.
        most: Tokens at most, and at least one.
        sampling: How tokens are drawn.
        show: Called with new text as it is written, whole characters only.

    Attributes:
        drawn: Tokens drawn so far.
    """

    def __init__(
        self,
        chain: Chain,
        stop: Sequence[str],
        most: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(chain)
        self._stop = tuple(stop)
        self._most = most
        self._writing = Writing(stop)
        self._sampler = Sampler(sampling)
        self._show = show
        self.drawn = 0
        self._token = 0
        self._kept: int | None = None
        self.result: Generation | None = None

    @property
    def first_wanted(self) -> int:
        return len(self.chain.tokens) - 1

    @property
    def kept(self) -> int:
        return len(self.chain.tokens) if self._kept is None else self._kept

    def see(self, context: Context, position: int, row: int) -> None:
        self._token = context.sample(self._sampler.chain, row)
        self.drawn += 1

    def advance(self, context: Context) -> bool:
        if context.vocabulary.ends_turn(self._token):
            return self._finish("end")
        self._add([self._token])
        hit = self._writing.add(context.vocabulary.piece(self._token))
        if hit is not None:
            kept = self._writing.kept()
            self._kept = self.length + kept.whole
            self._cut(self._kept)
            self._add(context.vocabulary.text_tokens(kept.tail))
            return self._finish("stop", self._stop[hit])
        if self.drawn >= self._most:
            return self._finish("length")
        if self._show is not None:
            self._show(self._writing.fresh())
        return False

    def _finish(self, finish: Finish, stop: str | None = None) -> bool:
        if self._show is not None:
            self._show(self._writing.fresh(last=True))
        self.result = Generation(self._writing.text, self.drawn, finish, stop)
        return True

    def end(self) -> None:
        self._sampler.free()


class ReadLogits(Request):
    """Read the raw logits behind a chain's last token, shape (vocabulary,)."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.result: NDArray[np.float32] | None = None

    @property
    def first_wanted(self) -> int:
        return self.length - 1

    def see(self, context: Context, position: int, row: int) -> None:
        self.result = context.logits(row)

    def advance(self, context: Context) -> bool:
        return True


class ReadLabels(Request):
    """Read how likely each of some texts is to come next, from raw logits.

    The tokens of the labels form a tree; each of its branches is laid behind the chain once.

    Args:
        chain: What they would continue; not empty.
        labels: The tokens of each text, at least one each.
        room: Tokens that the context holds.
    """

    def __init__(self, chain: Chain, labels: Sequence[Sequence[int]], room: int) -> None:
        super().__init__(chain)
        if not labels or not all(labels):
            raise InputError("there must be a candidate, and none may be empty")
        if self.length + max(map(len, labels)) - 1 > room:
            raise ContextLengthError(f"the context of {room} tokens is full: no verdict can be read")
        self._labels = [tuple(label) for label in labels]
        prefixes = {label[:at] for label in self._labels for at in range(len(label))}
        self._wanted = sorted(prefixes, key=len)
        self._known: dict[tuple[int, ...], NDArray[np.float64]] = {}
        self._laid: tuple[int, ...] = ()
        self._shared = 0
        self._lay()
        self.result: list[float] | None = None

    @property
    def first_wanted(self) -> int:
        ends = range(len(self._laid) + 1)
        unknown = (at for at in ends if self._laid[:at] not in self._known)
        return self.length - 1 + next(unknown, len(ends))

    @property
    def kept(self) -> int:
        return self.length + self._shared

    def see(self, context: Context, position: int, row: int) -> None:
        known = log_probabilities(context.logits(row))
        self._known[self._laid[: position + 1 - self.length]] = known

    def advance(self, context: Context) -> bool:
        if any(prefix not in self._known for prefix in self._wanted):
            self._lay()
            return False
        self._cut(self.length)
        self.result = [
            float(np.exp(sum(self._known[label[:at]][token] for at, token in enumerate(label))))
            for label in self._labels
        ]
        return True

    def _lay(self) -> None:
        """Put the longest branch that is not known yet behind the chain."""
        self._cut(self.length)
        before = self._laid
        self._laid = next(prefix for prefix in reversed(self._wanted) if prefix not in self._known)
        self._shared = next(
            (at for at, pair in enumerate(zip(before, self._laid, strict=False)) if pair[0] != pair[1]),
            min(len(before), len(self._laid)),
        )
        self._add(self._laid)
