"""The ``llama_cpp`` module, loaded when first needed, silenced, and kind to its neighbours."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from typing import Any

from ..errors import MissingExtraError

__all__ = ["library"]


@functools.cache
def library() -> Any:
    """The ``llama_cpp`` module.

    OpenMP threads sleep instead of spinning while they wait: beside another program, or another model in this
    one, spinning threads make a step a hundred times slower.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        module = importlib.import_module("llama_cpp")
    except ImportError as error:
        raise MissingExtraError("llama-cpp-python", "llama", "Running a GGUF model") from error
    module.llama_log_set(_silent(module), ctypes.c_void_p(0))
    module.llama_backend_init()
    return module


@functools.cache
def _silent(module: Any) -> Any:
    return module.llama_log_callback(lambda level, text, data: None)
