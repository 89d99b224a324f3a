"""What a verification consists of, and what it sees of earlier ones: two enums that everything agrees on."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from .errors import InputError

__all__ = ["History", "Reasoning", "member_of"]

Member = TypeVar("Member", bound=StrEnum)


class Reasoning(StrEnum):
    """What the model writes before its verdict (the inference settings of arXiv 2504.00891, table 5).

    Attributes:
        DIRECT: Nothing: the verdict alone.
        ANALYSIS: An analysis in words.
        CODE: Python, executed, and its output read.
        CODE_UNEXECUTED: Python that is written but not executed.
        ANALYSIS_CODE: An analysis, then Python, executed: the method itself.
        ANALYSIS_CODE_UNEXECUTED: The same without execution.
    """

    DIRECT = "direct"
    ANALYSIS = "analysis"
    CODE = "code"
    CODE_UNEXECUTED = "code-unexecuted"
    ANALYSIS_CODE = "analysis+code"
    ANALYSIS_CODE_UNEXECUTED = "analysis+code-unexecuted"

    @property
    def has_analysis(self) -> bool:
        """Whether an analysis is written."""
        return self.value.startswith("analysis")

    @property
    def has_code(self) -> bool:
        """Whether code is written."""
        return "code" in self.value

    @property
    def executes(self) -> bool:
        """Whether code is executed."""
        return self.has_code and not self.value.endswith("-unexecuted")


class History(StrEnum):
    """What a path sees of the steps before the one it judges.

    Attributes:
        RATIONALES: The steps and its own verifications of them (the paper's benchmark setting).
        SHARED: The steps and one verification of each, path 0's, which all paths share.
        STEPS: The steps alone.
    """

    RATIONALES = "rationales"
    SHARED = "shared"
    STEPS = "steps"


def member_of(kind: type[Member], value: object, name: str) -> Member:
    """The enum's member of a value.

    Raises:
        InputError: There is none; names the argument and what there is.
    """
    if isinstance(value, str):
        for member in kind:
            if member.value == value:
                return member
    known = ", ".join(member.value for member in kind)
    given = f"{value!r:.80}" if isinstance(value, str) else f"something of type {type(value).__name__}"
    raise InputError(f"{name} must be one of {known}, not {given}")
