"""Names of agents and repairs; apart, because every command's start reads them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AgentKind", "RepairKind"]


class AgentKind(StrEnum):
    """The agents that ``genprm solve`` knows."""

    REFINE = "refine"
    SELF_REFINE = "self-refine"
    BEST_OF_N = "best-of-n"
    STEP_SEARCH = "step-search"
    SELF_CONSISTENCY = "self-consistency"


class RepairKind(StrEnum):
    """How a solution is repaired."""

    WHOLE = "whole"
    PREFIX = "prefix"
