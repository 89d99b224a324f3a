"""What a path sees of earlier steps, on the bundled model: its own verifications, shared ones, or none."""

from __future__ import annotations

import pytest

from genprm_sdk import Adaptive, Cascade, History, Reasoning, Report, Sampling, Verifier, VerifierSettings
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.types import StepResult

pytestmark = pytest.mark.anyio
PROBLEM = "((3 + 4 * 2) - (5 - -6)) ="
RIGHT = [
    'This equation can be written as "(A - B)", where A = (3 + 4 * 2) and B = (5 - -6).',
    "Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11.",
    "Let's calculate B = (5 - -6) = (5 + 6) = 11.",
    "Then, the final equation is (A - B) = (11 - 11) = 0. So the answer is 0",
]
HOT = Sampling(temperature=1.9, top_p=1.0, top_k=0)
"""So hot that paths disagree."""
SHORT = VerifierSettings(style="chat", history=History.RATIONALES, analysis_tokens=60, turn_tokens=300)


def labels(report: Report) -> list[str]:
    return [step.label for step in report.steps]


def numbers(step: StepResult) -> list[int]:
    return [path.index for path in step.paths]


async def test_leaving_paths_out_changes_no_label_and_those_that_are_needed_later_catch_up() -> None:
    caught_up = left_out = 0
    async with Verifier("genprm-mini", threads=1, exact=True, sampling=HOT) as verifier:
        for seed in range(3):
            fixed = await verifier.check(RIGHT[:3], problem=PROBLEM, samples=5, seed=seed, adaptive=False)
            adaptive = await verifier.check(RIGHT[:3], problem=PROBLEM, samples=5, seed=seed)
            assert labels(adaptive) == labels(fixed)
            for less, more in zip(adaptive.steps, fixed.steps, strict=True):
                for path in (*less.paths, *less.extra):
                    twin = more.paths[path.index]
                    assert (path.text, path.score) == (twin.text, twin.score)
                left_out += 5 - len(less.paths)
                caught_up += len(less.extra)
    assert left_out
    assert caught_up


async def test_paths_without_code_need_not_catch_up() -> None:
    async with Verifier("genprm-mini", threads=1, sampling=HOT, reasoning="analysis") as verifier:
        report = await verifier.check(RIGHT, problem=PROBLEM, samples=8, adaptive=Adaptive(0.2))
    assert {len(step.paths) for step in report.steps} != {8}
    assert not any(step.extra for step in report.steps)


async def test_shared_history_begins_every_path_with_the_text_and_the_variables_of_path_0() -> None:
    async with Verifier("genprm-mini", threads=1, history="shared") as verifier:
        report = await verifier.check(RIGHT, problem=PROBLEM, samples=3, adaptive=False)
        assert report.history == History.SHARED
        # A path that gives up its code part forks once more, so it shares its prompt twice.
        shared = [{path.usage.shared_tokens for path in step.paths} for step in report.steps]
        assert all(max(step) % min(step) == 0 for step in shared)
        assert min(shared[1]) - min(shared[0]) > 60
        backend = verifier._opened
        assert isinstance(backend, LlamaCppBackend)
        assert backend.snapshot().open == 0


@pytest.mark.parametrize("capacity", [2, 16])
async def test_paths_of_their_own_history_need_no_more_room_than_there_is(capacity: int) -> None:
    async with Verifier(
        "genprm-mini", settings=SHORT, threads=1, capacity=capacity, context=4096
    ) as verifier:
        report = await verifier.check(RIGHT[:3], problem=PROBLEM, samples=5, seed=1)
        assert [numbers(step) for step in report.steps] == [[0, 1, 2, 3, 4]] * 3
        growth = [step.paths[0].usage.shared_tokens for step in report.steps]
        assert growth[1] - growth[0] > 60


async def test_a_path_of_its_own_history_that_is_left_out_is_out_for_good() -> None:
    async with Verifier("genprm-mini", settings=SHORT, threads=1) as verifier:
        report = await verifier.check(RIGHT, problem=PROBLEM, samples=8, adaptive=Adaptive(0.1))
        counts = [len(step.paths) for step in report.steps]
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] < 8
        assert [numbers(step) for step in report.steps] == [list(range(count)) for count in counts]
        everybody = await verifier.check(RIGHT[:2], problem=PROBLEM, samples=4)
        assert [len(step.paths) for step in everybody.steps] == [4, 4]


@pytest.mark.parametrize("style", ["chat", "reference"])
@pytest.mark.parametrize("history", [History.RATIONALES, History.SHARED])
async def test_what_the_context_cannot_hold_is_forgotten_and_reported(style: str, history: History) -> None:
    settings = VerifierSettings(
        style="chat" if style == "chat" else "reference",
        history=history,
        analysis_tokens=60,
        turn_tokens=300,
    )
    async with Verifier("genprm-mini", settings=settings, threads=1, context=1024) as verifier:
        report = await verifier.check(RIGHT * 2, problem=PROBLEM, samples=2, adaptive=False)
    forgotten = [step.paths[0].forgotten for step in report.steps]
    assert len(forgotten) == 8
    assert forgotten[0] == 0
    assert forgotten == sorted(forgotten)
    assert forgotten[-1] > 0
    assert report.stopped is None
    assert report.diagnostics.forgetful > 0


async def test_a_cascade_runs_deeper_paths_in_their_own_sessions() -> None:
    async with Verifier("genprm-mini", threads=1) as verifier:
        cascade = Cascade(stages=("direct", "analysis+code"), unsure=(0.0, 1.0))
        report = await verifier.check(RIGHT, problem=PROBLEM, samples=2, cascade=cascade)
        assert report.reasoning == (Reasoning.DIRECT, Reasoning.ANALYSIS_CODE)
        for step in report.steps:
            assert [path.reasoning for path in step.cheaper] == [Reasoning.DIRECT] * 2
            assert [path.reasoning for path in step.paths] == [Reasoning.ANALYSIS_CODE] * 2
            assert all(run.status == "ok" for path in step.paths for run in path.code_runs)
        sure = Cascade(stages=("direct", "analysis+code"), unsure=(0.5, 0.5))
        cheap = await verifier.check(RIGHT, problem=PROBLEM, cascade=sure)
        assert cheap.usage.code_runs == 0
        assert not any(step.cheaper for step in cheap.steps)
