"""The HTML of a report in a real browser: it fits, it can be read, and it fetches and runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from genprm_sdk.report.html import render_fragment, render_page
from genprm_sdk.types import Report

from .browser import Browser, Page, Scheme, find_browser
from .samples import full_of, large, realistic

PROGRAM = find_browser()

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium or Chrome on the PATH"),
    pytest.mark.timeout(300),
]

HOSTILE = (
    "<script>pwned = 1</script><img src=//x.test/ onerror='pwned = 1'></pre></style></title>"
    "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>\"' autofocus onfocus=pwned=1 x='"
    "\x1b[31m\u202e " + "W" * 400 + " z" + "\u0301" * 60
)
# Texts whose colour is not far enough from the colour behind them (WCAG 2.2, success criterion 1.4.3).
FAINT = """(() => {
  const parse = value => value.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let seen = 0, node;
  while (node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility()) continue;
    seen += 1;
    const pair = [getComputedStyle(element).color, behind(element)];
    const [low, high] = [light(parse(pair[0])), light(pair[1])].sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.push([node.data, ...pair]);
  }
  return [seen, faint];
})()"""
OVERFLOWING = """[...document.querySelectorAll('body *')].filter(element =>
  !element.closest('pre, svg') && element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.outerHTML.slice(0, 200))"""
# What the page's policy blocks when something gets in nevertheless.
VIOLATE = """new Promise(done => {
  const blocked = new Set();
  addEventListener('securitypolicyviolation', event => {
    blocked.add(event.effectiveDirective);
    if (blocked.size === 3) done([...blocked]);
  });
  document.body.insertAdjacentHTML('beforeend', '<img src="http://localhost:9/"><p style="color: red">');
  document.body.append(Object.assign(document.createElement('script'), {text: 'pwned = 1'}));
})"""
# Every computed style outside an element, but for what follows from the page's height.
LOOKS = """JSON.stringify([...document.querySelectorAll('*')].filter(element => !element.closest('.host'))
  .map(element => [...getComputedStyle(element)].filter(name => !/block-size|height|origin/.test(name))
    .map(name => getComputedStyle(element)[name])))"""
OPEN_ALL = "document.querySelectorAll('details').forEach(fold => { fold.open = true })"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with Browser(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def show(browser: Browser, folder: Path, html: str, width: int = 1200, scheme: Scheme = "light") -> Page:
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
    return browser.open(file, width, scheme)


def height(png: bytes) -> int:
    return int.from_bytes(png[20:24])


def assert_it_fits(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == []


def assert_quiet(page: Page, folder: Path) -> None:
    """Nothing was fetched but the page, and nothing was complained about."""
    requests = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert requests == [(folder / "report.html").as_uri()]
    assert page.events("Log.entryAdded") == []
    assert page.events("Runtime.consoleAPICalled") == []
    assert page.events("Runtime.exceptionThrown") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_page_fits_and_can_be_read(browser: Browser, tmp_path: Path, width: int, scheme: Scheme) -> None:
    page = show(browser, tmp_path, render_page(realistic()), width, scheme)
    assert_it_fits(page, width)
    folded = page.picture()
    page.evaluate(OPEN_ALL)
    assert_it_fits(page, width)
    seen, faint = page.evaluate(FAINT)
    assert seen > 150
    assert faint == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    unfolded = page.picture()
    assert folded.startswith(b"\x89PNG")
    assert height(unfolded) > height(folded) > 900
    assert_quiet(page, tmp_path)
    page.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_hostile_text_is_text(browser: Browser, tmp_path: Path, width: int) -> None:
    page = show(browser, tmp_path, render_page(full_of(HOSTILE), HOSTILE), width)
    page.evaluate(OPEN_ALL)
    assert_it_fits(page, width)
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate("document.querySelectorAll('script, img, iframe, [onfocus], [srcdoc]').length") == 0
    assert page.evaluate("document.body.textContent.split('<script>pwned = 1</script>').length") > 10
    assert page.evaluate("document.querySelector('.genprm-text').innerText").startswith("<script>")
    assert_quiet(page, tmp_path)
    page.close()


def test_the_policy_is_in_force(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, render_page(realistic()))
    assert set(page.evaluate(VIOLATE)) == {"img-src", "script-src-elem", "style-src-attr"}
    assert page.evaluate("typeof pwned") == "undefined"
    page.close()


def test_folds_open_from_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, render_page(realistic()))
    for _ in range(20):
        page.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    assert page.evaluate("document.activeElement.parentElement.open") is False
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter", "\r")
    assert page.evaluate("document.activeElement.parentElement.open") is True
    page.close()


def test_what_a_screen_reader_is_told(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, render_page(realistic()))
    nodes = [node for node in page.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    told = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes]
    assert {("banner", ""), ("main", ""), ("navigation", "steps"), ("heading", "Step 1: incorrect")} <= set(
        told
    )
    assert ("link", "step 1, incorrect") in told
    assert ("DisclosureTriangle", "path 0 wrote no 0.08 2 code blocks, 1 failed") in told
    assert ("image", "prompt 0.08 s, generate 0.90 s, code 0.10 s, verdict 0.02 s, queued 0.10 s") in told
    assert [name for role, name in told if role == "meter"].count("score") >= 4
    page.close()


def test_a_fragment_does_not_disturb_its_page(browser: Browser, tmp_path: Path) -> None:
    host = (
        "<!DOCTYPE html><meta name=viewport content='width=device-width'>"
        "<style>.host table {table-layout: fixed; margin-left: auto} .host td, .host th {text-align: right}"
        ".host tbody tr:nth-child(odd) {background: #ccc} .host pre {white-space: pre-wrap}</style>"
        "<h1>Notebook</h1><p class=text>A <a href=#x>link</a></p><details><summary>s</summary>x</details>"
        "<table><tr><th>a<td>b</table><pre>code</pre><ol><li>one</ol><svg></svg><div class=host></div>"
    )
    page = show(browser, tmp_path, host, 360)
    page.evaluate(OPEN_ALL)
    before = page.evaluate(LOOKS)
    fragments = json.dumps(render_fragment(realistic()) + render_fragment(full_of(HOSTILE)))
    page.evaluate(f"document.querySelector('.host').innerHTML = {fragments}")
    page.evaluate(OPEN_ALL)
    assert page.evaluate(LOOKS) == before
    assert_it_fits(page, 360)
    row = "getComputedStyle(document.querySelector('.genprm-timeline tbody tr')).backgroundColor"
    assert page.evaluate(row) == "rgba(0, 0, 0, 0)"
    cell = "getComputedStyle(document.querySelector('.genprm-timeline tbody td')).textAlign"
    assert page.evaluate(cell) == "start"
    assert page.evaluate("document.querySelectorAll('script, img, iframe').length") == 0
    page.close()


@pytest.mark.parametrize(("theme", "scheme"), [("true", "dark"), ("false", "light")])
def test_a_fragment_follows_its_notebooks_theme(
    browser: Browser, tmp_path: Path, theme: str, scheme: Scheme
) -> None:
    host = f"<!DOCTYPE html><body data-jp-theme-light={theme}>{render_fragment(realistic())}"
    page = show(browser, tmp_path, host, 1200, scheme)
    ground = page.evaluate("getComputedStyle(document.querySelector('.genprm-report')).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is (theme == "true")
    page.close()


@pytest.mark.parametrize("shown", [realistic(), large(40, 2)], ids=["realistic", "large"])
def test_it_prints_in_black_on_white(browser: Browser, tmp_path: Path, shown: Report) -> None:
    page = show(browser, tmp_path, render_page(shown), 800, "dark")
    assert page.printed().startswith(b"%PDF")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.send("Emulation.setEmulatedMedia", media="print", features=dark)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(
        "document.querySelector('pre').scrollWidth <= document.querySelector('pre').clientWidth"
    )
    page.close()
