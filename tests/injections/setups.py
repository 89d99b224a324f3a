"""The reasoning settings, prompts and scripts with which injections are tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from genprm_sdk.protocol import Layout, PromptStyle, TurnResult, TurnSettings
from genprm_sdk.types import CodeRun
from genprm_sdk.wording import (
    ANALYSIS_CLOSE,
    CODE_FENCE_CLOSE,
    CODE_FENCE_OPEN,
    OUTPUT_CLOSE,
    VERDICT_OPENING,
    VERIFY_CLOSE,
)

from .scripted import Call, Script, ScriptedBackend, Substitution, verify, without_pauses

__all__ = ["ANALYSIS", "CODE", "SETUPS", "WORDS", "Played", "Setup", "assert_same", "play", "prints_42"]

BUDGET = 10**6
"""Tokens; no text of the tests comes near."""

ANALYSIS = "Seven sixes are added. That is right."
CODE = "print(6 * 7)"
WORDS = ("Yes", "No", "Maybe")
"""What a model says of one step after the other; the last one is no verdict."""

READINGS = {"Yes": (0.8, 0.1), "No": (0.1, 0.7), "Maybe": (0.6, 0.2)}


@dataclass(frozen=True)
class Setup:
    """How a model is asked.

    Attributes:
        analysis, code, execute: See ``TurnSettings``.
        style: See ``Layout``.
        rationales: Whether finished turns stay in the prompt.
        exhausts: Whether the model writes code until it is asked for its verdict.
    """

    analysis: bool
    code: bool
    execute: bool
    style: PromptStyle = "chat"
    rationales: bool = True
    exhausts: bool = False

    def __str__(self) -> str:
        parts = {"analysis": self.analysis, "code": self.code, "executed": self.code and self.execute}
        parts |= {"rationales": self.rationales, "exhausts": self.exhausts}
        return "-".join([self.style, *(name for name, is_so in parts.items() if is_so)])

    @property
    def settings(self) -> TurnSettings:
        """Parts of a turn, with budgets that nothing exceeds."""
        return TurnSettings(
            analysis=self.analysis,
            code=self.code,
            execute=self.execute,
            analysis_tokens=BUDGET,
            turn_tokens=BUDGET,
        )

    def script(self, words: Sequence[str], analysis: str = ANALYSIS, code: str = CODE) -> Script:
        """What a model does that says these words, one of each step."""
        again = f"It is $\\boxed{{42}}$. Once more:\n{CODE_FENCE_OPEN}{code}{CODE_FENCE_CLOSE}"
        texts = []
        for word in words:
            asked = f"{{{word}}}$\n{OUTPUT_CLOSE}"
            free = f"That is it.\n{VERIFY_CLOSE}{VERDICT_OPENING}{asked}"
            if self.analysis:
                texts += [f"{analysis}\n{ANALYSIS_CLOSE}"]
            if not self.code:
                texts += [asked]
            elif not self.execute:
                texts += [f"{code}{CODE_FENCE_CLOSE}{again}{free}"]
            else:
                texts += [f"{code}{CODE_FENCE_CLOSE}", again, *([again, asked] if self.exhausts else [free])]
        return Script(tuple(texts), tuple(READINGS[word] for word in words))


MODES = (
    (False, False, False),
    (True, False, False),
    (False, True, True),
    (False, True, False),
    (True, True, True),
    (True, True, False),
)

SETUPS = (
    *(Setup(*mode, style, rationales=True) for mode in MODES for style in ("chat", "reference")),
    Setup(*MODES[-2], rationales=False),
    *(Setup(analysis, code=True, execute=True, exhausts=True) for analysis in (False, True)),
)


async def prints_42(code: str) -> CodeRun:
    """What becomes of ``CODE``, without a sandbox."""
    return CodeRun(code=code, status="ok", stdout="42\n", feedback="42")


@dataclass(frozen=True)
class Played:
    """What a model was asked, and what came of it."""

    calls: list[Call]
    results: list[TurnResult]

    def without_pauses(self) -> Played:
        """The same, however often a generation paused."""
        return Played(without_pauses(self.calls), self.results)


async def play(
    backend: ScriptedBackend,
    setup: Setup,
    script: Script,
    problem: str | None,
    steps: Sequence[str],
    run: Callable[[str], Awaitable[CodeRun]] = prints_42,
) -> Played:
    """Judge all steps; the model must be asked for exactly what the script holds."""
    backend.follow(script)
    layout = Layout(backend.frame, setup.style, direct=not (setup.analysis or setup.code))
    results = await verify(backend, layout, setup.settings, problem, steps, run, rationales=setup.rationales)
    assert backend.is_through, f"the model was not asked for {backend.texts}, {backend.readings}"
    return Played(backend.calls, results)


def assert_same(played: Played, harmless: Played, change: Substitution, name: str = "") -> None:
    """Two plays differ in the texts that were substituted and in nothing else."""
    nothing = Substitution((), change.budgets)
    calls, expected = nothing.in_calls(played.calls), change.in_calls(harmless.calls)
    for number, (call, usual) in enumerate(zip(calls, expected, strict=False)):
        assert call == usual, f"{name}: call {number}"
    assert len(calls) == len(expected), name
    assert nothing.in_results(played.results) == change.in_results(harmless.results), name
