"""Other people's text, made safe to look at.

Problems, steps, model output and file names may hold escape sequences that move the cursor or set the
window's title, characters that turn the reading direction round, and characters that cannot be seen at all.
Knows which characters those are; markup is the business of whoever prints (``rich.text.Text`` interprets
none, ``markup.py`` escapes it for HTML).
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["clean", "one_line"]

HIDDEN = re.compile(
    "\r(?!\n)|["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\xad\u034f\u061c\u180b-\u180f"  # soft hyphen, grapheme joiner, Arabic and Mongolian marks
    "\u115f\u1160\u3164\uffa0\u17b4\u17b5"  # Hangul fillers, Khmer vowels without a sign
    "\u200b-\u200f\u2028-\u202e"  # zero width, directions, line and paragraph separators
    "\u2060-\u206f\ufeff\ufff0-\ufffb"  # invisible operators, isolates, byte order mark, annotations
    "\ufe00-\ufe0d"  # variation selectors but those of emoji
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # of shorthand and of music
    "\U000e0000-\U000e0fff"  # tags and more variation selectors: a text inside the text
    "\ud800-\udfff]"  # half surrogate pairs
)


def clean(text: str, mark: Callable[[str], str] = str) -> str:
    r"""Write characters that steer or hide as escapes, such as ``\x1b`` or ``\u202e``.

    Newlines and tabs stay; a carriage return before a newline is dropped, any other is an escape.

    Args:
        text: Anybody's.
        mark: Applied to every escape that is put in, so that a view can tell it from text that spells one.
    """
    return HIDDEN.sub(lambda found: mark(_escape(found[0])), text.replace("\r\n", "\n"))


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str) -> str:
    """``clean`` text with every run of white space, line breaks included, as one space."""
    return clean(" ".join(text.split()))
