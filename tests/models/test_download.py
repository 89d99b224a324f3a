"""Downloads from a hub on loopback into a cache of their own: whole, cut, damaged, refused and resumed."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import hf_hub_download, snapshot_download

from genprm_sdk import (
    DownloadError,
    InputError,
    ModelError,
    ModelFileError,
    UnknownModelError,
    VerifierSettings,
)
from genprm_sdk.models import Arrived, HubSource, Located, fetch, locate, plan_download, read_gguf_metadata
from genprm_sdk.models.cache import HubCache

from ..backends.bundled import MODEL, bundled_folder
from .hub_server import HubServer, git_hash, sha256

pytestmark = pytest.mark.anyio

MINI = MODEL.read_bytes()
QUANTISED = "org/mini-GGUF"
GGUF = "mini.Q8_0.gguf"
WHOLE = "org/mini"
SMALL = {
    "config.json": b'{"model_type": "qwen2"}',
    "model.safetensors": bytes(100_000),
    "tokenizer.json": b'{"model": {}}',
    "tokenizer_config.json": b"{}",
}


async def get(hub: HubServer, cache: Path, model: str = f"hf:{QUANTISED}:Q8_0", **options: Any) -> Path:
    return await fetch(locate(model), cache_dir=cache, endpoint=hub.endpoint, **options)


@pytest.fixture
def quantised(hub: HubServer) -> HubServer:
    """The hub with the bundled model as a GGUF repository, under two quantisations' names."""
    hub.repos[QUANTISED] = {"README.md": b"# mini", GGUF: MINI, "mini.Q4_K_M.gguf": MINI[:1000]}
    return hub


@pytest.fixture
def whole(hub: HubServer) -> HubServer:
    """The hub with a small repository of safetensors."""
    hub.repos[WHOLE] = dict(SMALL)
    return hub


def partials(cache: Path) -> list[int]:
    return [file.stat().st_size for file in cache.glob("*/blobs/*.incomplete")]


def anything(folder: Path, pattern: str = "*") -> list[Path]:
    return list(folder.rglob(pattern))


async def test_a_whole_folder(hub: HubServer, tmp_path: Path) -> None:
    folder = bundled_folder()
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    unwanted = {
        "pytorch_model.bin": b"pickle",
        "modeling.py": b"code",
        "README.md": b"#",
        "onnx/model.safetensors": b"",
    }
    hub.repos[WHOLE] = files | unwanted | {"chat_template.jinja": b"{{ messages }}"}
    seen: list[Arrived] = []
    path = await get(hub, tmp_path, WHOLE, progress=seen.append)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == files | {
        "chat_template.jinja": b"{{ messages }}"
    }
    size = sum(map(len, files.values())) + len("{{ messages }}")
    assert [arrived.here for arrived in seen] == sorted(arrived.here for arrived in seen)
    assert (seen[-1].here, seen[-1].size) == (size, size)
    assert {"model.safetensors", "config.json"} <= {arrived.file for arrived in seen}

    asked = len(hub.requests)
    assert await get(hub, tmp_path, WHOLE) == path
    assert len(hub.requests) == asked


async def test_what_is_downloaded_is_there_for_hugging_faces_own_library(
    whole: HubServer, tmp_path: Path
) -> None:
    path = await get(whole, tmp_path, WHOLE)
    assert Path(snapshot_download(WHOLE, cache_dir=tmp_path, local_files_only=True)) == path
    before = len(whole.downloads())
    found = hf_hub_download(WHOLE, "model.safetensors", cache_dir=tmp_path, endpoint=whole.endpoint)
    assert Path(found) == path / "model.safetensors"
    assert len(whole.downloads()) == before


async def test_what_hugging_faces_own_library_downloaded_is_taken(whole: HubServer, tmp_path: Path) -> None:
    hf_hub_download(WHOLE, "model.safetensors", cache_dir=tmp_path, endpoint=whole.endpoint)
    plan = await plan_download(locate(WHOLE), cache_dir=tmp_path, endpoint=whole.endpoint)
    assert {planned.file.name for planned in plan.files if planned.whole} == {"model.safetensors"}
    path = await get(whole, tmp_path, WHOLE)
    assert sorted(file.name for file in path.iterdir()) == sorted(SMALL)
    assert len(whole.downloads("model.safetensors")) == 1


async def test_a_gguf_by_its_quantisation(quantised: HubServer, tmp_path: Path) -> None:
    path = await get(quantised, tmp_path)
    assert (path.name, path.read_bytes()) == (GGUF, MINI)
    assert VerifierSettings.from_metadata(read_gguf_metadata(path)).style == "chat"
    assert [request.path.rpartition("/")[2] for request in quantised.downloads()] == [GGUF]
    assert await get(quantised, tmp_path, f"hf:{QUANTISED}:{GGUF}") == path
    assert await get(quantised, tmp_path, f"hf:{QUANTISED}:q8_0") == path


async def test_a_known_models_name(quantised: HubServer, tmp_path: Path) -> None:
    quantised.repos["mradermacher/GenPRM-7B-GGUF"] = {"GenPRM-7B.Q4_K_M.gguf": MINI}
    assert (await get(quantised, tmp_path, "genprm-7b:Q4_K_M")).name == "GenPRM-7B.Q4_K_M.gguf"


async def test_several_parts_come_all(hub: HubServer, tmp_path: Path) -> None:
    parts = {f"Q8_0/big-Q8_0-{part:05}-of-00003.gguf": bytes([part]) * 5000 for part in (1, 2, 3)}
    hub.repos[QUANTISED] = parts | {"mmproj-Q8_0.gguf": b"vision", "big-Q4_0.gguf": b"other"}
    path = await get(hub, tmp_path)
    assert path.name == "big-Q8_0-00001-of-00003.gguf"
    assert {f"Q8_0/{file.name}": file.read_bytes() for file in path.parent.iterdir()} == parts
    assert await get(hub, tmp_path, f"hf:{QUANTISED}:Q8_0/big-Q8_0-00002-of-00003.gguf") == path
    path.with_name("big-Q8_0-00003-of-00003.gguf").unlink()
    with pytest.raises(DownloadError, match="not on this machine"):
        await get(hub, tmp_path, offline=True)


@pytest.mark.parametrize(
    ("names", "model", "kind", "complaint"),
    [
        (
            (GGUF,),
            f"hf:{QUANTISED}:Q5_K_M",
            UnknownModelError,
            "no GGUF file of the quantisation Q5_K_M: there are Q8_0",
        ),
        ((GGUF, "mini.Q4_K_M.gguf"), f"hf:{QUANTISED}:Q4_K", UnknownModelError, "there are Q4_K_M, Q8_0"),
        (
            (GGUF, "other.Q8_0.gguf"),
            f"hf:{QUANTISED}:Q8_0",
            UnknownModelError,
            r"more than one .*: write hf:org/mini-GGUF:FILE, with mini\.Q8_0\.gguf or other",
        ),
        ((GGUF,), f"hf:{QUANTISED}:none.gguf", UnknownModelError, r"no file none\.gguf"),
        (("a.bin",), f"hf:{QUANTISED}:Q8_0", UnknownModelError, "holds no GGUF file at all"),
        (
            ("m-Q8_0-00001-of-00002.gguf",),
            f"hf:{QUANTISED}:Q8_0",
            ModelFileError,
            r"of the 2 parts .* only \[1\]",
        ),
        ((GGUF,), QUANTISED, UnknownModelError, r"no safetensors: write hf:.* \(Q8_0\)"),
        (("config.json", "pytorch_model.bin"), QUANTISED, UnknownModelError, "pickled ones can run code"),
        (("model.safetensors",), QUANTISED, ModelFileError, r"no config\.json"),
        (("model.safetensors", "config.json"), QUANTISED, ModelFileError, "lacks a tokenizer"),
    ],
)
async def test_a_repository_without_what_is_wanted(
    names: tuple[str, ...], model: str, kind: type[Exception], complaint: str, hub: HubServer, tmp_path: Path
) -> None:
    hub.repos[QUANTISED] = dict.fromkeys(names, b"{}")
    with pytest.raises(kind, match=complaint):
        await get(hub, tmp_path, model)


async def test_weights_that_the_index_names_must_be_there(hub: HubServer, tmp_path: Path) -> None:
    index = (
        b'{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    )
    hub.repos[WHOLE] = SMALL | {
        "model-00001-of-00002.safetensors": b"1",
        "model.safetensors.index.json": index,
        "consolidated.safetensors": b"the same once more",
    }
    del hub.repos[WHOLE]["model.safetensors"]
    with pytest.raises(ModelFileError, match="not a whole model"):
        await get(hub, tmp_path, WHOLE)
    assert not hub.downloads("consolidated.safetensors")
    hub.repos[WHOLE]["model-00002-of-00002.safetensors"] = b"2"
    path = await get(hub, tmp_path, WHOLE)
    assert len(list(path.glob("*.safetensors"))) == 2
    (path / "model-00002-of-00002.safetensors").resolve().unlink()
    assert HubCache(tmp_path).find(HubSource(WHOLE)) is None
    assert await get(hub, tmp_path, WHOLE) == path
    assert len(hub.downloads("00001-of-00002.safetensors")) == 1
    assert len(hub.downloads("00002-of-00002.safetensors")) == 2


async def test_a_cut_connection_is_taken_up_again(quantised: HubServer, tmp_path: Path) -> None:
    quantised.cuts[GGUF] = [700_000, 900_000]
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    first, second, third = quantised.downloads()
    assert (first.range, second.range, third.range) == (None, "bytes=700000-", "bytes=1600000-")
    assert first.sent + second.sent + third.sent == len(MINI)


async def test_a_download_that_broke_off_goes_on_the_next_time(quantised: HubServer, tmp_path: Path) -> None:
    quantised.cuts[GGUF] = [1_200_000] + [0] * 6
    with pytest.raises(DownloadError, match=r"broke off at 1,200,000 of .* goes on from there"):
        await get(quantised, tmp_path)
    assert partials(tmp_path) == [1_200_000]
    with pytest.raises(DownloadError, match="not on this machine"):
        await get(quantised, tmp_path, offline=True)
    plan = await plan_download(
        locate(f"hf:{QUANTISED}:Q8_0"), cache_dir=tmp_path, endpoint=quantised.endpoint
    )
    assert (plan.here, plan.size, plan.weights) == (1_200_000, len(MINI), len(MINI))

    before = len(quantised.downloads())
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    (again,) = quantised.downloads()[before:]
    assert (again.range, again.sent) == ("bytes=1200000-", len(MINI) - 1_200_000)
    assert partials(tmp_path) == []


async def test_a_server_that_gives_no_parts_starts_over(quantised: HubServer, tmp_path: Path) -> None:
    quantised.ranges = False
    quantised.cuts[GGUF] = [1_200_000]
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    assert [request.status for request in quantised.downloads()] == [200, 200]


async def test_a_stopped_download_that_had_all_but_its_check(quantised: HubServer, tmp_path: Path) -> None:
    blobs = HubCache(tmp_path).repository(QUANTISED) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha256(MINI)}.incomplete").write_bytes(MINI)
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    assert not quantised.downloads()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
async def test_a_file_damaged_on_the_way_is_deleted(name: str, whole: HubServer, tmp_path: Path) -> None:
    true = SMALL[name]
    whole.lies[name] = b"X" + true[1:]
    digest = git_hash(true) if name == "config.json" else sha256(true)
    with pytest.raises(ModelFileError, match=f"org/mini/{name} was damaged on the way.* deleted"):
        await get(whole, tmp_path, WHOLE)
    assert not anything(tmp_path, f"{digest}*")
    with pytest.raises(DownloadError, match="not on this machine"):
        await get(whole, tmp_path, WHOLE, offline=True)
    del whole.lies[name]
    assert ((await get(whole, tmp_path, WHOLE)) / name).read_bytes() == true


async def test_what_an_earlier_download_left_is_checked_too(quantised: HubServer, tmp_path: Path) -> None:
    blobs = HubCache(tmp_path).repository(QUANTISED) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha256(MINI)}.incomplete").write_bytes(b"garbage")
    with pytest.raises(ModelFileError, match="damaged"):
        await get(quantised, tmp_path)
    (blobs / f"{sha256(MINI)}.incomplete").write_bytes(MINI + b"more")
    assert (await get(quantised, tmp_path)).read_bytes() == MINI


async def test_a_server_that_sends_too_much(whole: HubServer, tmp_path: Path) -> None:
    whole.lies["config.json"] = SMALL["config.json"] * 1000
    with pytest.raises(DownloadError, match="sends more than the 23 bytes"):
        await get(whole, tmp_path, WHOLE)
    assert max(partials(tmp_path)) <= 23


@pytest.mark.parametrize(
    ("start", "status", "code", "complaint"),
    [
        ("/api", 404, "", "no repository org/mini .* or it is private"),
        ("/api", 401, "RepoNotFound", "no repository org/mini"),
        ("/api", 401, "", r"accept its licence at .*/org/mini, then set HF_TOKEN"),
        ("/api", 403, "GatedRepo", "set HF_TOKEN"),
        ("/org/mini/resolve", 401, "GatedRepo", "accept its licence"),
        ("/org/mini/resolve", 403, "GatedRepo", "accept its licence"),
        ("/org/mini/resolve", 404, "EntryNotFound", "does not have it"),
        ("/org/mini/resolve", 503, "", "broke off at 0 of .*: the server answers 503"),
        ("/api", 429, "", "answers 429 .* wait a little"),
        ("/api", 500, "", "answers 500 .* try again later"),
    ],
)
async def test_a_hub_that_refuses(
    start: str, status: int, code: str, complaint: str, whole: HubServer, tmp_path: Path
) -> None:
    whole.refusals[start] = (status, code)
    with pytest.raises(DownloadError, match=complaint) as caught:
        await get(whole, tmp_path, WHOLE)
    assert "\n" not in str(caught.value)
    whole.refusals.clear()
    assert (await get(whole, tmp_path, WHOLE)).is_dir()


async def test_names_that_a_hub_does_not_know(whole: HubServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no repository org/none"):
        await get(whole, tmp_path, "org/none")
    with pytest.raises(DownloadError, match="org/mini has no revision v9"):
        await get(whole, tmp_path, "org/mini@v9")


async def test_no_network(whole: HubServer, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(DownloadError, match=f"cannot reach {endpoint} for org/mini.*check the network"):
            await fetch(locate(WHOLE), cache_dir=tmp_path, endpoint=endpoint)
        path = await get(whole, tmp_path, WHOLE)
        assert await fetch(locate(WHOLE), cache_dir=tmp_path, endpoint=endpoint) == path
    with pytest.raises(DownloadError, match="cannot reach"):
        await fetch(locate("org/x"), cache_dir=tmp_path, endpoint="http://[nowhere")


async def test_offline(whole: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="downloads are switched off: run `genprm models pull org/mini`"):
        await get(whole, tmp_path, WHOLE, offline=True)
    assert not whole.requests
    path = await get(whole, tmp_path, WHOLE)
    asked = len(whole.requests)
    assert await get(whole, tmp_path, WHOLE, offline=True) == path
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert await get(whole, tmp_path, WHOLE, refresh=True) == path
    with pytest.raises(DownloadError, match="downloads are switched off"):
        await get(whole, tmp_path, f"{WHOLE}@v1")
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        await plan_download(locate(WHOLE), cache_dir=tmp_path, endpoint=whole.endpoint)
    assert len(whole.requests) == asked


async def test_a_cancelled_download_goes_on_the_next_time(quantised: HubServer, tmp_path: Path) -> None:
    quantised.gate.clear()
    arrived = asyncio.Event()
    task = asyncio.create_task(get(quantised, tmp_path, progress=lambda seen: seen.here and arrived.set()))
    await asyncio.wait_for(arrived.wait(), 10)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    (kept,) = partials(tmp_path)
    assert 1_000_000 < kept < len(MINI)
    quantised.gate.set()
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    again = quantised.downloads()[-1]
    assert (again.range, again.sent) == (f"bytes={kept}-", len(MINI) - kept)


async def test_several_at_once_bring_a_file_once(quantised: HubServer, tmp_path: Path) -> None:
    paths = await asyncio.gather(*(get(quantised, tmp_path) for _ in range(4)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == MINI
    assert len(quantised.downloads()) == 1


async def test_a_full_disk_is_seen_before(
    quantised: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 1_000_000))  # type: ignore[attr-defined]
    with pytest.raises(DownloadError, match=r"Q8_0 needs 0\.0 GB more, and 0\.0 GB are free .* HF_HUB_CACHE"):
        await get(quantised, tmp_path)
    assert not quantised.downloads()


async def test_a_disk_that_fills_up(
    quantised: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[[int, Any, int], int] = os.pwrite

    def limited(descriptor: int, data: Any, place: int) -> int:
        if place >= 1_500_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: 1_500_000 - place], place)

    monkeypatch.setattr(os, "pwrite", limited)
    with pytest.raises(DownloadError, match="No space left on device; what came is kept"):
        await get(quantised, tmp_path)
    assert partials(tmp_path) == [1_500_000]
    monkeypatch.setattr(os, "pwrite", write)
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    assert quantised.downloads()[-1].range == "bytes=1500000-"


async def test_a_cache_that_cannot_be_written(quantised: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match=r"cannot write .*: Not a directory"):
        await get(quantised, tmp_path / "file")


async def test_a_disk_without_symbolic_links(
    whole: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "symlink", refuse)
    path = await get(whole, tmp_path, WHOLE)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == SMALL
    assert not any(file.is_symlink() for file in path.iterdir())
    await get(whole, tmp_path, WHOLE, refresh=True)
    assert len(whole.downloads()) == len(SMALL)


@pytest.mark.parametrize(
    ("name", "override", "complaint"),
    [
        ("../../evil.safetensors", {}, "outside of its folder"),
        ("/etc/evil.safetensors", {}, "outside of its folder"),
        ("a/../../evil.gguf", {}, "outside of its folder"),
        ("..\\evil.safetensors", {}, "outside of its folder"),
        ("C:evil.safetensors", {}, "outside of its folder"),
        ("tokenizer\n.json", {}, "outside of its folder"),
        ("x.json", {"blobId": "../../../evil"}, "has a hash of"),
        ("x.json", {"blobId": None}, "has a hash of"),
        ("x.json", {"size": -1}, "has a size of -1"),
        ("x.json", {"size": 10**400}, "has a size of 1000"),
        ("x.json", {"rfilename": "tokenizer\ud800.json"}, "has no proper name"),
        ("x.json", {"lfs": {"size": 1, "sha256": "/etc/passwd"}}, "has a hash of"),
        ("x.json", {"lfs": {"size": True, "sha256": "0" * 64}}, "has a size of True"),
        ("x.json", {"rfilename": 7}, "outside of its folder"),
        ("", {"sha": "../../../evil"}, "is no commit"),
        ("", {"siblings": None}, "cannot be used"),
    ],
)
async def test_a_hostile_listing(
    name: str, override: dict[str, Any], complaint: str, whole: HubServer, tmp_path: Path
) -> None:
    if name:
        whole.repos[WHOLE][name] = b"evil"
    whole.overrides[name] = override
    with pytest.raises(DownloadError, match=complaint):
        await get(whole, tmp_path / "cache", WHOLE)
    assert not whole.downloads()
    assert not anything(tmp_path)


async def test_a_page_instead_of_a_listing(whole: HubServer, tmp_path: Path) -> None:
    whole.refusals["/api"] = (200, "")
    with pytest.raises(DownloadError, match="is it a model hub"):
        await get(whole, tmp_path, WHOLE)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [(b"[" * 100_000, "nested too deeply"), (b"[]", "no object"), (b" " * 200_001, "longer than 200,000")],
    ids=["deep", "array", "long"],
)
async def test_a_listing_that_cannot_be_read(
    said: bytes, complaint: str, whole: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genprm_sdk.models.hub._LONGEST_LISTING", 200_000)
    whole.said = said
    with pytest.raises(DownloadError, match=f"{complaint}.*is it a model hub"):
        await get(whole, tmp_path, WHOLE)


@pytest.mark.parametrize("index", [b"[" * 100_000, b"[]", b'{"weight_map": {"a": ["b"]}}'], ids=range(3))
async def test_an_index_that_cannot_be_read(index: bytes, hub: HubServer, tmp_path: Path) -> None:
    hub.repos[WHOLE] = SMALL | {"model.safetensors.index.json": index}
    with pytest.raises(ModelFileError, match="not a whole model"):
        await get(hub, tmp_path, WHOLE)


async def test_a_token_stays_with_the_hub(
    quantised: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    quantised.elsewhere = True
    assert (await get(quantised, tmp_path)).read_bytes() == MINI
    assert [(request.host, request.authorized) for request in quantised.requests] == [
        ("127.0.0.1", True),
        ("127.0.0.1", True),
        ("localhost", False),
    ]


async def test_branches_move_only_when_asked_to_and_commits_never(whole: HubServer, tmp_path: Path) -> None:
    old, commit = await get(whole, tmp_path, WHOLE), whole.commit(WHOLE)
    whole.repos[WHOLE]["config.json"] = b'{"model_type": "llama"}'
    assert await get(whole, tmp_path, WHOLE) == old
    new = await get(whole, tmp_path, WHOLE, refresh=True)
    assert new != old
    assert await get(whole, tmp_path, WHOLE, offline=True) == new
    assert await get(whole, tmp_path, f"{WHOLE}@{commit}", offline=True) == old
    assert len(whole.downloads("model.safetensors")) == 1


async def test_what_needs_no_download(tmp_path: Path) -> None:
    assert await fetch(locate("genprm-mini")) == MODEL
    with pytest.raises(InputError, match="is on no hub"):
        await fetch(Located("s", "server", urls=("http://x",)))


def removed(cache: Path, model: str) -> int:
    source = locate(model).hub
    assert source is not None
    return HubCache(cache).remove(source)


async def test_removing(quantised: HubServer, tmp_path: Path) -> None:
    quantised.repos[WHOLE] = dict(SMALL)
    assert removed(tmp_path / "none", WHOLE) == 0
    await get(quantised, tmp_path)
    await get(quantised, tmp_path, f"hf:{QUANTISED}:Q4_K_M")
    await get(quantised, tmp_path, WHOLE)
    held = {entry.repo: (entry.size, entry.holds) for entry in HubCache(tmp_path).downloaded()}
    assert held == {
        WHOLE: (sum(map(len, SMALL.values())), ("safetensors",)),
        QUANTISED: (len(MINI) + 1000, ("Q4_K_M", "Q8_0")),
    }
    assert removed(tmp_path, f"hf:{QUANTISED}:Q6_K") == 0
    assert removed(tmp_path, f"hf:{QUANTISED}:Q8_0") == len(MINI)
    assert (await get(quantised, tmp_path, f"hf:{QUANTISED}:Q4_K_M", offline=True)).stat().st_size == 1000
    with pytest.raises(DownloadError):
        await get(quantised, tmp_path, offline=True)
    assert removed(tmp_path, f"hf:{QUANTISED}:Q4_K_M") == 1000
    assert removed(tmp_path, WHOLE) == sum(map(len, SMALL.values()))
    assert HubCache(tmp_path).downloaded() == []


async def test_removing_what_never_arrived_as_a_whole(quantised: HubServer, tmp_path: Path) -> None:
    quantised.cuts[GGUF] = [1_200_000] + [0] * 6
    with pytest.raises(ModelError):
        await get(quantised, tmp_path)
    assert removed(tmp_path, f"hf:{QUANTISED}:Q8_0") == 1_200_000
    assert partials(tmp_path) == []
