"""What the headers of a model's files say of it, and the memory that follows from it."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from genprm_sdk import InputError, ModelFileError, UnknownModelError
from genprm_sdk.engine.fit import cache_bytes_per_token
from genprm_sdk.models import find_model, read_gguf_metadata
from genprm_sdk.models.facts import read_facts
from genprm_sdk.models.gguf import gguf_parameters
from genprm_sdk.models.memory import Memory, memory_needed, metadata_of_config

from ..backends.bundled import bundled_folder

MODEL = find_model("genprm-mini")[1]
DEEP = "[" * 100_000
# What Qwen2.5-7B's files say; GenPRM-7B has its shape.
SEVEN = {
    "model_type": "qwen2",
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "hidden_size": 3584,
    "max_position_embeddings": 131072,
}


def test_a_gguf_and_a_folder_of_the_same_model_agree() -> None:
    file, folder = read_facts(MODEL), read_facts(bundled_folder())
    assert (file.architecture, file.context, file.parameters) == ("qwen2", 8192, 2_411_712)
    assert (folder.architecture, folder.context, folder.parameters) == ("qwen2", 8192, 2_411_712)
    assert (file.quantisation, folder.quantisation) == ("Q8_0", "F32")
    assert (file.cache_type, folder.cache_type) == ("f16", "f32")
    assert file.chat_template.split() == folder.chat_template.split() != []
    assert file.size == MODEL.stat().st_size
    assert folder.size == (bundled_folder() / "model.safetensors").stat().st_size
    assert (file.tokenizer, folder.tokenizer) == (
        "gpt2/qwen2, 1,024 entries",
        "PreTrainedTokenizerFast, 1,024 entries",
    )
    assert cache_bytes_per_token(file.metadata, "f16") == cache_bytes_per_token(folder.metadata, "f16")


def test_the_memory_of_a_seven_billion_model() -> None:
    """By hand: 2 (key and value) x 28 layers x 4 heads x 128 numbers x 2 bytes."""
    memory = memory_needed(metadata_of_config(SEVEN), weights=15_000, samples=8, context=4096)
    assert memory == Memory(15_000, 2 * 28 * 4 * 128 * 2, 8 * 4096)
    assert memory.cache == memory.token * 32_768
    assert memory.total == memory.cache + 15_000
    wide = metadata_of_config(SEVEN | {"head_dim": 256, "rope_scaling": None, "num_key_value_heads": None})
    assert (
        memory_needed(wide, weights=0, samples=1, context=1, cache_type="f32").token == 2 * 28 * 28 * 256 * 4
    )


@pytest.mark.parametrize(("samples", "context"), [(0, 100), (1, 0)])
def test_no_paths_or_no_tokens(samples: int, context: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        memory_needed(metadata_of_config(SEVEN), weights=1, samples=samples, context=context)


def test_a_model_of_several_files_is_counted_as_a_whole(tmp_path: Path) -> None:
    for part in (1, 2):
        (tmp_path / f"m-{part:05}-of-00002.gguf").write_bytes(MODEL.read_bytes())
    first = tmp_path / "m-00001-of-00002.gguf"
    facts = read_facts(first)
    assert (facts.parameters, facts.size) == (2 * 2_411_712, 2 * MODEL.stat().st_size)
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    with pytest.raises(UnknownModelError, match="no model file"):
        read_facts(first)


def header(tensors: dict[str, Any], room: int = 0) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + bytes(room)


def folder_with(folder: Path, weights: bytes, config: str = json.dumps(SEVEN)) -> Path:
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_folder_without_template_or_tokenizer(tmp_path: Path) -> None:
    tensors = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [3, 4], "data_offsets": [0, 24]},
        "b": {"dtype": "F32", "shape": [], "data_offsets": [24, 28]},
    }
    facts = read_facts(folder_with(tmp_path, header(tensors, 28)))
    assert (facts.parameters, facts.quantisation, facts.chat_template) == (13, "BF16", "")
    assert facts.tokenizer == "unknown, 0 entries"
    (tmp_path / "config.json").write_text(
        json.dumps(SEVEN | {"quantization_config": {"quant_method": "awq"}, "dtype": "bfloat16"})
    )
    (tmp_path / "chat_template.jinja").write_text("{{ one }}\n{{ two }}")
    facts = read_facts(tmp_path)
    assert (facts.quantisation, facts.cache_type, facts.chat_template) == (
        "awq",
        "bf16",
        "{{ one }}\n{{ two }}",
    )


def test_a_named_template(tmp_path: Path) -> None:
    folder_with(tmp_path, header({}))
    templates = [{"name": [], "template": "no"}, {"name": "default", "template": "yes"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    assert read_facts(tmp_path).chat_template == "yes"


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        (b"", "no safetensors file"),
        (struct.pack("<Q", 2**63), "no safetensors file"),
        (header({})[:-1], "no safetensors file"),
        (struct.pack("<Q", 3) + b"abc", "no readable safetensors header"),
        (struct.pack("<Q", 2) + b"[]", "no readable safetensors header"),
        (header({"a": {"dtype": "F32"}}), "no readable safetensors header"),
        (struct.pack("<Q", len(DEEP)) + DEEP.encode(), "header: it is nested too deeply"),
        (header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, math.inf]}}), "no whole number"),
        (header({"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 0]}}), "no whole number"),
        (header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}), "no whole number"),
        (header({"a": {"dtype": "F32", "shape": [10**4200] * 2, "data_offsets": [0, 0]}}), "too large"),
        (header({"a": {"dtype": "F32", "shape": [2**62] * 9, "data_offsets": [0, 0]}}), "too large"),
        (header({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}, 35), "is torn"),
    ],
)
def test_weights_that_are_none(weights: bytes, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=complaint):
        read_facts(folder_with(tmp_path, weights))


@pytest.mark.parametrize("config", ["", "[]", "{", DEEP], ids=["empty", "array", "torn", "deep"])
def test_a_config_that_is_none(config: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"/config\.json is no JSON object"):
        read_facts(folder_with(tmp_path, header({}), config))
    folder_with(tmp_path, header({}))
    (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(ModelFileError, match=r"tokenizer_config\.json is no JSON object"):
        read_facts(tmp_path)


def test_sizes_that_no_model_has_are_none() -> None:
    assert metadata_of_config({"model_type": "m", "hidden_size": 2**63, "num_hidden_layers": 2**62}) == {
        "general.architecture": "m",
        "m.block_count": 2**62,
    }


def test_tensors_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    name = struct.pack("<Q", 1) + b"t"
    start = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + name
    path.write_bytes(start + struct.pack("<I", 2**31))
    assert read_gguf_metadata(path) == {}
    with pytest.raises(ModelFileError, match="2147483648 dimensions"):
        gguf_parameters(path)
    path.write_bytes(start + struct.pack("<IQ", 2, 5))
    with pytest.raises(ModelFileError, match="middle of its metadata"):
        gguf_parameters(path)
    path.write_bytes(start + struct.pack("<IQQIQ", 2, 5, 7, 0, 0))
    assert gguf_parameters(path) == 35
