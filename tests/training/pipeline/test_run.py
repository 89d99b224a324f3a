"""Whole runs: resumed, with other settings, on bad input, on servers that die."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from genprm_sdk.errors import BackendError, InputError
from genprm_sdk.training.pipeline import (
    PipelineRecipe,
    StageStatus,
    export,
    load_pipeline_recipe,
    read_status,
    run_pipeline,
)
from genprm_sdk.training.pipeline.recipe import ProblemsRecipe, save_pipeline_recipe
from genprm_sdk.training.pipeline.records import Conversation, Drop, Labelled
from genprm_sdk.training.pipeline.run import export_dropped
from genprm_sdk.training.pipeline.stages import STAGES, StageName
from genprm_sdk.training.pipeline.store import Row, Store, StoreError

pytestmark = pytest.mark.anyio


@pytest.fixture
def problems(sums: ModuleType, tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    sums.write_problems(path, 6)
    return path


def kept(statuses: list[StageStatus]) -> dict[str, int]:
    return {status.stage: status.kept for status in statuses}


async def test_a_run_ends_with_conversations_and_a_second_one_makes_nothing(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    out, recipe = tmp_path / "out", sums.sums_recipe(problems)
    model = sums.Sums()
    statuses = await run_pipeline(recipe, out, load=model.load)
    assert [status.stage for status in statuses][-1] == "dataset"
    assert all(status.finished == status.total for status in statuses[1:])
    assert kept(statuses)["label"] == 2 * kept(statuses)["rollouts"]
    asked = model.generations
    assert await run_pipeline(recipe, out, load=model.load) == statuses
    assert model.generations == asked
    assert await read_status(out) == (recipe, statuses)
    count = await export(out, tmp_path / "data.jsonl")
    lines = (tmp_path / "data.jsonl").read_text().splitlines()
    assert count == len(lines) == kept(statuses)["dataset"] > 4
    first = Conversation.model_validate_json(lines[0])
    assert first.messages[1].content.startswith(first.problem)


async def test_parquet_holds_the_same(sums: ModuleType, problems: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    await run_pipeline(sums.sums_recipe(problems), out, load=sums.Sums().load)
    await export(out, tmp_path / "data.jsonl")
    await export(out, tmp_path / "data.parquet")
    table = parquet.read_table(tmp_path / "data.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "data.jsonl").read_text().splitlines()]
    for row, line in zip(table, lines, strict=True):
        spans = [[each["message"], each["start"], each["end"]] for each in row.pop("train")]
        assert spans == line.pop("train")
        assert row == line
    with pytest.raises(InputError, match=r"\.jsonl or \.parquet"):
        await export(out, tmp_path / "data.csv")
    with pytest.raises(InputError, match="only the dataset"):
        await export(out, tmp_path / "data.parquet", "label")


async def test_other_settings_repeat_only_what_they_decide(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    model = sums.Sums()
    first = await run_pipeline(sums.sums_recipe(problems), out, load=model.load)
    asked = model.generations
    strict = sums.sums_recipe(problems, consensus={"failed_code": True})
    await run_pipeline(strict, out, load=model.load)
    assert model.generations == asked
    other = sums.sums_recipe(problems, monte_carlo={"schedule": [], "completions": 12, "start": 8})
    await run_pipeline(other, out, load=model.load, stages=["monte-carlo"])
    assert asked < model.generations
    sums.write_problems(problems, 8)
    more = await run_pipeline(sums.sums_recipe(problems), out, load=model.load)
    assert kept(more)["problems"] == kept(first)["problems"] + 2


def sources(target: Path) -> list[tuple[str, str]]:
    records = map(json.loads, target.read_text().splitlines())
    return sorted((record["source"], record["answer"]) for record in records)


Change = Callable[[], Callable[[], None]]


def spoiled(problems: Path) -> Change:
    """Give a file a line that is none and a wrong answer; returns what mends it, and that what undoes it."""
    right = problems.read_text()
    lines = right.splitlines()
    wrong = [lines[0], "{", lines[2].replace('"11"', '"12"'), *lines[3:]]
    assert wrong[2] != lines[2]

    def spoil() -> None:
        problems.write_text("\n".join(wrong))

    def mend() -> Callable[[], None]:
        problems.write_text(right)
        return spoil

    spoil()
    return mend


async def test_a_mended_file_leaves_nothing_of_what_it_was(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    out, target, model = tmp_path / "out", tmp_path / "target.jsonl", sums.Sums()
    recipe = sums.sums_recipe(problems)
    mend = spoiled(problems)
    first = await run_pipeline(recipe, out, load=model.load)
    assert first[0].dropped == {"the record is no JSON": 1}
    assert await export_dropped(out, target) >= 1
    spoil = mend()
    mended = await run_pipeline(recipe, out, load=model.load)
    whole = await run_pipeline(recipe, tmp_path / "whole", load=sums.Sums().load)
    assert mended[0].dropped == {}
    assert [replace(each, seconds=0.0) for each in mended] == [replace(each, seconds=0.0) for each in whole]
    await export(out, target, "problems")
    assert sources(target) == [(f"problems.jsonl:{n + 1}", str(4 * n + 3)) for n in range(6)]
    await export(out, target)
    await export(tmp_path / "whole", tmp_path / "whole.jsonl")
    assert target.read_text() == (tmp_path / "whole.jsonl").read_text()
    asked = model.generations
    spoil()
    assert await run_pipeline(recipe, out, load=model.load) == first
    assert model.generations == asked


async def test_only_the_worlds_that_the_recipe_names_go_on(sums: ModuleType, tmp_path: Path) -> None:
    async def collected(**worlds: int) -> list[str]:
        problems = ProblemsRecipe(worlds=worlds)
        recipe = sums.sums_recipe(tmp_path).model_copy(update={"problems": problems})
        await run_pipeline(recipe, tmp_path, stages=["problems"], load=sums.Sums().load)
        await export(tmp_path, tmp_path / "target.jsonl", "problems")
        return [source for source, _ in sources(tmp_path / "target.jsonl")]

    assert await collected(arithmetic=3) == ["arithmetic/0", "arithmetic/1", "arithmetic/2"]
    assert await collected(dyck=2) == ["dyck/0", "dyck/1"]
    assert await collected(arithmetic=1, dyck=2) == ["arithmetic/0", "dyck/0", "dyck/1"]


async def test_dropped_records_say_why_and_which_problem_they_are_of(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    out, target = tmp_path / "out", tmp_path / "dropped.jsonl"
    recipe = sums.sums_recipe(problems, labels={"kind": "ratio", "threshold": 1.4})
    statuses = await run_pipeline(recipe, out, load=sums.Sums().load)
    found = {status.stage: status.dropped for status in statuses if status.dropped}
    assert await export_dropped(out, target) == sum(sum(each.values()) for each in found.values()) > 0
    records = [json.loads(line) for line in target.read_text().splitlines()]
    assert {record["stage"] for record in records} == set(found)
    assert all(record["problem"].startswith("problems.jsonl:") for record in records)
    assert all(record["reason"] in found[record["stage"]] and record["key"] for record in records)
    with pytest.raises(InputError, match=r"must end in \.jsonl"):
        await export_dropped(out, tmp_path / "dropped.parquet")


async def test_a_record_that_is_its_own_parent_is_damage(tmp_path: Path) -> None:
    drop = Drop(reason="r").model_dump_json()
    async with await Store.open(tmp_path) as store:
        await store.set_fact("lineages", '[["rollouts", "l"]]')
        await store.put(Row("a", "l", "rollouts", "a", 0, "dropped", "r", 0, 0.0, drop))
    with pytest.raises(StoreError, match=r"is damaged, .*the record a goes back to no problem"):
        await export_dropped(tmp_path, tmp_path / "dropped.jsonl")


@pytest.mark.parametrize(("fact", "value"), [("recipe", "{"), ("recipe", "{}"), ("lineages", "[7]")])
async def test_a_run_that_cannot_be_read_says_so(fact: str, value: str, tmp_path: Path) -> None:
    recipe = load_pipeline_recipe("tiny").model_dump_json()
    async with await Store.open(tmp_path) as store:
        for name, text in {"recipe": recipe, "lineages": "[]", fact: value}.items():
            await store.set_fact(name, text)
    with pytest.raises(StoreError, match="is damaged, or of another version"):
        await read_status(tmp_path)


async def test_an_export_of_no_run_or_stage_or_to_no_folder_is_refused(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    async with await Store.open(out):
        pass
    for stage in ("dataset", "label"):
        with pytest.raises(InputError, match="holds no run yet"):
            await export(out, tmp_path / "x.jsonl", stage)
    await run_pipeline(sums.sums_recipe(problems), out, load=sums.Sums().load)
    with pytest.raises(InputError, match="there is no stage 'nope'"):
        await export(out, tmp_path / "x.jsonl", "nope")  # type: ignore[arg-type]
    for name in ("x.jsonl", "x.parquet"):
        with pytest.raises(InputError, match=r"none does not exist: make it first"):
            await export(out, tmp_path / "none" / name)
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match="is a folder"):
            await export(out, tmp_path / name)


async def test_a_run_is_accepted_once_it_alone_may_write(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    heard: list[str] = []
    recipe, model = sums.sums_recipe(problems), sums.Sums()
    async with await Store.open(tmp_path / "out"):
        with pytest.raises(InputError, match="another process"):
            await run_pipeline(recipe, tmp_path / "out", accepted=lambda: heard.append("early"))
    await run_pipeline(
        recipe, tmp_path / "out", stages=[], load=model.load, accepted=lambda: heard.append("accepted")
    )
    assert heard == ["accepted"]


@pytest.mark.parametrize("compare", ["every", "first_error"])
async def test_other_labels_ask_no_teacher_again(
    sums: ModuleType, problems: Path, tmp_path: Path, compare: str
) -> None:
    out, model = tmp_path / "out", sums.Sums()
    full = {"schedule": [], "completions": 8, "start": 8, "sequential": None}
    ratio, hard = (
        sums.sums_recipe(problems, monte_carlo=full, consensus={"compare": compare}, labels=rule)
        for rule in ({"kind": "ratio", "threshold": 1.4}, {"kind": "hard"})
    )

    async def made(recipe: PipelineRecipe) -> tuple[list[StageStatus], dict[StageName, list[str]]]:
        statuses = await run_pipeline(recipe, out, load=model.load)
        records = {}
        for stage in STAGES:
            await export(out, tmp_path / "records.jsonl", stage)
            records[stage] = (tmp_path / "records.jsonl").read_text().splitlines()
        return statuses, records

    first, by_ratio = await made(ratio)
    asked = model.generations
    second, by_hard = await made(hard)
    assert model.generations == asked
    assert all(status.finished == status.total for status in second[1:])
    assert by_hard["rationales"] == by_ratio["rationales"]
    assert wrong_steps(by_hard["label"]) < wrong_steps(by_ratio["label"])
    assert by_hard["consensus"] != by_ratio["consensus"]
    whole = await run_pipeline(hard, tmp_path / "whole", load=sums.Sums().load)
    assert kept(second) == kept(whole)
    assert await export(tmp_path / "whole", tmp_path / "whole.jsonl") == len(by_hard["dataset"])
    assert sorted((tmp_path / "whole.jsonl").read_text().splitlines()) == sorted(by_hard["dataset"])
    assert await made(ratio) == (first, by_ratio)
    assert model.generations == asked


def wrong_steps(labelled: list[str]) -> int:
    return sum(not label.correct for line in labelled for label in Labelled.model_validate_json(line).labels)


async def test_stages_one_by_one_come_to_the_same(sums: ModuleType, problems: Path, tmp_path: Path) -> None:
    recipe = sums.sums_recipe(problems)
    whole = await run_pipeline(recipe, tmp_path / "whole", load=sums.Sums().load)
    for stage in STAGES:
        statuses = await run_pipeline(recipe, tmp_path / "steps", stages=[stage], load=sums.Sums().load)
    assert kept(statuses) == kept(whole)
    with pytest.raises(InputError, match="has finished no record yet"):
        await run_pipeline(recipe, tmp_path / "none", stages=["label"], load=sums.Sums().load)


async def test_a_server_that_dies_ends_the_run_and_the_next_one_goes_on(
    sums: ModuleType, problems: Path, tmp_path: Path
) -> None:
    out, recipe = tmp_path / "out", sums.sums_recipe(problems)
    for calls in (30, 60):
        with pytest.raises(BackendError, match="does not answer any more"):
            await run_pipeline(recipe, out, load=sums.Sums(calls=calls).load)
    statuses = await run_pipeline(recipe, out, load=sums.Sums().load)
    whole = await run_pipeline(recipe, tmp_path / "whole", load=sums.Sums().load)
    assert kept(statuses) == kept(whole)


async def test_a_cancelled_run_leaves_nothing_open(sums: ModuleType, problems: Path, tmp_path: Path) -> None:
    model = sums.Sums(seconds=0.01)
    before = asyncio.all_tasks()
    running = asyncio.create_task(run_pipeline(sums.sums_recipe(problems), tmp_path / "out", load=model.load))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert model.open_now == 0
    assert asyncio.all_tasks() == before


async def test_a_policy_that_never_answers_is_noticed_early(sums: ModuleType, tmp_path: Path) -> None:
    sums.write_problems(tmp_path / "problems.jsonl", 60)
    recipe = sums.sums_recipe(tmp_path / "problems.jsonl", rollouts={"draws": 4, "wave": 4, "unanswered": 4})
    model = sums.Sums(boxes=False)
    with pytest.raises(InputError, match="no draw comes to an answer: is this the right model"):
        await run_pipeline(recipe, tmp_path / "out", load=model.load)
    assert model.generations < 30 * 4


async def test_the_bundled_models_go_all_the_way(tmp_path: Path) -> None:
    recipe = load_pipeline_recipe("tiny").model_copy(update={"at_once": 2})
    worlds: Any = recipe.problems.model_copy(update={"worlds": {"arithmetic": 3}})
    few = recipe.monte_carlo.model_copy(update={"completions": 4, "start": 4})
    small = recipe.model_copy(update={"problems": worlds, "monte_carlo": few})
    statuses = await run_pipeline(small, tmp_path, stages=STAGES[: STAGES.index("label") + 1])
    assert kept(statuses)["label"] >= 2


def test_recipes_are_read_and_written(sums: ModuleType, tmp_path: Path) -> None:
    recipe = load_pipeline_recipe("tiny")
    save_pipeline_recipe(recipe, tmp_path / "recipe.yaml")
    assert load_pipeline_recipe(str(tmp_path / "recipe.yaml")) == recipe
    (tmp_path / "a.yaml").write_text(
        "name: a\nproblems: {file: p.jsonl}\npolicy: {model: m}\nteacher: {model: m}\n"
    )
    assert load_pipeline_recipe(str(tmp_path / "a.yaml")).problems.file == (tmp_path / "p.jsonl").resolve()
    assert isinstance(recipe, PipelineRecipe)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: [", "cannot be read"),
        (
            "name: a\nproblems: {worlds: {chess: 1}}\npolicy: {model: m}\nteacher: {model: m}",
            "unknown domain",
        ),
        ("name: a\nproblems: {}\npolicy: {model: m}\nteacher: {model: m}", "either `worlds` or a `file`"),
        ("name: a\nproblems: {file: f}\npolicy: {model: m, top_p: 2}\nteacher: {model: m}", "top_p must be"),
        ("name: a\nproblems: {file: f}\npolicy: {model: m}\nteacher: {model: m}\nk: 3", "k: there is no"),
    ],
)
def test_wrong_recipes_are_named(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        load_pipeline_recipe(str(path))


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("polcy: {}", "polcy: there is no such key: did you mean `policy`? There are name, seed,"),
        ("rollouts: {darws: 3}", "rollouts.darws: there is no such key: did you mean `draws`?"),
        ("sft: {lora: {zzz: 3}}", "sft.lora.zzz: there is no such key: there are rank,"),
        ("monte_carlo: {sequential: {wav: 3}}", "did you mean `wave`?"),
    ],
)
def test_an_unknown_key_names_those_there_are(key: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"name: a\nproblems: {{file: f}}\npolicy: {{model: m}}\nteacher: {{model: m}}\n{key}\n")
    with pytest.raises(InputError, match=re.escape(complaint)):
        load_pipeline_recipe(str(path))


def test_what_yaml_itself_breaks_on_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("n: 2001-99-99")
    with pytest.raises(InputError, match="cannot be read"):
        load_pipeline_recipe(str(path))


@pytest.mark.parametrize("name", ["pipeline-huge", "a" * 5000], ids=["unknown", "long"])
def test_an_unknown_recipe_names_those_there_are(name: str) -> None:
    with pytest.raises(InputError, match="there are loop, paper-7b, tiny"):
        load_pipeline_recipe(name)
