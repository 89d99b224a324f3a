"""The document: what was found, what was not run, and which claims are not borne out."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from reproduction.experiments import EXPERIMENTS
from reproduction.page import write_page
from reproduction.results import Claim, Picture, Result, Rows
from reproduction.scales import SCALES
from reproduction.scoring import Interval


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [(0.1, 0.2, "holds"), (-0.2, -0.1, "does not hold"), (-0.1, 0.1, "undecided"), (0.0, 0.1, "undecided")],
)
def test_a_claim_stands_by_its_interval(low: float, high: float, standing: str) -> None:
    assert Claim("x", Interval((low + high) / 2, low, high)).standing == standing


def test_the_page_says_what_holds_and_what_is_missing(tmp_path: Path) -> None:
    first, second, *_ = EXPERIMENTS
    result = Result(
        how="How it was done.",
        paper="75.2.",
        tables=(Rows("A table", (("a", "b|c"), ("1", "2"))),),
        claims=(
            Claim("It is better.", Interval(0.1, 0.05, 0.15)),
            Claim("It is worse.", Interval(-0.1, -0.15, -0.05)),
        ),
        pictures=(Picture("F1", "samples", {"x": ((1, 50.0), (2, 60.0))}),),
    )
    page = tmp_path / "docs" / "page.md"
    write_page(page, SCALES["smoke"], "a machine", [(first, result), (second, None)])
    text = page.read_text(encoding="utf-8")
    assert "scale `smoke`, on a machine" in text
    assert "no interval means anything" in text
    assert text.index("**does not hold**: It is worse. -10.0 (-15.0 to -5.0)") < text.index(
        "**holds**: It is"
    )
    assert f"**not run yet**: {second.title}" in text
    assert f"## {second.title}\n\nNot run yet." in text
    assert "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |" in text
    assert "**Published**: 75.2." in text
    picture = tmp_path / "docs" / "images" / f"reproduction-{first.name}.svg"
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert f"(images/{picture.name})" in text
