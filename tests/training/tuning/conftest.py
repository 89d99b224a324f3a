"""What the tests of fine-tuning share: models as folders, and conversations to hold them against files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from genprm_sdk import wording
from genprm_sdk.training.pipeline.records import Message
from genprm_sdk.training.pipeline.turns import assembled_turn
from genprm_sdk.training.tuning.folders import base_folder
from genprm_sdk.training.worlds import WORLDS
from genprm_sdk.training.worlds.base import Example
from genprm_sdk.types import CodeRun

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled verifier as a folder."""
    return base_folder("genprm-mini", tmp_path_factory.mktemp("base") / "mini")


@pytest.fixture(scope="session")
def wide(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untied model whose rows can be packed by 256s, in shards, with more entries than its tokenizer.

    Its weights are random, every one in play, but it has a clear opinion: what follows a token is the entry
    before it.
    """
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=1040,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        rms_norm_eps=1e-3,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
    )
    model = Qwen2ForCausalLM(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(
                1 + 0.2 * noise if "norm" in name else 0.3 * noise if "bias" in name else 0.05 * noise
            )
        entries = torch.randn(config.vocab_size, config.hidden_size, generator=generator)
        model.model.embed_tokens.weight.copy_(entries)
        model.lm_head.weight.copy_(0.02 * entries.roll(-1, 0))
    folder = tmp_path_factory.mktemp("wide") / "wide"
    model.save_pretrained(folder, max_shard_size="2MB")
    for name in TOKENIZER_FILES:
        shutil.copyfile(mini / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def conversations() -> Sequence[Sequence[Message]]:
    """Verified solutions of three worlds, in the protocol's words."""
    rng = random.Random(3)
    return [_conversation(WORLDS[name].example(rng)) for name in ("arithmetic", "word_problems", "dyck")]


def _conversation(example: Example) -> list[Message]:
    messages = [Message(role="system", content=wording.REVIEW_SYSTEM)]
    for index, step in enumerate(example.steps[:3]):
        rationale = step.rationale
        run = CodeRun(code=rationale.code, status="ok", feedback=rationale.output)
        code = f"{rationale.code}{wording.CODE_FENCE_CLOSE}{wording.code_output(rationale.output)}"
        turn = assembled_turn(index, step.correct, rationale.analysis, code, [run])
        asked = step.text if index else f"{example.problem}\n{step.text}"
        messages.append(Message(role="user", content=asked))
        messages.append(Message(role="assistant", content=turn.text))
    return messages
