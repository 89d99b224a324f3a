"""Domains that code can check: problems, solutions with planted mistakes, and true rationales, from a seed.

A new domain is one file with a class that fulfils ``World`` and an entry in ``WORLDS``.
"""

from __future__ import annotations

from .arithmetic import Arithmetic
from .base import Example, Rationale, World, WorldStep
from .word_problems import WordProblems

__all__ = ["WORLDS", "Arithmetic", "Example", "Rationale", "WordProblems", "World", "WorldStep"]

WORLDS: dict[str, World] = {world.name: world for world in (Arithmetic(), WordProblems())}
