"""One llama.cpp context: a KV cache of numbered streams, one batch at a time.

Knows llama.cpp's rules and nothing of requests: whatever would make llama.cpp end the process is refused here
with an error. Not thread-safe; the engine's thread owns it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, InputError, ModelFileError
from .fit import CACHE_TYPES
from .library import library, multiplies_row_by_row, multiply_row_by_row
from .vocabulary import Vocabulary

__all__ = ["BATCH", "MOST_STREAMS", "CacheFull", "Context", "Row", "Setup"]

BATCH = 512
"""Tokens that go through the model together at most."""

MOST_STREAMS = 256
"""llama.cpp's own limit (LLAMA_MAX_SEQ)."""

UNTILED_TYPES = {"0", "1", "2", "3", "7", "8", "9", "32"}
"""``general.file_type`` of files whose weights llama.cpp never multiplies in tiles: f32, f16, q4_0, q4_1,
q8_0, q5_0, q5_1, bf16."""

Logits = NDArray[np.float32]


class CacheFull(BackendError):
    """llama.cpp found no room in its cache; the cache is as it was."""


@dataclass(frozen=True)
class Row:
    """A token to evaluate.

    Attributes:
        token: Its id.
        position: Its position in its sequence, from 0.
        stream: The stream of the cache it goes to.
        wanted: Whether its logits will be read.
    """

    token: int
    position: int
    stream: int
    wanted: bool = False


@dataclass(frozen=True)
class Setup:
    """How a model is loaded.

    Attributes:
        cells: Tokens the whole cache holds.
        streams: Sequences that can lie in it at once.
        threads: CPU threads.
        gpu_layers: Layers on the GPU, where there is one; -1 for all.
        exact: Whether each stream has a part of the cache of its own, so that no sequence's logits depend on
            its neighbours.
        flash_attention: Whether attention runs fused.
        cache_type: What keys and values are stored as: ``f16``, ``q8_0``, …
    """

    cells: int
    streams: int
    threads: int
    gpu_layers: int = -1
    exact: bool = False
    flash_attention: bool = True
    cache_type: str = "f16"

    @property
    def is_slow_when_full(self) -> bool:
        """Whether every token attends to all that the cache holds, whoever's it is."""
        return not (self.flash_attention or self.exact)


class Context:
    """A loaded model with its cache.

    Args:
        path: A GGUF file whose metadata has been looked over.
        setup: How to load it.

    Raises:
        ModelFileError: llama.cpp cannot load the file, or cannot generate with it.
        InputError: It is too late in this process for exact results with this model.
        BackendError: The cache cannot be set up.
    """

    _tiled: ClassVar[bool | None] = None
    """How llama.cpp multiplies in this process, once it has begun to."""

    def __init__(self, path: Path, setup: Setup) -> None:
        if not 1 <= setup.streams <= MOST_STREAMS:
            raise BackendError(f"llama.cpp holds 1 to {MOST_STREAMS} sequences, not {setup.streams}")
        self.setup = setup
        self._library = library()
        self._model: Any = None
        self._context: Any = None
        try:
            self.vocabulary: Vocabulary = self._load(path)
            self._memory: Any = self._set_up(path)
        except BaseException:
            self.free()
            raise
        self._rows = _Rows(self._library)
        self._outputs: frozenset[int] = frozenset()

    def _load(self, path: Path) -> Vocabulary:
        lib = self._library
        options = lib.llama_model_default_params()
        options.n_gpu_layers = self.setup.gpu_layers if lib.llama_supports_gpu_offload() else 0
        # Repacked weights are multiplied with four rows at a time, which rounds differently from one.
        options.use_extra_bufts = not self.setup.exact
        self._model = lib.llama_model_load_from_file(os.fsencode(path), options)
        if not self._model:
            raise ModelFileError(
                f"llama.cpp cannot load {path}: it is damaged or of an architecture that this llama.cpp lacks"
            )
        if not lib.llama_model_has_decoder(self._model) or lib.llama_model_has_encoder(self._model):
            raise ModelFileError(f"{path} is no model that writes text: it has an encoder")
        if lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model):
            raise ModelFileError(
                f"{path} keeps a running state instead of a cache of tokens: it cannot be forked"
            )
        if lib.llama_model_n_swa(self._model) > 0 or lib.llama_model_is_diffusion(self._model):
            raise ModelFileError(
                f"{path} does not attend to all it has read (a sliding window, or diffusion): what llama.cpp "
                "forgets of it cannot be shared"
            )
        if self.setup.exact:
            self._make_exact(path)
        vocab = lib.llama_model_get_vocab(self._model)
        if lib.llama_vocab_type(vocab) == lib.LLAMA_VOCAB_TYPE_NONE:
            raise ModelFileError(f"{path} has no vocabulary")
        return Vocabulary(lib, vocab)

    def _make_exact(self, path: Path) -> None:
        value = ctypes.create_string_buffer(16)
        self._library.llama_model_meta_val_str(self._model, b"general.file_type", value, len(value))
        if value.value.decode() in UNTILED_TYPES:
            return
        if Context._tiled:
            raise InputError(
                f"exact results with {path.name} must be asked for before another model runs in this "
                "process, or with GGML_CPU_TILED_MM=0 in its environment"
            )
        multiply_row_by_row()

    def _set_up(self, path: Path) -> Any:
        lib, setup = self._library, self.setup
        settings = lib.llama_context_default_params()
        settings.n_ctx = setup.cells
        settings.n_seq_max = setup.streams
        settings.n_batch = settings.n_ubatch = BATCH
        settings.n_threads = settings.n_threads_batch = setup.threads
        settings.kv_unified = not setup.exact
        settings.flash_attn_type = (
            lib.LLAMA_FLASH_ATTN_TYPE_ENABLED if setup.flash_attention else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        settings.type_k = settings.type_v = CACHE_TYPES[setup.cache_type].number
        settings.no_perf = True
        self._context = lib.llama_init_from_model(self._model, settings)
        if not self._context:
            raise BackendError(
                f"llama.cpp cannot set up a cache of {setup.cells} tokens for {path}: "
                "ask for a smaller context or capacity"
            )
        return lib.llama_get_memory(self._context)

    @property
    def devices(self) -> tuple[str, ...]:
        """What llama.cpp was built for, e.g. ``("CUDA : ARCHS = 900", "CPU : AVX512 = 1")``."""
        text: str = self._library.llama_print_system_info().decode()
        return tuple(part.strip() for part in text.split("|") if part.strip())

    def decode(self, rows: Sequence[Row]) -> None:
        """Evaluate tokens; each must be the next of its stream.

        Raises:
            CacheFull: There is no room for them.
            BackendError: llama.cpp failed.
        """
        if not 0 < len(rows) <= BATCH:
            raise BackendError(f"{len(rows)} tokens cannot be evaluated at once: 1 to {BATCH} can")
        if Context._tiled is None:
            Context._tiled = not multiplies_row_by_row()
        code = self._library.llama_decode(self._context, self._rows.fill(rows))
        self._outputs = (
            frozenset(at for at, row in enumerate(rows) if row.wanted) if code == 0 else frozenset()
        )
        if code == 1:
            raise CacheFull(f"the cache of {self.setup.cells} tokens has no room for {len(rows)} more")
        if code != 0:
            raise BackendError(f"llama.cpp failed to evaluate {len(rows)} tokens (code {code})")

    def logits(self, row: int) -> Logits:
        """A copy of the logits of a wanted row of the last ``decode``."""
        self._check_output(row)
        pointer = self._library.llama_get_logits_ith(self._context, row)
        if not pointer:
            raise BackendError("llama.cpp has no logits for a token that was evaluated")
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary.size,)).copy()

    def sample(self, sampler: Any, row: int) -> int:
        """Draw the token behind a wanted row of the last ``decode``."""
        self._check_output(row)
        return int(self._library.llama_sampler_sample(sampler, self._context, row))

    def _check_output(self, row: int) -> None:
        if row not in self._outputs:
            raise BackendError(f"row {row} of the last batch has no logits")

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Let ``target``, which holds ``start`` tokens, hold those of ``source`` up to ``end`` too.

        Where streams have parts of the cache of their own, the target's are overwritten by copies of the
        source's: its own tokens must be the same.
        """
        self._check_stream(source)
        self._check_stream(target)
        if self.setup.exact:
            self.restore(target, self.save(source))
            self.drop(target, end)
        else:
            self._library.llama_memory_seq_cp(self._memory, source, target, start, end)

    def drop(self, stream: int, start: int, end: int = -1) -> None:
        """Take the tokens from ``start`` to before ``end`` out of a stream; -1 is its end."""
        self._check_stream(stream)
        if not self._library.llama_memory_seq_rm(self._memory, stream, start, end):
            raise BackendError("llama.cpp cannot take tokens back with this model")

    def save(self, stream: int) -> ctypes.Array[ctypes.c_uint8]:
        """What a stream holds, to the bit."""
        self._check_stream(stream)
        size = self._library.llama_state_seq_get_size(self._context, stream)
        state: ctypes.Array[ctypes.c_uint8] = (ctypes.c_uint8 * size)()
        if self._library.llama_state_seq_get_data(self._context, state, size, stream) != size:
            raise BackendError("llama.cpp could not save a sequence")
        return state

    def restore(self, stream: int, state: ctypes.Array[ctypes.c_uint8]) -> None:
        """Replace what a stream holds by what ``save`` returned."""
        self._check_stream(stream)
        self._library.llama_memory_seq_rm(self._memory, stream, -1, -1)
        if self._library.llama_state_seq_set_data(self._context, state, len(state), stream) != len(state):
            raise BackendError("llama.cpp could not restore a sequence")

    def _check_stream(self, stream: int) -> None:
        if not 0 <= stream < self.setup.streams:
            raise BackendError(f"there is no stream {stream}: there are {self.setup.streams}")

    def free(self) -> None:
        """Free everything; twice is allowed."""
        if hasattr(self, "vocabulary"):
            self.vocabulary.close()
        if self._context:
            self._library.llama_free(self._context)
        if self._model:
            self._library.llama_model_free(self._model)
        self._model = self._context = None


class _Rows:
    """llama.cpp's batch over arrays that numpy fills."""

    def __init__(self, lib: Any) -> None:
        self._tokens, self._positions, self._streams = (np.zeros(BATCH, np.int32) for _ in range(3))
        self._counts = np.ones(BATCH, np.int32)
        self._wanted = np.zeros(BATCH, np.int8)
        streams = self._streams.ctypes.data
        self._pointers = np.arange(streams, streams + 4 * BATCH, 4, dtype=np.uint64)
        self._batch = lib.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._pointers),
            ("logits", self._wanted),
        ):
            kind = dict(lib.llama_batch._fields_)[name]
            setattr(self._batch, name, ctypes.cast(array.ctypes.data, kind))

    def fill(self, rows: Sequence[Row]) -> Any:
        count = len(rows)
        self._tokens[:count] = [row.token for row in rows]
        self._positions[:count] = [row.position for row in rows]
        self._streams[:count] = [row.stream for row in rows]
        self._wanted[:count] = [row.wanted for row in rows]
        self._batch.n_tokens = count
        return self._batch
