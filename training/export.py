"""Write a trained model as GGUF: Qwen2 weights, its tokenizer, its chat template and its own settings.

Loading is strict in llama.cpp where a field is missing and silent where it is wrong, so every field that the
Qwen2 graph reads is written. Settings of the method travel under ``genprm.*`` and are read back by
``genprm_sdk.models``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from genprm_sdk.modes import Reasoning

from .gguf_header import add_sizes, add_tokenizer, tokenizer_entries
from .sft import TIED, Shape
from .tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS

__all__ = [
    "FILE_TYPES",
    "PolicyCard",
    "StoredTensor",
    "VerifierCard",
    "export_model",
    "gguf_names",
    "write_tensors",
]

FILE_TYPES = {
    gguf.GGMLQuantizationType.F32: gguf.LlamaFileType.ALL_F32,
    gguf.GGMLQuantizationType.F16: gguf.LlamaFileType.MOSTLY_F16,
    gguf.GGMLQuantizationType.BF16: gguf.LlamaFileType.MOSTLY_BF16,
    gguf.GGMLQuantizationType.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
}

LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.q_proj.bias": "attn_q.bias",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.k_proj.bias": "attn_k.bias",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


@dataclass(frozen=True)
class VerifierCard:
    """What the model file says about how to use it; read back as ``genprm_sdk.models.VerifierSettings``.

    Attributes:
        name: The model's name.
        domains: The worlds it was trained on.
        prompt_style: ``chat`` or ``reference``.
        reasoning: What it writes before a verdict.
        history: ``steps`` if earlier rationales are not shown, else ``rationales``.
        analysis_tokens: Budget of the analysis.
        turn_tokens: Budget of a whole turn.
        rounds: Generations after the analysis.
        protocol: Version of the protocol's wording.
    """

    name: str
    domains: tuple[str, ...]
    prompt_style: str = "chat"
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE
    history: str = "steps"
    analysis_tokens: int = 128
    turn_tokens: int = 1536
    rounds: int = 3
    protocol: str = "genprm-1"


@dataclass(frozen=True)
class PolicyCard:
    """What the file of a solver says.

    Attributes:
        name: The model's name.
        domains: The worlds it was trained on.
    """

    name: str
    domains: tuple[str, ...]


def gguf_names(layers: int) -> dict[str, str]:
    """The names in a file, by ``transformers``' Qwen2 names; the tied embedding is there once."""
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    for layer in range(layers):
        for ours, stored in LAYER_NAMES.items():
            names[f"model.layers.{layer}.{ours}"] = f"blk.{layer}.{stored}"
    return names


@dataclass(frozen=True)
class StoredTensor:
    """A tensor on its way to a file.

    Attributes:
        name: Its name in the file.
        shape: Its sizes.
        read: Gets its numbers, in float32.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[np.float32]]


def write_tensors(
    writer: gguf.GGUFWriter, tensors: Sequence[StoredTensor], quantization: gguf.GGMLQuantizationType
) -> None:
    """Write a file whose header is complete, one tensor in memory at a time, and close it.

    Args:
        writer: What writes it.
        tensors: What is written; norms and biases stay in float32.
        quantization: Type of the matrices.
    """
    kinds = [quantization if len(each.shape) == 2 else gguf.GGMLQuantizationType.F32 for each in tensors]
    for tensor, kind in zip(tensors, kinds, strict=True):
        size = gguf.quants.quant_shape_to_byte_shape(tensor.shape, kind)
        writer.add_tensor_info(tensor.name, size, np.dtype(np.uint8), math.prod(size), kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor, kind in zip(tensors, kinds, strict=True):
            writer.write_tensor_data(gguf.quants.quantize(tensor.read(), kind))
    finally:
        writer.close()


def _numbers(weight: torch.Tensor) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = weight.detach().to(torch.float32).numpy()
    return numbers


def _add_method(writer: gguf.GGUFWriter, card: VerifierCard) -> None:
    writer.add_string("genprm.role", "verifier")
    writer.add_string("genprm.protocol", card.protocol)
    writer.add_string("genprm.prompt_style", card.prompt_style)
    writer.add_string("genprm.reasoning", card.reasoning)
    writer.add_string("genprm.history", card.history)
    writer.add_uint32("genprm.analysis_tokens", card.analysis_tokens)
    writer.add_uint32("genprm.turn_tokens", card.turn_tokens)
    writer.add_uint32("genprm.rounds", card.rounds)


def export_model(
    weights: Mapping[str, torch.Tensor],
    shape: Shape,
    tokenizer: Tokenizer,
    card: VerifierCard | PolicyCard,
    path: Path,
    quantization: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0,
) -> None:
    """Write one GGUF file; norms and biases stay in float32, matrices are quantised.

    Args:
        weights: Weights by ``transformers``' Qwen2 names; the embedding is tied.
        shape: The model's sizes.
        tokenizer: The vocabulary, special tokens first.
        card: What the file says about its use.
        path: The file to write; replaced whole or not at all.
        quantization: Type of the matrices: F32, F16, BF16 or Q8_0.
    """
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "qwen2")
    writer.add_name(card.name)
    writer.add_license("mit")
    add_sizes(writer, shape, rope_base=10000.0)
    writer.add_file_type(int(FILE_TYPES[quantization]))
    entries = tokenizer_entries(json.loads(tokenizer.to_str()), shape.vocabulary)
    add_tokenizer(writer, entries.tokens, entries.types, entries.merges)
    writer.add_eos_token_id(entries.tokens.index(SPECIAL_TOKENS[0]))
    writer.add_eot_token_id(entries.tokens.index(SPECIAL_TOKENS[2]))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    if isinstance(card, VerifierCard):
        _add_method(writer, card)
    else:
        writer.add_string("genprm.role", "policy")
    writer.add_array("genprm.domains", list(card.domains))
    names = gguf_names(shape.layers)
    tensors = [
        StoredTensor(names[name], tuple(weight.shape), partial(_numbers, weight))
        for name, weight in weights.items()
        if name != TIED
    ]
    write_tensors(writer, tensors, quantization)
    part.replace(path)
