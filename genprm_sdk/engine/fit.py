"""What fits on this machine: bytes a model and its cache need, memory there is, cores worth using."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..models import MetadataValue
from ..models.gguf import text_value, whole_value

__all__ = [
    "CACHE_TYPES",
    "SMALL_BYTES",
    "available_bytes",
    "cache_bytes_per_token",
    "check_memory",
    "head_widths",
    "is_small",
    "physical_cores",
    "worthwhile_threads",
]


class CacheType(NamedTuple):
    """How numbers lie in the cache.

    Attributes:
        number: In ggml; the same in every GGUF file, and llama-cpp-python does not name them all.
        bytes: A number takes.
    """

    number: int
    bytes: float


CACHE_TYPES = {
    "f32": CacheType(0, 4),
    "f16": CacheType(1, 2),
    "bf16": CacheType(30, 2),
    "q8_0": CacheType(8, 34 / 32),
    "q4_0": CacheType(2, 18 / 32),
}
"""By llama.cpp's name; the quantised ones work in blocks."""

BLOCK = 32
SMALL_BYTES = 64 << 20


def cache_bytes_per_token(metadata: Mapping[str, MetadataValue], cache_type: str) -> int:
    """Bytes that one token takes in the cache.

    Raises:
        InputError: There is no such type, or it does not suit the model.
    """
    if cache_type not in CACHE_TYPES:
        raise InputError(f"cache_type must be one of {', '.join(CACHE_TYPES)}, not {cache_type!r}")
    family = text_value(metadata, "general.architecture")
    heads = whole_value(metadata, f"{family}.attention.head_count", 1)
    shared = whole_value(metadata, f"{family}.attention.head_count_kv", heads)
    key, value = head_widths(metadata)
    if cache_type.startswith("q") and (key % BLOCK or value % BLOCK):
        raise InputError(
            f"a cache of type {cache_type} needs heads of a multiple of {BLOCK} numbers; "
            f"this model's have {key} and {value}"
        )
    layers = whole_value(metadata, f"{family}.block_count", 1)
    return max(1, int(layers * shared * (key + value) * CACHE_TYPES[cache_type].bytes))


def head_widths(metadata: Mapping[str, MetadataValue]) -> tuple[int, int]:
    """Numbers in a key and in a value of one head."""
    family = text_value(metadata, "general.architecture")
    heads = whole_value(metadata, f"{family}.attention.head_count", 1)
    width = whole_value(metadata, f"{family}.embedding_length", 0) // max(1, heads)
    key = whole_value(metadata, f"{family}.attention.key_length", width)
    return key, whole_value(metadata, f"{family}.attention.value_length", width)


def check_memory(path: Path, cells: int, cell_bytes: int) -> None:
    """Refuse what this machine's memory cannot hold, before llama.cpp tries.

    Raises:
        InputError: The model and its cache need more than is free.
    """
    weights, cache, free = path.stat().st_size, cells * cell_bytes, available_bytes()
    if free is None or weights + cache <= free:
        return
    advice = (
        f"load it with a smaller context or cache_tokens (a token takes {cell_bytes:,} bytes), "
        "or a smaller cache_type"
        if weights < free
        else "take a smaller model, or a smaller quantisation of this one"
    )
    raise InputError(
        f"{path.name} needs {_gigabytes(weights + cache)} ({_gigabytes(weights)} for weights, "
        f"{_gigabytes(cache)} for a cache of {cells:,} tokens) and {_gigabytes(free)} are free: {advice}"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def available_bytes() -> int | None:
    """Memory that a program can still take, or None where the system does not say."""
    found = [number for number in (_meminfo(), _left_in_group()) if number is not None]
    return min(found, default=None)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None


def _left_in_group(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        most = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return max(0, int(most) - int(used)) if most.isdigit() else None


def is_small(path: Path) -> bool:
    """Whether a model's file is so small that its arithmetic takes no longer than what is around it."""
    return path.stat().st_size < SMALL_BYTES


def worthwhile_threads(path: Path) -> int:
    """The physical cores this process may use; one for a small model, whose threads would only wait."""
    return 1 if is_small(path) else physical_cores()


def physical_cores() -> int:
    """Cores this process may use; two threads of one core count once, for they share its arithmetic."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    usable = os.sched_getaffinity(0)
    return len({_siblings(core) for core in usable})


def _siblings(core: int) -> str:
    try:
        path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return str(core)
