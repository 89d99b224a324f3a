"""Injections put together at random, and their parts, change as little as each by itself."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genprm_sdk.engine.vocabulary import Vocabulary
from genprm_sdk.prompt import content
from genprm_sdk.types import CodeRun

from .corpus import CORPUS, HARMLESS
from .scripted import ScriptedBackend, Substitution, Tokens, read_tokens
from .setups import SETUPS, WORDS, Played, Setup, assert_same, play

pytestmark = pytest.mark.anyio

SHORT = [injection.text for injection in CORPUS if injection.kind != "long"]
PIECES = sorted({piece for text in SHORT for piece in re.findall(r"\w+|\W", text)})
FRAGMENTS = st.sampled_from(SHORT) | st.sampled_from(PIECES) | st.text(max_size=3)
TEXTS = st.lists(FRAGMENTS, min_size=1, max_size=6).map("".join).filter(lambda text: "\0" not in text)

derandomised = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@derandomised
@given(TEXTS)
def test_content_is_its_own_text(vocabulary: Vocabulary, text: str) -> None:
    assert read_tokens(vocabulary, vocabulary.tokens([content(text)])) == Tokens((), (text,))


@derandomised
@given(problem=TEXTS, step=TEXTS, printed=TEXTS, setup=st.sampled_from(SETUPS))
async def test_nothing_changes_what_a_model_is_asked(
    backend: ScriptedBackend, problem: str, step: str, printed: str, setup: Setup
) -> None:
    marks = [f"{HARMLESS} ({number})" for number in range(3)]

    async def verify(problem: str, step: str, printed: str) -> Played:
        async def run(code: str) -> CodeRun:
            return CodeRun(code=code, status="ok", feedback=printed)

        steps = (f"{step}\n42", f"So it is 42. {step}", step)
        return await play(backend, setup, setup.script(WORDS), problem, steps, run)

    harmless = await verify(marks[0], marks[1], marks[2])
    played = await verify(problem, step, printed)
    change = Substitution(tuple(zip(marks, (problem, step, printed), strict=True)), budgets=False)
    assert_same(played, harmless, change)
    backend.forget()
