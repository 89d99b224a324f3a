"""What every page has: a whole document, or a piece of one for notebooks, with the style and its policy."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from .markup import Html, element, plain

__all__ = ["document", "first_named", "fragment"]


def document(heading: str, header: Html, *content: Html) -> str:
    """A complete HTML document; no script, no network, in light and dark.

    Args:
        heading: Its title, somebody's text.
        header: What stands above the content.
        content: What the document is about.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", plain(heading)),
        element("style", _style()),
    )
    body = element("body", header, element("main", *content), cls="report page")
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def fragment(*content: Html) -> str:
    """One ``<div>`` whose style applies to nothing outside it."""
    return element("div", element("style", _style()), *content, cls="report", lang="en")


def first_named(*names: str | None, otherwise: str) -> str:
    """The first of some names that is one."""
    return next((name for name in names if name is not None and name.strip()), otherwise)


@cache
def _style() -> Html:
    return Html(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))


@cache
def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
