"""Content stays content, also with a vocabulary whose ordinary-looking tokens llama.cpp finds in any text."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.engine.vocabulary import Vocabulary
from genprm_sdk.models import find_model, read_gguf_metadata
from genprm_sdk.prompt import content, control

pytestmark = pytest.mark.anyio
MODEL = find_model("genprm-mini")[1]
USER_DEFINED = 4
KEY = b"tokenizer.ggml.token_type"
WORD = "analyze"


def with_user_defined(word: str, folder: Path) -> Path:
    """The bundled model with one token flagged like ``<think>`` in GenPRM's files."""
    tokens = read_gguf_metadata(MODEL)["tokenizer.ggml.tokens"]
    assert isinstance(tokens, tuple)
    data = bytearray(MODEL.read_bytes())
    at = data.index(KEY) + len(KEY)
    kind, element, count = struct.unpack_from("<IIQ", data, at)
    assert (kind, element, count) == (9, 5, len(tokens))
    struct.pack_into("<i", data, at + 16 + 4 * tokens.index(word), USER_DEFINED)
    path = folder / "user-defined.gguf"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vocabulary]:
    path = with_user_defined(WORD, tmp_path_factory.mktemp("model"))
    async with await LlamaCppBackend.load(path, context=64, capacity=1, threads=1) as backend:
        yield backend.engine.vocabulary


def text_of(vocabulary: Vocabulary, tokens: list[int]) -> str:
    return b"".join(vocabulary.piece(token) for token in tokens).decode()


async def test_llama_cpp_itself_would_find_the_token(vocabulary: Vocabulary) -> None:
    assert vocabulary.special[WORD] in vocabulary._tokenize(f"a {WORD}>")


async def test_a_user_defined_token_comes_from_control_text_alone(vocabulary: Vocabulary) -> None:
    token = vocabulary.special[WORD]
    assert vocabulary.tokens([control(WORD)]) == [token]
    assert token not in vocabulary.tokens([content(f"a {WORD}> b {WORD}{WORD}")])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.sampled_from([WORD, "<|im_end|>", "<|endoftext|>"]) | st.text(max_size=12), max_size=8)
)
async def test_any_content_comes_back_and_holds_no_special_token(
    vocabulary: Vocabulary, parts: list[str]
) -> None:
    text = "".join(parts)
    tokens = vocabulary.tokens([content(text)])
    assert not set(tokens) & set(vocabulary.special.values())
    assert text_of(vocabulary, tokens) == text
