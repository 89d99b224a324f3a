"""What the policy's rewritten code calls at run time, and the builtins a block finds.

Knows objects, not syntax. Everything it needs is bound before a block runs and lives where a block cannot
rebind it: in the namespace's ``__builtins__``, under names that the policy refuses.
"""

from __future__ import annotations

import _string  # type: ignore[import-not-found]
import builtins
import dataclasses
import functools
import importlib
import operator
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from .allowed import (
    BUILTINS,
    DENIED_FUNCTIONS,
    REFUSED_BUILTINS,
    attribute_problem,
    format_names,
    is_private,
    module_allowed,
    module_hint,
)
from .policy import PolicyError, compile_expression

__all__ = ["guard_sympify", "new_namespace", "plain_namespace"]

Abort = Callable[[str], NoReturn]


class ImportRefused(PolicyError, ImportError):
    """A module that is not available; caught by ``except ImportError`` as elsewhere."""


def guarded_getattr(target: Any, name: str) -> Any:
    """``target.name`` for a name the policy let through; refuses what must not be reached."""
    if isinstance(target, ModuleType):
        _require_allowed(target)
    value = getattr(target, name)
    if isinstance(value, ModuleType):
        _require_allowed(value)
    # Equality and hashing could run a block's own code; identity cannot.
    return SUBSTITUTES.get(id(value), value)


def _require_allowed(module: ModuleType) -> None:
    if not module_allowed(module.__name__):
        raise PolicyError(module_hint(module.__name__))


def _private_getattr(target: Any, name: str) -> Any:
    if not _made_here(target):
        raise PolicyError(f"the attribute '{name}' is not available here")
    return guarded_getattr(target, name)


def _made_here(target: Any) -> bool:
    owner = target if isinstance(target, type) else type(target)
    # `super().x` speaks for the class it was made in.
    return owner is super or getattr(owner, "__module__", None) == "__main__"


def _format_getattr(target: Any, name: str) -> Any:
    if isinstance(target, str):
        return functools.partial(_checked_format, getattr(target, name), str.__str__(target))
    if isinstance(target, type) and issubclass(target, str):
        method = getattr(target, name)
        return lambda text, *args, **kwargs: _checked_format(
            functools.partial(method, text), str.__str__(text), *args, **kwargs
        )
    return guarded_getattr(target, name)


def _checked_format(method: Callable[..., str], template: str, /, *args: Any, **kwargs: Any) -> str:
    try:
        fields = [(field or "", spec or "") for _, field, spec, _ in _string.formatter_parser(template)]
    except ValueError:
        fields = []  # the method itself says what is wrong with the template
    for name in format_names([field for field, _ in fields]):
        problem = attribute_problem(name)
        if problem is not None or is_private(name):
            raise PolicyError(problem or f"the attribute '{name}' is not available in a format string here")
    for _, spec in fields:
        if "{" in spec:
            _checked_format(lambda *_, **__: "", spec)
    return method(*args, **kwargs)


def _by_name(target: Any, name: str) -> Any:
    """An attribute whose name was made at run time."""
    name = _exact_name(name)
    if name in ("format", "format_map"):
        return _format_getattr(target, name)
    return (_private_getattr if is_private(name) else guarded_getattr)(target, name)


def _exact_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError("attribute name must be string, not " + repr(type(name).__name__))
    # A subclass of str could answer differently each time it is asked.
    exact: str = str.__str__(name)
    problem = attribute_problem(exact)
    if problem is not None:
        raise PolicyError(problem)
    return exact


def _getattr(target: Any, name: str, *default: Any) -> Any:
    if not default:
        return _by_name(target, name)
    try:
        return _by_name(target, name)
    except AttributeError:
        return default[0]


def _writable(target: Any) -> Any:
    if isinstance(target, ModuleType) or (isinstance(target, type) and not _made_here(target)):
        name = getattr(target, "__name__", "it")
        raise PolicyError(f"'{name}' is not the block's own and cannot be changed here")
    return target


def _setattr(target: Any, name: str, value: Any) -> None:
    setattr(_writable(target), _exact_name(name), value)


def _delattr(target: Any, name: str) -> None:
    delattr(_writable(target), _exact_name(name))


def _find(name: str) -> Any:
    if not module_allowed(name):
        raise ImportRefused(module_hint(name))
    return importlib.import_module(name)


def _import(name: str, whole: bool) -> Any:
    module = _find(name)
    return module if whole else sys.modules[name.partition(".")[0]]


def _import_from(module_name: str, name: str) -> Any:
    module = _find(module_name)
    problem = attribute_problem(name)
    if problem is not None or is_private(name):
        raise PolicyError(problem or f"the name '{name}' is not available here")
    try:
        return guarded_getattr(module, name)
    except AttributeError:
        if hasattr(module, "__path__"):
            try:
                return _find(f"{module_name}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{module_name}.{name}":
                    raise
        message = f"cannot import name '{name}' from '{module_name}' ({getattr(module, '__file__', None)})"
        if not hasattr(module, "__file__"):
            message = f"cannot import name '{name}' from '{module_name}' (unknown location)"
        raise ImportError(message) from None


def _attrgetter(*names: str) -> Callable[[Any], Any]:
    def follow(target: Any, path: str) -> Any:
        return functools.reduce(_by_name, path.split("."), target)

    if len(names) == 1:
        return lambda target: follow(target, names[0])
    return lambda target: tuple(follow(target, name) for name in names)


def _methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    return lambda target: _by_name(target, name)(*args, **kwargs)


def _wraps(wrapped: Any) -> Callable[[Any], Any]:
    return functools.wraps(wrapped)


def _update_wrapper(wrapper: Any, wrapped: Any) -> Any:
    return functools.update_wrapper(wrapper, wrapped)


def _dataclass(cls: Any = None, /, **options: Any) -> Any:
    def decorate(target: type) -> type:
        # dataclasses pastes field names into source that it runs.
        for name in getattr(target, "__annotations__", {}):
            if not (isinstance(name, str) and str.isidentifier(name)):
                raise PolicyError(f"{name!r} is no name for a field")
        return dataclasses.dataclass(**options)(target)

    return decorate if cls is None else decorate(cls)


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise PolicyError(f"{name}() is not available here")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def _exit(code: Any = None) -> NoReturn:
    raise SystemExit(code)


def _substitutes() -> dict[int, Any]:
    table = {
        id(operator.attrgetter): _attrgetter,
        id(operator.methodcaller): _methodcaller,
        id(functools.wraps): _wraps,
        id(functools.update_wrapper): _update_wrapper,
        id(dataclasses.dataclass): _dataclass,
    }
    for module_name, names in DENIED_FUNCTIONS.items():
        module = importlib.import_module(module_name)
        for name in names.split():
            if hasattr(module, name):
                table[id(getattr(module, name))] = _refusal(f"{module_name}.{name}")
    return table


SUBSTITUTES = _substitutes()


def _safe_builtins() -> dict[str, Any]:
    table = {name: getattr(builtins, name) for name in BUILTINS}
    classes = {name: value for name, value in vars(builtins).items() if isinstance(value, type)}
    table.update({name: value for name, value in classes.items() if issubclass(value, BaseException)})
    table.update({name: _refusal(name) for name in REFUSED_BUILTINS})
    table.update(getattr=_getattr, setattr=_setattr, delattr=_delattr, exit=_exit, quit=_exit)
    return table


def new_namespace(abort: Abort) -> dict[str, Any]:
    """A fresh ``__main__`` module's namespace for one session.

    Args:
        abort: Ends the whole worker with a message; for what a block must not get to handle itself.
    """
    module = ModuleType("__main__")
    # dataclasses and typing look a class's module up by its name.
    sys.modules["__main__"] = module
    namespace = module.__dict__

    def captured(*values: Any) -> bool:
        for value in values:
            if isinstance(value, ModuleType) and not module_allowed(value.__name__):
                # The name is bound already: raising would leave it to the block's own `except`.
                abort(module_hint(value.__name__))
        return True

    def import_star(module_name: str) -> None:
        imported = _find(module_name)
        for name in getattr(imported, "__all__", None) or vars(imported):
            if name.startswith("_") or attribute_problem(name):
                continue
            value = getattr(imported, name)
            if not isinstance(value, ModuleType) or module_allowed(value.__name__):
                namespace[name] = SUBSTITUTES.get(id(value), value)

    table = _safe_builtins()
    table.update(
        # The compiler needs the first; C code that imports on first use looks for the second right here.
        __build_class__=builtins.__build_class__,
        __import__=builtins.__import__,
        _getattr_=guarded_getattr,
        _getattr_private_=_private_getattr,
        _getattr_format_=_format_getattr,
        _write_=_writable,
        _import_=_import,
        _import_from_=_import_from,
        _import_star_=import_star,
        _captured_=captured,
    )
    namespace["__builtins__"] = table
    return namespace


def plain_namespace() -> dict[str, Any]:
    """A fresh ``__main__`` with Python's own builtins, for workers that the kernel alone holds."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    module.__dict__["__builtins__"] = builtins
    return module.__dict__


def guard_sympify() -> None:
    """Put sympy's evaluation of strings (``sympify``, ``S``, ``parse_expr``) under the policy too."""
    parser = importlib.import_module("sympy.parsing.sympy_parser")
    safe = _safe_builtins()
    guards = {"_getattr_": guarded_getattr, "_getattr_private_": _private_getattr}
    guards["_getattr_format_"] = _format_getattr

    refused = {id(value) for name, value in vars(builtins).items() if safe.get(name) is not value}

    def eval_expr(code: str, local_dict: dict[str, Any], global_dict: dict[str, Any]) -> Any:
        visible = {
            name: value
            for name, value in global_dict.items()
            if id(value) not in refused and not isinstance(value, ModuleType)
        }
        visible["__builtins__"] = safe | guards
        return eval(compile_expression(code), visible, local_dict)  # noqa: S307 - this is the inside

    parser.__dict__["eval_expr"] = eval_expr
