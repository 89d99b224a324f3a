"""The GGUF file: llama.cpp computes what transformers computes, on the same ids from the same text."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from genprm_sdk.modes import Reasoning
from genprm_sdk.training.dataset import Mix, encode_verifications
from genprm_sdk.training.export import VerifierCard, export_model
from genprm_sdk.training.sft import Shape, build_model
from genprm_sdk.training.tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS
from genprm_sdk.training.worlds import WORLDS

SHAPE = Shape(vocabulary=768, width=64, layers=2, heads=4, key_value_heads=2, feed_forward=96, context=1024)
CARD = VerifierCard(
    name="tiny",
    domains=("arithmetic", "word_problems"),
    reasoning=Reasoning.CODE,
    analysis_tokens=77,
    turn_tokens=555,
    rounds=2,
)
TYPES = {
    "F32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32, 1e-4),
    "F16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16, 1e-2),
    "Q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0, 0.15),
}
"""Types and the largest difference of a log-probability that they may make on this model."""


@pytest.fixture(scope="module")
def model() -> Any:
    """Random, but with every weight in play: biases that are not 0, norms that are not 1, steep attention."""
    made = build_model(SHAPE, 0, attention="sdpa").eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(
                1 + 0.2 * noise if "norm" in name else 0.3 * noise if "bias" in name else 0.1 * noise
            )
    return made


@pytest.fixture(scope="module")
def files(model: Any, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("export")
    paths = {}
    for name, (quantization, _, _) in TYPES.items():
        paths[name] = folder / f"{name}.gguf"
        export_model(model.state_dict(), SHAPE, tokenizer, CARD, paths[name], quantization)
    return paths


def loaded(path: Path) -> Any:
    return llama_cpp.Llama(
        str(path),
        n_ctx=1024,
        n_batch=1024,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        verbose=False,
    )


@pytest.fixture(scope="module")
def llama(files: dict[str, Path]) -> Any:
    opened = loaded(files["Q8_0"])
    yield opened
    opened.close()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    wide = wide - wide.max(-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


@pytest.mark.parametrize("kind", TYPES)
def test_the_probabilities_are_those_of_transformers(
    kind: str, files: dict[str, Path], model: Any, tokenizer: Tokenizer
) -> None:
    rng = random.Random(0)
    example = max((WORLDS["arithmetic"].example(rng) for _ in range(8)), key=lambda drawn: len(drawn.steps))
    tree = encode_verifications(example, [len(example.steps) - 1], tokenizer, Mix(), rng)
    assert tree is not None
    ids = (tree.trunk.ids + tree.branches[0].row.ids)[:1000]
    assert len(ids) > 300  # long enough for a wrong rotation to show
    with torch.no_grad():
        expected = log_softmax(model(torch.tensor([ids])).logits[0].numpy())
    opened = loaded(files[kind])
    opened.eval(ids)
    got = log_softmax(np.array(opened.scores[: len(ids)]))
    opened.close()
    assert expected.max(-1).std() > 0.1  # the model says different things in different places
    assert np.abs(got - expected).max() < TYPES[kind][2]


def test_text_is_cut_into_the_same_tokens(llama: Any, tokenizer: Tokenizer) -> None:
    rng = random.Random(2)
    texts = [
        step.text + part
        for world in WORLDS.values()
        for _ in range(30)
        for step in world.example(rng).steps
        for part in ("", "\n\n", step.rationale.code, step.rationale.analysis + "\n</analyze>\n")
    ]
    texts += [
        "((-5) - -12) * 1,234 = 3.5%",
        "¿Qué? Ünïcode ÷ × ≤ 三つ 😀 e\u0301",
        "a  b\t\tc\r\n\r\n  d ",
        "I'LL don't 's",
    ]
    for text in texts:
        assert llama.tokenize(text.encode(), add_bos=False, special=False) == tokenizer.encode(text).ids, text


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.text(st.sampled_from("ab Zé0 1\n\t()*-+=.,'\"$\\{}<>|_#½三÷😀\u00a0"), max_size=30))
def test_any_mixture_is_cut_into_the_same_tokens(llama: Any, tokenizer: Tokenizer, text: str) -> None:
    assert llama.tokenize(text.encode(), add_bos=False, special=False) == tokenizer.encode(text).ids


def test_special_tokens_are_special_only_where_asked(llama: Any) -> None:
    for index, token in enumerate(SPECIAL_TOKENS):
        assert llama.tokenize(token.encode(), add_bos=False, special=True) == [index]
        assert len(llama.tokenize(token.encode(), add_bos=False, special=False)) > 1
    assert llama.token_eos() == 0
    assert llama.tokenize(b"a", add_bos=True, special=True) == llama.tokenize(b"a", add_bos=False)


def contents(path: Path) -> dict[str, Any]:
    reader = gguf.GGUFReader(path)
    return {name: field.contents() for name, field in reader.fields.items()}


def test_the_settings_of_the_method_are_in_the_file(files: dict[str, Path]) -> None:
    fields = contents(files["Q8_0"])
    assert {name: value for name, value in fields.items() if name.startswith("genprm.")} == {
        "genprm.role": "verifier",
        "genprm.protocol": "genprm-1",
        "genprm.prompt_style": "chat",
        "genprm.reasoning": "code",
        "genprm.history": "steps",
        "genprm.analysis_tokens": 77,
        "genprm.turn_tokens": 555,
        "genprm.rounds": 2,
        "genprm.domains": ["arithmetic", "word_problems"],
    }
    assert fields["general.architecture"] == "qwen2"
    assert fields["general.name"] == "tiny"
    assert fields["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert fields["tokenizer.ggml.pre"] == "qwen2"
    assert fields["qwen2.context_length"] == 1024
    assert fields["qwen2.rope.freq_base"] == 10000.0


@pytest.mark.parametrize("kind", TYPES)
def test_matrices_have_the_type_asked_for(kind: str, files: dict[str, Path]) -> None:
    quantization, file_type, _ = TYPES[kind]
    reader = gguf.GGUFReader(files[kind])
    assert contents(files[kind])["general.file_type"] == file_type
    assert len(reader.tensors) == 2 + 12 * SHAPE.layers
    for tensor in reader.tensors:
        expected = quantization if len(tensor.shape) == 2 else gguf.GGMLQuantizationType.F32
        assert tensor.tensor_type == expected, tensor.name


def test_a_failed_export_leaves_the_old_file(
    files: dict[str, Path], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"old")
    with pytest.raises((KeyError, ValueError)):
        export_model({"model.layers.0.unknown.weight": torch.zeros(2)}, SHAPE, tokenizer, CARD, path)
    assert path.read_bytes() == b"old"


def test_export_replaces_an_old_file_and_is_the_same_twice(
    files: dict[str, Path], model: Any, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"old")
    export_model(model.state_dict(), SHAPE, tokenizer, CARD, path)
    assert path.read_bytes() == files["Q8_0"].read_bytes()
    assert list(tmp_path.iterdir()) == [path]
