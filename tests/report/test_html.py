"""The HTML of a report: nobody's text becomes markup, and what is in the report can be found."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genprm_sdk.report.html import render_fragment, render_page
from genprm_sdk.report.text import HIDDEN, clean, one_line
from genprm_sdk.types import Report

from .samples import code, full_of, large, path, realistic, report, step

TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "article", "div",
    "span", "p", "a", "h1", "h2", "h3", "ol", "ul", "li", "dl", "dt", "dd", "details", "summary", "figure",
    "figcaption", "pre", "svg", "rect", "table", "caption", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {
    "class", "id", "lang", "dir", "charset", "http-equiv", "name", "content", "role", "tabindex", "href",
    "open", "scope", "x", "width", "height", "viewbox", "preserveaspectratio", "aria-label", "aria-hidden",
    "aria-level", "aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext",
}  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>", "</pre></details>", '"', "'", " onload=x ",
    "<img src=//x.test/ onerror=a()>", "</style><style>*{}", "</title>", "<!--", "-->", "<![CDATA[",
    "<?php ", "&lt;", "&#60;", "&amp", "javascript:", "\x1b[31m", "\x1b]0;t\x07", "\x9b", "\x7f", "\r",
    "\r\n", "\n\n", "\t", "\0", "\xad", "\u202e", "\u2066", "\u200b", "\u2060", "\ufeff", "\u2028",
    "\u2029", "\u061c", "\U000e0041", "\ud800", "\udfff", "\\x1b", "{{ 7 * 7 }}", "é", "😀",
)  # fmt: skip


class Seen(HTMLParser):
    """Everything in a page, apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.marked: list[str] = []
        self.oddities: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, "an element was left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if (
            self.elements
            and self.elements[-1] == ("span", {"class": "genprm-hidden"})
            and self._open[-1] == "span"
        ):
            self.marked.append(data)

    def handle_comment(self, data: str) -> None:
        self.oddities.append(data)

    def handle_pi(self, data: str) -> None:
        self.oddities.append(data)

    def unknown_decl(self, data: str) -> None:
        self.oddities.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def structure(self) -> list[tuple[str, dict[str, str | None]]]:
        """Elements and attributes, less the marks of characters that were written out."""
        return [element for element in self.elements if element != ("span", {"class": "genprm-hidden"})]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hostile() -> st.SearchStrategy[str]:
    pieces = st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=5)
    return st.lists(pieces, max_size=8).map(lambda parts: f"x{''.join(parts)}y")


def views(shown: Report, title: str | None = None) -> list[str]:
    return [render_page(shown, title), render_fragment(shown)]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(hostile())
def test_no_text_becomes_markup(foreign: str) -> None:
    harmless = views(full_of("xy"), "xy")
    for page, plain in zip(views(full_of(foreign), foreign), harmless, strict=True):
        seen = Seen(page)
        assert seen.structure == Seen(plain).structure, "the text changed the page"
        assert seen.oddities == []
        assert {tag for tag, _ in seen.elements} <= TAGS
        assert {name for _, attributes in seen.elements for name in attributes} <= ATTRIBUTES
        assert not HIDDEN.search(page)
        page.encode()


@settings(derandomize=True, deadline=None, max_examples=100)
@given(hostile())
def test_all_text_can_be_read(foreign: str) -> None:
    shown = clean(foreign)
    for page in views(full_of(foreign), foreign):
        seen = Seen(page)
        # Its title, model, problem and two steps; of each of seven paths the analysis or more.
        assert seen.text.count(shown) >= 5 + 7
        assert set(seen.marked) == {
            clean(found[0]) for found in HIDDEN.finditer(foreign.replace("\r\n", "\n"))
        }
    assert one_line(foreign) in Seen(render_page(full_of(foreign))).text


def test_an_escape_is_told_from_text_that_spells_one() -> None:
    seen = Seen(render_page(report(step(0, "\x1b and \\x1b", "correct", path(0, 0.9)))))
    assert seen.marked == ["\\x1b"]
    assert "\\x1b and \\x1b" in seen.text


def test_the_page_needs_nothing_and_allows_nothing() -> None:
    page = render_page(realistic())
    (policy,) = [
        a["content"] for a in Seen(page).all("meta") if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    for word in ("http:", "https:", "url(", "@import", "<script", "<link", " style=", " src="):
        assert word not in page
    assert all(str(a["href"]).startswith("#") for a in Seen(page).all("a"))


def test_every_link_has_its_target() -> None:
    seen = Seen(render_page(realistic()))
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"])[1:] for link in seen.all("a")} <= set(ids)


def test_headings_are_in_order() -> None:
    levels = [
        int(tag[1]) for tag, _ in Seen(render_page(realistic())).elements if re.fullmatch("h[1-6]", tag)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_landmarks_and_language() -> None:
    seen = Seen(render_page(realistic(), "A title"))
    assert seen.all("html") == [{"lang": "en"}]
    assert [len(seen.all(tag)) for tag in ("header", "main", "nav", "h1", "title")] == [1, 1, 1, 1, 1]
    assert all(bar.keys() & {"aria-hidden", "aria-label"} for bar in seen.all("svg"))
    assert "<title>A title</title>" in render_page(realistic(), "A title")
    assert "<title>roots-7</title>" in render_page(realistic())
    assert "<title>Verification report</title>" in render_page(report(), " ")


def test_a_fragment_leaves_the_page_around_it_alone() -> None:
    fragment = render_fragment(realistic())
    seen = Seen(fragment)
    tags = {tag for tag, _ in seen.elements}
    assert seen.elements[0][0] == "div"
    assert not tags & {
        "html",
        "head",
        "body",
        "main",
        "header",
        "nav",
        "title",
        "meta",
        "h1",
        "h2",
        "h3",
        "a",
    }
    assert not [a for _, a in seen.elements if "id" in a]
    names = {name for _, a in seen.elements for name in str(a.get("class", "")).split()}
    assert all(name.startswith("genprm-") for name in names - {"None"})


def test_every_rule_of_the_style_names_one_of_our_classes() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", render_page(report()), re.DOTALL)
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    selectors = re.findall(r"(?:^|[{};])\s*([^{};@]+?)\s*\{", style)
    assert len(selectors) > 40
    for selector in selectors:
        parts = re.split(r",(?![^(]*\))", selector)
        assert all(".genprm-" in part for part in parts), selector


def test_only_the_first_wrong_step_is_open() -> None:
    page = render_page(realistic())
    articles = re.findall(r"<article.*?</article>", page, re.DOTALL)
    opened = [len(re.findall(r"<details [^>]*open", article)) for article in articles]
    assert opened == [0, 2, 0, 0]  # the paths, and the one of them that says it most clearly
    assert '<details class="genprm-path genprm-incorrect" open><summary><span' in articles[1]
    assert " open" not in render_page(report(step(0, "S", "correct", path(0, 0.9), path(1, 0.8))))


def test_what_a_step_says() -> None:
    text = Seen(render_page(realistic())).text
    for part in (
        "✓ Step 0: correct", "0.92", "votes: 3 yes, 0 no, 0 unparsed", "1 path of a cheaper stage",
        "✗ Step 1: incorrect", "4 paths", "votes: 1 yes, 2 no, 1 unparsed", "path 0 wrote no",
        "The step forgets", "code 1 ended with an error (0.03 s)", "AssertionError: not a root",
        "2 code blocks, 1 failed", "code 1 ran out of time", "It no longer saw 1 earlier verification",
        "Its variables were lost afterwards.",
        "The code part was given up: no verdict within the allowed rounds of code.",
        "path 3 could not be read", "Let's see. The roots are 1 and", "P(Yes) + P(No)",
        "votes: 1 yes, 2 no, 0 unparsed; by vote incorrect", "code 1 was not executed",
        "output, cut at the limit", "(prints nothing)", "1 path run only to come to a later step",
        "? Step 3: unparsed", "no score",
    ):  # fmt: skip
        assert part in text


def test_what_the_whole_says() -> None:
    text = Seen(render_page(realistic(), "T")).text
    for part in (
        "idroots-7", "modelgenprm-mini", "seed0", "reasoningdirect, then analysis+code", "historyshared",
        "✗ first mistake: step 1",
        "Stopped: the budget of written tokens was spent; 2 of 6 steps not judged.", "<i>exactly</i>",
        "mean score0.6244", "min score0.3133", "2 more steps not judged.", "a full bar is 1.40 s",
        "0 cheaper", "3 extra", "tokens written2,204", "sequences a run, on average3.0",
        "… ran out of time1", "seconds: generate9.80", "seconds in all, by the clock4.10",
        "verdicts that could not be read15%", "code part given up2", "pairs of paths that agree50%",
    ):  # fmt: skip
        assert part in text


def test_bars_say_what_they_show() -> None:
    seen = Seen(render_page(realistic()))
    meters = [bar for bar in seen.all("svg") if bar.get("role") == "meter"]
    assert meters[0].items() >= {"aria-label": "score", "aria-valuenow": "0.92", "aria-valuemax": "1"}.items()
    rows = [bar["aria-label"] for bar in seen.all("svg") if bar.get("role") == "img"]
    assert len(rows) == 13
    assert rows[1] == "prompt 0.08 s, generate 0.90 s, code 0.10 s, verdict 0.02 s, queued 0.10 s"


@pytest.mark.parametrize("verdict", ["correct", "unparsed", "incomplete"])
def test_a_report_with_next_to_nothing_in_it(verdict: str) -> None:
    empty = report(step(0, "S", "unparsed"), problem=None, verdict=verdict)
    for view in views(empty):
        text = Seen(view).text
        assert "No times were recorded." in text
        assert "No path judged this step." in text
        assert "Problem" not in text
    Seen(render_page(report(problem=None, verdict=verdict)))


def test_code_that_is_empty_is_said() -> None:
    nothing = code("error", "", message="no code", feedback="")
    assert "(no code)" in Seen(render_page(report(step(0, "S", "correct", path(0, 0.9, nothing))))).text


def test_the_report_shows_itself() -> None:
    shown = realistic()
    assert shown.to_html("T") == render_page(shown, "T")
    assert shown._repr_html_() == render_fragment(shown)


def test_a_large_report_is_fast_and_folded() -> None:
    big = large(200, 8)
    started = time.process_time()
    page = render_page(big)
    assert time.process_time() - started < 3, "it takes a few tenths of a second"
    assert page.count("<article") == 200
    assert len(re.findall(r"<details [^>]*open", page)) == 2
    assert '<ol class="genprm-steps genprm-many"' in page
    assert "<summary>1,600 rows, one a path a step</summary>" in page
