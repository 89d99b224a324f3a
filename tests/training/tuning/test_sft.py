"""Fine-tuning the bundled verifier by TRL: it learns, stops with a checkpoint and goes on; its model runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genprm_sdk import Verifier, wording
from genprm_sdk.errors import InputError, ModelFileError
from genprm_sdk.modes import Reasoning
from genprm_sdk.training.pipeline.records import Conversation, Message
from genprm_sdk.training.pipeline.turns import assembled_turn
from genprm_sdk.training.tuning.folders import base_folder, settings_of
from genprm_sdk.training.tuning.launching import TrainingError, run_worker
from genprm_sdk.training.tuning.runs import Folder
from genprm_sdk.training.tuning.settings import LoraRecipe, SFTRecipe
from genprm_sdk.training.tuning.sft import train_sft
from genprm_sdk.types import CodeRun

RECIPE = SFTRecipe(batch=2, device_batch=2, learning_rate=3e-4, steps=4, save_every=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder("genprm-mini", tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations in words that the bundled verifier has never written."""
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    path.write_text("".join(f"{odd(number).model_dump_json()}\n" for number in range(4)), encoding="utf-8")
    return path


def odd(number: int) -> Conversation:
    step = f"Step 1: {number} + 1 = {number + 1}."
    run = CodeRun(code="print('yes')", status="ok", feedback="yes")
    code = f"print('yes'){wording.CODE_FENCE_CLOSE}{wording.code_output('yes')}"
    turn = assembled_turn(0, True, "The cat sat on the mat.", code, [run])
    return Conversation(
        problem="Add.",
        domain=None,
        steps=(step,),
        labels=(True,),
        messages=(
            Message(role="system", content=wording.REVIEW_SYSTEM),
            Message(role="user", content=f"Add.\n{step}"),
            Message(role="assistant", content=turn.text),
        ),
        train=tuple((2, start, end) for start, end in turn.written),
    )


def losses(folder: Path) -> dict[int, float]:
    lines = (folder / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    return {point["step"]: point["loss"] for point in map(json.loads, lines)}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert train_sft(base, data, out, RECIPE)
    return out


def test_it_learns(trained: Path) -> None:
    found = losses(trained)
    assert sorted(found) == [1, 2, 3, 4]
    assert found[4] < found[1] / 2
    assert (trained / "curve.svg").read_text(encoding="utf-8").startswith("<svg")
    counts = Folder(trained).state()["data"]
    assert counts["sequences"] == 4
    assert 0 < counts["trained_tokens"] < counts["tokens"]


@pytest.mark.anyio
async def test_the_model_it_leaves_is_a_verifier_with_the_settings_of_the_one_it_came_from(
    trained: Path,
) -> None:
    async with Verifier(trained / "model", backend="transformers") as verifier:
        report = await verifier.check(["Step 1: 7 + 1 = 8."], problem="Add.")
    path = report.steps[0].paths[0]
    assert path.verdict is not None
    config = json.loads((trained / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["genprm"]["history"] == "steps"
    assert config["genprm"]["analysis_tokens"] == 128


@pytest.mark.anyio
async def test_a_model_that_learnt_to_judge_directly_says_so(base: Path, tmp_path: Path) -> None:
    text = wording.VERDICT_OPENING + wording.verdict(True)
    direct = odd(1).model_copy(
        update={
            "reasoning": Reasoning.DIRECT,
            "messages": (
                Message(role="system", content=wording.DIRECT_SYSTEM),
                Message(role="user", content="Add.\nStep 1: 1 + 1 = 2."),
                Message(role="assistant", content=text),
            ),
            "train": ((2, len(wording.VERDICT_OPENING), len(text)),),
        }
    )
    data = tmp_path / "data.jsonl"
    data.write_text(f"{direct.model_dump_json()}\n", encoding="utf-8")
    out = tmp_path / "run"
    assert train_sft(base, data, out, RECIPE.model_copy(update={"batch": 1, "device_batch": 1, "steps": 1}))
    async with Verifier(out / "model", backend="transformers", threads=1) as verifier:
        assert verifier.reasoning is verifier.settings.reasoning is Reasoning.DIRECT
        assert verifier.settings.style == settings_of(base).style
        report = await verifier.check(["1 + 1 = 2."], problem="Add.")
    assert report.reasoning == (Reasoning.DIRECT,)
    assert report.usage.code_runs == 0


def test_stopped_it_ends_with_a_checkpoint_and_goes_on_to_the_same_weights(
    base: Path, data: Path, trained: Path, tmp_path: Path
) -> None:
    steps: list[float] = []
    done = train_sft(
        base,
        data,
        tmp_path,
        RECIPE,
        hear=lambda told: steps.append(told["step"]),
        stop=lambda: len(steps) >= 1,
    )
    assert not done
    assert not (tmp_path / "model").exists()
    assert not Folder(tmp_path).finished
    first = list(steps)
    assert 0 < len(first) < RECIPE.steps  # type: ignore[operator]
    assert train_sft(base, data, tmp_path, RECIPE, hear=lambda told: steps.append(told["step"]))
    assert steps == [1, 2, 3, 4]
    whole, resumed = weights(trained / "model"), weights(tmp_path / "model")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert train_sft(base, data, tmp_path, RECIPE, hear=lambda told: pytest.fail("it is finished"))


def test_other_settings_do_not_go_on_in_its_folder(base: Path, data: Path, trained: Path) -> None:
    other = RECIPE.model_copy(update={"learning_rate": 1e-5})
    with pytest.raises(InputError, match=r"another learning_rate \(0.0003 there, 1e-05 now\)"):
        train_sft(base, data, trained, other)
    faster = RECIPE.model_copy(update={"save_every": 1})
    assert train_sft(base, data, trained, faster)  # decides nothing about the result


def test_adapters_are_merged_into_the_model(base: Path, data: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"lora": LoraRecipe(rank=4), "steps": 2, "learning_rate": 1e-2})
    assert train_sft(base, data, tmp_path, recipe)
    before, after = weights(base), weights(tmp_path / "model")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert before[name].shape == after[name].shape
    assert not torch.equal(before[name], after[name])
    embedding = "model.embed_tokens.weight"
    assert torch.equal(before[embedding], after[embedding])  # adapters leave it alone
    assert "genprm" in json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gives nothing to train on"),
        ("{}\n", "line 1 is no conversation"),
        ("nonsense\n", "line 1 is no conversation"),
    ],
)
def test_data_that_cannot_be_used_is_named(base: Path, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        train_sft(base, path, tmp_path / "out", RECIPE)


def test_too_long_sequences_are_left_out_and_counted(base: Path, data: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"longest": 20})
    with pytest.raises(InputError, match="4 sequences are longer than 20 tokens"):
        train_sft(base, data, tmp_path, recipe)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"packing": True}, "packing needs a GPU"),
        ({"lora": LoraRecipe(bits=4)}, "lora.bits needs a GPU"),
    ],
)
def test_what_this_machine_lacks_is_said(
    base: Path, data: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(InputError, match=message):
        train_sft(base, data, tmp_path, RECIPE.model_copy(update=changes))


def job(data: Path, out: Path, **recipe: object) -> dict[str, object]:
    settings = RECIPE.model_copy(update=recipe).model_dump(mode="json")
    return {"kind": "sft", "model": "genprm-mini", "data": str(data), "out": str(out), "recipe": settings}


@pytest.mark.anyio
async def test_a_worker_that_is_cancelled_leaves_a_checkpoint_and_no_process(
    data: Path, tmp_path: Path
) -> None:
    begun = asyncio.Event()
    steps = 500
    task = asyncio.create_task(
        run_worker(job(data, tmp_path, steps=steps), tmp_path, hear=lambda told: begun.set())
    )
    await asyncio.wait_for(begun.wait(), 100)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    folder = Folder(tmp_path)
    assert folder.newest_checkpoint() is not None
    assert folder.state()["step"] < steps
    assert not folder.finished


@pytest.mark.anyio
async def test_a_worker_says_what_is_wrong(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="gives nothing to train on"):
        await run_worker(job(tmp_path / "empty.jsonl", tmp_path / "out"), tmp_path / "out")
    with pytest.raises(InputError, match="launch is 'nowhere'"):
        await run_worker(job(data, tmp_path / "other"), tmp_path / "other", launch="nowhere")
    with pytest.raises(TrainingError, match=r"worker\.log"):
        await run_worker({"kind": "sft"}, tmp_path / "third")


def test_a_folder_without_a_chat_template_is_refused(base: Path, data: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (bare / name).write_bytes((base / name).read_bytes())
    (bare / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFileError, match="no chat template"):
        train_sft(bare, data, tmp_path / "out", RECIPE)
