"""Plots and the index of a run: well-formed, harmless, and in a real browser readable and quiet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation import Settings, summarise, write_run
from genprm_sdk.evaluation.outcome import Outcome
from genprm_sdk.evaluation.plots import draw_plots, round_axis
from genprm_sdk.evaluation.store import ResultStore, page_name
from genprm_sdk.evaluation.svg import numbered_axis

from ..report.browser import Browser, Scheme, find_browser
from .outcomes import HOSTILE, outcome_of_scores, outcomes

SETTINGS = Settings(benchmark="processbench", model=HOSTILE[:80], samples=4)
PROGRAM = find_browser()
OVERFLOWING = """[...document.querySelectorAll('body *')].filter(element =>
  !element.closest('pre, svg') && element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.outerHTML.slice(0, 200))"""


def some_run() -> list[Outcome]:
    made = [
        outcome_of_scores(f"{HOSTILE}{number}", "a" if number % 2 else HOSTILE, scores, expected)
        for number, (scores, expected) in enumerate(
            [
                ([[0.9, 0.8, 0.9, 0.2], [0.1, 0.6, 0.2, 0.3]], 1),
                ([[0.2, 0.9, 0.9, 0.9]], None),
                ([[None] * 4, [0.9] * 4], None),
                ([[0.9] * 4] * 30, 17),
            ]
        )
    ]
    return [*made, Outcome(key="f/x", subset="f", labelled=False, error=HOSTILE)]


def test_every_plot_of_a_run_is_there_and_is_xml() -> None:
    made = some_run()
    charts = draw_plots(summarise(SETTINGS, made), made)
    assert set(charts) == {"scaling", "positions", "reliability", "tokens", "confusion"}
    for chart in charts.values():
        root = ElementTree.fromstring(chart.file())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not [each for each in root.iter() if each.tag.endswith(("script", "foreignObject"))]
        for each in root.iter():
            assert not {name for name in each.attrib if name.startswith("on") or name == "style"}
            for name in ("cx", "cy", "x", "y", "width", "height", "r"):
                value = each.get(name, "0")
                assert value.endswith("%") or -1 <= float(value) <= 441


@given(outcomes())
@settings(max_examples=15, deadline=None)
def test_any_run_can_be_drawn(made: list[Outcome]) -> None:
    for chart in draw_plots(summarise(SETTINGS, made), made).values():
        ElementTree.fromstring(chart.file())


def test_the_positions_count_every_labelled_record() -> None:
    made = some_run()
    drawn = draw_plots(summarise(SETTINGS, made), made)["positions"].file()
    counts = [int(count) for count in re.findall(r"labelled [^<]*?: (\d+)</title>", drawn)]
    assert sum(counts) == 4
    assert "labelled 1, found 1: 1" in drawn
    assert "labelled none, found no verdict: 1" in drawn


def test_a_run_without_a_single_result_has_its_zeros_alone(tmp_path: Path) -> None:
    made = [Outcome(key="f/x", subset="f", labelled=False, error="it broke")]
    summary = summarise(SETTINGS, made)
    assert set(draw_plots(summary, made)) == {"scaling"}
    alone = [outcome_of_scores("k", "s", [[0.9] * 4], None)]
    assert "scaling" not in draw_plots(summarise(SETTINGS, alone), alone)
    assert "it broke" in write_run(tmp_path, summary, made).read_text()


def test_a_value_without_an_interval_is_drawn_without_one(tmp_path: Path) -> None:
    made = [
        outcome_of_scores("right", "s", [[0.9] * 4], None),
        outcome_of_scores("wrong", "s", [[0.2] * 4], 0),
    ]
    summary = summarise(SETTINGS, made)
    drawn = draw_plots(summary, made)["scaling"].file()
    assert "s: 100.0%" in drawn
    assert " V " not in drawn
    assert "to 0.0" not in write_run(tmp_path, summary, made).read_text()


@given(st.floats(min_value=1, max_value=1e7))
def test_axes_end_at_round_numbers(highest: float) -> None:
    axis = round_axis("x", highest)
    assert axis.high >= highest
    assert 2 <= len(axis.ticks) <= 7


@given(st.integers(1, 500))
def test_of_many_names_a_few_are_written(count: int) -> None:
    axis = numbered_axis("x", [str(number) for number in range(count)])
    assert len(axis.ticks) <= 11
    assert axis.ticks[0][1] == "0"
    assert axis.ticks[-1][1] == str(count - 1)
    two = numbered_axis("x", [*map(str, range(count)), "none", "no verdict"], last=2)
    assert [name for _, name in two.ticks[-2:]] == ["none", "no verdict"]


@given(st.lists(st.text(max_size=80), unique=True, max_size=20))
def test_pages_have_harmless_names_of_their_own(keys: list[str]) -> None:
    names = [page_name(key) for key in keys]
    assert len({name.casefold() for name in names}) == len(keys)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*\.html", name)
        assert len(name) < 100


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    made = some_run()
    (tmp_path / "plots").write_text("")
    with pytest.raises(InputError, match=r"index\.html cannot be written"):
        write_run(tmp_path, summarise(SETTINGS, made), made)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no Chromium or Chrome on the PATH")
    with Browser(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1200, "light")])
def test_the_index_in_a_browser(browser: Browser, tmp_path: Path, width: int, scheme: Scheme) -> None:
    made = some_run()
    store = ResultStore.open(tmp_path, SETTINGS, Outcome)
    store.add(made[0], "<!DOCTYPE html><title>its own page</title>")
    index = write_run(tmp_path, summarise(SETTINGS, made), made)
    page = browser.open(index, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate("document.querySelectorAll('script, img, iframe').length") == 0
    assert page.evaluate("document.querySelectorAll('svg[role=img]').length") == 5
    assert page.evaluate("document.body.textContent.split('<script>alert(1)</script>').length") > 5
    links = page.evaluate("[...document.querySelectorAll('a')].map(link => link.href)")
    assert links == [(tmp_path / "reports" / page_name(made[0].key)).as_uri()]
    requests = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert requests == [index.as_uri()]
    assert page.events("Log.entryAdded") == []
    page.close()
