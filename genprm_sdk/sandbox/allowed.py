"""The tables of the language policy: which modules, names and builtins a block may use.

Knows lists; ``policy.py`` applies them to source text and ``guards.py`` to running code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

__all__ = [
    "BUILTINS",
    "DENIED_FUNCTIONS",
    "REFUSED_BUILTINS",
    "attribute_problem",
    "is_private",
    "module_allowed",
    "module_hint",
    "name_problem",
]


def _words(text: str) -> list[str]:
    return text.split()


MODULES = frozenset(
    _words("""
    abc bisect calendar cmath collections collections.abc copy dataclasses datetime decimal enum fractions
    functools heapq itertools json math numbers operator random re statistics string textwrap time typing
    """)
)

PACKAGES = frozenset({"numpy", "scipy", "sympy"})
"""Allowed with their submodules."""

DENIED_SUBMODULES = (
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.testing",
    "scipy.io",
    "sympy.external",
    "sympy.interactive",
    "sympy.plotting",
    "sympy.printing.preview",
    "sympy.testing",
    "sympy.utilities.autowrap",
    "sympy.utilities._compilation",
    "sympy.utilities.runtests",
)

DENIED_FUNCTIONS = {
    "dataclasses": "make_dataclass",
    "string": "Formatter",
    "typing": "get_type_hints ForwardRef",
    "numpy": "load save savez savez_compressed loadtxt savetxt genfromtxt fromfile fromregex memmap",
    "sympy": "preview",
}
"""Functions of allowed modules that read files, or run text as code."""

DENIED_ATTRIBUTES = frozenset(INSPECT_ATTRIBUTES) | {"ctypes", "ctypeslib", "f2py", "tofile", "memmap"}

BUILTINS = _words("""
    abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict dir divmod enumerate
    filter float format frozenset hasattr hash hex id int isinstance issubclass iter len list map max
    memoryview min next object oct ord pow print property range repr reversed round set slice sorted
    staticmethod str sum super tuple type zip NotImplemented Ellipsis
""")

REFUSED_BUILTINS = _words("breakpoint compile eval exec globals help input locals open vars")

DUNDERS = frozenset(
    f"__{name}__"
    for name in _words("""
    abs add and bool bytes call ceil class complex contains copy deepcopy delitem divmod doc enter eq exit
    float floor floordiv format ge getitem gt hash iadd iand ifloordiv ilshift imatmul imod imul index init
    init_subclass int invert ior ipow irshift isub iter itruediv ixor le len length_hint lshift lt match_args
    matmul missing mod module mul name ne neg new next or pos post_init pow qualname radd rand rdivmod repr
    reversed rfloordiv rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub rtruediv rxor setitem
    slots str sub truediv trunc version xor getattr class_getitem
    """)
)

LOADABLE = DUNDERS - {"__getattr__", "__match_args__", "__slots__", "__init_subclass__"}

NAMEDTUPLE = frozenset({"_asdict", "_fields", "_make", "_replace"})


def module_allowed(name: str) -> bool:
    """Whether a module of this full name may be imported and touched."""
    if name.partition(".")[0] in PACKAGES:
        return not any(name == denied or name.startswith(denied + ".") for denied in DENIED_SUBMODULES)
    return name in MODULES


def module_hint(name: str) -> str:
    """Why a module is refused, with what there is instead."""
    available = sorted({module.partition(".")[0] for module in MODULES | PACKAGES})
    return f"the module '{name}' is not available here; available are {', '.join(available)}"


def is_private(name: str) -> bool:
    """Whether a name is a class's own business by convention: ``_x``, not ``__x__``."""
    return name.startswith("_") and not name.endswith("_") and name not in NAMEDTUPLE


def name_problem(name: str) -> str | None:
    """Why a variable, function or argument may not have this name, or None."""
    # Names such as _getattr_ are the guards'; a block that could bind one would be its own guard.
    if name.startswith("_") and name.endswith("_") and name.strip("_") and name not in DUNDERS:
        return f"the name '{name}' is not available here"
    return None


def attribute_problem(name: str) -> str | None:
    """Why no object's attribute of this name may be read, or None."""
    if name in DENIED_ATTRIBUTES or (name.startswith("_") and name.endswith("_") and name not in LOADABLE):
        return f"the attribute '{name}' is not available here"
    return None


def format_names(fields: Iterable[str]) -> list[str]:
    """The attribute names in replacement fields such as ``0.real`` or ``a[0].imag``."""
    return [name for field in fields for name in re.findall(r"\.([^.\[\]]*)", field)]
