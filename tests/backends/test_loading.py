"""Which engine a model gets, and whole checks on models given by name, folder and address."""

from __future__ import annotations

from pathlib import Path

import pytest

from genprm_sdk import InputError, Sampling, UnknownModelError, Verifier
from genprm_sdk.backends.loading import LoadOptions, find_source

from .bundled import MODEL, bundled_folder
from .llama_server import llama_server

SOLUTION = ["12 * 7 = 84", "So the answer is 84 + 3 = 88."]
PROBLEM = "What is 12 * 7 + 3?"


@pytest.mark.parametrize(
    ("model", "engine"),
    [
        ("genprm-mini", "llama.cpp"),
        (str(MODEL), "llama.cpp"),
        (MODEL, "llama.cpp"),
        ("hf:GenPRM/GenPRM-1.5B", "transformers"),
        ("GenPRM/GenPRM-7B", "transformers"),
        ("genprm-7b:Q4_K_M", "llama.cpp"),
        ("hf:someone/GenPRM-7B-GGUF:Q8_0", "llama.cpp"),
        ("http://localhost:8000", "openai"),
        ("https://a.example/v1, https://b.example/v1", "openai"),
    ],
)
def test_the_engine_follows_from_the_model(model: str | Path, engine: str) -> None:
    assert find_source(model, None, LoadOptions()).engine == engine
    assert find_source(model, engine, LoadOptions()).engine == engine


def test_a_folder_is_for_transformers() -> None:
    assert find_source(bundled_folder(), None, LoadOptions()).engine == "transformers"


@pytest.mark.parametrize(
    ("model", "engine", "options", "complaint"),
    [
        ("genprm-mini", "transformers", {}, "is for the backend llama.cpp, and transformers cannot run it"),
        ("genprm-mini", "vllm", {}, "backend must be one of llama.cpp, transformers, openai, not 'vllm'"),
        ("http://localhost:8000", None, {"threads": 2}, "threads is not for the backend openai"),
        ("GenPRM/GenPRM-7B", None, {"exact": True}, "exact is not for the backend transformers"),
        (7, None, {}, "model must be a name, a path or an address, not int"),
    ],
)
def test_what_cannot_be(model: str, engine: str | None, options: dict[str, int], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Verifier(model, backend=engine, **options)  # type: ignore[arg-type]


def test_an_unknown_model_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(UnknownModelError, match="did you mean genprm-mini"):
        Verifier("genprm-mimi")


@pytest.mark.anyio
async def test_a_verifier_of_a_folder() -> None:
    async with Verifier(bundled_folder(), sampling=Sampling(temperature=0)) as verifier:
        report = await verifier.check(SOLUTION, problem=PROBLEM)
    assert [step.label for step in report.steps] == ["correct", "incorrect"]


@pytest.mark.anyio
async def test_verifiers_of_an_address_share_the_connection() -> None:
    with llama_server(MODEL, 2048) as address:
        sampling = Sampling(temperature=0)
        async with Verifier(address, sampling=sampling) as one, Verifier(address, sampling=sampling) as other:
            assert one._opened is other._opened
            report = await one.check(SOLUTION, problem=PROBLEM)
    assert [step.label for step in report.steps] == ["correct", "incorrect"]
