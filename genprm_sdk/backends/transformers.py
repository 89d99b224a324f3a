"""A Hugging Face model in this process: the torch engine, behind the contract of all backends.

Decides how a folder is loaded on this machine; everything else is the engine's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..arguments import whole_number
from ..errors import InputError, MissingExtraError, ModelFileError, UnknownModelError
from ..models import MetadataValue
from ..prompt import ChatFrame, Segment
from .base import Counters
from .threads import loaded_in_thread
from .tokenizer import TextTokenizer, frame_of_folder

if TYPE_CHECKING:
    from ..torch_engine.engine import Engine, EngineSequence
    from ..torch_engine.slab import Layout

__all__ = ["TransformersBackend"]

DEFAULT_CONTEXT = 8192
DEFAULT_CAPACITY = 64
MOST_CAPACITY = 256
MOST_THREADS = 512
ROW_BYTES = 2 << 30
"""Memory for the rows that write, on a CPU; on a GPU, part of what is free."""

ROW_SHARE = 0.4


class TransformersBackend:
    """A model of transformers. Load with ``await TransformersBackend.load(folder)``."""

    def __init__(
        self,
        name: str,
        metadata: Mapping[str, MetadataValue],
        frame: ChatFrame,
        engine: Engine,
        capacity: int,
    ) -> None:
        self.name = name
        self.frame = frame
        self.metadata = metadata
        self.context = engine.length
        self.capacity = self.prompts_at_once = capacity
        self.engine = engine

    @classmethod
    async def load(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        context: int | None = None,
        capacity: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        device_map: str | Mapping[str, Any] | None = None,
        quantization: str | None = None,
        compile: bool = False,
        threads: int | None = None,
    ) -> Self:
        """Load a folder in the Hugging Face layout.

        Args:
            path: A folder with config.json, safetensors weights and the tokenizer's files.
            name: The name in reports; the folder's by default.
            context: Tokens a sequence can hold; by default what the model was trained for, at most 8192.
            capacity: Sequences evaluated at once, 256 at most and 64 by default; more may be open.
            device: A torch device; by default CUDA, then Apple's GPU, then the CPU.
            dtype: float32, bfloat16 or float16; by default bfloat16 on CUDA and float32 elsewhere.
            device_map: How to spread the weights, as for transformers; needs accelerate.
            quantization: 8bit or 4bit, of bitsandbytes.
            compile: Whether torch compiles the model, which takes minutes at the first runs.
            threads: CPU threads of torch, for the whole process; by default as they are.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            UnknownModelError: There is no such folder, or it holds no model.
            ModelFileError: The model is damaged, or not one this library can run.
            InputError: A setting is out of range, or needs what is not installed.
        """
        for label, value in {"context": context, "capacity": capacity, "threads": threads}.items():
            if value is not None:
                whole_number(value, label)
        if threads is not None and threads > MOST_THREADS:
            raise InputError(f"threads must be at most {MOST_THREADS}, not {threads}")
        if capacity is not None and capacity > MOST_CAPACITY:
            raise InputError(f"capacity must be at most {MOST_CAPACITY}, not {capacity}")
        return await loaded_in_thread(
            partial(
                cls._load,
                Path(path),
                name=name,
                context=context,
                capacity=capacity or DEFAULT_CAPACITY,
                compile=compile,
                threads=threads,
                device=device,
                dtype=dtype or "auto",
                device_map=device_map,
                quantization=quantization,
            ),
            lambda loaded: loaded.engine.shut(),
        )

    @classmethod
    def _load(
        cls,
        folder: Path,
        *,
        name: str | None,
        context: int | None,
        capacity: int,
        compile: bool,
        threads: int | None,
        **placement: Any,
    ) -> Self:
        if not (folder / "config.json").is_file():
            raise UnknownModelError(f"there is no model in {folder}: config.json is missing")
        try:
            from ..torch_engine import loading
            from ..torch_engine.engine import Engine
            from ..torch_engine.runner import Runner
        except ImportError as error:
            package = (error.name or "transformers").partition(".")[0]
            raise MissingExtraError(package, "transformers", "the transformers backend") from error
        place = loading.Placement(**placement)
        place.check()
        frame, vocabulary = frame_of_folder(folder), TextTokenizer.of_folder(folder)
        config = loading.read_config(folder)
        text = config.get_text_config()
        length = _context_of(text, folder, context)
        if vocabulary.size > text.vocab_size:
            raise ModelFileError(
                f"{folder} has a tokenizer of {vocabulary.size} tokens for a model of {text.vocab_size}: "
                "they do not belong together"
            )
        metadata = _metadata_of(config, folder)
        model, layout = loading.load_model(folder, config, place)
        engine = Engine(
            Runner(loading.compiled(model) if compile else model, layout),
            vocabulary,
            length=length,
            most=capacity,
            cells=max(length, _row_bytes(layout) // layout.token_bytes),
            threads=threads,
        )
        return cls(name or folder.resolve().name, metadata, frame, engine, capacity)

    async def open(self, segments: Sequence[Segment]) -> EngineSequence:
        """A new sequence that holds ``segments``; see ``Backend.open``."""
        return await self.engine.open(segments)

    def counters(self) -> Counters:
        """Totals since the model was loaded."""
        return self.engine.counters()

    async def close(self) -> None:
        """Stop what runs and free the model."""
        await self.engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _context_of(config: Any, folder: Path, asked: int | None) -> int:
    trained = int(getattr(config, "max_position_embeddings", None) or DEFAULT_CONTEXT)
    if asked is not None and asked > trained:
        raise InputError(f"context is {asked} tokens, but {folder} was trained for {trained} at most")
    return asked or min(trained, DEFAULT_CONTEXT)


def _metadata_of(config: Any, folder: Path) -> dict[str, MetadataValue]:
    """What a model's configuration says about it, as a GGUF file would."""
    metadata: dict[str, MetadataValue] = {
        "general.architecture": str(config.model_type),
        "general.name": folder.resolve().name,
    }
    settings = getattr(config, "genprm", None) or {}
    if not isinstance(settings, Mapping):
        raise ModelFileError(f"{folder / 'config.json'}: genprm must be an object, not {settings!r:.40}")
    for key, value in settings.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            metadata[f"genprm.{key}"] = tuple(value)
        elif isinstance(value, str | int | float | bool):
            metadata[f"genprm.{key}"] = value
        else:
            raise ModelFileError(f"{folder / 'config.json'}: genprm.{key} cannot be {value!r:.40}")
    return metadata


def _row_bytes(layout: Layout) -> int:
    """Memory for the rows that write."""
    import torch

    devices = {bank.device for bank in layout.banks}
    if any(device.type != "cuda" for device in devices):
        return ROW_BYTES
    return int(ROW_SHARE * sum(torch.cuda.mem_get_info(device)[0] for device in devices))
