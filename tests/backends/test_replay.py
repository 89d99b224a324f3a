"""Recordings: what was asked is answered as it was, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genprm_sdk import ClosedError, ContextLengthError, InputError, Sampling, Verifier
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.backends.replay import RecordingBackend, ReplayBackend
from genprm_sdk.errors import BackendError
from genprm_sdk.prompt import content, control
from genprm_sdk.types import Report

from .bundled import MODEL

pytestmark = pytest.mark.anyio

STEPS = ["12 * 7 = 84", "So the answer is 84 + 3 = 88."]
PROBLEM = "What is 12 * 7 + 3?"
HOT = Sampling(temperature=3, top_k=0, top_p=1, seed=4)
STRANGE_FRAME = (
    '{"format": "genprm-recording-1", "name": "m", "frame": {"foo": "x"}, "context": 9, "capacity": 1, '
    '"metadata": {}}\n'
)


async def recorded(path: Path) -> RecordingBackend:
    """Exact, so that the same question has one answer, whichever path asks first."""
    return RecordingBackend(await LlamaCppBackend.load(MODEL, context=1024, threads=1, exact=True), path)


async def checked(backend: RecordingBackend | ReplayBackend) -> Report:
    async with Verifier(backend=backend) as verifier:
        return await verifier.check(STEPS, problem=PROBLEM, samples=3, seed=11)


def said(report: Report) -> object:
    return [[(path.text, path.score, path.verdict) for path in step.paths] for step in report.steps]


async def test_a_check_is_replayed_exactly(tmp_path: Path) -> None:
    async with await recorded(tmp_path / "r.jsonl") as backend:
        first = await checked(backend)
    async with await ReplayBackend.load(tmp_path / "r.jsonl") as replay:
        again = await checked(replay)
        assert replay.counters().evaluated == 0
    assert said(again) == said(first)
    assert (again.model, again.verdict) == (first.model, first.verdict)
    assert again.usage.generated_tokens == first.usage.generated_tokens > 0


async def test_what_was_not_recorded_is_an_error_that_says_so(tmp_path: Path) -> None:
    async with await recorded(tmp_path / "r.jsonl") as backend:
        await checked(backend)
    async with await ReplayBackend.load(tmp_path / "r.jsonl") as replay, Verifier(backend=replay) as verifier:
        with pytest.raises(
            BackendError, match=r"does not hold this: append text that ends in .*A step nobody"
        ):
            await verifier.check(["A step nobody has seen."])


async def test_answers_to_the_same_question_come_in_their_order(tmp_path: Path) -> None:
    texts = []
    async with await recorded(tmp_path / "r.jsonl") as backend:
        for number in range(2):
            sequence = await backend.open([control("<|im_start|>"), content("x")])
            texts.append((await sequence.generate([], 12, HOT)).text)
            if number == 0:
                lines = (tmp_path / "r.jsonl").read_text().splitlines()
    record = json.loads(lines[-1])
    record["written"]["text"] = "another"
    (tmp_path / "r.jsonl").write_text("\n".join([*lines, json.dumps(record)]) + "\n")
    async with await ReplayBackend.load(tmp_path / "r.jsonl") as replay:
        found = []
        for _ in range(3):
            sequence = await replay.open([control("<|im_start|>"), content("x")])
            found.append((await sequence.generate([], 12, HOT)).text)
    assert found == [texts[0], "another", "another"]


async def test_a_refusal_is_replayed_too(tmp_path: Path) -> None:
    async with await recorded(tmp_path / "r.jsonl") as backend:
        with pytest.raises(ContextLengthError) as first:
            await backend.open([content("7 " * 2000)])
    async with await ReplayBackend.load(tmp_path / "r.jsonl") as replay:
        with pytest.raises(ContextLengthError) as again:
            await replay.open([content("7 " * 2000)])
    assert str(again.value) == str(first.value)


async def test_a_recording_goes_on_behind_a_line_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    async with await recorded(path) as backend:
        await backend.open([content("one")])
    with path.open("a") as file:
        file.write('{"key": "12')
    async with await recorded(path) as backend:
        await backend.open([content("two")])
    async with await ReplayBackend.load(path) as replay:
        for text in ("one", "two"):
            assert (await replay.open([content(text)])).tokens > 0


async def test_a_recording_of_another_model_is_not_added_to(tmp_path: Path) -> None:
    async with await recorded(tmp_path / "r.jsonl") as backend:
        await backend.open([content("one")])
    before = (tmp_path / "r.jsonl").read_bytes()
    async with await LlamaCppBackend.load(MODEL, context=512, threads=1) as other:
        with pytest.raises(InputError, match="recording of genprm-mini under other settings"):
            RecordingBackend(other, tmp_path / "r.jsonl")
    assert (tmp_path / "r.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("hello\n", 1),
        ('{"format": "other"}\n', 1),
        ("HEADER\n{}\n", 2),
        ('HEADER\n{"key": "a", "read": ["x"]}\n', 2),
        ('HEADER\n{"key": "a", "read": [0.5, NaN]}\n', 2),
        ('HEADER\n{"key": "a", "read": [Infinity, 0.5]}\n', 2),
        ('HEADER\n{"key": "a", "read": [-3.0, 0.5]}\n', 2),
        ('HEADER\n{"key": "a", "read": [7.0, 1.0]}\n', 2),
        ('HEADER\n{"key": "a", "added": -1}\n', 2),
        (STRANGE_FRAME, 1),
        ('HEADER\n{"key": "a", "added": 3}\nnonsense\n', 3),
    ],
)
async def test_files_that_are_no_recordings(tmp_path: Path, text: str, line: int) -> None:
    async with await recorded(tmp_path / "r.jsonl"):
        header = (tmp_path / "r.jsonl").read_text().strip()
    path = tmp_path / "broken.jsonl"
    path.write_text(text.replace("HEADER", header))
    with pytest.raises(InputError, match=rf"broken.jsonl, line {line}, is no part of a recording"):
        await ReplayBackend.load(path)
    with pytest.raises(InputError, match="cannot read the recording"):
        await ReplayBackend.load(tmp_path / "missing.jsonl")


async def test_a_closed_replay_answers_no_more(tmp_path: Path) -> None:
    async with await recorded(tmp_path / "r.jsonl") as backend:
        await backend.open([content("one")])
    replay = await ReplayBackend.load(tmp_path / "r.jsonl")
    sequence = await replay.open([content("one")])
    await replay.close()
    with pytest.raises(ClosedError):
        await sequence.fork()
    with pytest.raises(ClosedError):
        await replay.open([content("one")])
