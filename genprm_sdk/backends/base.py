"""The contract of an inference engine: an open token sequence that can be forked.

Everything the method does to a language model is one of five acts on a growing token sequence: open it,
append to it, let it generate until a stop, read probabilities of what could come next, fork it. Nothing
above this module knows which engine runs below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from ..errors import InputError
from ..models import MetadataValue
from ..prompt import ChatFrame, Segment

__all__ = ["Backend", "Counters", "Generation", "OpenSequence", "Sampling", "Work"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. The defaults are the paper's.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: Smallest set of tokens with this probability; 1 keeps all.
        top_k: Number of likeliest tokens kept; 0 keeps all.
        min_p: Least probability relative to the likeliest token's.
        seed: Draws are a function of the seed and the logits.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 20
    min_p: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise InputError(f"temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            raise InputError(f"top_k must be 0 or more, not {self.top_k}")
        if not 0 <= self.min_p < 1:
            raise InputError(f"min_p must be at least 0 and below 1, not {self.min_p}")


@dataclass(frozen=True)
class Generation:
    """What the model wrote.

    Attributes:
        text: Including the stop string that ended it.
        tokens: Tokens drawn, also those that a stop inside a token took back.
        finish: ``stop`` at a stop string, ``length`` at the budget, ``end`` at the model's own end of turn.
        stop: The stop string, if one ended it.
    """

    text: str
    tokens: int
    finish: Literal["stop", "length", "end"]
    stop: str | None = None


@dataclass(frozen=True)
class Counters:
    """Totals since a backend was loaded, in tokens.

    Attributes:
        prompt: Tokens appended.
        generated: Tokens drawn.
        shared: Tokens that did not have to be evaluated, because a cache held them.
        evaluated: Tokens that went through the model, whatever for.
    """

    prompt: int = 0
    generated: int = 0
    shared: int = 0
    evaluated: int = 0


@dataclass
class Work:
    """What a sequence's requests have cost an engine.

    Attributes:
        evaluated: Their tokens that went through the model.
        cached: Their tokens that were in the cache already.
        evaluations: Runs of the model that they took part in.
        companions: Sequences in those runs, summed over the runs, themselves included.
        queued: Seconds they waited before their first run.
        peak: Most tokens the cache held meanwhile, whoever's they were.
    """

    evaluated: int = 0
    cached: int = 0
    evaluations: int = 0
    companions: int = 0
    queued: float = 0.0
    peak: int = 0

    def add(self, other: Work) -> None:
        """Add another's cost to this."""
        self.evaluated += other.evaluated
        self.cached += other.cached
        self.evaluations += other.evaluations
        self.companions += other.companions
        self.queued += other.queued
        self.peak = max(self.peak, other.peak)


class OpenSequence(Protocol):
    """A token sequence in an engine. Not for use by two tasks at once; different sequences may be."""

    @property
    def tokens(self) -> int:
        """Length in tokens."""
        ...

    @property
    def work(self) -> Work:
        """What this sequence's own requests have cost so far; a fork begins at nothing."""
        ...

    async def fork(self) -> OpenSequence:
        """An independent sequence with the same tokens; what was evaluated is not evaluated again.

        Raises:
            BackendError: No sequence is free.
        """
        ...

    async def append(self, segments: Sequence[Segment]) -> int:
        """Append text that was not generated; returns the number of tokens it became.

        The segments of one call are tokenised together, separately from everything before them.

        Raises:
            ContextLengthError: It does not fit; the sequence is as it was.
        """
        ...

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        """Let the model write until a stop string, its own end, or ``max_tokens``.

        A stop string may span tokens; what was generated beyond it is taken back. The budget is cut to what
        the context still holds. A cancelled call leaves the sequence as it was.

        Args:
            stop: Strings that end it; the text includes the one that did.
            max_tokens: At least 1.
            sampling: How tokens are drawn.
            show: Called on the event loop with new text as it is written: whole characters, and together
                exactly the text that is returned.
        """
        ...

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        """Probability of each text as the next one, from raw logits (temperature 1, no truncation).

        Candidates of several tokens get the product along their tokens. The sequence is left as it was.
        """
        ...

    async def close(self) -> None:
        """Free the sequence; closing twice is allowed."""
        ...


class Backend(Protocol):
    """A loaded model.

    Attributes:
        name: The model's name, for reports.
        frame: Its chat template.
        context: Tokens that one sequence can hold.
        capacity: Sequences that can be evaluated, and with some engines open, at once.
        prompts_at_once: Different prompts that are worth having open at once, ``capacity`` at most. Checks
            take turns where there are more.
        metadata: What the model file says about itself, by key.
    """

    name: str
    frame: ChatFrame
    context: int
    capacity: int
    prompts_at_once: int
    metadata: Mapping[str, MetadataValue]

    async def open(self, segments: Sequence[Segment]) -> OpenSequence:
        """A new sequence that holds ``segments``.

        Raises:
            ContextLengthError: They do not fit into the context.
            BackendError: No sequence is free.
        """
        ...

    def counters(self) -> Counters:
        """Totals so far."""
        ...

    async def close(self) -> None:
        """Free the model; what still runs is stopped first. Closing twice is allowed."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
