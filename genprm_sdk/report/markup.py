"""HTML whose text is always escaped: foreign text becomes ``Html`` only by way of ``text``.

``Html`` is a type of its own, so that the type checker refuses a plain ``str`` where markup is put together.
Every class name gets a prefix here, so that no style of ours meets an element of somebody else's page.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from .text import clean, one_line

__all__ = [
    "NONE",
    "Html",
    "Setting",
    "bar",
    "element",
    "facts",
    "fold",
    "joined",
    "plain",
    "score_bar",
    "text",
]

Html = NewType("Html", str)

PREFIX = "genprm"
NONE = Html("")
VOID = ("meta",)
BAR_WIDTH = 100.0
HEADINGS_ABOVE = 2


def text(foreign: str) -> Html:
    """Anybody's text as HTML; characters that steer or hide are written out and marked as such."""
    return Html(clean(html.escape(foreign), _mark))


def _mark(escape: str) -> str:
    return f'<span class="{PREFIX}-hidden">{escape}</span>'


def plain(foreign: str) -> Html:
    """The same on one line and without a mark, for where HTML takes no elements."""
    return Html(html.escape(one_line(foreign)))


def _classes(names: str) -> str:
    return " ".join(f"{PREFIX}-{name}" for name in names.split())


def element(name: str, /, *children: Html, cls: str = "", **attributes: str) -> Html:
    """One element; ``aria_label="x"`` is the attribute ``aria-label``, and an empty one stands alone.

    Args:
        name: The element's name.
        children: What it holds.
        cls: Its class names without the prefix, separated by spaces.
        attributes: The others; their values are escaped.
    """
    named = f' class="{_classes(cls)}"' if cls else ""
    for attribute, value in attributes.items():
        attribute = attribute.replace("_", "-")
        named += f' {attribute}="{plain(value)}"' if value else f" {attribute}"
    return Html(f"<{name}{named}>" if name in VOID else f"<{name}{named}>{''.join(children)}</{name}>")


def joined(parts: Iterable[Html], between: str = "") -> Html:
    """Several pieces one after another, with text between them."""
    return Html(text(between).join(parts))


@dataclass(frozen=True)
class Setting:
    """Where the view stands.

    Attributes:
        own_page: Whether nothing else is on the page. Otherwise there are no ids, which could occur twice,
            and no ``<h1>`` to ``<h6>``, of which a notebook makes its table of contents; screen readers are
            told of the headings all the same.
    """

    own_page: bool

    def heading(self, depth: int, *children: Html) -> Html:
        """A heading; that of depth 1 stands above all others."""
        if self.own_page:
            return element(f"h{depth}", *children, cls=f"h{depth}")
        level = str(depth + HEADINGS_ABOVE)
        return element("div", *children, cls=f"h{depth}", role="heading", aria_level=level)

    def anchor(self, name: str) -> dict[str, str]:
        """The attribute that makes an element the target of ``link``; none outside a page of our own."""
        return {"id": f"{PREFIX}-{name}"} if self.own_page else {}

    def link(self, name: str, *children: Html, **attributes: str) -> Html:
        """A link to an anchor, or what it holds where there are no anchors."""
        if not self.own_page:
            return joined(children)
        return element("a", *children, href=f"#{PREFIX}-{name}", **attributes)


def facts(pairs: Iterable[tuple[str, Html]]) -> Html:
    """Names and what belongs to them, in a row that wraps."""
    return element(
        "dl",
        *(element("div", element("dt", text(name)), element("dd", value)) for name, value in pairs),
        cls="facts",
    )


def fold(summary: Html, *children: Html, cls: str, is_open: bool = False) -> Html:
    """What opens when its summary is clicked, or entered on the keyboard."""
    state = {"open": ""} if is_open else {}
    return element("details", element("summary", summary), *children, cls=cls, **state)


def bar(parts: Iterable[tuple[str, float]], cls: str, **attributes: str) -> Html:
    """A bar of coloured parts, drawn without inline style.

    Args:
        parts: Class name and share of the full width, from left to right.
        cls: The bar's own class names.
        attributes: What the bar says to those who do not see it.
    """
    start, drawn = 0.0, []
    for name, share in parts:
        if share > 0:
            place = {"x": f"{start:.2f}", "width": f"{BAR_WIDTH * share:.2f}", "height": "1"}
            drawn.append(element("rect", cls=name, **place))
        start += BAR_WIDTH * share
    return element(
        "svg", *drawn, cls=cls, viewBox=f"0 0 {BAR_WIDTH:.0f} 1", preserveAspectRatio="none", **attributes
    )


def score_bar(score: float | None, cls: str) -> Html:
    """A score as a number, which is seen, and as a small bar, which says it; in words where there is none."""
    if score is None:
        return element("span", text("no score"), cls="score")
    number = f"{score:.2f}"
    meter = bar(
        [(cls, score)],
        "bar",
        role="meter",
        aria_label="score",
        aria_valuemin="0",
        aria_valuemax="1",
        aria_valuenow=number,
        aria_valuetext=number,
    )
    seen = element("span", text(number), cls="number", aria_hidden="true")
    return element("span", seen, meter, cls="score")
