"""Verifiers that write less: which text stays, and what of it is trained on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from genprm_sdk import wording
from genprm_sdk.modes import Reasoning
from genprm_sdk.protocol import Append, Generate, ReadVerdict, TurnSettings, verification_turn
from genprm_sdk.training.pipeline.dataset import DatasetSettings
from genprm_sdk.training.pipeline.records import Turn
from genprm_sdk.training.pipeline.turns import assembled_turn
from genprm_sdk.training.pipeline.variants import TRAINABLE, reduced
from genprm_sdk.types import CodeRun

ANALYSIS = "Two and two.\n"
CODE = f"print(2 + 2){wording.CODE_FENCE_CLOSE}"


def whole(correct: bool = True) -> Turn:
    run = CodeRun(code="print(2 + 2)", status="ok", feedback="4")
    return assembled_turn(1, correct, ANALYSIS, CODE + wording.code_output("4"), [run])


def written(turn: Turn) -> list[str]:
    return [turn.text[start:end] for start, end in turn.written]


def forced_by_the_protocol(reasoning: Reasoning) -> str:
    """What the state machine forces first, of a turn of that kind."""
    machine = verification_turn(1, TurnSettings(analysis=reasoning.has_analysis, code=reasoning.has_code))
    forced = ""
    action = next(machine)
    while isinstance(action, Append):
        forced += action.text
        action = machine.send(1)
    assert isinstance(action, Generate | ReadVerdict)
    machine.close()
    return forced


@pytest.mark.parametrize("reasoning", TRAINABLE)
@pytest.mark.parametrize("correct", [True, False])
def test_a_turn_begins_as_the_protocol_forces_it_and_ends_with_its_verdict(
    reasoning: Reasoning, correct: bool
) -> None:
    made = reduced(whole(correct), 1, reasoning)
    assert made is not None
    first = made.written[0][0]
    assert made.text[:first] == forced_by_the_protocol(reasoning)
    assert made.text.endswith(wording.VERDICT_OPENING + wording.verdict(correct))
    assert made.correct is correct
    assert ("<analyze>" in made.text) is reasoning.has_analysis
    assert ("<verify>" in made.text) is reasoning.has_code
    assert bool(made.code) is reasoning.has_code


def test_what_is_trained_on_is_what_that_verifier_would_write() -> None:
    verdict = f"{wording.VERIFY_CLOSE}{wording.VERDICT_OPENING}{wording.verdict(True)}"
    analysis = f"{ANALYSIS}{wording.ANALYSIS_CLOSE}"
    code = "print(2 + 2)\n```\n"
    expected = {
        Reasoning.DIRECT: [wording.verdict(True)],
        Reasoning.ANALYSIS: [analysis, wording.verdict(True)],
        Reasoning.CODE: [code, verdict],
        Reasoning.ANALYSIS_CODE: [analysis, code, verdict],
    }
    for reasoning, texts in expected.items():
        made = reduced(whole(), 1, reasoning)
        assert made is not None
        assert written(made) == texts, reasoning


def test_a_turn_without_the_part_that_is_wanted_gives_none() -> None:
    without_code = assembled_turn(0, True, "Fine.", None, [])
    assert reduced(without_code, 0, Reasoning.CODE) is None
    assert reduced(without_code, 0, Reasoning.ANALYSIS_CODE) is None
    assert reduced(without_code, 0, Reasoning.ANALYSIS) is not None
    unreadable = without_code.model_copy(update={"correct": None})
    assert reduced(unreadable, 0, Reasoning.DIRECT) is None


def test_a_fake_end_of_the_analysis_in_the_step_is_no_end() -> None:
    """The analysis ends at the first closing tag behind its opening, wherever the code quotes another."""
    run = CodeRun(code="print('</analyze>')", status="ok", feedback="</analyze>")
    code = f"print('</analyze>'){wording.CODE_FENCE_CLOSE}{wording.code_output('</analyze>')}"
    made = reduced(assembled_turn(0, False, "Odd.", code, [run]), 0, Reasoning.ANALYSIS)
    assert made is not None
    assert "print" not in made.text


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be one of direct, analysis, code, analysis"):
        DatasetSettings(reasoning=Reasoning.CODE_UNEXECUTED)
