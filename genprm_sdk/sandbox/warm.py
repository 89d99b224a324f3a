"""What a process of the inside loads before the first block comes, so that blocks find it loaded."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

__all__ = ["load_everything"]

PRELOAD = """
    abc bisect calendar cmath collections.abc copy dataclasses datetime decimal enum fractions functools
    heapq itertools json math numbers operator random re statistics string textwrap time typing _strptime
    numpy numpy.fft numpy.linalg numpy.polynomial numpy.random sympy scipy scipy.linalg scipy.special
"""


def load_everything(language: bool) -> ModuleType:
    """Import and warm up what blocks may use, and forget the environment; returns the module ``worker``.

    Args:
        language: Whether blocks will be held to the language policy.
    """
    for name in PRELOAD.split():
        importlib.import_module(name)
    _warm_up()
    # Here and not at the top: a missing package has to reach the host as a message.
    worker = importlib.import_module(".worker", __package__)
    if language:
        importlib.import_module(".guards", __package__).guard_sympify()
    os.environ.clear()
    return worker


def _warm_up() -> None:
    sympy = sys.modules["sympy"]
    x = sympy.Symbol("x")
    sympy.solve(x**2 - 3 * x + 2, x)
    sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2)
    sympy.sympify("x/2 + 1").evalf()
