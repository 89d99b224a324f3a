"""The bundled verifier as a folder in the Hugging Face layout: the weights of its GGUF file, in float32."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from genprm_sdk.models import find_model, read_gguf_metadata

MODEL = find_model("genprm-mini")[1]


@cache
def bundled_folder() -> Path:
    """Written once a test run; holds config.json, model.safetensors and the tokenizer's files."""
    from genprm_sdk.training.sft import build_model, load_tied
    from genprm_sdk.training.tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS
    from genprm_sdk.training.trained import trained_model

    trained = trained_model(MODEL)
    model = build_model(trained.shape, seed=0, attention="sdpa")
    load_tied(model, trained.weights)
    folder = Path(mkdtemp(prefix="genprm-mini-"))
    metadata = read_gguf_metadata(MODEL)
    model.config.genprm = {
        key.removeprefix("genprm."): value for key, value in metadata.items() if key.startswith("genprm.")
    }
    model.save_pretrained(folder)
    trained.tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL_TOKENS[0],
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
