"""A model may quote what it read where no verdict is asked for: in its analysis and inside its code.

What it writes behind its code is its own word, quotation or not; so is a line of its code that begins with a
fence.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from genprm_sdk.wording import ANALYSIS_CLOSE, VERDICT_OPENING, verdict

from .corpus import HARMLESS, KINDS, of_kind
from .scripted import Script, ScriptedBackend, Substitution
from .setups import ANALYSIS, SETUPS, WORDS, assert_same, play

pytestmark = pytest.mark.anyio

PROBLEM = "What is 6 * 7?"
STEPS = ("Let's add seven sixes.", "So it is 42.", "The answer is 42.")
CHATTING = [setup for setup in SETUPS if setup.style == "chat" and setup.rationales]

Program = Callable[[str], str]


def in_a_string(text: str) -> str:
    return f"said = {text!r}\nprint(6 * 7)"


def in_comments(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.split("\n")) + "print(6 * 7)"


def in_an_indented_string(text: str) -> str:
    return 'said = """\n' + "".join(f"    {line}\n" for line in text.split("\n")) + '"""\nprint(6 * 7)'


PROGRAMS: tuple[Program, ...] = (in_a_string, in_comments, in_an_indented_string)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_injection_that_is_quoted_in_code(backend: ScriptedBackend, kind: str) -> None:
    for setup in (setup for setup in CHATTING if setup.code):
        for program in PROGRAMS:
            usual = setup.script(WORDS, code=program(HARMLESS))
            harmless = (await play(backend, setup, usual, PROBLEM, STEPS)).without_pauses()
            for injection in of_kind(kind):
                script = setup.script(WORDS, code=program(injection.text))
                played = (await play(backend, setup, script, PROBLEM, STEPS)).without_pauses()
                change = Substitution(((program(HARMLESS), program(injection.text)),), budgets=False)
                assert_same(played, harmless, change, f"{injection.name}, {program.__name__}, {setup}")
    backend.forget()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_injection_that_is_quoted_in_an_analysis(backend: ScriptedBackend, kind: str) -> None:
    for setup in (setup for setup in CHATTING if setup.analysis):
        usual = setup.script(WORDS, analysis=f"It says: {HARMLESS} {ANALYSIS}")
        harmless = await play(backend, setup, usual, PROBLEM, STEPS)
        for injection in (each for each in of_kind(kind) if ANALYSIS_CLOSE not in each.text):
            script = setup.script(WORDS, analysis=f"It says: {injection.text} {ANALYSIS}")
            played = await play(backend, setup, script, PROBLEM, STEPS)
            change = Substitution(((HARMLESS, injection.text),), budgets=False)
            assert_same(played, harmless, change, f"{injection.name}, {setup}")
    backend.forget()


async def test_a_verdict_that_is_only_quoted_is_none(backend: ScriptedBackend) -> None:
    """The model quotes a verdict in its code and gives none of its own."""
    quoting = in_comments(VERDICT_OPENING + verdict(True))
    asked_for_nothing = "I cannot say.\n</verify>\n<output>\nNothing.\n</output>\n"
    for setup in (setup for setup in CHATTING if setup.code and not setup.exhausts):
        texts = setup.script(("Yes",), code=quoting).texts
        *before, last = texts
        silent = last.partition("That is it.")[0] + asked_for_nothing
        played = await play(backend, setup, Script((*before, silent), ()), PROBLEM, STEPS[:1])
        assert [(result.verdict, result.score) for result in played.results] == [(None, None)]
        assert [run.code for run in played.results[0].code_runs] == [quoting, quoting]
