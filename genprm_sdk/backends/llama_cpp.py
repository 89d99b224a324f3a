"""llama.cpp in this process: the engine, behind the contract of all backends.

Decides how a model file is loaded on this machine; everything else is the engine's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..arguments import whole_number
from ..engine.context import MOST_STREAMS, Setup
from ..engine.engine import Engine, EngineSequence
from ..engine.fit import cache_bytes_per_token, check_memory, head_widths, is_small, worthwhile_threads
from ..engine.library import library
from ..engine.metrics import Snapshot
from ..errors import InputError, ModelFileError
from ..models import MetadataValue, read_gguf_metadata
from ..models.gguf import text_value, whole_value
from ..prompt import ChatFrame, Segment
from .base import Counters

__all__ = ["LlamaCppBackend"]

Metadata = Mapping[str, MetadataValue]

DEFAULT_CONTEXT = 8192
DEFAULT_CAPACITY = 64
DEFAULT_EXACT_CAPACITY = 16
CONTEXTS_CACHED = 8
CACHE_BYTES = 1 << 30
LEAST_CAPACITY = 3
PROMPTS_WHERE_SLOW = 2
"""Open at once where a full cache slows everybody down."""

MOST_THREADS = 512
MOST_LAYERS = 1024


class LlamaCppBackend:
    """A GGUF model in llama.cpp. Load with ``await LlamaCppBackend.load(path)``."""

    def __init__(
        self,
        name: str,
        metadata: Metadata,
        frame: ChatFrame,
        engine: Engine,
        capacity: int,
        prompts_at_once: int,
    ) -> None:
        self.name = name
        self.frame = frame
        self.metadata = metadata
        self.context = engine.length
        self.capacity = capacity
        self.prompts_at_once = prompts_at_once
        self.engine = engine

    @classmethod
    async def load(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        context: int | None = None,
        capacity: int | None = None,
        cache_tokens: int | None = None,
        threads: int | None = None,
        gpu_layers: int = -1,
        exact: bool = False,
        flash_attention: bool | None = None,
        cache_type: str = "f16",
    ) -> Self:
        """Load a model file.

        Args:
            path: A GGUF file.
            name: The name in reports; the file's stem by default.
            context: Tokens a sequence can hold; by default what the model was trained for, at most 8192.
            capacity: Sequences evaluated at once, 256 at most; more may be open. By default 64, with
                ``exact`` up to 16.
            cache_tokens: Tokens the cache holds, of all sequences together; what they share counts once. By
                default eight contexts, as far as they fit into 1 GiB. With ``exact``, capacity x context.
            threads: CPU threads; by default the physical cores this process may use, one for a small model.
            gpu_layers: Layers on the GPU, where there is one; -1 for all.
            exact: Whether a sequence's results must not depend, to the bit, on what else runs, so that a seed
                always draws the same. On the CPU only; sequences share nothing in the cache, which costs
                memory and makes several at once slower.
            flash_attention: Whether attention runs fused; by default it does unless ``exact``, but not for
                small models, of less than 64 MiB, which many sequences at once run faster without.
            cache_type: What keys and values are stored as: f32, f16, bf16, q8_0 or q4_0; the quantised ones
                need flash attention.

        Raises:
            MissingExtraError: llama-cpp-python is not installed.
            ModelFileError: The file is no GGUF, is damaged, or llama.cpp cannot run it.
            InputError: A setting is out of range, or the machine's memory is too small.
        """
        file = Path(path)
        numbers = {"context": context, "capacity": capacity, "cache_tokens": cache_tokens, "threads": threads}
        for label, value in numbers.items():
            if value is not None:
                whole_number(value, label)
        if threads is not None and threads > MOST_THREADS:
            raise InputError(f"threads must be at most {MOST_THREADS}, not {threads}")
        if capacity is not None and capacity > MOST_STREAMS:
            raise InputError(f"capacity must be at most {MOST_STREAMS}, not {capacity}")
        metadata, frame = await asyncio.to_thread(_read, file)
        fused = not (exact or is_small(file)) if flash_attention is None else flash_attention
        if exact and (fused or cache_tokens is not None):
            raise InputError("exact=True goes with neither flash_attention nor cache_tokens")
        tokens = _context_of(metadata, file, context)
        cell_bytes = cache_bytes_per_token(metadata, cache_type)
        if cache_type.startswith("q") and not fused:
            raise InputError(f"a cache of type {cache_type} needs flash_attention=True")
        if exact:
            fitting = min(DEFAULT_EXACT_CAPACITY, CACHE_BYTES // (cell_bytes * tokens))
            most = streams = capacity or max(LEAST_CAPACITY, fitting)
            cells = most * tokens
        else:
            most = capacity or DEFAULT_CAPACITY
            streams = min(MOST_STREAMS, 2 * most)
            cells = cache_tokens or max(
                tokens, streams, min(CONTEXTS_CACHED * tokens, CACHE_BYTES // cell_bytes)
            )
            if cells < streams:  # llama.cpp ends the process
                raise InputError(f"cache_tokens must be at least {streams}, two a sequence, not {cells}")
        await asyncio.to_thread(_check_memory, file, cells, cell_bytes, gpu_layers)
        setup = Setup(
            cells=cells,
            streams=streams,
            threads=threads or worthwhile_threads(file),
            gpu_layers=gpu_layers,
            exact=exact,
            flash_attention=fused,
            cache_type=cache_type,
        )
        engine = await Engine.load(file, setup, length=tokens, most=most)
        prompts = min(most, PROMPTS_WHERE_SLOW) if setup.is_slow_when_full else most
        return cls(name or file.stem, metadata, frame, engine, most, prompts)

    async def open(self, segments: Sequence[Segment]) -> EngineSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        return await self.engine.open(segments)

    def counters(self) -> Counters:
        """Totals since the model was loaded."""
        return self.engine.counters()

    def snapshot(self) -> Snapshot:
        """What runs, waits and lies in the cache at this moment."""
        return self.engine.snapshot()

    async def close(self) -> None:
        """Stop what runs and free the model."""
        await self.engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _read(file: Path) -> tuple[Metadata, ChatFrame]:
    """What a model file says about itself, and its chat template."""
    metadata = read_gguf_metadata(file)
    template = text_value(metadata, "tokenizer.chat_template")
    if not template:
        raise ModelFileError(f"{file} has no chat template: it is not a model to chat with")
    _check_shape(metadata, file)
    bos, eos = (_token_text(metadata, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
    return metadata, ChatFrame.from_template(template, bos, eos)


def _check_shape(metadata: Metadata, file: Path) -> None:
    """Refuse sizes at which llama.cpp would end the process."""
    family = text_value(metadata, "general.architecture")

    def size(key: str, default: int) -> int:
        return whole_value(metadata, f"{family}.{key}", default)

    if not 1 <= size("block_count", 1) <= MOST_LAYERS or size("context_length", 1) < 1:
        raise ModelFileError(f"{file} says it has no layers or no context: it is damaged")
    key, value = head_widths(metadata)
    if {value, size("rope.dimension_count", key)} != {key}:
        raise ModelFileError(f"{file} has heads that differ in width: this library cannot run it")
    epsilon = metadata.get(f"{family}.attention.layer_norm_rms_epsilon", 0.0)
    if not isinstance(epsilon, float) or not 0 <= epsilon < 1:
        raise ModelFileError(f"{file} has a layer norm epsilon of {epsilon!r:.40}: it is damaged")
    if metadata.get(f"{family}.attention.causal") is False:
        raise ModelFileError(f"{file} is no model that writes text: its attention looks ahead")


def _check_memory(file: Path, cells: int, cell_bytes: int, gpu_layers: int) -> None:
    """Refuse what does not fit into this machine's memory; what a GPU's holds, llama.cpp must find out."""
    if gpu_layers == 0 or not library().llama_supports_gpu_offload():
        check_memory(file, cells, cell_bytes)


def _token_text(metadata: Metadata, key: str) -> str:
    """The spelling of a special token that the file names, or nothing if it names none."""
    token, tokens = metadata.get(key), metadata.get("tokenizer.ggml.tokens")
    if not isinstance(token, int) or not isinstance(tokens, tuple) or not 0 <= token < len(tokens):
        return ""
    return tokens[token]


def _context_of(metadata: Metadata, file: Path, asked: int | None) -> int:
    family = text_value(metadata, "general.architecture")
    trained = whole_value(metadata, f"{family}.context_length", DEFAULT_CONTEXT)
    if asked is not None and asked > trained:
        raise InputError(f"context is {asked} tokens, but {file} was trained for {trained} at most")
    return asked or min(trained, DEFAULT_CONTEXT)
