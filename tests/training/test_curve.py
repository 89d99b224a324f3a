"""The learning curve: goes on where the run does, and is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from genprm_sdk.training.curve import Curve, picture
from genprm_sdk.training.sft import Progress


def progress(step: int, exact: dict[str, float] | None = None) -> Progress:
    return Progress(step, 100, 10.0 / step, 1000.0, 1.0, exact)


def test_a_curve_is_written_down_and_drawn(tmp_path: Path) -> None:
    curve = Curve(tmp_path, 0)
    curve.add(progress(20))
    assert not (tmp_path / "curve.svg").exists()
    curve.add(progress(40, {"dyck": 0.5, "a<b": 0.25}))
    lines = (tmp_path / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 20, "loss": 0.5},
        {"step": 40, "loss": 0.25, "exact": {"dyck": 0.5, "a<b": 0.25}},
    ]
    drawn = ElementTree.parse(tmp_path / "curve.svg").getroot()
    assert {"dyck", "a<b", "50%", "0.1", "1", "100"} <= {text.text for text in drawn.iter() if text.text}


def test_what_lies_behind_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    curve = Curve(tmp_path, 0)
    for step in (20, 40, 60):
        curve.add(progress(step))
    Curve(tmp_path, 40).add(progress(60, {"dyck": 1.0}))
    steps = [json.loads(line)["step"] for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert steps == [20, 40, 60]


@pytest.mark.parametrize(
    "torn", [b'{"step": 6', b'{"step": 60, "loss": 0.1\n{"loss": 0.2}\n', b"\xff\n", b"60"]
)
def test_a_line_that_was_cut_short_is_left_out(torn: bytes, tmp_path: Path) -> None:
    curve = Curve(tmp_path, 0)
    for step in (20, 40):
        curve.add(progress(step))
    with (tmp_path / "curve.jsonl").open("ab") as file:
        file.write(torn)
    Curve(tmp_path, 80).add(progress(80))
    steps = [json.loads(line)["step"] for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert steps == [20, 40, 80]


def test_a_point_lies_where_its_values_say() -> None:
    svg = picture([{"step": 100, "loss": 1.0, "exact": {"dyck": 1.0}}, {"step": 50, "loss": 0.01}], 100)
    assert "M436.0 44.0L240.0 216.0" in svg  # the loss, from the top right to the bottom in the middle
