"""What a caller may write as a model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from genprm_sdk import UnknownModelError, VerifierSettings
from genprm_sdk.models import HubSource, bundled_models, find_model, known_models, locate


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("owner/repo", HubSource("owner/repo")),
        ("hf:owner/repo", HubSource("owner/repo")),
        ("GenPRM/GenPRM-7B", HubSource("GenPRM/GenPRM-7B")),
        ("hf:owner/repo@v1.0", HubSource("owner/repo", "v1.0")),
        ("hf:owner/repo@refs/pr/1", HubSource("owner/repo", "refs/pr/1")),
        ("hf:owner/repo:Q4_K_M", HubSource("owner/repo", quantisation="Q4_K_M")),
        ("owner/repo:Q4_K_M", HubSource("owner/repo", quantisation="Q4_K_M")),
        ("hf:owner/repo@abc:Q8_0", HubSource("owner/repo", "abc", quantisation="Q8_0")),
        ("hf:owner/repo:some.gguf", HubSource("owner/repo", file="some.gguf")),
        ("hf:owner/repo:sub/some.GGUF", HubSource("owner/repo", file="sub/some.GGUF")),
        ("genprm-7b:Q8_0", HubSource("mradermacher/GenPRM-7B-GGUF", quantisation="Q8_0")),
    ],
)
def test_what_lies_on_a_hub(model: str, source: HubSource) -> None:
    located = locate(model)
    assert (located.kind, located.hub, located.path) == ("hub", source, None)


@pytest.mark.parametrize("installed", [True, False])
def test_a_known_name_suits_the_engine_that_is_installed(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    spec = find("json")
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: (spec if installed else None) if name == "llama_cpp" else find(name),
    )
    for known in known_models():
        located = locate(known.name)
        expected = HubSource(known.gguf_repo, quantisation="Q4_K_M") if installed else HubSource(known.repo)
        assert located.hub == expected
        assert located.name == known.name
        assert located.settings == VerifierSettings()


def test_what_is_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for bundled in bundled_models():
        assert locate(bundled.name).path == bundled.path
    (tmp_path / "owner").mkdir()
    file, folder = tmp_path / "owner" / "model.gguf", tmp_path / "owner" / "repo"
    file.write_bytes(b"GGUF")
    folder.mkdir()
    with pytest.raises(UnknownModelError, match=r"has no config\.json: it holds no model"):
        locate(folder)
    (folder / "config.json").write_text("{}")
    assert (locate("owner/model.gguf").kind, locate(file).name) == ("gguf", "model")
    assert (locate("owner/repo").kind, locate("owner/repo").name) == ("folder", "repo")
    assert locate("hf:owner/repo").kind == "hub"
    with pytest.raises(UnknownModelError, match=r"give one of its files, such as .*model\.gguf"):
        locate(tmp_path / "owner")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(UnknownModelError, match="give its folder"):
        locate(folder / "model.safetensors")
    with pytest.raises(UnknownModelError, match="no model file"):
        locate(Path("genprm-mini"))
    with pytest.raises(UnknownModelError, match="no GGUF file"):
        find_model("owner/repo")


def test_servers() -> None:
    located = locate("http://one:8000/v1/, https://user:secret@two/v1")
    assert (located.kind, located.urls) == ("server", ("http://one:8000/v1", "https://user:secret@two/v1"))
    assert located.name == "one:8000,two"
    for wrong in ("http://", "http://one,two", "http://one:port"):
        with pytest.raises(UnknownModelError, match="no address of a server"):
            locate(wrong)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("genprm-8b", "did you mean genprm-7b"),
        ("Genprm-Mini", "did you mean genprm-mini"),
        ("genprm-7b:", "unknown model 'genprm-7b:'"),
        ("nothing like it", "there are genprm-mini, policy-mini, genprm-1.5b"),
        ("", "unknown model ''"),
        pytest.param("a" * 5000, "unknown model 'aaa", id="long"),
        pytest.param("a" * 5000 + ".gguf", "no model file aaa", id="long file"),
        pytest.param("./" + "a/" * 5000, "no model file a/a/", id="long path"),
        ("owner/none.gguf", "no model file owner/none.gguf"),
        ("a/b/c", "no model file a/b/c"),
        ("hf:owner", "no model on the hub"),
        ("hf:../repo", "no model on the hub"),
        ("hf:owner/-repo", "no model on the hub"),
        ("hf:owner/a--b", "no model on the hub"),
        ("hf:owner/repo@../../x", "outside of its repository"),
        ("hf:owner/repo@/x", "outside of its repository"),
        ("hf:owner/repo:../x.gguf", "outside of its repository"),
        ("hf:owner/repo:sub/Q4", "behind the colon goes"),
    ],
)
def test_what_stands_for_nothing(model: str, complaint: str) -> None:
    with pytest.raises(UnknownModelError, match=complaint):
        locate(model)
