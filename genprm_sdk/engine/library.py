"""The ``llama_cpp`` module, loaded when first needed, silenced, and kind to its neighbours."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from typing import Any

from ..errors import MissingExtraError

__all__ = ["library", "multiplies_row_by_row", "multiply_row_by_row"]

GNU_SPINS = "500"
LLVM_MILLISECONDS = "0"
TILES = "GGML_CPU_TILED_MM"


@functools.cache
def library() -> Any:
    """The ``llama_cpp`` module.

    Raises:
        MissingExtraError: It is not installed.
    """
    _let_waiting_threads_sleep()
    try:
        module = importlib.import_module("llama_cpp")
    except ImportError as error:
        raise MissingExtraError("llama-cpp-python", "llama", "Running a GGUF model") from error
    module.llama_log_set(_silent(module), ctypes.c_void_p(0))
    module.llama_backend_init()
    return module


def _let_waiting_threads_sleep() -> None:
    """Let OpenMP's threads spin for microseconds at most before they sleep, unless the user said otherwise.

    Beside another program, threads that go on spinning make a step of a 0.5B model take 1,500 ms instead of
    34; threads that sleep at once make it take 30 instead of 18 on a quiet machine. The latter is what
    ``OMP_WAIT_POLICY=passive`` says, and to GNU's runtime, with two models loaded, whatever else is set.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", GNU_SPINS)
        os.environ.setdefault("KMP_BLOCKTIME", LLVM_MILLISECONDS)


def multiply_row_by_row() -> None:
    """Keep llama.cpp's CPU code from multiplying several rows in one tile, which rounds by their number.

    llama.cpp looks at this once, at the first evaluation in a process.
    """
    os.environ[TILES] = "0"


def multiplies_row_by_row() -> bool:
    """Whether the environment says so."""
    return os.environ.get(TILES) == "0"


@functools.cache
def _silent(module: Any) -> Any:
    return module.llama_log_callback(lambda level, text, data: None)
