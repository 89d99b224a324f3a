"""Which paths judge which step, and when that is enough: decided by numbers and seeds, never by speed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk import check as check_module
from genprm_sdk.check import Check, Places
from genprm_sdk.errors import BackendError, ContextLengthError, SandboxError
from genprm_sdk.events import Event, Finished, PathFinished, StepFinished, StepStarted
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.options import Adaptive, Budget, Cascade, CheckOptions, Plan
from genprm_sdk.slots import Slots
from genprm_sdk.types import Report, Solution, Usage, VerificationPath
from genprm_sdk.voting import combine_paths

thorough = settings(max_examples=150, derandomize=True, deadline=None, database=None)

Score = float | None
Table = list[list[Score]]
"""A score for each step and path."""


class ToldPaths:
    """Paths whose scores are told beforehand, by step, stage and number; who is faster is chance."""

    def __init__(
        self,
        score: Callable[[int, int, int], Score],
        samples: int,
        rng: random.Random,
        failures: dict[tuple[int, int], Exception] | None = None,
        leaves: bool = False,
    ) -> None:
        self.score = score
        self.rng = rng
        self.failures = failures or {}
        self.leaves = leaves
        self.step = 0
        self.alive = list(range(samples))
        self.asked: list[tuple[int, int, int]] = []
        self.closed = False

    def ready(self) -> list[int]:
        return list(self.alive)

    async def verify(self, path: int, stage: int) -> VerificationPath:
        self.asked.append((self.step, stage, path))
        for _ in range(self.rng.randrange(5)):
            await asyncio.sleep(0)
        if (self.step, path) in self.failures:
            raise self.failures[self.step, path]
        score = self.score(self.step, stage, path)
        return VerificationPath(
            index=path,
            verdict=None if score is None else "yes" if score >= 0.5 else "no",
            score=score,
            reasoning=list(Reasoning)[stage],
            text="",
            usage=Usage(generated_tokens=10),
        )

    async def advance(self) -> None:
        asked = {path for step, _, path in self.asked if step == self.step}
        if self.leaves:
            self.alive = [path for path in self.alive if path in asked]
        if (self.step, -1) in self.failures:
            raise self.failures[self.step, -1]
        self.step += 1

    async def close(self) -> None:
        self.closed = True


def run(paths: ToldPaths, steps: int, stages: int = 1, **options: Any) -> tuple[Report, list[Event]]:
    events: list[Event] = []
    given_options = CheckOptions(samples=len(paths.alive), adaptive=False)
    given_options.update(options)  # type: ignore[typeddict-item]
    plan = Plan.of(given_options, Reasoning.ANALYSIS_CODE, auto_adaptive=False)
    method = SimpleNamespace(executes=False)
    backend = SimpleNamespace(name="told", capacity=64, prompts_at_once=64)
    places = Places(Slots(64), Slots(64))

    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[ToldPaths]:
        try:
            yield paths
        finally:
            await paths.close()

    solution = Solution(steps=tuple(f"step {number}" for number in range(steps)))
    check = Check(
        backend,
        None,
        places,
        History.STEPS,
        method,
        plan,
        solution,
        events.append,  # type: ignore[arg-type]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_module, "open_paths", opened)
        try:
            return asyncio.run(check.run()), events
        finally:
            assert paths.closed


def of_table(table: Table) -> Callable[[int, int, int], Score]:
    return lambda step, stage, path: table[step][path]


scores = st.one_of(st.none(), st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]), st.floats(0, 1))
tables = st.integers(1, 9).flatmap(
    lambda samples: st.lists(st.lists(scores, min_size=samples, max_size=samples), min_size=1, max_size=4)
)


@thorough
@given(tables, st.integers())
def test_leaving_out_what_cannot_matter_changes_no_label(table: Table, seed: int) -> None:
    samples = len(table[0])
    fixed, _ = run(ToldPaths(of_table(table), samples, random.Random(seed)), len(table))
    adaptive, _ = run(
        ToldPaths(of_table(table), samples, random.Random(seed)), len(table), adaptive=Adaptive()
    )
    assert [step.label for step in adaptive.steps] == [step.label for step in fixed.steps]
    assert adaptive.verdict == fixed.verdict
    for less, more in zip(adaptive.steps, fixed.steps, strict=True):
        assert less.paths == more.paths[: len(less.paths)]


@thorough
@given(tables, st.integers(), st.integers(), st.sampled_from([None, 0.05, 0.2]))
def test_who_is_faster_decides_nothing(table: Table, one: int, other: int, error: float | None) -> None:
    options = {"adaptive": Adaptive(error=error), "stop_at_first_error": True}
    reports = [
        run(ToldPaths(of_table(table), len(table[0]), random.Random(seed)), len(table), **options)[0]
        for seed in (one, other)
    ]
    assert reports[0].steps == reports[1].steps


def test_paths_that_agree_are_enough_within_the_error_bound() -> None:
    told = ToldPaths(lambda step, stage, path: 0.99, 8, random.Random(0))
    report, _ = run(told, 2, adaptive=Adaptive(error=0.1))
    assert [[path.index for path in step.paths] for step in report.steps] == [[0, 1, 2]] * 2
    assert report.stopped is None


def test_with_a_history_of_its_own_a_path_that_was_left_out_stays_out() -> None:
    table: Table = [[0.9] * 8, [0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1]]
    told = ToldPaths(of_table(table), 8, random.Random(0), leaves=True)
    report, _ = run(told, 2, adaptive=Adaptive(error=0.1))
    assert [len(step.paths) for step in report.steps] == [3, 3]


def test_a_cascade_goes_deeper_only_where_it_is_unsure() -> None:
    by_stage = {0: [0.95, 0.6, 0.6], 1: [None, 0.05, 0.4], 2: [None, None, 0.8]}
    told = ToldPaths(lambda step, stage, path: by_stage[stage][step], 2, random.Random(0))
    report, _ = run(told, 3, cascade=Cascade())
    assert [len({stage for at, stage, _ in told.asked if at == step}) for step in range(3)] == [1, 2, 3]
    assert [step.score for step in report.steps] == [0.95, 0.05, pytest.approx(0.8)]
    assert [len(step.cheaper) for step in report.steps] == [0, 2, 4]
    assert [len(step.paths) for step in report.steps] == [2, 2, 2]
    assert report.usage.generated_tokens == 120


def test_stop_at_first_error_says_so() -> None:
    told = ToldPaths(of_table([[0.9], [0.1], [0.9]]), 1, random.Random(0))
    report, events = run(told, 3, stop_at_first_error=True)
    assert (report.verdict, report.first_error, report.stopped) == ("incorrect", 1, "first_error")
    assert (len(report.steps), report.total_steps) == (2, 3)
    at_the_end = run(ToldPaths(of_table([[0.9], [0.1]]), 1, random.Random(0)), 2, stop_at_first_error=True)
    assert at_the_end[0].stopped is None
    assert [type(event) for event in events] == [*(StepStarted, PathFinished, StepFinished) * 2, Finished]


@pytest.mark.parametrize(
    ("budget", "why", "verifications"),
    [
        (Budget(samples=10), "samples", 10),
        (Budget(tokens=95), "tokens", 10),
        (Budget(tokens=40), "tokens", 4),
        (Budget(samples=1), "samples", 1),
        (Budget(samples=12, tokens=1000), None, 12),
    ],
)
def test_a_budget_gives_the_best_answer_so_far(budget: Budget, why: str | None, verifications: int) -> None:
    told = ToldPaths(lambda step, stage, path: 0.9, 4, random.Random(0))
    report, _ = run(told, 3, budget=budget)
    assert len(told.asked) == verifications
    assert report.stopped == why
    assert sum(len(step.paths) for step in report.steps) == verifications
    assert report.verdict == ("correct" if len(report.steps) == 3 else "incomplete")
    assert {step.label for step in report.steps} == {"correct"}


def test_a_budget_of_tokens_is_overrun_by_less_than_one_verification() -> None:
    for tokens in range(10, 130, 7):
        told = ToldPaths(lambda step, stage, path: 0.9, 4, random.Random(0))
        report, _ = run(told, 3, budget=Budget(tokens=tokens))
        assert report.usage.generated_tokens < tokens + 10


def test_a_budget_of_seconds_keeps_what_has_finished() -> None:
    class Slow(ToldPaths):
        async def verify(self, path: int, stage: int) -> VerificationPath:
            if self.step == 1 and path:
                await asyncio.sleep(30)
            return await super().verify(path, stage)

    slow = Slow(lambda step, stage, path: 0.9, 3, random.Random(0))
    report, events = run(slow, 3, budget=Budget(seconds=0.2))
    assert report.stopped == "seconds"
    assert [len(step.paths) for step in report.steps] == [3, 1]
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, StepFinished) for event in events) == 2


def test_a_step_that_does_not_fit_ends_the_check_and_says_so() -> None:
    told = ToldPaths(lambda *_: 0.9, 2, random.Random(0), {(1, -1): ContextLengthError("step 2: too long")})
    report, _ = run(told, 4)
    assert (report.stopped, report.verdict, len(report.steps)) == ("context", "incomplete", 2)


@pytest.mark.parametrize("error", [BackendError("the engine died"), SandboxError("no worker")])
def test_an_error_carries_what_was_finished(error: Exception) -> None:
    told = ToldPaths(of_table([[0.9, 0.9], [0.1, 0.1]]), 2, random.Random(0), {(1, 1): error})
    with pytest.raises(type(error), match=str(error)) as raised:
        run(told, 2)
    report = raised.value.report  # type: ignore[attr-defined]
    assert report.steps[0].label == "correct"
    assert len(report.steps[0].paths) == 2
    at_once = ToldPaths(lambda *_: 0.9, 1, random.Random(0), {(0, 0): BackendError("the engine died")})
    with pytest.raises(BackendError) as nothing:
        run(at_once, 2)
    assert nothing.value.report is None


def test_unread_paths_are_no_evidence() -> None:
    report, _ = run(ToldPaths(of_table([[None, 0.8, None]]), 3, random.Random(0)), 1)
    (step,) = report.steps
    assert (step.label, step.score) == ("correct", 0.8)
    assert step.votes == (1, 0, 2)
    assert (step.label, step.score) == combine_paths(step.paths)
