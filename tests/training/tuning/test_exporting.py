"""A model's whole way out: files that were compared, their figures, a card; and nothing half done."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import gguf
import pytest

from genprm_sdk import Verifier
from genprm_sdk.errors import InputError, ModelError, ModelFileError
from genprm_sdk.training.pipeline.records import Message
from genprm_sdk.training.tuning.card import CardFacts, model_card
from genprm_sdk.training.tuning.exporting import Exported, export_folder
from genprm_sdk.training.tuning.threads import Check, in_thread

pytestmark = pytest.mark.anyio

Conversations = Sequence[Sequence[Message]]
LONGEST = 120


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
async def release(
    mini: Path, conversations: Conversations, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[Exported, ...], list[str]]:
    out = tmp_path_factory.mktemp("release") / "out"
    lines: list[str] = []
    exported = await export_folder(
        mini,
        out,
        "tuned",
        ["q8_0", "f16", "F16"],
        conversations,
        base="genprm-mini",
        licence="mit",
        records={"Training": [("steps", "12"), ("loss | start", "1.5\n-> 0.1")]},
        longest=LONGEST,
        threads=1,
        hear=lines.append,
    )
    return out, exported, lines


Release = tuple[Path, tuple[Exported, ...], list[str]]


async def test_files_figures_and_card(release: Release) -> None:
    out, exported, lines = release
    assert names(out) == {"tuned-F16.gguf", "tuned-Q8_0.gguf", "parity.json", "README.md"}
    assert [file.path.name for file in exported] == ["tuned-F16.gguf", "tuned-Q8_0.gguf"]
    figures = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    card = (out / "README.md").read_text(encoding="utf-8")
    assert figures["name"] == "tuned"
    for file in exported:
        data = file.path.read_bytes()
        said = figures["files"][file.path.name]
        assert said["size"] == file.size == len(data)
        assert said["sha256"] == file.sha256 == hashlib.sha256(data).hexdigest()
        assert said["parity"]["positions"] == file.parity.positions == 3 * LONGEST
        assert said["parity"]["mean"] == file.parity.mean <= said["parity"]["tolerance"]
        assert f"| {file.path.name} | {file.quantization} | {file.size:,} | `{file.sha256}` |" in card
    assert exported[0].parity.mean < exported[1].parity.mean
    assert [line.split()[0] for line in lines] == [
        "running",
        *("writing", "comparing", "tuned-F16.gguf:"),
        *("writing", "comparing", "tuned-Q8_0.gguf:"),
    ]


async def test_the_card_says_how_the_model_was_made(release: Release) -> None:
    card = (release[0] / "README.md").read_text(encoding="utf-8")
    assert card.startswith('---\nbase_model: "genprm-mini"\n')
    assert 'license: "mit"' in card
    assert "## Training\n\n|  |  |\n| --- | --- |\n| steps | 12 |\n| loss \\| start | 1.5 -> 0.1 |\n" in card
    assert 'Verifier("./tuned-Q8_0.gguf")' in card
    bare = model_card(CardFacts("name", "base"))
    assert "licence | unknown" in bare
    assert "license:" not in bare
    assert "## Files" not in bare


async def test_a_verifier_runs_on_what_was_released(release: Release) -> None:
    async with Verifier(release[0] / "tuned-Q8_0.gguf", threads=1) as verifier:
        report = await verifier.check(["2 + 3 = 5"], problem="What is 2 + 3?", seed=0)
    assert report.verdict == "correct"


async def test_a_small_type_is_made_of_a_compared_file_that_goes_again(
    wide: Path, conversations: Conversations, tmp_path: Path
) -> None:
    lines: list[str] = []
    (exported,) = await export_folder(
        wide,
        tmp_path,
        "wide",
        ["q6_k"],
        conversations[:1],
        base="nothing",
        longest=LONGEST,
        threads=1,
        hear=lines.append,
    )
    assert names(tmp_path) == {"wide-Q6_K.gguf", "parity.json", "README.md"}
    assert exported.parity.tolerance is None
    assert any(line.startswith("wide-F16.gguf: log-probabilities off by 0.00") for line in lines)
    fields = gguf.GGUFReader(exported.path).fields
    assert fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q6_K
    assert "bound" in (tmp_path / "README.md").read_text(encoding="utf-8")


async def test_a_file_that_computes_something_else_is_not_released(
    mini: Path, conversations: Conversations, tmp_path: Path
) -> None:
    (tmp_path / "mini-Q8_0.gguf").write_bytes(b"old")
    mend = (
        r"^mini-Q8_0\.gguf does not compute what .*: ask for f16 instead; the figures are in .*refused\.json"
    )
    with pytest.raises(ModelFileError, match=mend):
        await export_folder(
            mini,
            tmp_path,
            "mini",
            ["f16", "q8_0"],
            conversations[:1],
            base="genprm-mini",
            tolerances={"q8_0": 1e-6},
            longest=LONGEST,
            threads=1,
        )
    assert names(tmp_path) == {"mini-F16.gguf", "mini-Q8_0.gguf", "parity.json", "refused.json"}
    assert (tmp_path / "mini-Q8_0.gguf").read_bytes() == b"old"
    figures = json.loads((tmp_path / "parity.json").read_text(encoding="utf-8"))
    assert list(figures["files"]) == ["mini-F16.gguf"]
    refused = json.loads((tmp_path / "refused.json").read_text(encoding="utf-8"))
    assert refused["quantization"] == "Q8_0"
    assert refused["parity"]["mean"] > refused["parity"]["tolerance"] == 1e-6


@pytest.mark.parametrize("moment", ["running", "writing wide-F16", "comparing wide-F16", "writing wide-Q4"])
async def test_a_cancelled_export_leaves_nothing(
    moment: str, wide: Path, conversations: Conversations, tmp_path: Path
) -> None:
    def hear(line: str) -> None:
        if line.startswith(moment):
            running = asyncio.current_task()
            assert running is not None
            asyncio.get_running_loop().call_later(0.02, running.cancel)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(
            export_folder(
                wide,
                tmp_path / "out",
                "wide",
                ["Q4_0", "Q4_K_M"],
                conversations,
                base="nothing",
                longest=LONGEST,
                threads=1,
                hear=hear,
            )
        )
    await asyncio.sleep(0.1)
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == set()


async def test_who_is_cancelled_waits_for_the_thread() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(check: Check) -> None:
        begun.set()
        try:
            while True:
                check()
        finally:
            ended.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_what_work_returns_or_raises_comes_back() -> None:
    assert await in_thread(lambda check: check() or 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda check: 1 // 0)


def talk(*roles: str) -> list[Message]:
    return [Message.model_validate({"role": role, "content": "two words"}) for role in roles]


@pytest.mark.parametrize(
    ("name", "kinds", "texts", "message"),
    [
        ("a/b", ["f16"], [talk("system", "user")], "'a/b' cannot be the name of a file"),
        ("mini", [], [talk("system", "user")], "no type of file was named"),
        ("mini", ["f17"], [talk("system", "user")], "quantization must be one of"),
        ("mini", ["f16", "Q6_K"], [talk("system", "user")], "Q6_K packs 256 numbers"),
        ("mini", ["f16"], [], "need a text of two tokens or more"),
        ("mini", ["f16"], [talk("user", "assistant")], "goes system, user, .* not user, assistant"),
        ("mini", ["f16"], [talk("system", "user", "user")], "not system, user, user"),
        ("mini", ["f16"], [[]], "not empty"),
    ],
)
async def test_what_cannot_be_is_said_before_anything_is_written(
    mini: Path, tmp_path: Path, name: str, kinds: list[str], texts: list[list[Message]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        await export_folder(mini, tmp_path / "out", name, kinds, texts, base="genprm-mini")
    assert not (tmp_path / "out").exists()


async def test_a_place_that_cannot_be_written_to_is_said(mini: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written to"):
        await export_folder(
            mini,
            tmp_path / "file" / "out",
            "mini",
            ["f16"],
            [talk("system", "user")],
            base="genprm-mini",
            threads=1,
        )
