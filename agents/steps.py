"""From a solution's text to its steps and its final answer."""

from __future__ import annotations

import re

__all__ = ["final_answer", "split_solution", "text_before"]

NUMBERED = re.compile(r"^[ \t]*(?:\*\*|#+ )?Step \d+\b", re.MULTILINE)
BLANK = re.compile(r"\n[ \t\r\f\v]*\n\s*")
BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")


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
    for found in reversed(list(BOX.finditer(text))):
        depth = 1
        for at in range(found.end(), len(text)):
            if text[at] == "\\":
                continue
            if text[at] in "{}" and text[at - 1] != "\\":
                depth += 1 if text[at] == "{" else -1
            if not depth:
                return text[found.end() : at].strip() or None
    return None
