"""What can be trained on: folders, and files that this library's training wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genprm_sdk.errors import DownloadError, InputError, ModelFileError, UnknownModelError
from genprm_sdk.models import find_model
from genprm_sdk.training.trained import model_of_file
from genprm_sdk.training.tuning.folders import base_folder, settings_of
from genprm_sdk.training.tuning.runs import Folder


def test_a_bundled_model_is_written_with_its_weights_and_settings(mini: Path) -> None:
    stored = load_file(mini / "model.safetensors")
    trained = model_of_file(find_model("genprm-mini")[1])
    assert stored.keys() == trained.weights.keys()
    assert all(torch.equal(stored[name], trained.weights[name]) for name in stored)
    assert settings_of(mini).history == "steps"
    assert settings_of(mini).turn_tokens == 1536


def test_a_folder_is_taken_as_it_is(mini: Path, tmp_path: Path) -> None:
    assert base_folder(str(mini), tmp_path / "unused") == mini
    assert not (tmp_path / "unused").exists()


def test_what_cannot_be_trained_on_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="is a server"):
        base_folder("http://localhost:1", tmp_path / "base")
    with pytest.raises(UnknownModelError):
        base_folder("no-such-model", tmp_path / "base")
    with pytest.raises(DownloadError, match="genprm models pull"):
        base_folder("somebody/something", tmp_path / "base")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF")
    with pytest.raises(ModelFileError):
        base_folder(str(damaged), tmp_path / "base")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"genprm": {"history": "none"}}',
        '{"genprm": {"role": "policy"}}',
        '{"genprm": [1]}',
        "[]",
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelFileError):
        settings_of(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000], ids=["torn", "array", "deep"])
def test_a_training_s_state_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"state\.json cannot be read: .* to begin anew"):
        Folder(tmp_path).state()


def test_a_folder_without_settings_is_taken_for_a_genprm(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}), encoding="utf-8")
    assert settings_of(tmp_path).style == "reference"
