"""The bundled model's vocabulary and chat template, and a scripted model made of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genprm_sdk.engine.vocabulary import Vocabulary
from genprm_sdk.models import find_model, read_gguf_metadata
from genprm_sdk.prompt import ChatFrame

from .scripted import ScriptedBackend, opened_vocabulary

MODEL = find_model("genprm-mini")[1]


@pytest.fixture(scope="package")
def vocabulary() -> Iterator[Vocabulary]:
    with opened_vocabulary(MODEL) as opened:
        yield opened


@pytest.fixture(scope="package")
def frame() -> ChatFrame:
    metadata = read_gguf_metadata(MODEL)
    template, tokens = metadata["tokenizer.chat_template"], metadata["tokenizer.ggml.tokens"]
    end = metadata["tokenizer.ggml.eos_token_id"]
    assert isinstance(template, str)
    assert isinstance(tokens, tuple)
    assert isinstance(end, int)
    return ChatFrame.from_template(template, eos_token=tokens[end])


@pytest.fixture(scope="package")
def backend(vocabulary: Vocabulary, frame: ChatFrame) -> ScriptedBackend:
    return ScriptedBackend(vocabulary, frame)
