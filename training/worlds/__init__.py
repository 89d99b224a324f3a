"""Domains that code can check: problems, solutions with planted mistakes, and true rationales, from a seed.

A new domain is one module of this package whose ``WORLD`` fulfils ``World``, and its tests.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .base import Example, Exercise, Rationale, World, WorldStep, boxed_answer

__all__ = ["WORLDS", "Example", "Exercise", "Rationale", "World", "WorldStep", "boxed_answer"]

WORLDS: dict[str, World] = {
    world.name: world
    for name in sorted(module.name for module in iter_modules(__path__))
    if (world := getattr(import_module(f".{name}", __name__), "WORLD", None)) is not None
}
