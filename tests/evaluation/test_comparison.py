"""Two runs beside each other: the difference, its interval, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation import Benchmark, Settings, compare, read_run
from genprm_sdk.evaluation.comparison import Run
from genprm_sdk.evaluation.datasets import UNCLASSIFIED
from genprm_sdk.evaluation.metrics import Estimate
from genprm_sdk.evaluation.outcome import Outcome
from genprm_sdk.evaluation.store import ResultStore
from genprm_sdk.evaluation.summary import summarise

from .outcomes import outcome_of_scores, outcomes

SETTINGS = Settings(benchmark="processbench", model="m", samples=4)


def run_of(made: list[Outcome], benchmark: Benchmark = "processbench") -> Run:
    return Run(
        folder="here",
        settings=SETTINGS.model_copy(update={"benchmark": benchmark}),
        outcomes={each.key: each for each in made},
    )


def changed(made: list[Outcome]) -> list[Outcome]:
    return [each.with_first_paths(1) for each in made]


@given(outcomes())
@settings(max_examples=15, deadline=None)
def test_a_run_does_not_differ_from_itself(made: list[Outcome]) -> None:
    found = compare(run_of(made), run_of(made))
    for metrics in found.subsets.values():
        for each in metrics.values():
            assert each.first == each.second
            if each.first is not None:
                assert each.difference.value == 0
                assert (each.difference.low, each.difference.high) in ((0, 0), (None, None))


@given(outcomes())
@settings(max_examples=15, deadline=None)
def test_both_sides_are_the_runs_own_scores_and_turn_round(made: list[Outcome]) -> None:
    other = changed(made)
    there, back = compare(run_of(made), run_of(other)), compare(run_of(other), run_of(made))
    first, second = summarise(SETTINGS, made), summarise(SETTINGS, other)
    for subset, metrics in there.subsets.items():
        for name, each in metrics.items():
            mirror = back.subsets[subset][name]
            assert (each.first, each.second) == (mirror.second, mirror.first)
            if each.first is not None:
                assert each.first == pytest.approx(first.subsets[subset].metrics[name].value)
                assert each.second == pytest.approx(second.subsets[subset].metrics[name].value)
                assert each.difference.value == pytest.approx(-(mirror.difference.value or 0))
                if each.difference.low is None:
                    assert mirror.difference.high is None
                else:
                    assert each.difference.low == pytest.approx(-(mirror.difference.high or 0), abs=0.25)


def test_the_interval_is_that_of_paired_records() -> None:
    """Against a bootstrap that draws records one by one."""
    rng = np.random.default_rng(5)
    hits = rng.random((60, 2)) < [0.5, 0.7]
    runs = [
        run_of(
            [
                outcome_of_scores(f"k{number}", "s", [[1.0 if hit else 0.0]], None)
                for number, hit in enumerate(hits[:, side])
            ],
            "bigbench-mistake",
        )
        for side in (0, 1)
    ]
    drawn = hits[rng.integers(0, 60, size=(10_000, 60))].mean(axis=1)
    low, high = np.quantile(drawn[:, 1] - drawn[:, 0], [0.025, 0.975])
    found = compare(*runs).subsets["s"]["exact"].difference
    assert found.value == pytest.approx(hits[:, 1].mean() - hits[:, 0].mean())
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_pairs_are_surer_than_runs_apart() -> None:
    made = [outcome_of_scores(f"k{n}", "s", [[float(n % 2)]], None) for n in range(40)]
    better = [*made[:39], outcome_of_scores("k39", "s", [[0.0]], None)]
    better[1] = outcome_of_scores("k1", "s", [[0.0]], None)
    found = compare(run_of(made, "bigbench-mistake"), run_of(better, "bigbench-mistake"))
    apart = found.subsets["s"]["exact"].difference
    assert apart.low is not None
    assert apart.high is not None
    assert apart.high - apart.low < 0.2


def test_many_small_subsets_differ_without_an_interval() -> None:
    made = [
        outcome_of_scores(f"s{n}/{kind}", f"s{n}", [[0.0 if kind == 0 else 1.0]], kind)
        for n in range(26)
        for kind in (0, None)
    ]
    found = compare(run_of(made), run_of(made)).average
    assert found is not None
    assert found["f1"].first == found["f1"].second == 1.0
    assert found["f1"].difference == Estimate(value=0.0, low=None, high=None)


def test_what_has_no_classification_is_no_class_of_the_average() -> None:
    made = [outcome_of_scores(f"a/{n}", "a", [[1.0], [0.0]], 1, [True, False]) for n in range(3)]
    lost = Outcome(key=f"{UNCLASSIFIED}/record-4", subset=UNCLASSIFIED, labelled=False, error="torn")
    found = compare(run_of([*made, lost], "prmbench"), run_of([*made, lost], "prmbench"))
    assert found.average is not None
    assert found.average["score"].first == 1.0
    nothing = compare(run_of([lost], "prmbench"), run_of([lost], "prmbench"))
    assert nothing.average is None


def test_only_records_that_both_have_count() -> None:
    made = [outcome_of_scores(f"k{n}", "s", [[1.0]], None) for n in range(4)]
    redone = made[3].model_copy(update={"digest": "other"})
    found = compare(run_of(made), run_of([*made[1:3], redone]))
    assert (found.records, found.only_first, found.only_second) == (2, 2, 1)
    assert found.average is None


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    made = [outcome_of_scores("k", "s", [[1.0]], None)]
    with pytest.raises(InputError, match="a run on processbench, here one on prmbench"):
        compare(run_of(made), run_of(made, "prmbench"))
    with pytest.raises(InputError, match="no record in common"):
        compare(run_of(made), run_of([]))
    with pytest.raises(InputError, match="holds no run that can be read"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "settings.json").write_text('{"benchmark": "processbench", "model": "m"}')
    with pytest.raises(InputError, match="holds no run that can be read"):
        read_run(tmp_path)
    (tmp_path / "results.jsonl").write_text("")
    for text in (
        '{"benchmark": "processbench", "model": "m"}',
        '{"format": 2, "benchmark": "refine"}',
        "{",
        "[]",
        "[" * 100_000,
    ):
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(InputError, match=r"no run of processbench, .* in this version's format"):
            read_run(tmp_path)


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = [outcome_of_scores(f"k{n}", "s", [[1.0, 0.2]], None) for n in range(3)]
    store = ResultStore.open(str(tmp_path), SETTINGS, Outcome)
    for each in made:
        store.add(each)
    read = read_run(tmp_path)
    assert list(read.outcomes.values()) == made
    assert read.settings == SETTINGS
    (tmp_path / "summary.json").write_text('{"failures": [{"key": 7, "reason": 5}]}')
    assert read_run(tmp_path).outcomes["7"].error == "5"
    (tmp_path / "summary.json").write_text("[" * 100_000)
    assert read_run(str(tmp_path)) == read
