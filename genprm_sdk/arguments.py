"""Arguments of callers, refused in one way where they cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from .errors import InputError

__all__ = ["instance_of", "one_of", "share", "shown", "whole_number"]

Kind = TypeVar("Kind")


def shown(value: object) -> str:
    """A value as a message shows it, cut where it is long."""
    try:
        return f"{value!r:.80}"
    except ValueError:  # a whole number of more digits than Python writes out
        return f"one of type {type(value).__name__} that is too long to show"


def instance_of(kind: type[Kind], value: Any, name: str) -> Kind | None:
    """The value, which must be of a kind where it is not None.

    Raises:
        InputError: It is not; names the argument.
    """
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{name} must be of type {kind.__name__}, not {shown(value)}")
    return value


def share(value: object, name: str) -> None:
    """Refuse a value that is no number from 0 to 1.

    Raises:
        InputError: It is none; names the argument.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{name} must be a number from 0 to 1, not {shown(value)}")


def one_of(known: Sequence[str], value: object, name: str) -> None:
    """Refuse a value that is none of those that are known.

    Raises:
        InputError: It is none; names the argument and those that are known.
    """
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, not {shown(value)}")


def whole_number(value: object, name: str, least: int = 1, most: int | None = None) -> int:
    """The value, which must be a whole number, neither too small nor too large.

    Raises:
        InputError: It is not; names the argument.
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        wanted = f", at least {least}," if most is None else f" from {least:,} to {most:,},"
        raise InputError(f"{name} must be a whole number{wanted} not {shown(value)}")
    return value
