"""A whole check: the report is the model's, whatever problem, steps and a program's output say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import pytest

from genprm_sdk import Report, Verifier, VerifierSettings
from genprm_sdk.modes import History
from genprm_sdk.protocol import PromptStyle

from .corpus import CORPUS, HARMLESS
from .scripted import Call, Script, ScriptedBackend, Substitution
from .setups import WORDS, Setup

pytestmark = pytest.mark.anyio

SETUP = Setup(analysis=True, code=True, execute=True)
LABELS = ("correct", "incorrect", "unparsed")
KEPT = 10_000
"""Characters of a program's output that a model is shown."""
TOGETHER = 30
"""Injections in one solution."""


def prints(text: str) -> str:
    """A program that prints a text that it does not spell."""
    return f"print(bytes.fromhex({text.encode().hex()!r}).decode())"


@dataclass(frozen=True)
class Checked:
    """What a model was asked, and the report."""

    calls: list[Call]
    report: Report


async def check(verifier: Verifier, backend: ScriptedBackend, texts: Sequence[str]) -> Checked:
    """Check a solution whose problem is the first text and whose steps are all of them.

    A step's verification prints its text, and says the next of ``WORDS``.
    """
    scripts = [
        SETUP.script((word,), code=prints(text)) for word, text in zip(cycle(WORDS), texts, strict=False)
    ]
    written = tuple(text for script in scripts for text in script.texts)
    backend.follow(Script(written, tuple(reading for script in scripts for reading in script.readings)))
    report = await verifier.check(list(texts), problem=texts[0])
    assert backend.is_through
    return Checked(backend.calls, report)


def acts(checked: Checked) -> list[object]:
    """What was done, in order, and the special tokens of it."""
    return [
        (call.act, call.sequence, call.asked, call.tokens and call.tokens.special) for call in checked.calls
    ]


def judgements(report: Report) -> list[object]:
    """What a report says of each step."""
    return [
        (step.label, step.score, path.verdict, path.score, path.degraded, len(path.code_runs))
        for step in report.steps
        for path in step.paths
    ]


@pytest.mark.parametrize(("style", "history"), [("chat", History.STEPS), ("reference", History.RATIONALES)])
async def test_a_report_is_the_model_s(
    backend: ScriptedBackend, style: PromptStyle, history: History
) -> None:
    settings = VerifierSettings(style=style, history=history, analysis_tokens=10**5, turn_tokens=10**5)
    usual: dict[int, Checked] = {}
    async with Verifier(backend=backend, settings=settings) as verifier:
        for start in range(0, len(CORPUS), TOGETHER):
            texts = [injection.text for injection in CORPUS[start : start + TOGETHER]]
            marks = [f"{HARMLESS} ({number})" for number in range(len(texts))]
            if len(texts) not in usual:
                usual[len(texts)] = await check(verifier, backend, marks)
            harmless = usual[len(texts)]
            labels = [label for label, _ in zip(cycle(LABELS), texts, strict=False)]
            assert [step.label for step in harmless.report.steps] == labels
            checked = await check(verifier, backend, texts)
            assert acts(checked) == acts(harmless)
            assert judgements(checked.report) == judgements(harmless.report)
            for name in ("verdict", "first_error", "total_steps", "stopped"):
                assert getattr(checked.report, name) == getattr(harmless.report, name)
            assert [step.text for step in checked.report.steps] == texts
            steps = zip(checked.report.steps, harmless.report.steps, strict=True)
            for text, mark, (step, before) in zip(texts, marks, steps, strict=True):
                change = Substitution(((prints(mark), prints(text)), (mark, text[:KEPT].rstrip("\n"))))
                assert step.paths[0].text == change.in_text(before.paths[0].text)
            backend.forget()
