"""Exit codes, and which error gives which."""

from __future__ import annotations

from ..errors import InputError, MissingExtraError, ModelError

__all__ = ["CLOSED_PIPE", "FAILED", "FINE", "INTERRUPTED", "UNUSABLE", "exit_code"]

FINE = 0
FAILED = 1
UNUSABLE = 2
INTERRUPTED = 130
CLOSED_PIPE = 141


def exit_code(error: Exception) -> int:
    """``UNUSABLE`` for what the user can mend, ``FAILED`` for what broke by itself."""
    return UNUSABLE if isinstance(error, (InputError, MissingExtraError, ModelError)) else FAILED
