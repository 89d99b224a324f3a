"""Adapters merged into their base: the same model, in one folder."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from genprm_sdk.errors import InputError, MissingExtraError, ModelFileError
from genprm_sdk.training.tuning.gguf_file import check_folder
from genprm_sdk.training.tuning.merging import ADAPTER, merge_adapter

IDS = torch.tensor([[1, 5, 99, 300, 7, 42, 800, 13]])


def loaded(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(IDS).logits.float()
    return found


@pytest.fixture(scope="module")
def adapter(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of every linear layer, with small random weights on both of its sides."""
    torch.manual_seed(0)
    model = get_peft_model(loaded(mini), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.copy_(0.05 * torch.randn(weight.shape))
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return folder


def test_the_merged_model_is_the_base_with_its_adapter(mini: Path, adapter: Path, tmp_path: Path) -> None:
    target = tmp_path / "merged"
    merge_adapter(mini, adapter, target)
    expected = logits(PeftModel.from_pretrained(loaded(mini), str(adapter)))
    assert (expected - logits(loaded(mini))).abs().max() > 0.5
    torch.testing.assert_close(logits(loaded(target)), expected, atol=2e-3, rtol=1e-3)
    assert not any("lora" in name for name in load_file(target / "model.safetensors"))
    assert list(tmp_path.iterdir()) == [target]


def test_tokenizer_and_settings_are_kept(mini: Path, adapter: Path, tmp_path: Path) -> None:
    target = tmp_path / "merged"
    merge_adapter(mini, adapter, target)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (target / name).read_bytes() == (mini / name).read_bytes()
    configs = [json.loads((folder / "config.json").read_text(encoding="utf-8")) for folder in (mini, target)]
    assert configs[0]["genprm"]["analysis_tokens"] == 128
    assert configs[0] == configs[1]
    check_folder(target, ("q8_0",))


def test_the_base_keeps_its_type_and_an_old_model_is_replaced(
    mini: Path, adapter: Path, tmp_path: Path
) -> None:
    base, target = tmp_path / "base", tmp_path / "merged"
    loaded(mini).to(torch.bfloat16).save_pretrained(base)
    shutil.copyfile(mini / "tokenizer.json", base / "tokenizer.json")
    shutil.copytree(mini, target)
    (target / "of-the-old-one").touch()
    merge_adapter(base, adapter, target)
    assert {tensor.dtype for tensor in load_file(target / "model.safetensors").values()} == {torch.bfloat16}
    assert not (target / "of-the-old-one").exists()
    expected = logits(PeftModel.from_pretrained(loaded(mini), str(adapter)))
    torch.testing.assert_close(logits(loaded(target)), expected, atol=0.5, rtol=0.1)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_another_model_s_adapter_is_refused(mini: Path, adapter: Path, wide: Path, tmp_path: Path) -> None:
    target = tmp_path / "merged"
    with pytest.raises(ModelFileError, match=r"cannot be merged into .* size mismatch"):
        merge_adapter(wide, adapter, target)
    partial = tmp_path / "partial"
    shutil.copytree(adapter, partial)
    weights = load_file(adapter / ADAPTER)
    lost = min(weights)
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, partial / ADAPTER)
    with pytest.raises(ModelFileError, match=f"only one of them knows 1 of its weights, such as {lost}"):
        merge_adapter(mini, partial, target)
    assert not target.exists()


def test_numbers_that_are_none_are_refused(mini: Path, adapter: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(adapter, broken)
    weights = load_file(adapter / ADAPTER)
    save_file({name: tensor / 0 for name, tensor in weights.items()}, broken / ADAPTER)
    with pytest.raises(ModelFileError, match=r"cannot be merged into .*NaN"):
        merge_adapter(mini, broken, tmp_path / "merged")


def test_a_folder_without_an_adapter_is_refused(mini: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"there is no adapter in .*adapter_config\.json is missing"):
        merge_adapter(mini, mini, tmp_path / "merged")


def test_a_quantised_base_is_refused(mini: Path, adapter: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(mini, base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelFileError, match="is quantised: give the model in full precision"):
        merge_adapter(base, adapter, tmp_path / "merged")
    with pytest.raises(ModelFileError, match="is quantised already"):
        check_folder(base, ("f16",))


def test_nothing_else_is_overwritten(mini: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would be overwritten"):
        merge_adapter(mini, adapter, mini)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds something else than a model"):
        merge_adapter(mini, adapter, tmp_path)
    assert (tmp_path / "notes.txt").exists()


def test_without_peft_the_extra_is_named(
    mini: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"needs peft, .*genprm-sdk\[train\]"):
        merge_adapter(mini, adapter, tmp_path / "merged")
