"""What a model is, from the headers of its files: nothing is loaded, and nothing is believed."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelFileError
from ..json_objects import json_object
from .gguf import (
    MetadataValue,
    gguf_parameters,
    gguf_parts,
    read_gguf_metadata,
    text_value,
    whole_value,
)
from .memory import metadata_of_config
from .template import stored_template

__all__ = ["Facts", "read_facts"]

# llama.cpp's numbers for what a file's weights mostly are.
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4_MOE",
}  # fmt: skip
_CACHE_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_LONGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class Facts:
    """A model, as its files describe it.

    Attributes:
        architecture: The family, such as ``qwen2``.
        context: Tokens it was trained for; 0 if it does not say.
        chat_template: The template's text, empty if it has none.
        tokenizer: Its kind and size.
        quantisation: What its weights mostly are.
        parameters: How many numbers its weights are.
        size: Bytes of its weights' files.
        cache_type: What its keys and values are stored as, by default.
        metadata: Its sizes, under the names that GGUF files use.
    """

    architecture: str
    context: int
    chat_template: str
    tokenizer: str
    quantisation: str
    parameters: int
    size: int
    cache_type: str
    metadata: Mapping[str, MetadataValue]


def read_facts(path: Path) -> Facts:
    """Read the headers of a GGUF file, or of a folder in the Hugging Face layout.

    Raises:
        UnknownModelError: There is no such file.
        ModelFileError: A header cannot be read or makes no sense.
    """
    try:
        return _of_folder(path) if path.is_dir() else _of_gguf(path)
    except OSError as error:
        raise ModelFileError(f"cannot read {error.filename or path}: {error.strerror or error}") from error


def _of_gguf(path: Path) -> Facts:
    metadata = read_gguf_metadata(path)
    family = text_value(metadata, "general.architecture")
    tokens = metadata.get("tokenizer.ggml.tokens", ())
    kinds = (text_value(metadata, f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    kind = whole_value(metadata, "general.file_type", -1) if "general.file_type" in metadata else -1
    return Facts(
        architecture=family,
        context=whole_value(metadata, f"{family}.context_length", 0),
        chat_template=text_value(metadata, "tokenizer.chat_template"),
        tokenizer=_tokenizer("/".join(filter(None, kinds)), len(tokens) if isinstance(tokens, tuple) else 0),
        quantisation=_FILE_TYPES.get(kind, "unknown"),
        parameters=gguf_parameters(path),
        size=sum(part.stat().st_size for part in gguf_parts(path)),
        cache_type="f16",
        metadata=metadata,
    )


def _of_folder(folder: Path) -> Facts:
    config = _json(folder / "config.json")
    tokenizer = (
        _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    )
    metadata = metadata_of_config(config)
    family = text_value(metadata, "general.architecture")
    files = sorted(folder.glob("*.safetensors"))
    numbers: Counter[str] = Counter()
    for file in files:
        numbers.update(_parameters_by_type(file))
    kind = config.get("quantization_config")
    entries = config.get("vocab_size")
    return Facts(
        architecture=family,
        context=whole_value(metadata, f"{family}.context_length", 0),
        chat_template=stored_template(folder, tokenizer),
        tokenizer=_tokenizer(
            str(tokenizer.get("tokenizer_class", "")), entries if isinstance(entries, int) else 0
        ),
        quantisation=str(kind.get("quant_method", "unknown"))
        if isinstance(kind, dict)
        else next((name for name, _ in numbers.most_common(1)), "unknown"),
        parameters=numbers.total(),
        size=sum(file.stat().st_size for file in files),
        cache_type=_CACHE_TYPES.get(str(config.get("dtype") or config.get("torch_dtype")), "f32"),
        metadata=metadata,
    )


def _tokenizer(kind: str, entries: int) -> str:
    return f"{kind or 'unknown'}, {entries:,} entries"


def _json(file: Path) -> dict[str, Any]:
    try:
        return json_object(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{file} is no JSON object: {error}") from error


def _parameters_by_type(file: Path) -> Counter[str]:
    """How many numbers of each type a safetensors file holds, from its header."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            raise ModelFileError(f"{file} is no safetensors file, or is torn")
        raw = opened.read(length)
    numbers: Counter[str] = Counter()
    end = 0
    try:
        for name, entry in json_object(raw).items():
            if name != "__metadata__":
                numbers[str(entry["dtype"])] += _product(entry["shape"])
                end = max(end, _size(entry["data_offsets"][1]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelFileError(f"{file} has no readable safetensors header: {error}") from error
    if 8 + length + end > size:
        raise ModelFileError(
            f"{file} is torn: {8 + length + end:,} bytes are described and {size:,} are there"
        )
    return numbers


def _product(shape: list[object]) -> int:
    product = 1
    for size in shape:
        product = _size(product * _size(size))
    return product


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a size is no whole number, or too large")
    return value
