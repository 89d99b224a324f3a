"""Parity: a right file passes, and what is wrong with any other is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from genprm_sdk import wording
from genprm_sdk.backends.tokenizer import TextTokenizer, frame_of_folder
from genprm_sdk.errors import InputError, ModelFileError
from genprm_sdk.prompt import Segment, content, control
from genprm_sdk.training.pipeline.records import Message
from genprm_sdk.training.tuning import readings as readings_module
from genprm_sdk.training.tuning.exporting import conversation_segments
from genprm_sdk.training.tuning.gguf_file import write_gguf
from genprm_sdk.training.tuning.parity import OUTLIER, TOLERANCES, Parity, compare, parity
from genprm_sdk.training.tuning.readings import LOG_LEAST, Readings, read_folder

pytestmark = pytest.mark.anyio

Conversations = Sequence[Sequence[Message]]


@pytest.fixture(scope="module")
def prompts(mini: Path, conversations: Conversations) -> list[list[Segment]]:
    frame = frame_of_folder(mini)
    return [conversation_segments(frame, messages) for messages in conversations]


@pytest.fixture(scope="module")
async def of_mini(mini: Path, prompts: list[list[Segment]]) -> Readings:
    return await read_folder(mini, prompts, longest=400)


@pytest.fixture(scope="module")
async def briefly(mini: Path, prompts: list[list[Segment]]) -> Readings:
    """Enough to find what is wrong."""
    return await read_folder(mini, prompts[:1], longest=150)


@pytest.fixture(scope="module")
async def of_wide(wide: Path, prompts: list[list[Segment]]) -> Readings:
    return await read_folder(wide, prompts, longest=200)


def written(folder: Path, target: Path, kind: str) -> Path:
    write_gguf(folder, target, kind)
    return target


def damaged(file: Path, name: str, damage: Callable[[Any], None]) -> Path:
    """The file with other bytes in one tensor."""
    reader = gguf.GGUFReader(file, "r+")
    damage(next(tensor for tensor in reader.tensors if tensor.name == name).data)
    reader.data.flush()
    return file


# ------------------------------------------------------------------------------------------ right files


@pytest.mark.parametrize("kind", TOLERANCES)
async def test_a_trained_model_s_file_is_as_close_as_its_type_allows(
    kind: str, of_mini: Readings, tmp_path: Path
) -> None:
    found = await compare(of_mini, written(of_mini.folder, tmp_path / "mini.gguf", kind), threads=1)
    assert found.tolerance == TOLERANCES[kind]
    assert 0 < found.mean <= found.tolerance
    assert found.mean < found.largest <= OUTLIER * found.tolerance
    assert found.agreement > 0.98
    assert (found.texts, found.positions) == (3, sum(len(text.tokens) for text in of_mini.texts))
    assert found.verdicts == sum(len(text.verdicts) for text in of_mini.texts) >= 3
    assert found.largest_verdict is not None
    assert found.largest_verdict < 0.05


async def test_an_untied_model_with_other_constants_is_the_same_model(
    of_wide: Readings, tmp_path: Path
) -> None:
    found = await compare(of_wide, written(of_wide.folder, tmp_path / "wide.gguf", "f32"), threads=1)
    assert found.largest < 5e-4
    assert found.agreement == 1.0


async def test_a_small_type_is_held_to_agreement_alone(of_wide: Readings, tmp_path: Path) -> None:
    found = await compare(of_wide, written(of_wide.folder, tmp_path / "wide.gguf", "Q4_K_M"), threads=1)
    assert found.tolerance is None
    assert found.mean > 0.01
    assert found.agreement >= 0.95


async def test_both_in_one_call(mini: Path, prompts: list[list[Segment]], tmp_path: Path) -> None:
    file = written(mini, tmp_path / "mini.gguf", "f16")
    found = await parity(mini, file, prompts[:1], longest=100, tolerance=0.01, threads=1)
    assert isinstance(found, Parity)
    assert (found.positions, found.tolerance) == (100, 0.01)


# ------------------------------------------------------------------------------------------ what is read


async def test_readings_are_what_the_model_says(mini: Path, of_mini: Readings) -> None:
    model = AutoModelForCausalLM.from_pretrained(mini, dtype="float32").eval()
    text = of_mini.texts[1]
    with torch.no_grad():
        expected = torch.log_softmax(model(torch.tensor([text.tokens])).logits[0].double(), -1).numpy()
    assert len(text.ends) == len(text.tokens) == len(expected)
    for row, start, end in zip(expected, [0, *text.ends], text.ends, strict=False):
        assert set(text.entries[start:end]) >= set(np.flatnonzero(row > LOG_LEAST + 1e-3))
        np.testing.assert_allclose(text.logs[start:end], row[text.entries[start:end]], atol=1e-4)
    assert (expected.argmax(-1) == text.likeliest).mean() > 0.999
    tokenizer = TextTokenizer.of_folder(mini)
    for verdict in text.verdicts:
        said = [tokenizer.piece(token).decode() for token in (verdict.yes, verdict.no)]
        assert text.tokens[verdict.position + 1] in (verdict.yes, verdict.no)
        assert all(found in wanted for found, wanted in zip(said, ("{Yes", "{No"), strict=True))
        odds = expected[verdict.position, verdict.yes] - expected[verdict.position, verdict.no]
        assert verdict.score == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)


async def test_words_about_verdicts_are_no_verdicts(mini: Path) -> None:
    spoken = content(f"{wording.DIRECT_SYSTEM} {wording.verdict(True)}")
    turn = content(wording.VERDICT_OPENING + wording.verdict(False))
    found = await read_folder(mini, [[spoken, turn]])
    assert len(found.texts[0].verdicts) == 1


async def test_texts_are_composed_and_free_of_special_spellings(mini: Path) -> None:
    found = await read_folder(mini, [[control("<|im_start|>"), content("e\u0301<|im_end|>!")]])
    assert found.texts[0].segments == (control("<|im_start|>"), content("é!"))


async def test_nothing_to_compare_on_is_an_error(mini: Path) -> None:
    with pytest.raises(InputError, match="two tokens or more"):
        await read_folder(mini, [])
    with pytest.raises(InputError, match="a text of 1 tokens says nothing"):
        await read_folder(mini, [[content("7")]])


async def test_too_little_memory_is_said_before_the_model_is_loaded(
    mini: Path, prompts: list[list[Segment]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings_module, "available_bytes", lambda: 5_000_000)
    with pytest.raises(InputError, match=r"in float32, and 0\.0 GB are free: use a larger machine"):
        await read_folder(mini, prompts)


# ------------------------------------------------------------------------------------------ wrong files


def turned(data: Any) -> None:
    data[:] = -data


def exchanged_rows(data: Any) -> None:
    data[:] = data[::-1].copy()


@pytest.mark.parametrize(
    ("kind", "name", "damage"),
    [
        ("f32", "blk.3.attn_k.bias", turned),
        ("f16", "blk.2.attn_norm.weight", exchanged_rows),
        ("q8_0", "blk.1.ffn_down.weight", exchanged_rows),
    ],
)
async def test_a_damaged_tensor_is_found(
    kind: str, name: str, damage: Callable[[Any], None], briefly: Readings, tmp_path: Path
) -> None:
    file = damaged(written(briefly.folder, tmp_path / "mini.gguf", kind), name, damage)
    with pytest.raises(ModelFileError, match=r"mini\.gguf does not compute .* log-probabilities are off by"):
        await compare(briefly, file, threads=1)


async def test_a_single_broken_entry_is_found_by_the_largest_difference(
    briefly: Readings, tmp_path: Path
) -> None:
    token = briefly.texts[0].tokens[40]
    file = damaged(
        written(briefly.folder, tmp_path / "mini.gguf", "f16"),
        "token_embd.weight",
        lambda data: data.__setitem__(token, 0),
    )
    lenient = await compare(briefly, file, tolerance=10.0, threads=1)
    assert lenient.largest > OUTLIER * TOLERANCES["F16"]
    with pytest.raises(ModelFileError, match=r"and 0\.01 and 0\.2 are allowed"):
        await compare(briefly, file, threads=1)


async def test_a_small_type_that_disagrees_is_found(of_wide: Readings, tmp_path: Path) -> None:
    file = damaged(written(of_wide.folder, tmp_path / "wide.gguf", "Q4_K_M"), "output.weight", exchanged_rows)
    with pytest.raises(ModelFileError, match=r"agree on the likeliest token at .* and 90% is the least"):
        await compare(of_wide, file, threads=1)


async def test_what_is_no_number_is_found(briefly: Readings, tmp_path: Path) -> None:
    file = damaged(
        written(briefly.folder, tmp_path / "mini.gguf", "f16"),
        "blk.0.ffn_norm.weight",
        lambda data: data.__setitem__(slice(None), np.inf),
    )
    with pytest.raises(ModelFileError, match=r"no numbers.*BF16 and Q8_0 can"):
        await compare(briefly, file, threads=1)


async def test_a_tolerance_of_one_s_own_counts(briefly: Readings, tmp_path: Path) -> None:
    file = written(briefly.folder, tmp_path / "mini.gguf", "q8_0")
    with pytest.raises(ModelFileError, match=r"and 0\.0001 and 0\.002 are allowed"):
        await compare(briefly, file, tolerance=1e-4, threads=1)


async def test_another_cut_of_the_text_is_shown(mini: Path, briefly: Readings, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(mini, folder)
    state = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    state["model"]["merges"] = [merge for merge in state["model"]["merges"] if "".join(merge) != "Ġmath"]
    (folder / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    file = written(folder, tmp_path / "model.gguf", "f16")
    with pytest.raises(ModelFileError, match=r"cuts text into other tokens .* \(' math.*'\) become .*\(' ma"):
        await compare(briefly, file, threads=1)


async def test_another_model_s_file_is_no_file_of_this_one(
    wide: Path, briefly: Readings, tmp_path: Path
) -> None:
    file = written(wide, tmp_path / "wide.gguf", "q8_0")
    with pytest.raises(ModelFileError, match="it has 1040 entries, and the folder's model 1024"):
        await compare(briefly, file, threads=1)
