"""Inference engines behind one contract; importing this loads none of them."""

from __future__ import annotations

from .base import Backend, Counters, Generation, OpenSequence, Sampling, Work

__all__ = ["Backend", "Counters", "Generation", "OpenSequence", "Sampling", "Work"]
