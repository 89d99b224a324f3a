"""A finished model read back from its file: the same vocabulary and weights, and a training that goes on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
import yaml
from tokenizers import Tokenizer

from genprm_sdk.errors import ModelFileError, UnknownModelError
from genprm_sdk.models import bundled_model
from genprm_sdk.training.checkpoint import latest_step
from genprm_sdk.training.export import PolicyCard, export_model
from genprm_sdk.training.run import main
from genprm_sdk.training.sft import Shape, build_model
from genprm_sdk.training.solving import Attempt, write_attempts
from genprm_sdk.training.trained import model_of_file, trained_model
from genprm_sdk.training.worlds import WORLDS

SHAPE = Shape(vocabulary=768, width=32, layers=2, heads=2, key_value_heads=1, feed_forward=32, context=512)
CARD = PolicyCard(name="tiny", domains=("arithmetic", "dyck"))
Q8, F32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return dict(build_model(SHAPE, 0).state_dict())


@pytest.mark.parametrize(("quantization", "most"), [(F32, 0.0), (Q8, 0.01)])
def test_a_file_gives_back_what_was_exported(
    weights: dict[str, torch.Tensor], tokenizer: Tokenizer, tmp_path: Path, quantization: Any, most: float
) -> None:
    path = tmp_path / "tiny.gguf"
    export_model(weights, SHAPE, tokenizer, CARD, path, quantization)
    found = trained_model(path)
    assert (found.name, found.domains, found.shape) == ("tiny", ("arithmetic", "dyck"), SHAPE)
    assert found.tokenizer.get_vocab() == tokenizer.get_vocab()
    text = "Let's calculate A = (3 + 4) = 7.<|im_end|>\n['x', \"y\"]"
    assert found.tokenizer.encode(text).ids == tokenizer.encode(text).ids
    assert found.weights.keys() == weights.keys() - {"lm_head.weight"}
    for name, weight in found.weights.items():
        assert torch.allclose(weight, weights[name].float(), atol=most, rtol=0), name


def test_bundled_models_can_be_read_back() -> None:
    for name in ("genprm-mini", "policy-mini"):
        found = model_of_file(bundled_model(name).path)
        assert found.name == name
        assert set(found.domains) == set(WORLDS)


def test_what_is_no_model_of_ours_is_refused(
    weights: dict[str, torch.Tensor], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.gguf"
    export_model(weights, SHAPE, tokenizer, CARD, path, F32)
    with pytest.raises(UnknownModelError):
        model_of_file(tmp_path / "missing.gguf")
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(ModelFileError, match="not a model that this training wrote"):
        model_of_file(torn)
    key = b"qwen2.attention.head_count"
    at = path.read_bytes().index(key) + len(key) + 4
    uneven = tmp_path / "uneven.gguf"
    uneven.write_bytes(path.read_bytes()[:at] + (7).to_bytes(4, "little") + path.read_bytes()[at + 4 :])
    with pytest.raises(ModelFileError, match=r"uneven.gguf is not a model that .* its 7 heads cannot share"):
        model_of_file(uneven)
    alien = gguf.GGUFWriter(tmp_path / "alien.gguf", "llama")
    alien.add_name("alien")
    alien.write_header_to_file()
    alien.write_kv_data_to_file()
    alien.close()
    with pytest.raises(ModelFileError, match=r"it lacks genprm\.domains"):
        model_of_file(tmp_path / "alien.gguf")


def test_a_training_goes_on_from_a_file_and_its_vocabulary(
    weights: dict[str, torch.Tensor],
    tokenizer: Tokenizer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = tmp_path / "tiny.gguf"
    export_model(weights, SHAPE, tokenizer, CARD, start, Q8)
    recipe = {
        "model": "onward",
        "role": "verifier",
        "vocabulary": {"size": SHAPE.vocabulary, "examples": 5},
        "shape": {
            "vocabulary": SHAPE.vocabulary,
            **{name: getattr(SHAPE, name) for name in ("width", "layers", "heads", "key_value_heads")},
            "feed_forward": SHAPE.feed_forward,
        },
        "schedule": {"steps": 2, "tokens": 512, "checkpoint_every": 1, "probe_every": 2},
        "shares": {"arithmetic": 1.0},
        "attempts": {"from_step": 0, "share": 0.5, "for_each_domain": 2},
    }
    file, out = tmp_path / "recipe.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(recipe))
    out.mkdir()
    example = next(
        example
        for seed in range(50)
        if (example := WORLDS["arithmetic"].example(random.Random(seed), "solver")).first_error is not None
    )
    steps = tuple(step.text for step in example.steps)
    write_attempts(out / "attempts.jsonl", [Attempt("arithmetic", example.problem, steps, steps)])
    common = [str(file), "--out", str(out), "--processes", "1", "--device", "cpu", "--solver", str(start)]
    assert main([*common, "--start", str(start), "--until", "1"]) == 3
    assert model_of_file(start).tokenizer.to_str() == trained_model(out).tokenizer.to_str()
    assert main(common) == 2
    assert "differs in start" in capsys.readouterr().err
    assert main([*common, "--start", str(start)]) == 0
    assert latest_step(out / "checkpoints") == 2

    recipe["shape"]["feed_forward"] = 64  # type: ignore[index]
    file.write_text(yaml.safe_dump(recipe))
    assert main([str(file), "--out", str(tmp_path / "other"), "--start", str(start)]) == 2
    assert "cannot start from tiny: their shapes differ" in capsys.readouterr().err
    assert main([str(file), "--out", str(tmp_path / "third"), "--start", "genprm-maxi"]) == 2
    assert "did you mean genprm-mini" in capsys.readouterr().err
