"""The reader of model files' metadata on good, torn and hostile files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk import ModelFileError, UnknownModelError, VerifierSettings
from genprm_sdk.models import find_model, read_gguf_metadata
from genprm_sdk.models.gguf import MetadataValue

MODEL = find_model("genprm-mini")[1]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def file_of(*entries: bytes, version: int = 3, count: int | None = None) -> bytes:
    header = b"GGUF" + struct.pack("<IQQ", version, 0, len(entries) if count is None else count)
    return header + b"".join(entries)


def entry(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def array(key: str, values: list[str]) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


def test_the_bundled_verifier_says_how_it_wants_to_be_used() -> None:
    metadata = read_gguf_metadata(MODEL)
    settings = VerifierSettings.from_metadata(metadata)
    assert (settings.style, settings.history) == ("chat", "steps")
    assert {"arithmetic", "dyck", "tracking"} < set(settings.domains)
    assert 0 < settings.analysis_tokens < settings.turn_tokens


def test_a_file_without_settings_is_taken_for_converted_genprm_weights() -> None:
    settings = VerifierSettings.from_metadata({})
    assert (settings.style, settings.history) == ("reference", "rationales")
    assert settings.reasoning == "analysis+code"
    assert (settings.analysis_tokens, settings.turn_tokens, settings.rounds) == (2048, 2048, 3)


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"genprm.role": "policy"}, "not a verifier"),
        ({"genprm.protocol": "genprm-9"}, "upgrade genprm-sdk"),
        ({"genprm.prompt_style": "loud"}, "known are chat, reference"),
        ({"genprm.history": 3}, "must be text"),
        ({"genprm.reasoning": "gossip"}, "known are direct, analysis"),
        ({"genprm.rounds": -1}, "whole number"),
        ({"genprm.turn_tokens": True}, "whole number"),
        ({"genprm.domains": "all"}, "list of names"),
    ],
)
def test_settings_that_make_no_sense(metadata: dict[str, MetadataValue], complaint: str) -> None:
    with pytest.raises(ModelFileError, match=complaint):
        VerifierSettings.from_metadata(metadata)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "letters GGUF"),
        (b"GGML" + b"\0" * 60, "letters GGUF"),
        (file_of(version=1), "version is 1"),
        (file_of(count=5), "middle of its metadata"),
        (file_of(count=2**60), "metadata entries"),
        (file_of(text("k") + struct.pack("<I", 99)), "unknown type"),
        (file_of(text("k") + struct.pack("<IIQ", 9, 8, 2**62)), "longer than the file"),
        (file_of(text("k") + struct.pack("<IIQ", 9, 6, 2**62)), "longer than the file"),
        (file_of(struct.pack("<Q", 2**63)), "middle of its metadata"),
        (file_of(array("tokenizer.ggml.tokens", ["a", "b", "a"])), "entry twice"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, data: bytes, complaint: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=complaint):
        read_gguf_metadata(path)


def test_entries_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    numbers = text("n") + struct.pack("<II", 4, 7)
    floats = text("skipped") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<3f", 1, 2, 3)
    path.write_bytes(file_of(entry("a", "é"), floats, numbers, array("list", ["x", "y"])))
    assert read_gguf_metadata(path) == {"a": "é", "n": 7, "list": ("x", "y")}


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_metadata_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bool
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    path.write_bytes(file_of(count=3) + data if start else data)
    try:
        read_gguf_metadata(path)
    except ModelFileError:
        return


def test_names_and_paths(tmp_path: Path) -> None:
    assert find_model("genprm-mini") == ("genprm-mini", MODEL)
    assert find_model(MODEL) == ("genprm-mini", MODEL)
    with pytest.raises(UnknownModelError, match="no model file"):
        find_model(tmp_path / "none.gguf")
    with pytest.raises(UnknownModelError, match="unknown model 'nope'"):
        find_model("nope")
    with pytest.raises(UnknownModelError):
        find_model(tmp_path)
