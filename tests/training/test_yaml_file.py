"""YAML that people write: read as plain data, or one kind of error."""

from __future__ import annotations

from pathlib import Path

import pytest

from genprm_sdk.training.yaml_file import read_yaml

# What PyYAML breaks on in ways of its own, not with its own error.
NO_YAML = [
    "n: 2001-99-99",
    "n: !!int 'zz'",
    "n: !!int ''",
    "n: !!float 'x'",
    "n: !!bool 'zz'",
    "n: !!timestamp 'x'",
    "n: " + "9" * 5000,
    "[" * 1500,
    "!!python/object/apply:os.system ['true']",
    "a: [",
]


@pytest.mark.parametrize("text", NO_YAML, ids=range(len(NO_YAML)))
def test_what_is_no_plain_data_is_a_value_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\S"):
        read_yaml(path)


def test_files_that_cannot_be_read_are_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    for name in ("missing.yaml", "latin.yaml", "."):
        with pytest.raises(ValueError, match=r"\S"):
            read_yaml(tmp_path / name)


def test_plain_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "right.yaml"
    path.write_text("steps: 3\nshares: {arithmetic: 1.5}")
    assert read_yaml(path) == {"steps": 3, "shares": {"arithmetic": 1.5}}
