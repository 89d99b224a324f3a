"""llama.cpp in this process: several sequences in one context, driven by one thread.

Knows how tokens get into the KV cache, are sampled, taken back and read; knows nothing of the method. Each
sequence has a stream of the cache of its own (non-unified KV, flash attention off), so its logits do not
depend on what else is open; a fork copies the stream and evaluates nothing. Requests run one after another:
batching across sequences is the business of an engine above the same contract.

The last token of a sequence is always left unevaluated until something needs its logits; that way a fork, a
generation and a read-out all start from the same state.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import importlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    BackendError,
    ClosedError,
    ContextLengthError,
    InputError,
    MissingExtraError,
    ModelFileError,
)
from ..models import MetadataValue, read_gguf_metadata
from ..models.gguf import text_value, whole_value
from ..prompt import ChatFrame, Segment
from .base import Counters, Generation, Sampling
from .llama_vocabulary import Vocabulary

__all__ = ["LlamaCppBackend"]

Metadata = Mapping[str, MetadataValue]
P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_CONTEXT = 8192
DEFAULT_CAPACITY = 16
CACHE_BYTES = 2 << 30
BATCH = 512
ONE_THREAD_BYTES = 64 << 20


@functools.cache
def _library() -> Any:
    """The ``llama_cpp`` module, silenced; OpenMP threads sleep instead of spinning while they wait."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        library = importlib.import_module("llama_cpp")
    except ImportError as error:
        raise MissingExtraError("llama-cpp-python", "llama", "Running a GGUF model") from error
    library.llama_log_set(_silent(library), ctypes.c_void_p(0))
    library.llama_backend_init()
    return library


@functools.cache
def _silent(library: Any) -> Any:
    return library.llama_log_callback(lambda level, text, data: None)


def _cache_bytes_per_token(metadata: Metadata) -> int:
    """Bytes that one token takes in an f16 KV cache."""
    family = text_value(metadata, "general.architecture")
    heads = whole_value(metadata, f"{family}.attention.head_count", 1)
    key_value_heads = whole_value(metadata, f"{family}.attention.head_count_kv", heads)
    width = whole_value(metadata, f"{family}.embedding_length", 0)
    head = whole_value(metadata, f"{family}.attention.key_length", width // max(1, heads))
    return max(1, 4 * whole_value(metadata, f"{family}.block_count", 1) * key_value_heads * head)


def _token_text(metadata: Metadata, key: str) -> str:
    """The spelling of a special token that the file names, or nothing if it names none."""
    token, tokens = metadata.get(key), metadata.get("tokenizer.ggml.tokens")
    if not isinstance(token, int) or not isinstance(tokens, tuple) or not 0 <= token < len(tokens):
        return ""
    return tokens[token]


def _read(file: Path) -> tuple[Metadata, ChatFrame]:
    """What a model file says about itself, and its chat template."""
    metadata = read_gguf_metadata(file)
    template = text_value(metadata, "tokenizer.chat_template")
    if not template:
        raise ModelFileError(f"{file} has no chat template: it is not a model to chat with")
    bos, eos = (_token_text(metadata, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
    return metadata, ChatFrame.from_template(template, bos, eos)


def _fitting_threads(file: Path) -> int:
    """The cores this process may use; one for a small model, where threads would wait for each other."""
    if file.stat().st_size < ONE_THREAD_BYTES:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _free_unless_failed(loading: Future[_State]) -> None:
    """Free a model that was loaded for a caller who has gone."""
    if not loading.cancelled() and loading.exception() is None:
        loading.result().free()


class LlamaCppBackend:
    """A GGUF model in llama.cpp. Load with ``await LlamaCppBackend.load(path)``."""

    def __init__(
        self, name: str, metadata: Metadata, frame: ChatFrame, state: _State, thread: ThreadPoolExecutor
    ) -> None:
        self.name = name
        self.frame = frame
        self.metadata = metadata
        self.context = state.context
        self.capacity = state.capacity
        self._state = state
        self._thread = thread
        self._closed = False

    @classmethod
    async def load(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        context: int | None = None,
        capacity: int | None = None,
        threads: int | None = None,
        gpu_layers: int = -1,
    ) -> Self:
        """Load a model file.

        Args:
            path: A GGUF file.
            name: The name in reports; the file's stem by default.
            context: Tokens a sequence can hold; by default what the model was trained for, at most 8192.
            capacity: Sequences open at once; by default up to 16, as many as fit into 2 GiB of KV cache.
            threads: CPU threads; by default the cores this process may use, or one for a small model.
            gpu_layers: Layers on the GPU, where there is one; -1 for all.

        Raises:
            MissingExtraError: llama-cpp-python is not installed.
            ModelFileError: The file is no GGUF, is damaged, or llama.cpp cannot run it.
            InputError: A setting is out of range.
        """
        file = Path(path)
        for label, value in (("context", context), ("capacity", capacity), ("threads", threads)):
            if value is not None and value < 1:
                raise InputError(f"{label} must be at least 1, not {value}")
        metadata, frame = await asyncio.to_thread(_read, file)
        family = text_value(metadata, "general.architecture")
        trained = whole_value(metadata, f"{family}.context_length", DEFAULT_CONTEXT)
        tokens = context or min(trained, DEFAULT_CONTEXT)
        if tokens > trained:
            raise InputError(f"context is {tokens} tokens, but {file} was trained for {trained} at most")
        room = CACHE_BYTES // (_cache_bytes_per_token(metadata) * tokens)
        sequences = capacity or max(3, min(DEFAULT_CAPACITY, room))
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="genprm-llama")
        loading = thread.submit(
            _State, file, tokens, sequences, threads or _fitting_threads(file), gpu_layers
        )
        try:
            state = await asyncio.shield(asyncio.wrap_future(loading))
        except BaseException:
            loading.add_done_callback(_free_unless_failed)
            thread.shutdown(wait=False)
            raise
        return cls(name or file.stem, metadata, frame, state, thread)

    async def open(self, segments: Sequence[Segment]) -> LlamaCppSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        sequence = await self._acquire(_State.open)
        try:
            await sequence.append(segments)
        except BaseException:
            await sequence.close()
            raise
        return sequence

    def counters(self) -> Counters:
        """Totals since the model was loaded."""
        state = self._state
        return Counters(
            state.prompt_tokens, state.generated_tokens, state.shared_tokens, state.evaluated_tokens
        )

    async def close(self) -> None:
        """Stop what runs and free the model."""
        if self._closed:
            return
        self._closed = True
        self._state.closing.set()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._state.free)
        self._thread.shutdown(wait=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _acquire(self, take: Callable[[_State], _Slot]) -> LlamaCppSequence:
        """Take a slot; one that a cancelled caller will never see goes back."""
        taken: list[_Slot] = []
        try:
            await self._call(lambda state: taken.append(take(state)))
        except asyncio.CancelledError:
            for slot in taken:
                self._thread.submit(self._state.release, slot)
            raise
        return LlamaCppSequence(self, taken[0])

    async def _call(
        self, work: Callable[Concatenate[_State, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run on the model's thread; a cancelled caller leaves nothing running there."""
        if self._closed:
            raise ClosedError("the backend is closed")
        stopped = threading.Event()

        def run() -> T:
            self._state.stopped = stopped
            return work(self._state, *arguments, **named)

        running = self._thread.submit(run)
        done = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            stopped.set()
            if not running.cancel():
                await asyncio.wait([done])
                done.exception()
            raise


class LlamaCppSequence:
    """One stream of the KV cache; see ``OpenSequence``."""

    def __init__(self, backend: LlamaCppBackend, slot: _Slot) -> None:
        self._backend = backend
        self._slot: _Slot | None = slot

    @property
    def tokens(self) -> int:
        return len(self._open.tokens)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens themselves."""
        return tuple(self._open.tokens)

    @property
    def _open(self) -> _Slot:
        if self._slot is None:
            raise ClosedError("the sequence is closed")
        return self._slot

    async def fork(self) -> LlamaCppSequence:
        return await self._backend._acquire(functools.partial(_State.fork, source=self._open))

    async def append(self, segments: Sequence[Segment]) -> int:
        return await self._backend._call(_State.append, self._open, segments)

    async def generate(self, stop: Sequence[str], max_tokens: int, sampling: Sampling) -> Generation:
        if max_tokens < 1:
            raise InputError(f"max_tokens must be at least 1, not {max_tokens}")
        if not all(stop):
            raise InputError("a stop string must not be empty")
        return await self._backend._call(_State.generate, self._open, tuple(stop), max_tokens, sampling)

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        return await self._backend._call(_State.probabilities, self._open, candidates)

    async def close(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None and not self._backend._closed:
            await asyncio.shield(self._backend._call(_State.release, slot))


class _Slot:
    """A stream and what it holds: ``tokens[:evaluated]`` are in the cache, the rest is still to come."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.tokens: list[int] = []
        self.evaluated = 0


class _State:
    """llama.cpp's own objects; everything here runs on one thread."""

    def __init__(self, path: Path, context: int, capacity: int, threads: int, gpu_layers: int) -> None:
        library = self.library = _library()
        self.context = context
        self.capacity = capacity
        self.closing = threading.Event()
        self.stopped = threading.Event()
        self.prompt_tokens = self.generated_tokens = self.shared_tokens = self.evaluated_tokens = 0
        self._ctx = self._model = self._batch = None
        options = library.llama_model_default_params()
        options.n_gpu_layers = gpu_layers if library.llama_supports_gpu_offload() else 0
        self._model = library.llama_model_load_from_file(os.fsencode(path), options)
        if not self._model:
            raise ModelFileError(
                f"llama.cpp cannot load {path}: it is damaged or of an architecture that this llama.cpp lacks"
            )
        settings = library.llama_context_default_params()
        settings.n_ctx = context * capacity
        settings.n_seq_max = capacity
        settings.n_batch = settings.n_ubatch = BATCH
        settings.n_threads = settings.n_threads_batch = threads
        settings.kv_unified = False
        settings.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.no_perf = True
        self._ctx = library.llama_init_from_model(self._model, settings)
        if not self._ctx:
            self.free()
            raise BackendError(
                f"llama.cpp cannot set up {capacity} sequences of {context} tokens for {path}: "
                "ask for a smaller context or capacity"
            )
        self._memory = library.llama_get_memory(self._ctx)
        self.vocabulary = Vocabulary(library, library.llama_model_get_vocab(self._model))
        self._batch = library.llama_batch_init(BATCH, 0, 1)
        self._free = list(range(capacity - 1, -1, -1))

    def free(self) -> None:
        library = self.library
        if self._batch is not None:
            library.llama_batch_free(self._batch)
        if self._ctx:
            library.llama_free(self._ctx)
        if self._model:
            library.llama_model_free(self._model)
        self._batch = self._ctx = self._model = None

    # ------------------------------------------------------------------ the five acts

    def open(self) -> _Slot:
        if not self._free:
            raise BackendError(
                f"all {self.capacity} sequences are open: close some, or load with more capacity"
            )
        return _Slot(self._free.pop())

    def fork(self, source: _Slot) -> _Slot:
        self._evaluate(source, upto=len(source.tokens) - 1)
        copy = self.open()
        self.library.llama_memory_seq_cp(self._memory, source.index, copy.index, -1, -1)
        copy.tokens = list(source.tokens)
        copy.evaluated = source.evaluated
        self.shared_tokens += source.evaluated
        return copy

    def append(self, slot: _Slot, segments: Sequence[Segment]) -> int:
        tokens = self.vocabulary.tokens(segments)
        needed = len(slot.tokens) + len(tokens)
        if needed > self.context:
            raise ContextLengthError(
                f"the text needs {needed} tokens and the context holds {self.context}: "
                "shorten it, or load the model with a larger context"
            )
        slot.tokens += tokens
        self.prompt_tokens += len(tokens)
        return len(tokens)

    def generate(self, slot: _Slot, stop: tuple[str, ...], max_tokens: int, sampling: Sampling) -> Generation:
        sampler = self._sampler(sampling)
        stops = [text.encode() for text in stop]
        longest = max((len(text) for text in stops), default=0)
        start = len(slot.tokens)
        written, ends = bytearray(), []
        drawn = 0
        finish: Literal["end", "length"] = "length"
        try:
            while drawn < max_tokens and len(slot.tokens) < self.context:
                self._raise_if_stopped()
                self._evaluate(slot, upto=len(slot.tokens))
                token = self.library.llama_sampler_sample(sampler, self._ctx, -1)
                drawn += 1
                if self.vocabulary.ends_turn(token):
                    finish = "end"
                    break
                piece = self.vocabulary.piece(token)
                slot.tokens.append(token)
                written += piece
                ends.append(len(written))
                hit = _first_stop(written, stops, max(0, len(written) - len(piece) - longest))
                if hit is not None:
                    end, which = hit
                    self._take_back(slot, start, written, ends, end)
                    return Generation(
                        bytes(written[:end]).decode("utf-8", "replace"), drawn, "stop", stop[which]
                    )
        finally:
            self.library.llama_sampler_free(sampler)
            self.generated_tokens += drawn
        self._cut(slot, len(slot.tokens))
        return Generation(bytes(written).decode("utf-8", "replace"), drawn, finish)

    def probabilities(self, slot: _Slot, candidates: Sequence[str]) -> list[float]:
        paths = [self.vocabulary.text_tokens(text) for text in candidates]
        if not all(paths):
            raise InputError("a candidate text must not be empty")
        length = len(slot.tokens)
        if length + max(map(len, paths)) > self.context:
            raise ContextLengthError(f"the context of {self.context} tokens is full: no verdict can be read")
        known: dict[tuple[int, ...], NDArray[np.float64]] = {}
        try:
            return [self._path_probability(slot, length, path, known) for path in paths]
        finally:
            self._cut(slot, length)

    def release(self, slot: _Slot) -> None:
        self.library.llama_memory_seq_rm(self._memory, slot.index, -1, -1)
        self._free.append(slot.index)

    # ------------------------------------------------------------------ how they are done

    def _path_probability(
        self, slot: _Slot, length: int, path: list[int], known: dict[tuple[int, ...], NDArray[np.float64]]
    ) -> float:
        total = 0.0
        for at, token in enumerate(path):
            prefix = tuple(path[:at])
            if prefix not in known:
                self._cut(slot, length)
                slot.tokens += prefix
                self._evaluate(slot, upto=len(slot.tokens))
                known[prefix] = _log_softmax(self._logits())
            total += float(known[prefix][token])
        return float(np.exp(total))

    def _cut(self, slot: _Slot, length: int) -> None:
        """Shorten to ``length`` tokens and leave the last one unevaluated."""
        del slot.tokens[length:]
        keep = max(0, length - 1)
        if slot.evaluated > keep:
            self.library.llama_memory_seq_rm(self._memory, slot.index, keep, -1)
            slot.evaluated = keep

    def _take_back(self, slot: _Slot, start: int, written: bytearray, ends: list[int], end: int) -> None:
        """Drop what was drawn beyond byte ``end``; the cut token's head is tokenised again."""
        if ends[-1] == end:
            return
        at = next(index for index, offset in enumerate(ends) if offset > end)
        tail = b""
        while True:
            begin = ends[at - 1] if at else 0
            tail = bytes(written[begin:end])
            try:
                text = tail.decode("utf-8")
                break
            except UnicodeDecodeError:
                if at == 0:
                    text = tail.decode("utf-8", "replace")
                    break
                at -= 1
        self._cut(slot, start + at)
        slot.tokens += self.vocabulary.text_tokens(text)

    def _evaluate(self, slot: _Slot, upto: int) -> None:
        """Bring ``tokens[:upto]`` into the cache; the logits of the last one can then be read."""
        while slot.evaluated < upto:
            self._raise_if_stopped()
            tokens = slot.tokens[slot.evaluated : min(upto, slot.evaluated + BATCH)]
            batch = self._batch
            assert batch is not None
            batch.n_tokens = len(tokens)
            for at, token in enumerate(tokens):
                batch.token[at] = token
                batch.pos[at] = slot.evaluated + at
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = slot.index
                batch.logits[at] = 0
            batch.logits[len(tokens) - 1] = 1
            code = self.library.llama_decode(self._ctx, batch)
            if code != 0:
                raise BackendError(f"llama.cpp failed to evaluate {len(tokens)} tokens (code {code})")
            slot.evaluated += len(tokens)
            self.evaluated_tokens += len(tokens)

    def _logits(self) -> NDArray[np.float32]:
        pointer = self.library.llama_get_logits_ith(self._ctx, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary.size,)).copy()

    def _sampler(self, sampling: Sampling) -> Any:
        """Temperature, then truncation, as vLLM does it for the reference."""
        library = self.library
        chain = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        if sampling.temperature == 0:
            library.llama_sampler_chain_add(chain, library.llama_sampler_init_greedy())
            return chain
        parts = [library.llama_sampler_init_temp(sampling.temperature)]
        if sampling.top_k > 0:
            parts.append(library.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            parts.append(library.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            parts.append(library.llama_sampler_init_min_p(sampling.min_p, 1))
        parts.append(library.llama_sampler_init_dist(sampling.seed & 0xFFFFFFFF))
        for part in parts:
            library.llama_sampler_chain_add(chain, part)
        return chain

    def _raise_if_stopped(self) -> None:
        if self.closing.is_set():
            raise ClosedError("the backend is closed")
        if self.stopped.is_set():
            raise BackendError("the request was cancelled")


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - float(logits.max())
    normal: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return normal


def _first_stop(written: bytearray, stops: list[bytes], begin: int) -> tuple[int, int] | None:
    """Where the first complete stop string ends, and which it is; of several, the one that ends first."""
    hits = [
        (at + len(text), index) for index, text in enumerate(stops) if (at := written.find(text, begin)) >= 0
    ]
    return min(hits) if hits else None
