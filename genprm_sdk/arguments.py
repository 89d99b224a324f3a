"""Arguments of callers, refused in one way where they cannot be used."""

from __future__ import annotations

from typing import Any, TypeVar

from .errors import InputError

__all__ = ["instance_of", "shown", "whole_number"]

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


def whole_number(value: object, name: str, least: int = 1) -> int:
    """The value, which must be a whole number and not too small.

    Raises:
        InputError: It is not; names the argument.
    """
    if type(value) is not int or value < least:
        raise InputError(f"{name} must be a whole number, at least {least}, not {shown(value)}")
    return value
