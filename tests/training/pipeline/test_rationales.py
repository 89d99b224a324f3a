"""Rationales, consensus and conversations: what was written, what agrees, and what is trained on."""

from __future__ import annotations

from types import ModuleType

import pytest

from genprm_sdk import Verifier, wording
from genprm_sdk.backends import Sampling
from genprm_sdk.sandbox import Sandbox
from genprm_sdk.training.pipeline.consensus import ConsensusSettings, agree
from genprm_sdk.training.pipeline.dataset import DatasetSettings, conversation
from genprm_sdk.training.pipeline.rationales import (
    VerifierTeacher,
    WriterTeacher,
    rationalise,
    read_critique,
    request,
)
from genprm_sdk.training.pipeline.records import (
    Conversation,
    Drop,
    Estimate,
    Kept,
    Labelled,
    Problem,
    Rationale,
    Rollout,
    Scored,
    StepLabel,
    Turn,
)
from genprm_sdk.training.pipeline.turns import assembled_turn, written_spans
from genprm_sdk.types import CodeRun, Solution

pytestmark = pytest.mark.anyio


def scored(*steps: str, problem: str = "P", start: str = "11") -> Scored:
    return Scored(
        problem=Problem(text=problem, answer="1"),
        rollout=Rollout(steps=steps, separator="\n\n", correct=False, number=0),
        start=Estimate(outcomes=start),
        estimates=tuple(Estimate(outcomes="10") for _ in steps),
    )


def labelled(rationale: Rationale, *labels: bool) -> Labelled:
    return Labelled(
        rationale=rationale,
        labels=tuple(
            StepLabel(correct=label, value=1.0, low=0.5, high=2.0, confidence=0.9) for label in labels
        ),
    )


def turn(step: int, correct: bool, status: str = "ok") -> Turn:
    run = CodeRun.model_validate({"code": "print(1)", "status": status, "feedback": "1"})
    code = f"print(1){wording.CODE_FENCE_CLOSE}{wording.code_output('1')}"
    return assembled_turn(step, correct, "It says so.", code, [run])


def judged_by(labels: tuple[bool, ...], judged: tuple[bool | None, ...], **changes: str) -> Labelled:
    path = tuple(turn(step, bool(each), **changes) for step, each in enumerate(judged) if each is not None)
    solution = scored(*(f"Step {number}: s" for number in range(1, len(labels) + 1)))
    return labelled(Rationale(**dict(solution), judged=judged, paths=(path,)), *labels)


EVERY, FIRST = ConsensusSettings(), ConsensusSettings(compare="first_error")


def test_agreement_on_every_step_is_kept() -> None:
    assert isinstance(agree(judged_by((True, False), (True, False)), EVERY), Kept)


@pytest.mark.parametrize(
    ("labels", "judged", "reason"),
    [
        ((True, True), (True, False), "rejects a step"),
        ((False, False), (True, False), "accepts a step"),
        ((True, True), (None, True), "no readable verdict"),
        ((False, True), (False, None), "rejects a step"),
    ],
)
def test_disagreement_is_dropped_with_its_reason(
    labels: tuple[bool, ...], judged: tuple[bool | None, ...], reason: str
) -> None:
    dropped = agree(judged_by(labels, judged), EVERY)
    assert isinstance(dropped, Drop)
    assert reason in dropped.reason


def test_behind_the_first_error_nothing_is_compared_where_that_is_asked_for() -> None:
    made = judged_by((True, False, False), (True, False, True))
    assert isinstance(agree(made, EVERY), Drop)
    kept = agree(made, FIRST)
    assert isinstance(kept, Kept)
    assert len(kept.turns) == 2


def test_a_writer_that_stops_behind_the_first_error_agrees_with_scores_of_zero() -> None:
    kept = agree(judged_by((True, False, False), (True, False, None)), EVERY)
    assert isinstance(kept, Kept)
    assert len(kept.turns) == 2


def test_code_that_failed_is_not_kept() -> None:
    made = judged_by((True,), (True,), status="error")
    assert isinstance(agree(made, EVERY), Drop)
    assert isinstance(agree(made, ConsensusSettings(failed_code=True)), Drop)


def test_what_is_trained_on_is_neither_forced_nor_printed() -> None:
    made = turn(3, True)
    written = [made.text[start:end] for start, end in made.written]
    assert "".join(written).count("```") == 1
    assert not any(wording.analysis_opening(3) in text or "[Code Output]" in text for text in written)
    assert written[-1] == f"{wording.VERIFY_CLOSE}{wording.VERDICT_OPENING}{wording.verdict(True)}"
    without = assembled_turn(0, False, "No.", None, [])
    assert [without.text[a:b] for a, b in without.written] == ["No.\n</analyze>\n", wording.verdict(False)]
    assert written_spans("text", 0, []) == ((0, 4),)
    missing = CodeRun(code="1", status="ok", feedback="not there")
    assert written_spans(made.text, 3, [missing]) is None


def test_a_conversation_has_a_message_for_each_step_and_its_verification() -> None:
    kept = agree(judged_by((True, True), (True, True)), EVERY)
    assert isinstance(kept, Kept)
    made = conversation(kept, DatasetSettings())
    assert isinstance(made, Conversation)
    assert [m.role for m in made.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert made.messages[1].content == "P\nStep 1: s"
    assert made.messages[3].content == "Step 2: s"
    assert {message for message, _, _ in made.train} == {2, 4}
    for message, start, end in made.train:
        assert 0 <= start < end <= len(made.messages[message].content)


def test_a_critique_without_an_index_or_a_section_gives_nothing() -> None:
    assert read_critique("### Paragraph 1\n<analyze>a</analyze>", 2, []) == ((None, None), ())
    assert read_critique("\\boxed{3}", 2, []) == ((None, None), ())
    assert read_critique("\\boxed{1} or\n</think>no", 1, []) == ((None,), ())
    labels, paths = read_critique("\\boxed{2}", 3, [])
    assert labels == (True, False, None)
    assert paths == ((),)


async def test_a_writers_code_runs_while_it_writes(sums: ModuleType) -> None:
    steps = ("Step 1: 3 + 4 = 7.", "Step 2: 7 + 6 = 12. The answer is \\boxed{12}.", "Step 3: 1 + 1 = 2.")
    solution = Solution(problem="What is 3 + 4 + 6?", steps=steps)
    assert "<paragraph_2>\nStep 2: 7 + 6" in request(solution)
    model = sums.Sums()
    async with Sandbox(max_sessions=1) as sandbox:
        teacher = WriterTeacher(model, sandbox, Sampling(), 10_000, 8)
        made = await rationalise(scored(*steps), teacher, 0, to_first_error=False)
    assert isinstance(made, Rationale)
    assert made.judged == (True, False, None)
    kept = agree(labelled(made, True, False, False), EVERY)
    assert isinstance(kept, Kept)
    assert "[Code Output]\n\n```\nFalse\n```" in kept.turns[1].text
    assert kept.turns[1].text.endswith("$\\boxed{No}$\n</output>\n")
    assert model.open_now == 0


async def test_a_verifiers_paths_are_rationales() -> None:
    steps = ("Step 1: 11 - 8 = 3. Now -13 * 3.", "Step 2: -13 * 3 = -39. The answer is \\boxed{-39}.")
    async with Verifier("genprm-mini") as verifier:
        teacher = VerifierTeacher(verifier, 2)
        made = await rationalise(scored(*steps, problem="-13 * (11 - 8) ="), teacher, 0, to_first_error=False)
    assert isinstance(made, Rationale)
    assert made.judged == (True, True)
    assert [len(path) for path in made.paths] == [2, 2]
    kept = agree(labelled(made, True, True), EVERY)
    assert isinstance(kept, Kept)
    assert all(turn.written and turn.code for turn in kept.turns)


async def test_a_verifier_stops_behind_the_first_step_that_it_finds_wrong() -> None:
    steps = (
        "Step 1: 11 - 8 = 3. Now -13 * 3.",
        "Step 2: -13 * 3 = -38.",
        "Step 3: The answer is \\boxed{-38}.",
    )
    async with Verifier("genprm-mini") as verifier:
        made = await rationalise(
            scored(*steps, problem="-13 * (11 - 8) ="), VerifierTeacher(verifier, 1), 0, to_first_error=True
        )
    assert isinstance(made, Rationale)
    assert made.judged == (True, False, None)
    kept = agree(labelled(made, True, False, False), FIRST)
    assert isinstance(kept, Kept)
    assert len(kept.turns) == 2
    assert isinstance(agree(labelled(made, True, True, False), FIRST), Drop)
    assert isinstance(agree(labelled(made, False, False, False), FIRST), Drop)


async def test_no_teacher_is_asked_about_a_problem_that_no_completion_solves(sums: ModuleType) -> None:
    model = sums.Sums()
    async with Sandbox(max_sessions=1) as sandbox:
        teacher = WriterTeacher(model, sandbox, Sampling(), 10_000, 8)
        made = await rationalise(scored("Step 1: s", start="00"), teacher, 0, to_first_error=False)
    assert made == Drop(reason="no completion solves the problem")
    assert not model.generations
