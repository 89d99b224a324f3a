"""Model files of real shapes with random weights, built on the spot, and texts of an exact length for them.

What a step costs depends on a model's sizes and quantisation and not on what it learnt, so a file of random
numbers measures the same as the real one and needs no download. Control tokens and padding have nothing but
zeros in the output matrix, which usually is the embedding: their logit is 0, which is never among the largest
of so many, so no turn ends by chance.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from genprm_sdk.engine.library import library
from genprm_sdk.models import find_model, read_gguf_metadata
from genprm_sdk.training.gguf_header import add_sizes, add_tokenizer

__all__ = [
    "SHAPES",
    "Model",
    "Piece",
    "Shape",
    "Texts",
    "Tokenizer",
    "find_shape",
    "parameters",
    "shape_file",
]

REVISION = 1
"""Part of a file's name: raise it when what is built changes, and old files are not taken for new ones."""

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
RESERVED = 293
"""Entries at the vocabulary's end: the control tokens, then padding, as many as Qwen2 has."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROSE = (
    "the sum of two angles is more than one number we find first then add each side and take half its "
    "square so that every even value must be less or equal to three when it can not hold for any other "
    "case which gives same result as before if all terms were positive let us check this step again by "
    "writing down what was known about some given line point circle area root factor"
)
WORDS = PROSE.split()
SPACE = "Ġ"
"""How byte-level BPE spells a space."""

WEIGHT_SCALE = 0.02 / 73.9
"""Random bytes have a spread of 73.9; this makes weights of the spread that models are initialised with."""

BLOCK = np.dtype([("scale", "<f2"), ("values", "i1", 32)])
"""Q8_0: 32 weights with one scale."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen2 model.

    Attributes:
        name: What it is called on the command line.
        layers: Blocks.
        width: Of the residual stream; a multiple of 32, for Q4_K_M of 256.
        heads: Attention heads.
        key_value_heads: Heads of the cache.
        feed_forward: Width inside a block.
        quantization: ``Q8_0`` or ``Q4_K_M``.
        vocabulary: Entries.
        context: Tokens it claims to be trained for.
        tied: Whether the output is the embedding's matrix.
        rope_base: How positions turn its heads.
    """

    name: str
    layers: int
    width: int
    heads: int
    key_value_heads: int
    feed_forward: int
    quantization: str
    vocabulary: int = 151_936
    context: int = 32_768
    tied: bool = True
    rope_base: float = 1e6


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("0.5b", 24, 896, 14, 2, 4864, "Q8_0"),
        Shape("1.5b", 28, 1536, 12, 2, 8960, "Q4_K_M"),
    )
}


@dataclass(frozen=True)
class Tokenizer:
    """A byte-level BPE vocabulary for a model, and its chat template.

    Attributes:
        pre: How llama.cpp cuts text into words for it.
        tokens: Its entries; as many as the shape has.
        types: What kind each of them is.
        merges: Its merges.
        special: Ids the header names, by the name it gives them: ``eos`` and others.
        template: The chat template.
        silent: Entries at its end that are never drawn: control tokens and padding.
    """

    pre: str
    tokens: Sequence[str]
    types: Sequence[int]
    merges: Sequence[str]
    special: Mapping[str, int]
    template: str
    silent: int


@dataclass(frozen=True)
class Model:
    """A model file to measure with.

    Attributes:
        name: The shape's name.
        path: The file.
        context: Tokens it was trained for.
        small: Whether it is the bundled model, which only shows that everything runs.
    """

    name: str
    path: Path
    context: int
    small: bool = False


def find_shape(name: str, folder: Path, threads: int) -> Model:
    """The file of a shape, built where it is missing; ``tiny`` is the bundled model."""
    if name == "tiny":
        path = find_model("genprm-mini")[1]
        context = read_gguf_metadata(path)["qwen2.context_length"]
        assert isinstance(context, int)
        return Model(name, path, context, small=True)
    shape = SHAPES[name]
    return Model(name, shape_file(shape, folder, threads), shape.context)


def shape_file(
    shape: Shape,
    folder: Path,
    threads: int,
    family: str = "qwen2",
    read_tokenizer: Callable[[Shape], Tokenizer] | None = None,
) -> Path:
    """The file of a shape, built where it is missing.

    Args:
        shape: Its sizes.
        folder: Where such files are kept.
        threads: For quantising.
        family: What its name begins with; another one for another tokenizer.
        read_tokenizer: Gets the tokenizer where a file is built; a made-up one by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{family}-{shape.name}-{shape.quantization.lower()}-random-{REVISION}.gguf"
    if path.exists():
        return path
    tokenizer = (read_tokenizer or _made_up_tokenizer)(shape)
    print(f"building {path}", flush=True)
    part, raw = path.with_suffix(".part"), path.with_suffix(".q8_0.part")
    if shape.quantization == "Q8_0":
        _write(shape, tokenizer, part)
    else:
        try:
            _write(shape, tokenizer, raw)
            _requantize(raw, part, threads)
        finally:
            raw.unlink(missing_ok=True)
    part.replace(path)
    return path


# ------------------------------------------------------------------------------------------ the file


def _write(shape: Shape, tokenizer: Tokenizer, path: Path) -> None:
    """One Q8_0 file, tensor after tensor, so that no more than one of them is in memory."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name(f"random weights, {shape.name}")
    add_sizes(writer, shape, rope_base=shape.rope_base)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q8_0))
    _add_tokenizer(writer, tokenizer)
    tensors = list(_tensors(shape))
    for name, rows, columns in tensors:
        if rows:
            size = (rows, columns // 32 * BLOCK.itemsize)
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor_info(name, size, np.dtype(np.uint8), size[0] * size[1], kind)
        else:
            writer.add_tensor_info(name, (columns,), np.dtype(np.float32), 4 * columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    generator = np.random.default_rng(0)
    output = "token_embd.weight" if shape.tied else "output.weight"
    for name, rows, columns in tensors:
        if rows:
            silent = tokenizer.silent if name == output else 0
            writer.write_tensor_data(_random_blocks(generator, rows, columns, silent))
        else:
            values = 1.0 if name.endswith("norm.weight") else 0.0
            writer.write_tensor_data(np.full(columns, values, dtype=np.float32))
    writer.close()


def _tensors(shape: Shape) -> Iterator[tuple[str, int, int]]:
    """Name, rows and columns of each tensor; 0 rows for a vector."""
    width, inner = shape.width, shape.feed_forward
    cached = width // shape.heads * shape.key_value_heads
    yield "token_embd.weight", shape.vocabulary, width
    yield "output_norm.weight", 0, width
    if not shape.tied:
        yield "output.weight", shape.vocabulary, width
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", 0, width
        for name, rows in (("q", width), ("k", cached), ("v", cached)):
            yield f"{block}attn_{name}.weight", rows, width
            yield f"{block}attn_{name}.bias", 0, rows
        yield block + "attn_output.weight", width, width
        yield block + "ffn_norm.weight", 0, width
        yield block + "ffn_gate.weight", inner, width
        yield block + "ffn_up.weight", inner, width
        yield block + "ffn_down.weight", width, inner


def parameters(shape: Shape) -> int:
    """How many weights a shape has."""
    return sum(max(1, rows) * columns for _, rows, columns in _tensors(shape))


def _random_blocks(generator: np.random.Generator, rows: int, columns: int, silent: int) -> NDArray[np.uint8]:
    """A matrix in Q8_0; its last ``silent`` rows are zero."""
    blocks = np.empty((rows, columns // 32), dtype=BLOCK)
    blocks["scale"] = WEIGHT_SCALE
    blocks["values"] = generator.integers(-128, 128, (rows, columns // 32, 32), dtype=np.int8)
    if silent:
        blocks["values"][-silent:] = 0
    return blocks.view(np.uint8)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    add_tokenizer(writer, tokenizer.tokens, tokenizer.types, tokenizer.merges, tokenizer.pre)
    for name, token in tokenizer.special.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
    writer.add_add_bos_token("bos" in tokenizer.special)
    writer.add_chat_template(tokenizer.template)


def _made_up_tokenizer(shape: Shape) -> Tokenizer:
    tokens, merges = _vocabulary(shape.vocabulary)
    unused = RESERVED - len(SPECIAL_TOKENS)
    types = [gguf.TokenType.NORMAL] * (shape.vocabulary - RESERVED)
    types += [gguf.TokenType.CONTROL] * len(SPECIAL_TOKENS) + [gguf.TokenType.UNUSED] * unused
    return Tokenizer(
        pre="qwen2",
        tokens=tokens,
        types=[int(kind) for kind in types],
        merges=merges,
        special={"eos": tokens.index("<|im_end|>")},
        template=CHAT_TEMPLATE,
        silent=RESERVED,
    )


def _vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Bytes, our words with the merges that lead to them, made-up words, control tokens, padding.

    llama.cpp ends the process on an entry that occurs twice, hence the dictionary.
    """
    tokens = dict.fromkeys(_byte_letters())
    merges: dict[str, None] = {}
    for word in (SPACE + word for word in WORDS):
        for end in range(1, len(word)):
            merges[f"{word[:end]} {word[end]}"] = None
            tokens[word[: end + 1]] = None
    number = 0
    while len(tokens) < size - RESERVED:
        tokens[SPACE + _made_up_word(number)] = None
        number += 1
    padding = (f"[PAD{number}]" for number in range(RESERVED - len(SPECIAL_TOKENS)))
    return [*tokens, *SPECIAL_TOKENS, *padding], list(merges)


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in byte-level BPE."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def _made_up_word(number: int) -> str:
    """Four letters or more, another word for each number."""
    letters = ""
    number += 26**3
    while number:
        number, letter = divmod(number, 26)
        letters = chr(ord("a") + letter) + letters
    return letters


def _requantize(source: Path, target: Path, threads: int) -> None:
    lib = library()
    options = lib.llama_model_quantize_default_params()
    options.ftype = lib.LLAMA_FTYPE_MOSTLY_Q4_K_M
    options.allow_requantize = True
    options.nthread = threads
    code = lib.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(options))
    if code:
        raise RuntimeError(f"llama.cpp could not quantise {source} (code {code})")


# ------------------------------------------------------------------------------------------ texts


@dataclass(frozen=True)
class Piece:
    """A text and its tokens."""

    text: str
    tokens: tuple[int, ...]


class Texts:
    """Texts of so many tokens, no two alike from the start on, so that none is found in a cache.

    Counts with the vocabulary alone: a backend that is to be measured would remember what it was asked.
    """

    def __init__(self, path: Path, seed: int = 0) -> None:
        self._library = lib = library()
        options = lib.llama_model_default_params()
        options.vocab_only = True
        self._model = lib.llama_model_load_from_file(bytes(path), options)
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot load the vocabulary of {path}")
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._random = random.Random(seed)

    def of(self, length: int) -> Piece:
        """A text of exactly ``length`` tokens: words, and digits (each one token) where words do not fit."""
        head = str(self._random.randrange(10**7, 10**8))[: min(8, length)]
        words = [self._random.choice(WORDS) for _ in range(length)]
        low, high = 0, length
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._tokens(" ".join([head, *words[:middle]]))) <= length:
                low = middle
            else:
                high = middle - 1
        text = " ".join([head, *words[:low]])
        text += "7" * (length - len(self._tokens(text)))
        tokens = self._tokens(text)
        if len(tokens) != length:
            raise RuntimeError(f"this vocabulary cuts {text[-40:]!r} in an unforeseen way")
        return Piece(text, tuple(tokens))

    def close(self) -> None:
        self._library.llama_model_free(self._model)

    def _tokens(self, text: str) -> list[int]:
        data = text.encode()
        buffer = (ctypes.c_int32 * (len(data) + 1))()
        count = self._library.llama_tokenize(self._vocab, data, len(data), buffer, len(buffer), False, False)
        return list(buffer[:count])
