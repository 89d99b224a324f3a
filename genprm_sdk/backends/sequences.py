"""What open sequences of all engines have in common: who may use one, and what may be asked of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

from ..errors import BackendError, ClosedError, InputError
from .base import Work

__all__ = ["SequenceBase", "check_candidates", "check_generation"]

State = TypeVar("State")


class SequenceBase(ABC, Generic[State]):
    """A sequence for one task at a time.

    Args:
        state: What it holds, until it is closed.
    """

    def __init__(self, state: State) -> None:
        self._state: State | None = state
        self._asking = False
        self._work = Work()

    @property
    def tokens(self) -> int:
        """Length in tokens."""
        return self._length(self._open)

    @property
    def work(self) -> Work:
        """What this sequence's own requests have cost so far."""
        return replace(self._work)

    @abstractmethod
    def _check_backend(self) -> None:
        """Raise a ``ClosedError`` if the backend is closed."""

    @abstractmethod
    def _length(self, state: State) -> int:
        """Of what it holds, in tokens."""

    @property
    def _open(self) -> State:
        self._check_backend()
        if self._state is None:
            raise ClosedError("the sequence is closed")
        return self._state

    @property
    def _idle(self) -> State:
        if self._asking:
            raise BackendError("the sequence is in use by another task: fork it")
        return self._open

    @property
    def _beginning(self) -> State:
        """What it holds, to be continued."""
        if not self._length(self._idle):
            raise InputError("the sequence is empty: append something first")
        return self._open

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """In use by this task."""
        self._asking = True
        try:
            yield
        finally:
            self._asking = False


def check_generation(stop: Sequence[str], max_tokens: int) -> None:
    """Raise an ``InputError`` if nothing can be generated with these."""
    if max_tokens < 1:
        raise InputError(f"max_tokens must be at least 1, not {max_tokens}")
    if isinstance(stop, str) or not all(stop):
        raise InputError("stop must be a list of strings, none of them empty")


def check_candidates(candidates: Sequence[str]) -> None:
    """Raise an ``InputError`` if the probabilities of these cannot be read."""
    if isinstance(candidates, str):
        raise InputError("candidates must be a list of texts, not one text")
    if not candidates or not all(candidates):
        raise InputError("there must be a candidate, and none may be empty")
