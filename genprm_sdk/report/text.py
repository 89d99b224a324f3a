"""Other people's text, made safe for a terminal.

Problems, steps, model output and file names may hold escape sequences that move the cursor or set the
window's title, and characters that turn the reading direction round. Knows which characters those are; markup
is the business of whoever prints (``rich.text.Text`` interprets none).
"""

from __future__ import annotations

import re

__all__ = ["clean", "one_line"]

# C0 but tab and newline, DEL, C1, bidirectional overrides and isolates.
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Drop control characters other than newline and tab; half surrogate pairs become U+FFFD."""
    return SURROGATE.sub("\ufffd", INVISIBLE.sub("", text))


def one_line(text: str) -> str:
    """``clean`` text with every run of white space, line breaks included, as one space."""
    return clean(" ".join(text.split()))
