"""GRPO on the bundled verifier: it trains, stops and goes on, refuses other settings; its model runs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from genprm_sdk import Reasoning, Verifier
from genprm_sdk.errors import InputError, MissingExtraError
from genprm_sdk.training.tuning.prompts import StepPrompt, drawn_prompts, read_prompts
from genprm_sdk.training.tuning.rl import RLProgress, RLRecipe, reward_of, train_rl
from genprm_sdk.training.tuning.runs import Folder
from genprm_sdk.training.tuning.settings import LoraRecipe
from genprm_sdk.training.worlds import WORLDS
from genprm_sdk.types import VerificationPath

from .conversations import conversation_of, short_examples

RECIPE = RLRecipe(
    steps=2,
    prompts_per_step=1,
    generations=4,
    candidates=3,
    rows=4,
    learning_rate=1e-4,
    temperature=1.5,
    turn_tokens=240,
    save_every=1,
)
QUICK = RECIPE.model_copy(update={"generations": 2, "candidates": 1, "rows": 2})
"""For what a step need not learn from."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    examples = short_examples("arithmetic", 8, WORLDS["arithmetic"].held_out_style)
    path.write_text("".join(f"{conversation_of(each).model_dump_json()}\n" for each in examples))
    return path


def curve(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def heard() -> list[RLProgress]:
    return []


@pytest.fixture(scope="module")
def trained(
    mini: Path, data: Path, heard: list[RLProgress], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert train_rl(mini, data, out, RECIPE, hear=heard.append)
    return out


def test_two_steps_change_the_weights(mini: Path, trained: Path) -> None:
    before, after = weights(mini), weights(trained / "model")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(tensor.isfinite().all() for tensor in after.values())


def test_a_verifier_loads_the_model(mini: Path, trained: Path) -> None:
    (example,) = short_examples("arithmetic", 1)
    steps = [step.text for step in example.steps]

    async def checked() -> Any:
        async with Verifier(trained / "model", backend="transformers") as verifier:
            return verifier.settings, await verifier.check(steps, problem=example.problem)

    settings, report = asyncio.run(checked())
    assert settings.style == "chat"
    assert all(step.paths[0].verdict is not None for step in report.steps)
    assert any(step.paths[0].code_runs for step in report.steps)
    kept = (trained / "model" / "config.json").read_text(encoding="utf-8")
    assert kept == (mini / "config.json").read_text(encoding="utf-8")


def test_the_curve_says_what_a_step_came_to(data: Path, trained: Path, heard: list[RLProgress]) -> None:
    points = curve(trained)
    assert [point["step"] for point in points] == [1, 2]
    assert heard == [{**point, "steps": 2} for point in points]
    for point in points:
        assert set(point) == {
            *("step", "reward", "even", "unparsed", "degraded", "code_failures", "tokens", "entropy")
        }
        shares = ("reward", "even", "unparsed", "degraded", "code_failures")
        assert all(0 <= point[name] <= 1 for name in shares)
        assert point["tokens"] > 10
    assert (trained / "curve.svg").read_text(encoding="utf-8").startswith("<svg")
    assert Folder(trained).state()["data"] == {"steps": len(read_prompts(data)), "too_long": 0}


def test_a_finished_training_is_not_repeated(mini: Path, data: Path, trained: Path) -> None:
    before = (trained / "model" / "model.safetensors").stat().st_mtime_ns
    assert train_rl(mini, data, trained, RECIPE)
    assert (trained / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_a_training_that_was_killed_before_its_model_was_written_writes_it(
    mini: Path, data: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "model")
    Folder(tmp_path / "killed").tell(finished=False)
    heard: list[RLProgress] = []
    assert train_rl(mini, data, tmp_path / "killed", RECIPE, hear=heard.append)
    assert heard == []
    written, expected = weights(tmp_path / "killed" / "model"), weights(trained / "model")
    assert all(torch.equal(written[name], expected[name]) for name in expected)


def test_an_interrupted_training_goes_on_and_may_be_made_longer(
    mini: Path, data: Path, tmp_path: Path
) -> None:
    def interrupt(progress: RLProgress) -> None:
        if progress["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_rl(mini, data, tmp_path, QUICK, hear=interrupt)
    assert not (tmp_path / "model").exists()
    newest = Folder(tmp_path).newest_checkpoint()
    assert newest is not None
    assert newest.name == "checkpoint-1"
    heard: list[RLProgress] = []
    assert train_rl(mini, data, tmp_path, QUICK, hear=heard.append)
    assert [progress["step"] for progress in heard] == [2]
    assert [point["step"] for point in curve(tmp_path)] == [1, 2]
    state = json.loads((tmp_path / "checkpoints" / "checkpoint-2" / "trainer_state.json").read_text())
    assert state["global_step"] == 2
    assert train_rl(mini, data, tmp_path, QUICK.model_copy(update={"steps": 3}), hear=heard.append)
    assert [(progress["step"], progress["steps"]) for progress in heard] == [(2, 2), (3, 3)]


def test_a_training_that_is_asked_to_stop_ends_with_a_checkpoint(
    mini: Path, data: Path, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update={"save_every": 10, "passes": 2, "beta": 0.05})
    assert not train_rl(mini, data, tmp_path, recipe, stop=lambda: True)
    newest = Folder(tmp_path).newest_checkpoint()
    assert newest is not None
    assert newest.name == "checkpoint-2"  # two passes over the turns of one step
    assert train_rl(mini, data, tmp_path, recipe)
    points = curve(tmp_path)
    assert [point["step"] for point in points] == [1, 2]
    assert points[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert points[1]["kl"] > 0


def test_other_settings_and_other_data_are_refused(
    mini: Path, data: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"begun with another learning_rate \(0.0001 there, 0.002 now\)"):
        train_rl(mini, data, trained, RECIPE.model_copy(update={"learning_rate": 2e-3}))
    less = tmp_path / "less.jsonl"
    less.write_text(data.read_text(encoding="utf-8").partition("\n")[0], encoding="utf-8")
    with pytest.raises(InputError, match="begun with another data"):
        train_rl(mini, less, trained, RECIPE)


def test_adapters_are_merged(mini: Path, data: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"steps": 1, "lora": LoraRecipe(rank=4, alpha=8)})
    assert train_rl(mini, data, tmp_path, recipe)
    before, after = weights(mini), weights(tmp_path / "model")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "model.layers.0.self_attn.q_proj.weight" in changed
    assert not any("norm" in name or "embed" in name for name in changed)


def path(verdict: Any, degraded: Any = None) -> VerificationPath:
    return VerificationPath(
        index=0,
        verdict=verdict,
        score=None if verdict is None else 0.5,
        reasoning=Reasoning.ANALYSIS_CODE,
        text="",
        analysis=None,
        code_runs=(),
        degraded=degraded,
    )


def test_a_right_verdict_is_rewarded() -> None:
    assert reward_of(path("yes"), True) == reward_of(path("no"), False) == 1
    assert reward_of(path("yes"), False) == reward_of(path("no"), True) == 0
    assert reward_of(path(None), True) == reward_of(path(None), False) == 0
    assert reward_of(path("yes", "rounds"), True) == 1
    assert reward_of(path("yes", "rounds"), True, degraded_cost=0.25) == 0.75
    assert reward_of(path("yes"), True, degraded_cost=0.25) == 1


def steps(*labels: bool) -> list[StepPrompt]:
    return [StepPrompt(None, (f"step {at}",), label, ()) for at, label in enumerate(labels)]


def test_right_and_wrong_steps_take_turns() -> None:
    prompts = steps(True, True, True, True, True, False, False)
    order = drawn_prompts(prompts, 40, random.Random(0), balance=True)
    labels = [prompts[place].label for place in order]
    assert labels == [True, False] * 20
    assert Counter(order)[5] == Counter(order)[6] == 10
    assert all(Counter(order)[place] == 4 for place in range(5))
    unbalanced = drawn_prompts(prompts, 14, random.Random(0), balance=False)
    assert sorted(unbalanced[:7]) == sorted(unbalanced[7:]) == list(range(7))
    with pytest.raises(InputError, match="all 2 steps are labelled wrong"):
        drawn_prompts(steps(False, False), 4, random.Random(0), balance=True)


def test_data_without_a_labelled_step_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(InputError, match="holds no labelled step"):
        read_prompts(empty)
    (example,) = short_examples("arithmetic", 1)
    whole = conversation_of(example)
    empty.write_text(whole.model_copy(update={"messages": whole.messages[:2]}).model_dump_json())
    with pytest.raises(InputError, match="each needs one"):
        read_prompts(empty)


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="rows is 7: it must divide"):
        RLRecipe(rows=7)
    with pytest.raises(ValidationError, match="not for reinforcement learning"):
        RLRecipe(lora=LoraRecipe(bits=4))


def test_without_trl_the_module_loads_and_says_what_is_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, genprm_sdk.training.tuning.rl; print(*{'trl', 'torch', 'datasets'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == ""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "trl" else find(name))
    with pytest.raises(MissingExtraError, match=r"Reinforcement learning needs trl.*\[train\]"):
        train_rl(tmp_path, data, tmp_path, RECIPE)
