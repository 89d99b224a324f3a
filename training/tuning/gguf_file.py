"""A fine-tuned model of Qwen2's architecture as a GGUF file: from its folder, tensor by tensor.

Loading is silent in llama.cpp where a field is wrong, so whatever its Qwen2 graph does not express is refused
here. Whether the file then computes what the folder's model computes is for ``parity`` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from genprm_sdk.errors import ModelError, ModelFileError
from genprm_sdk.torch_engine.loading import read_config

from ..export import FILE_TYPES, StoredTensor, gguf_names, write_tensors
from ..gguf_header import add_sizes, add_tokenizer
from ..sft import TIED
from .quantise import DIRECT, check_widths, known_type, quantise
from .vocabulary import FolderVocabulary, read_vocabulary
from .weights import Weights

__all__ = ["check_folder", "write_gguf"]

ARCHITECTURE = "Qwen2ForCausalLM"
LARGEST_F16 = float(np.finfo(np.float16).max)
MOST_UINT32 = (1 << 32) - 1


@dataclass(frozen=True)
class _Sizes:
    """Of a model, by the header's names; and what else of its configuration llama.cpp needs."""

    context: int
    width: int
    layers: int
    feed_forward: int
    heads: int
    key_value_heads: int
    vocabulary: int
    rope_base: float
    rms_eps: float
    tied: bool


@dataclass(frozen=True)
class _Model:
    """What a folder holds, its weights aside."""

    folder: Path
    sizes: _Sizes
    vocabulary: FolderVocabulary
    settings: Mapping[str, Any]


def write_gguf(
    folder: Path,
    target: Path,
    quantization: str = "f16",
    *,
    name: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write a folder's model as one GGUF file; norms and biases stay in float32.

    Args:
        folder: A model in the Hugging Face layout. What its config.json says under ``genprm`` goes along.
        target: The file to write; replaced whole or not at all.
        quantization: Type of the matrices: f32, f16, bf16, q8_0, or one that llama.cpp makes, such as Q4_K_M,
            for which a file in f16 lies beside the target meanwhile.
        name: What the model is called; the folder's name by default.
        check: Called before each tensor; what it raises ends the writing.

    Raises:
        InputError: There is no such type, or the model's sizes do not go with it.
        ModelFileError: The model is of another architecture, incomplete or damaged; or holds numbers that the
            type cannot.
        MissingExtraError: llama-cpp-python is needed and not installed.
        ModelError: The file cannot be written.
    """
    kind = known_type(quantization)
    model = _read(folder, (kind,))
    try:
        with _replacing(target) as part:
            if kind in DIRECT:
                _write(model, part, kind, name, check)
                return
            plain = target.with_name(target.name + ".f16.part")
            try:
                _write(model, plain, "F16", name, check)
                quantise(plain, part, kind)
            finally:
                plain.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error}") from error


def check_folder(folder: Path, quantizations: tuple[str, ...]) -> None:
    """Find out whether a folder's model can be written, before anything is.

    Raises:
        InputError: There is no such type, or the model's sizes do not go with it.
        ModelFileError: The model is of another architecture or incomplete.
    """
    model = _read(folder, tuple(map(known_type, quantizations)))
    with Weights(folder) as weights:
        _check_weights(model, weights)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file to write, which takes the target's place when it is complete."""
    part = target.with_name(target.name + ".part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------ reading


def _read(folder: Path, kinds: tuple[str, ...]) -> _Model:
    config = read_config(folder)
    sizes = _sizes(folder, config)
    for kind in kinds:
        check_widths(kind, (sizes.width, sizes.feed_forward))
    eos = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
    vocabulary = read_vocabulary(folder, sizes.vocabulary, eos)
    settings = getattr(config, "genprm", None) or {}
    if not isinstance(settings, Mapping):
        raise ModelFileError(f"{folder / 'config.json'}: genprm must be an object, not {settings!r:.40}")
    for key, value in settings.items():
        _check_setting(folder, key, value)
    return _Model(folder, sizes, vocabulary, settings)


def _sizes(folder: Path, config: Any) -> _Sizes:
    names = list(config.architectures or ())
    if names != [ARCHITECTURE]:
        raise ModelFileError(
            f"{folder} holds {', '.join(names) or 'no known architecture'}: only {ARCHITECTURE} can be "
            "written as a GGUF file here"
        )
    if getattr(config, "quantization_config", None) is not None:
        raise ModelFileError(f"{folder} is quantised already: give the model in full precision")
    rotary = config.rope_parameters or {}
    if rotary.get("rope_type", "default") != "default":
        raise ModelFileError(
            f"{folder} has a rotary embedding of type {rotary['rope_type']}: only the plain one can be "
            "written; take rope_scaling out of config.json if it was not trained with it"
        )
    if set(config.layer_types) != {"full_attention"}:
        raise ModelFileError(f"{folder} attends to a sliding window, which llama.cpp's Qwen2 does not")
    if config.hidden_act != "silu":
        raise ModelFileError(f"{folder} has the activation {config.hidden_act}: Qwen2's is silu")
    return _Sizes(
        context=config.max_position_embeddings,
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        feed_forward=config.intermediate_size,
        heads=config.num_attention_heads,
        key_value_heads=config.num_key_value_heads,
        vocabulary=config.vocab_size,
        rope_base=float(rotary["rope_theta"]),
        rms_eps=float(config.rms_norm_eps),
        tied=bool(config.tie_word_embeddings),
    )


def _check_setting(folder: Path, key: str, value: Any) -> None:
    if isinstance(value, list):
        fits = all(isinstance(item, str) for item in value)
    elif isinstance(value, int):
        fits = 0 <= value <= MOST_UINT32
    else:
        fits = isinstance(value, str | float)
    if not fits:
        raise ModelFileError(f"{folder / 'config.json'}: genprm.{key} cannot be {value!r:.40}")


def _shapes(sizes: _Sizes) -> dict[str, tuple[int, ...]]:
    """What the tensors of a layer, and those outside of layers, must be; by the ends of their names."""
    width, inner = sizes.width, sizes.feed_forward
    cached = width // sizes.heads * sizes.key_value_heads
    return {
        "embed_tokens.weight": (sizes.vocabulary, width),
        "lm_head.weight": (sizes.vocabulary, width),
        "norm.weight": (width,),
        "q_proj.weight": (width, width),
        "q_proj.bias": (width,),
        "k_proj.weight": (cached, width),
        "k_proj.bias": (cached,),
        "v_proj.weight": (cached, width),
        "v_proj.bias": (cached,),
        "o_proj.weight": (width, width),
        "gate_proj.weight": (inner, width),
        "up_proj.weight": (inner, width),
        "down_proj.weight": (width, inner),
    }


def _check_weights(model: _Model, weights: Weights) -> dict[str, str]:
    """The names in the file of what a folder stores, by its own names; each of it has its size."""
    sizes = model.sizes
    names = gguf_names(sizes.layers)
    if not sizes.tied:
        names[TIED] = "output.weight"
    shapes = _shapes(sizes)
    for name in names:
        found = weights.shape(name)
        expected = next(shape for end, shape in shapes.items() if name.endswith(end))
        if found != expected:
            raise ModelFileError(f"{model.folder}: {name} is {found}, and config.json calls for {expected}")
    # A tied model may store its embedding twice, and old ones store the angles of their positions.
    unknown = {name for name in weights.names - names.keys() - {TIED} if not name.endswith("inv_freq")}
    if unknown:
        raise ModelFileError(f"{model.folder} holds {min(unknown)}, which a Qwen2 model does not have")
    return names


# ------------------------------------------------------------------------------------------ writing


def _write(model: _Model, path: Path, kind: str, name: str | None, check: Callable[[], None]) -> None:
    with Weights(model.folder) as weights:
        names = _check_weights(model, weights)

        def numbers(stored: str) -> NDArray[np.float32]:
            check()
            tensor = weights.read(stored)
            if kind == "F16" and any(abs(end) > LARGEST_F16 for end in tensor.aminmax()):
                raise ModelFileError(
                    f"{model.folder}: {stored} has numbers too large for F16, which smaller types are made "
                    "from: take BF16 or Q8_0"
                )
            found: NDArray[np.float32] = tensor.numpy()
            return found

        writer = gguf.GGUFWriter(path, "qwen2")
        _add_header(writer, model, kind, name or model.folder.resolve().name)
        tensors = [
            StoredTensor(target, weights.shape(stored), partial(numbers, stored))
            for stored, target in names.items()
        ]
        write_tensors(writer, tensors, gguf.GGMLQuantizationType[kind])


def _add_header(writer: gguf.GGUFWriter, model: _Model, kind: str, name: str) -> None:
    sizes, vocabulary = model.sizes, model.vocabulary
    writer.add_name(name)
    add_sizes(writer, sizes, rope_base=sizes.rope_base, rms_eps=sizes.rms_eps)
    writer.add_file_type(int(FILE_TYPES[gguf.GGMLQuantizationType[kind]]))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    entries = vocabulary.entries
    add_tokenizer(writer, entries.tokens, entries.types, entries.merges, vocabulary.pre)
    for role, token in vocabulary.special.items():
        writer.add_uint32(f"tokenizer.ggml.{role}_token_id", token)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_chat_template(vocabulary.template)
    for key, value in model.settings.items():
        _add_setting(writer, f"genprm.{key}", value)


def _add_setting(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float64(key, value)
        case list():
            writer.add_array(key, value)
        case _:
            writer.add_string(key, value)
