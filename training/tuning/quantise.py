"""Types of a GGUF file's matrices, and the smaller ones of them, which llama.cpp makes of a file in F16."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from genprm_sdk.engine.fit import physical_cores
from genprm_sdk.engine.library import library
from genprm_sdk.errors import InputError, ModelError

__all__ = ["DIRECT", "check_widths", "known_type", "quantise"]

DIRECT = {"F32": 1, "F16": 1, "BF16": 1, "Q8_0": 32}
"""Types that are written from the weights themselves, and how many numbers each packs together."""

BY_LLAMA_CPP = {
    **dict.fromkeys(("Q4_0", "Q4_1", "Q5_0", "Q5_1"), 32),
    **dict.fromkeys(("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M"), 256),
    **dict.fromkeys(("Q5_K_S", "Q5_K_M", "Q6_K"), 256),
}
"""Types that llama.cpp makes; it names files by them."""

PACKED = DIRECT | BY_LLAMA_CPP


def known_type(quantization: str) -> str:
    """A type as llama.cpp writes it.

    Raises:
        InputError: There is no such type.
    """
    if quantization.upper() not in PACKED:
        raise InputError(f"quantization must be one of {', '.join(PACKED)}, not {quantization!r:.40}")
    return quantization.upper()


def check_widths(quantization: str, widths: Iterable[int]) -> None:
    """Make sure that rows of these widths can be packed.

    Raises:
        InputError: They cannot.
    """
    packed, found = PACKED[quantization], sorted(set(widths))
    if any(width % packed for width in found):
        fitting = [kind for kind, count in PACKED.items() if not any(width % count for width in found)]
        raise InputError(
            f"{quantization} packs {packed} numbers together, and this model's rows have "
            f"{' and '.join(map(str, found))}, which is no multiple of it: take one of {', '.join(fitting)}"
        )


def quantise(source: Path, target: Path, quantization: str, threads: int | None = None) -> None:
    """Pack the matrices of a file in F16.

    Args:
        source: The file.
        target: The file to write; replaced whole or not at all.
        quantization: One of the types that llama.cpp makes.
        threads: CPU threads; by default the physical cores this process may use.

    Raises:
        MissingExtraError: llama-cpp-python is not installed.
        ModelError: llama.cpp could not do it.
    """
    lib = library()
    options = lib.llama_model_quantize_default_params()
    options.ftype = getattr(lib, f"LLAMA_FTYPE_MOSTLY_{quantization}")
    options.nthread = threads or physical_cores()
    part = target.with_name(target.name + ".part")
    try:
        if lib.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(options)):
            raise ModelError(
                f"llama.cpp could not write {source} as {quantization} to {target}: is there room?"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
