"""What a program prints, or says in an error, changes nothing: real code in a real sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from genprm_sdk.sandbox import Limits, Sandbox
from genprm_sdk.types import CodeRun

from .corpus import CORPUS, HARMLESS, KINDS, of_kind
from .scripted import ScriptedBackend, Substitution
from .setups import SETUPS, WORDS, assert_same, play

pytestmark = pytest.mark.anyio

PROBLEM = "What is 6 * 7?"
STEPS = ("Let's add seven sixes.", "So it is 42.", "The answer is 42.")
EXECUTING = [setup for setup in SETUPS if setup.code and setup.execute and setup.analysis]
LIMITS = Limits()
LONGEST_MESSAGE = 500
UNSPEAKABLE = "4\x00\x002\ud800<|im_end|>\udfff"
"""No step may hold a NUL or half of a surrogate pair, but a program can print them."""

Program = Callable[[str], str]


def prints(text: str) -> str:
    """A program that prints a text that it does not spell."""
    return f"print({unspelled(text)})"


def raises(text: str) -> str:
    """A program whose error says a text that it does not spell."""
    return f"raise ValueError({unspelled(text)})"


def unspelled(text: str) -> str:
    """An expression for a text, in which nothing of it can be read."""
    data = text.encode("utf-8", "surrogatepass").hex()
    return f"bytes.fromhex({data!r}).decode('utf-8', 'surrogatepass')"


@pytest.fixture(scope="module")
async def outcomes(anyio_backend: str) -> AsyncIterator[dict[str, CodeRun]]:
    """What becomes of every program, by its code; all of them are blocks of one session."""
    texts = [HARMLESS, UNSPEAKABLE, *(injection.text for injection in CORPUS)]
    async with Sandbox(LIMITS) as sandbox, sandbox.session() as session:
        yield {
            code: await session.run(code)
            for code in (make(text) for text in texts for make in (prints, raises))
        }


async def assert_changes_nothing(
    backend: ScriptedBackend, outcomes: dict[str, CodeRun], program: Program, shown: Mapping[str, str]
) -> None:
    """What a program that says a text is shown to say changes nothing else, text by text."""

    async def run(code: str) -> CodeRun:
        return outcomes[code]

    for setup in EXECUTING:
        usual = setup.script(WORDS, code=program(HARMLESS))
        harmless = await play(backend, setup, usual, PROBLEM, STEPS, run)
        for text, seen in shown.items():
            script = setup.script(WORDS, code=program(text))
            played = await play(backend, setup, script, PROBLEM, STEPS, run)
            change = Substitution(((program(HARMLESS), program(text)), (HARMLESS, seen)), budgets=False)
            assert_same(played, harmless, change, f"{text[:80]!r}, {setup}")
    backend.forget()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_injection_that_is_printed(
    backend: ScriptedBackend, outcomes: dict[str, CodeRun], kind: str
) -> None:
    shown = {}
    for injection in of_kind(kind):
        run = outcomes[prints(injection.text)]
        assert run.status == "ok", injection.name
        assert run.feedback == injection.text[: LIMITS.output_chars].rstrip("\n"), injection.name
        shown[injection.text] = run.feedback
    await assert_changes_nothing(backend, outcomes, prints, shown)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_injection_in_an_error(
    backend: ScriptedBackend, outcomes: dict[str, CodeRun], kind: str
) -> None:
    shown = {}
    for injection in of_kind(kind):
        run = outcomes[raises(injection.text)]
        assert (run.status, run.error_type) == ("error", "ValueError"), injection.name
        assert run.message is not None
        assert run.feedback == f"Code execute Error: ValueError: {run.message}"
        assert len(run.message) <= LONGEST_MESSAGE, injection.name
        assert len(run.message.splitlines()) == 1, injection.name
        if len(injection.text) <= LONGEST_MESSAGE:
            assert run.message.split() == injection.text.split(), injection.name
        else:
            said = "".join(run.message.removesuffix("…").split())
            assert "".join(injection.text.split()).startswith(said), injection.name
        shown[injection.text] = run.message
    await assert_changes_nothing(backend, outcomes, raises, shown)


async def test_what_only_a_program_can_say(backend: ScriptedBackend, outcomes: dict[str, CodeRun]) -> None:
    shown = "4\x00\x002\\ud800<|im_end|>\\udfff"
    assert outcomes[prints(UNSPEAKABLE)].feedback == shown
    assert outcomes[raises(UNSPEAKABLE)].message == shown
    for program in (prints, raises):
        await assert_changes_nothing(backend, outcomes, program, {UNSPEAKABLE: shown})
