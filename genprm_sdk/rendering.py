"""Jinja templates that nobody vouches for, rendered in Jinja's sandbox and within limits.

Templates, results, calculations, ranges and time are limited. Filters, methods and ``~`` are not: what they
make of long texts can still take much memory.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jinja2.exceptions import SecurityError, TemplateError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["renderer"]

LONGEST_TEMPLATE = 100_000
LONGEST_RESULT = 1 << 20
"""Characters; of what an operator makes also elements or bits."""

LONGEST_RANGE = 1000
SECONDS = 5.0
"""For one rendering, which usually takes less than a hundredth of one."""


def renderer(template: str) -> Callable[..., str]:
    """What renders a template with the values that it is given by name.

    Raises:
        TemplateError: It cannot be read, or is too long. Rendering raises whatever a template makes of it.
    """
    if len(template) > LONGEST_TEMPLATE:
        raise SecurityError(f"it is longer than {LONGEST_TEMPLATE:,} characters")
    compiled = _Limited(trim_blocks=True, lstrip_blocks=True).from_string(template)

    def render(**values: Any) -> str:
        pieces: list[str] = []
        size = 0
        with _at_most(SECONDS):
            for piece in compiled.generate(**values):
                pieces.append(piece)
                size += len(piece)
                if size > LONGEST_RESULT:
                    raise SecurityError(f"it writes more than {LONGEST_RESULT:,} characters")
        return "".join(pieces)

    return render


class _Limited(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals.update(range=_short_range, raise_exception=_refuse)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if _size_of_result(operator, left, right) > LONGEST_RESULT:
            raise SecurityError(f"{operator} makes something too large")
        return super().call_binop(context, operator, left, right)


def _size_of_result(operator: str, left: object, right: object) -> int:
    """How many characters, elements or bits come of an operation, at most or nearly."""
    if operator == "%":
        widths = re.findall(r"\d+|\*", left) if isinstance(left, str) else []
        return sum(LONGEST_RESULT + 1 if width == "*" else int(width) for width in widths)
    if operator == "**":
        return _size(left) * right if isinstance(right, int) else 0
    if operator == "*" and isinstance(left, Sized) and isinstance(right, int):
        return len(left) * right
    if operator == "*" and isinstance(left, int) and isinstance(right, Sized):
        return left * len(right)
    return _size(left) + _size(right)


def _size(value: object) -> int:
    if isinstance(value, int):
        return value.bit_length()
    return len(value) if isinstance(value, Sized) else 0


def _short_range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > LONGEST_RANGE:
        raise SecurityError(f"a range has more than {LONGEST_RANGE:,} numbers")
    return numbers


def _refuse(message: str) -> str:
    raise TemplateError(message)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise a TimeoutError in this thread's Python code, endless loops included, when its time is over."""
    end = time.monotonic() + seconds

    def watch(frame: FrameType, event: str, argument: object) -> Any:
        if time.monotonic() > end:
            raise TimeoutError(f"it takes more than {seconds:g} seconds")
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)
