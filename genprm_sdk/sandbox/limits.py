"""How much a block of code may use. Knows numbers only; who enforces them is said at each field."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from ..errors import InputError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one session's code.

    Attributes:
        wall_seconds: Real time for one block; the host kills the worker when it is over.
        memory_mb: Address space that the code may add to what the interpreter and its libraries already map
            (RLIMIT_AS in the worker; Linux only).
        output_chars: How much of a block's output is kept; what follows is dropped and the block goes on.
        output_stop: A block that prints more than this is ended.
        source_chars: The longest block that is run at all.
        open_files: RLIMIT_NOFILE in the worker; lazy imports of the allowed libraries need a few.
    """

    wall_seconds: float = 5.0
    memory_mb: int = 512
    output_chars: int = 10_000
    output_stop: int = 1_000_000
    source_chars: int = 100_000
    open_files: int = 32

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                raise InputError(f"{name} must be a finite number, not {value!r}")
            if value <= 0:
                raise InputError(f"{name} must be more than 0, not {value!r}")
            if name != "wall_seconds" and not isinstance(value, int):
                raise InputError(f"{name} must be a whole number, not {value!r}")
        if self.output_stop < self.output_chars:
            raise InputError("output_stop must be at least output_chars")
