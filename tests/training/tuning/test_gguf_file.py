"""GGUF files of fine-tuned models: what is in them, and what is refused before anything is written."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genprm_sdk import Verifier
from genprm_sdk.errors import InputError, ModelError, ModelFileError
from genprm_sdk.models import find_model
from genprm_sdk.training.tuning import gguf_file
from genprm_sdk.training.tuning.gguf_file import check_folder, write_gguf
from genprm_sdk.training.tuning.weights import Weights

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
BUNDLED = find_model("genprm-mini")[1]


def fields(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {
        tensor.name: (tensor.tensor_type.name, tuple(map(int, tensor.shape)), tensor.data.tobytes())
        for tensor in gguf.GGUFReader(path).tensors
    }


def copied(folder: Path, target: Path, **config: Any) -> Path:
    """A copy of a model with another configuration; None takes an entry out."""
    shutil.copytree(folder, target)
    change(target / "config.json", config)
    return target


def change(file: Path, entries: dict[str, Any]) -> None:
    found = json.loads(file.read_text(encoding="utf-8")) | entries
    kept = {key: value for key, value in found.items() if value is not None}
    file.write_text(json.dumps(kept), encoding="utf-8")


# ------------------------------------------------------------------------------------------ what is written


@pytest.fixture(scope="module")
def again(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("again") / "again.gguf"
    write_gguf(mini, path, "q8_0", name="genprm-mini")
    return path


def test_the_bundled_verifier_comes_out_as_it_went_in(again: Path) -> None:
    assert tensors(again) == tensors(BUNDLED)
    ours, theirs = fields(again), fields(BUNDLED)
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    assert differing == {
        "GGUF.kv_count",
        "general.license",
        "general.quantization_version",
        "tokenizer.ggml.padding_token_id",
    }
    assert ours["tokenizer.ggml.padding_token_id"] == ours["tokenizer.ggml.eos_token_id"] == 0


@pytest.mark.anyio
async def test_a_verifier_runs_on_the_file(again: Path) -> None:
    async with Verifier(again, threads=1) as verifier:
        report = await verifier.check(
            ["12 * 7 = 84", "So the answer is 84 + 3 = 88."], problem="What is 12 * 7 + 3?", seed=0
        )
    assert report.first_error == 1


def test_an_untied_model_in_shards_is_padded(wide: Path, mini: Path, tmp_path: Path) -> None:
    assert len(list(wide.glob("model-*.safetensors"))) > 1
    path = tmp_path / "wide.gguf"
    write_gguf(wide, path, "f32")
    found, stored = fields(path), tensors(path)
    assert found["general.name"] == "wide"
    assert found["qwen2.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-3)
    assert found["qwen2.rope.freq_base"] == 5e5
    tokens, types = found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"]
    assert tokens[:1024] == fields(BUNDLED)["tokenizer.ggml.tokens"]
    assert len(set(tokens)) == len(tokens) == 1040
    assert types[1024:] == [UNUSED] * 16
    weights = {
        name: tensor for file in wide.glob("*.safetensors") for name, tensor in load_file(file).items()
    }
    assert len(stored) == len(weights) == 3 + 12 * 2
    assert stored["output.weight"] == ("F32", (256, 1040), weights["lm_head.weight"].numpy().tobytes())
    assert stored["blk.1.ffn_down.weight"][2] == (
        weights["model.layers.1.mlp.down_proj.weight"].numpy().tobytes()
    )
    assert stored["blk.0.attn_k.bias"][2] == weights["model.layers.0.self_attn.k_proj.bias"].numpy().tobytes()


def test_bfloat16_goes_over_bit_by_bit(mini: Path, tmp_path: Path) -> None:
    folder = copied(mini, tmp_path / "model", dtype="bfloat16")
    file = folder / "model.safetensors"
    stored = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(file).items()}
    save_file(stored, file)
    write_gguf(folder, tmp_path / "model.gguf", "bf16")
    kind, _, data = tensors(tmp_path / "model.gguf")["blk.0.ffn_up.weight"]
    assert kind == "BF16"
    assert data == stored["model.layers.0.mlp.up_proj.weight"].view(torch.uint16).numpy().tobytes()


def test_small_types_are_llama_cpp_s(wide: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.gguf"
    write_gguf(wide, path, "q4_k_m", name="small")
    found = fields(path)
    assert found["general.name"] == "small"
    assert found["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q4_K_M
    assert found["tokenizer.chat_template"] == fields(BUNDLED)["tokenizer.chat_template"]
    kinds = {name: kind for name, (kind, _, _) in tensors(path).items()}
    assert kinds["blk.0.attn_q.weight"] == "Q4_K"
    assert kinds["blk.0.attn_q.bias"] == kinds["output_norm.weight"] == "F32"
    assert list(tmp_path.iterdir()) == [path]


def test_settings_keep_their_kinds(mini: Path, tmp_path: Path) -> None:
    settings = {"domains": ["a", "b"], "rounds": 3, "strict": True, "share": 0.1, "role": "verifier"}
    folder = copied(mini, tmp_path / "model", genprm=settings)
    write_gguf(folder, tmp_path / "model.gguf")
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    found = {name: field for name, field in reader.fields.items() if name.startswith("genprm.")}
    assert {name.removeprefix("genprm."): field.contents() for name, field in found.items()} == settings
    assert found["genprm.rounds"].types == [gguf.GGUFValueType.UINT32]


DEEPSEEK = {
    "<｜end▁of▁sentence｜>": True,
    "<｜User｜>": False,
    "<｜Assistant｜>": False,
    "<｜begin▁of▁sentence｜>": True,
    "<think>": False,
}
"""GenPRM's added tokens and whether its files flag them as special."""


def with_deepseek_s_tokens(folder: Path) -> None:
    """The bundled tokenizer with other added tokens behind its entries, as GenPRM's files have them."""
    file = folder / "tokenizer.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    template, added = state["added_tokens"][0], []
    for number, (text, special) in enumerate(DEEPSEEK.items()):
        added.append(template | {"id": 1024 + number, "content": text, "special": special})
    begin = list(DEEPSEEK)[3]
    pieces = [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    state["added_tokens"] += added
    state["normalizer"] = {"type": "NFC"}
    state["post_processor"] = {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {begin: {"id": begin, "ids": [1027], "tokens": [begin]}},
    }
    file.write_text(json.dumps(state), encoding="utf-8")
    end, user, assistant, begin, _ = DEEPSEEK
    config = {"bos_token": {"content": begin}, "eos_token": end, "pad_token": None, "chat_template": None}
    change(folder / "tokenizer_config.json", config)
    (folder / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ message.content }}"
        f"{{% elif message.role == 'user' %}}{user}{{{{ message.content }}}}"
        f"{{% else %}}{assistant}{{{{ message.content }}}}{end}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{assistant}{{% endif %}}",
        encoding="utf-8",
    )


def test_deepseek_s_tokenizer_is_known(wide: Path, tmp_path: Path) -> None:
    folder = copied(wide, tmp_path / "model")
    with_deepseek_s_tokens(folder)
    write_gguf(folder, tmp_path / "model.gguf")
    found = fields(tmp_path / "model.gguf")
    assert found["tokenizer.ggml.pre"] == "deepseek-r1-qwen"
    assert found["tokenizer.ggml.tokens"][1024:1029] == list(DEEPSEEK)
    assert found["tokenizer.ggml.token_type"][1024:] == [CONTROL] * 4 + [USER_DEFINED] + [UNUSED] * 11
    special = {
        name: found.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "eot", "padding")
    }
    assert special == {"bos": 1027, "eos": 1024, "eot": 1024, "padding": None}
    assert found["tokenizer.ggml.add_bos_token"] is True
    assert "<｜User｜>" in found["tokenizer.chat_template"]


# ------------------------------------------------------------------------------------------ how it is written


def test_one_tensor_is_in_memory_at_a_time(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[weakref.ref[torch.Tensor]] = []

    class Watched(Weights):
        def read(self, name: str) -> torch.Tensor:
            assert not any(tensor() is not None for tensor in read)
            tensor = super().read(name)
            read.append(weakref.ref(tensor))
            return tensor

    monkeypatch.setattr(gguf_file, "Weights", Watched)
    write_gguf(wide, tmp_path / "wide.gguf", "q8_0")
    assert len(read) == 27


@pytest.mark.parametrize("kind", ["q8_0", "Q4_K_M"])
def test_a_stopped_writing_leaves_the_old_file(wide: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "wide.gguf"
    target.write_bytes(b"old")
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_gguf(wide, target, kind, check=stop)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_cannot_be_written_to_is_said(mini: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere.mini\.gguf cannot be written"):
        write_gguf(mini, tmp_path / "nowhere" / "mini.gguf")


# ------------------------------------------------------------------------------------------ what is refused


def rename(folder: Path, old: str, new: str) -> None:
    file = folder / "model.safetensors"
    stored = load_file(file)
    stored[new] = stored.pop(old)
    save_file(stored, file)


def convert(folder: Path, name: str, to: Callable[[torch.Tensor], torch.Tensor]) -> None:
    file = folder / "model.safetensors"
    stored = load_file(file)
    stored[name] = to(stored[name]).contiguous()
    save_file(stored, file)


def other_cut(folder: Path) -> None:
    state = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    state["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\s+|\S+"
    (folder / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")


def entry_twice(folder: Path) -> None:
    """What stands in for an unused entry is an entry."""
    state = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    state["added_tokens"].append(state["added_tokens"][0] | {"id": 1024, "content": "[PAD1030]"})
    (folder / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    change(folder / "config.json", {"vocab_size": 1040})


def other_kind(folder: Path) -> None:
    state = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = [[token, 0.0] for token in state["model"]["vocab"]]
    state["model"] = {"type": "Unigram", "unk_id": 0, "vocab": vocabulary}
    (folder / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")


UP = "model.layers.1.mlp.up_proj.weight"

REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another architecture": (
        lambda folder: change(
            folder / "config.json", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
        ),
        "holds LlamaForCausalLM: only Qwen2ForCausalLM",
    ),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), r"config\.json cannot be used"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json is missing"),
    "no tokenizer's settings": (
        lambda folder: (folder / "tokenizer_config.json").unlink(),
        r"tokenizer_config\.json is missing",
    ),
    "a tokenizer nested deeply": (
        lambda folder: (folder / "tokenizer.json").write_text("[" * 100_000),
        "nested too deeply",
    ),
    "no template": (
        lambda folder: change(folder / "tokenizer_config.json", {"chat_template": None}),
        "no chat template",
    ),
    "another way of cutting": (other_cut, "does not cut text into words as Qwen2 does"),
    "an entry twice": (entry_twice, r"has the entry '\[PAD1030\]' twice"),
    "another kind of vocabulary": (other_kind, "is no byte-level BPE"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "there are no weights"),
    "torn weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}"),
        "weights that cannot be read",
    ),
    "an adapter": (
        lambda folder: (folder / "model.safetensors").rename(folder / "adapter_config.json"),
        "merge the adapter first",
    ),
    "a missing tensor": (lambda folder: rename(folder, UP, f"{UP}.absmax"), f"lacks {UP}"),
    "an unknown tensor": (
        lambda folder: change(folder / "config.json", {"num_hidden_layers": 3, "layer_types": None}),
        r"holds model\.layers\.3\..*, which a Qwen2 model does not have",
    ),
    "packed weights": (
        lambda folder: convert(folder, UP, lambda tensor: tensor.to(torch.int8)),
        f"has {UP} as I8",
    ),
    "another size": (
        lambda folder: convert(folder, UP, lambda tensor: tensor[:, :96]),
        r"up_proj\.weight is \(768, 96\), and config\.json calls for \(768, 192\)",
    ),
    "no numbers": (lambda folder: convert(folder, UP, lambda tensor: tensor / 0), "what is no number"),
    "too large numbers": (
        lambda folder: convert(folder, UP, lambda tensor: tensor * 1e6),
        "too large for F16",
    ),
    "a small embedding": (
        lambda folder: change(folder / "config.json", {"vocab_size": 1000}),
        "the tokenizer has 1024 entries and the model's embedding 1000",
    ),
    "stretched positions": (
        lambda folder: change(
            folder / "config.json",
            {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
        ),
        "rotary embedding of type yarn",
    ),
    "a sliding window": (
        lambda folder: change(
            folder / "config.json", {"layer_types": ["full_attention", *["sliding_attention"] * 3]}
        ),
        "sliding window",
    ),
    "another activation": (
        lambda folder: change(folder / "config.json", {"hidden_act": "gelu"}),
        "has the activation gelu",
    ),
    "a strange setting": (
        lambda folder: change(folder / "config.json", {"genprm": {"rounds": -1}}),
        r"genprm\.rounds cannot be -1",
    ),
    "an unknown end": (
        lambda folder: change(folder / "tokenizer_config.json", {"eos_token": "<|stop|>"}),
        r"names '<\|stop\|>' as its eos token",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_would_misread_is_refused(mini: Path, tmp_path: Path, case: str) -> None:
    damage, message = REFUSED[case]
    folder = copied(mini, tmp_path / "model")
    damage(folder)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelFileError, match=message):
        write_gguf(folder, out / "model.gguf")
    assert list(out.iterdir()) == []


def test_an_index_that_names_a_missing_shard_is_refused(wide: Path, tmp_path: Path) -> None:
    folder = copied(wide, tmp_path / "model")
    shard = min(folder.glob("model-*.safetensors"))
    shard.unlink()
    with pytest.raises(ModelFileError, match=f"lacks {shard.name}, which its index"):
        check_folder(folder, ("f16",))
    (folder / "model.safetensors.index.json").write_text("[" * 100_000)
    with pytest.raises(ModelFileError, match="is no index of weights"):
        check_folder(folder, ("f16",))


def test_widths_that_cannot_be_packed_are_said_before_work_starts(mini: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q4_K_M packs 256 numbers together, and .* have 192 and 768"):
        write_gguf(mini, tmp_path / "mini.gguf", "Q4_K_M")
    with pytest.raises(InputError, match="take one of F32, F16, BF16, Q8_0, Q4_0"):
        check_folder(mini, ("f16", "q6_k"))
    with pytest.raises(InputError, match=r"quantization must be one of F32, .* not 'Q9'"):
        check_folder(mini, ("Q9",))
    assert list(tmp_path.iterdir()) == []


def test_numbers_too_large_for_f16_go_into_other_types(mini: Path, tmp_path: Path) -> None:
    folder = copied(mini, tmp_path / "model")
    convert(folder, UP, lambda tensor: tensor * 1e6)
    write_gguf(folder, tmp_path / "model.gguf", "bf16")
    data = next(
        tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors if "1.ffn_up" in tensor.name
    )
    assert np.isfinite(gguf.quants.dequantize(data.data, data.tensor_type)).all()
