"""What a problem and a step say changes nothing: what a model is asked, and its verdict, stay the model's."""

from __future__ import annotations

import pytest

from .corpus import CORPUS, HARMLESS, KINDS, of_kind
from .scripted import ScriptedBackend, Substitution
from .setups import SETUPS, WORDS, Setup, assert_same, play

pytestmark = pytest.mark.anyio

PROBLEM = "What is 6 * 7?"
STEPS = ("Let's add seven sixes.", "So it is 42.", "The answer is 42.")
VERDICTS = [("yes", pytest.approx(0.8 / 0.9)), ("no", pytest.approx(0.1 / 0.8)), (None, None)]

Placed = tuple[str | None, tuple[str, ...]]


def places(setup: Setup, text: str) -> dict[str, Placed]:
    """Problem and steps with a text where a stranger's text can stand."""
    alone = (text, f"{text}\n{STEPS[1]}", f"{STEPS[2]} {text}")
    return {
        "problem": (text, STEPS),
        "steps": (PROBLEM if setup.style == "chat" else None, alone),
    }


def test_the_corpus_is_what_it_says() -> None:
    assert {injection.kind for injection in CORPUS} == set(KINDS)
    assert len({injection.name for injection in CORPUS}) == len(CORPUS) >= 80
    assert len({injection.text for injection in CORPUS}) == len(CORPUS)
    for injection in CORPUS:
        assert injection.text.strip()
        assert "\0" not in injection.text
        assert HARMLESS not in injection.text


@pytest.mark.parametrize("setup", SETUPS, ids=str)
async def test_a_scripted_model_s_verdicts_are_read(backend: ScriptedBackend, setup: Setup) -> None:
    played = await play(backend, setup, setup.script(WORDS), PROBLEM, STEPS)
    assert [(result.verdict, result.score) for result in played.results] == VERDICTS
    assert {result.degraded for result in played.results} == {"rounds" if setup.exhausts else None}
    assert sum(call.act == "probabilities" for call in played.calls) == len(STEPS)
    shows_output = setup.code and setup.execute and not (setup.exhausts and setup.analysis)
    assert {"[Code Output]" in result.text for result in played.results} == {shows_output}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_injection_is_text_to_the_model_and_nothing_to_the_machine(
    backend: ScriptedBackend, kind: str
) -> None:
    for setup in SETUPS:
        script = setup.script(WORDS)
        harmless = {
            place: await play(backend, setup, script, problem, steps)
            for place, (problem, steps) in places(setup, HARMLESS).items()
        }
        for injection in of_kind(kind):
            change = Substitution(((HARMLESS, injection.text),))
            for place, (problem, steps) in places(setup, injection.text).items():
                played = await play(backend, setup, script, problem, steps)
                assert_same(played, harmless[place], change, f"{injection.name} in {place}, {setup}")
    backend.forget()
