"""From a solution's text to its steps and its final answer."""

from __future__ import annotations

import re

__all__ = ["final_answer", "split_solution", "text_before"]

NUMBERED = re.compile(r"^[ \t]*(?:\*\*|#+ )?Step \d+\b", re.MULTILINE)
BLANK = re.compile(r"\n[ \t\r\f\v]*\n\s*")
BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
BRACE = re.compile(r"(?<!\\)[{}]")


def _starts(text: str) -> list[int]:
    """Where a text's steps begin: at ``Step 1:`` and so on if two lines begin so, else behind blank lines."""
    numbered = [found.start() for found in NUMBERED.finditer(text)]
    if len(numbered) > 1 or (numbered and not text[: numbered[0]].strip()):
        before = [0] if text[: numbered[0]].strip() else []
        return before + numbered
    starts = [0, *(found.end() for found in BLANK.finditer(text))]
    ends = [*starts[1:], len(text)]
    return [start for start, end in zip(starts, ends, strict=True) if text[start:end].strip()]


def split_solution(text: str) -> tuple[str, ...]:
    """A solution's steps, without the white space around them; none if the text is blank."""
    starts = _starts(text)
    ends = [*starts[1:], len(text)]
    return tuple(text[start:end].strip() for start, end in zip(starts, ends, strict=False))


def text_before(text: str, step: int) -> str:
    """The text in front of a step, to the character, so that a policy can go on where it stood."""
    starts = _starts(text)
    return text[: starts[step]] if 0 < step < len(starts) else "" if step <= 0 else text


def final_answer(text: str) -> str | None:
    r"""What stands in the last ``\boxed{}`` whose braces are closed, or None."""
    boxes = {found.end() for found in BOX.finditer(text)}
    opened: list[int] = []
    last = (-1, -1)
    for brace in BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened and (inside := opened.pop()) in boxes:
            last = max(last, (inside, brace.start()))
    start, end = last
    return text[start:end].strip() or None if start >= 0 else None
