"""A benchmark run: what is checked, what is kept, and how a stopped one goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Unpack

import pytest

from genprm_sdk.errors import BackendError, ClosedError, ContextLengthError, InputError, ModelFileError
from genprm_sdk.evaluation.datasets import Item, Unreadable
from genprm_sdk.evaluation.outcome import Outcome
from genprm_sdk.evaluation.runner import run
from genprm_sdk.evaluation.settings import Settings
from genprm_sdk.evaluation.store import ResultStore, write_text
from genprm_sdk.evaluation.summary import summarise
from genprm_sdk.modes import Reasoning
from genprm_sdk.options import CheckOptions
from genprm_sdk.types import Label, Report, Solution, StepResult, Usage

SETTINGS = Settings(benchmark="bigbench-mistake", model="fake", samples=1, seed=0, version="1")


def item(name: str, expected: int | None = None, *steps: str) -> Item:
    return Item(
        f"f/{name}", "f", Solution(problem="P", steps=steps or (name,), id=name), expected, f"f:{name}"
    )


class FakeChecker:
    """Calls a step wrong if it says so, and raises what is planned for a record."""

    def __init__(self, errors: dict[str, Exception] | None = None) -> None:
        self.errors = errors or {}
        self.seen: list[str | None] = []

    async def check(self, steps: Solution, **options: Unpack[CheckOptions]) -> Report:
        self.seen.append(steps.id)
        if steps.id in self.errors:
            raise self.errors[steps.id]
        labels: list[Label] = ["incorrect" if "wrong" in text else "correct" for text in steps.steps]
        results = tuple(
            StepResult(index=i, text=text, label=label, score=0.5, paths=())
            for i, (text, label) in enumerate(zip(steps.steps, labels, strict=True))
        )
        first = labels.index("incorrect") if "incorrect" in labels else None
        return Report(
            id=steps.id,
            problem=steps.problem,
            steps=results,
            first_error=first,
            verdict="correct" if first is None else "incorrect",
            model="fake",
            samples=options["samples"],
            seed=options["seed"],
            usage=Usage(generated_tokens=5),
        )


pytestmark = pytest.mark.anyio


async def test_every_record_has_one_outcome_in_order() -> None:
    checker = FakeChecker({"b": ContextLengthError("too long"), "c": BackendError("broke")})
    records = [
        item("a"),
        item("b"),
        Unreadable("f/x", "f", "no label", "f:3"),
        item("c"),
        item("d", 1, "ok", "wrong"),
    ]
    heard: list[Outcome] = []
    outcomes = await run(checker, records, SETTINGS, on_outcome=heard.append)
    assert outcomes == heard
    assert [o.key for o in outcomes] == ["f/a", "f/b", "f/x", "f/c", "f/d"]
    assert [o.error for o in outcomes] == [None, "too long", "f:3: no label", "broke", None]
    assert [o.exact for o in outcomes] == [True, False, False, False, True]
    summary = summarise(SETTINGS, outcomes)
    assert summary.subsets["f"].metrics["exact"].value == pytest.approx(2 / 5)
    assert [f.key for f in summary.failures] == ["f/b", "f/x", "f/c"]
    assert summary.average is None
    assert summary.usage.generated_tokens == 10


@pytest.mark.parametrize("error", [ClosedError("closed"), ModelFileError("damaged")])
async def test_an_error_of_the_model_ends_the_run(error: Exception) -> None:
    checker = FakeChecker({"a": error})
    with pytest.raises(type(error)):
        await run(checker, [item("a"), item("b")], SETTINGS, at_once=1)
    assert checker.seen == ["a"]


async def test_records_are_checked_a_few_at_a_time_and_returned_in_order() -> None:
    running: set[str] = set()
    most = 0

    class SlowChecker(FakeChecker):
        async def check(self, steps: Solution, **options: Unpack[CheckOptions]) -> Report:
            nonlocal most
            running.add(steps.steps[0])
            most = max(most, len(running))
            for _ in range(20 if steps.steps[0].endswith("0") else 2):
                await asyncio.sleep(0)
            running.discard(steps.steps[0])
            return await super().check(steps, **options)

    names = [f"r{number}" for number in range(9)]
    heard: list[str] = []
    outcomes = await run(
        SlowChecker(),
        [item(name) for name in names],
        SETTINGS,
        on_outcome=lambda o: heard.append(o.key),
        at_once=3,
    )
    assert most == 3
    assert [outcome.key for outcome in outcomes] == [item(name).key for name in names]
    assert sorted(heard) == sorted(outcome.key for outcome in outcomes)
    assert heard[0] != outcomes[0].key


async def run_stored(folder: Path, checker: FakeChecker, records: list[Item | Unreadable]) -> list[Outcome]:
    return await run(checker, records, SETTINGS, store=ResultStore.open(folder, SETTINGS, Outcome))


async def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    records: list[Item | Unreadable] = [item("a"), item("b", 0, "wrong"), item("c")]
    stopped = FakeChecker({"c": ClosedError("killed")})
    with pytest.raises(ClosedError):
        await run_stored(tmp_path, stopped, records)
    resumed = FakeChecker()
    outcomes = await run_stored(tmp_path, resumed, records)
    assert resumed.seen == ["c"]
    assert outcomes == await run(FakeChecker(), records, SETTINGS)


def cut_last_line(data: bytes) -> bytes:
    return data[:-20]


def drop_newline(data: bytes) -> bytes:
    return data[:-1]


def break_middle(data: bytes) -> bytes:
    first, second, rest = data.split(b"\n", 2)
    return first + b"\n\xff" + second[5:] + b"\n" + rest


def contradict(data: bytes) -> bytes:
    first, rest = data.split(b"\n", 1)
    return first.replace(b'"labels":null', b'"labels":[true,true,true,true,true,true,true]') + b"\n" + rest


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (contradict, ["a"]),
        (cut_last_line, ["c"]),
        (drop_newline, []),
        (break_middle, ["b"]),
        (lambda d: b"", ["a", "b", "c"]),
    ],
)
async def test_a_damaged_file_loses_only_what_is_damaged(
    damage: Callable[[bytes], bytes], again: list[str], tmp_path: Path
) -> None:
    records: list[Item | Unreadable] = [item("a"), item("b"), item("c")]
    first = await run_stored(tmp_path, FakeChecker(), records)
    results = tmp_path / "results.jsonl"
    results.write_bytes(damage(results.read_bytes()))
    checker = FakeChecker()
    assert await run_stored(tmp_path, checker, records) == first
    assert checker.seen == again
    final = FakeChecker()
    assert await run_stored(tmp_path, final, records) == first
    assert final.seen == []


async def test_failures_are_tried_again_and_changed_records_too(tmp_path: Path) -> None:
    await run_stored(tmp_path, FakeChecker({"a": BackendError("once")}), [item("a"), item("b")])
    checker = FakeChecker()
    outcomes = await run_stored(tmp_path, checker, [item("a"), item("b", None, "other text")])
    assert checker.seen == ["a", "b"]
    assert all(outcome.error is None for outcome in outcomes)


def test_a_folder_belongs_to_its_settings(tmp_path: Path) -> None:
    ResultStore.open(tmp_path, SETTINGS, Outcome)
    ResultStore.open(tmp_path, SETTINGS, Outcome)
    with pytest.raises(InputError, match=r"seed 0 instead of 1, reasoning None instead of"):
        ResultStore.open(
            tmp_path, SETTINGS.model_copy(update={"seed": 1, "reasoning": Reasoning.ANALYSIS}), Outcome
        )
    for text in ("{", "[]", "[" * 100_000):
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(InputError, match="cannot be read"):
            ResultStore.open(tmp_path, SETTINGS, Outcome)
    (tmp_path / "settings.json").unlink()
    (tmp_path / "results.jsonl").write_text("")
    with pytest.raises(InputError, match=r"no settings\.json"):
        ResultStore.open(tmp_path, SETTINGS, Outcome)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        ResultStore.open(tmp_path / "out", SETTINGS, Outcome)


def test_the_summary_replaces_an_older_one(tmp_path: Path) -> None:
    store = ResultStore.open(tmp_path, SETTINGS, Outcome)
    (tmp_path / "summary.json").write_text("old")
    summary = summarise(SETTINGS, [Outcome(key="a", subset="f", verdict="correct")])
    assert json.loads(store.conclude(summary).read_text())["records"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["reports", "settings.json", "summary.json"]


def test_what_cannot_be_written_whole_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    with pytest.raises(OSError, match="page"):
        write_text(tmp_path / "page", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.anyio
async def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    store = ResultStore.open(tmp_path, SETTINGS, Outcome)
    with store.alone():
        with pytest.raises(InputError, match="another process is at work in"):
            ResultStore.open(tmp_path, SETTINGS, Outcome)
        with pytest.raises(InputError, match="another process is at work in"):
            await run(FakeChecker(), [], SETTINGS, store=store)
    assert await run(FakeChecker(), [], SETTINGS, store=store) == []
