"""Whole runs: resumed, with other settings, on bad input, on servers that die."""

from __future__ import annotations

import asyncio
import json
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
from genprm_sdk.training.pipeline.recipe import save_pipeline_recipe
from genprm_sdk.training.pipeline.records import Conversation, Labelled
from genprm_sdk.training.pipeline.stages import STAGES, StageName

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
        ("name: a\nproblems: {file: f}\npolicy: {model: m}\nteacher: {model: m}\nk: 3", "k: Extra inputs"),
    ],
)
def test_wrong_recipes_are_named(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        load_pipeline_recipe(str(path))


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(InputError, match="there are loop, paper-7b, tiny"):
        load_pipeline_recipe("pipeline-huge")
