"""What stands in the documentation's pages: blocks of code, commands, spans of code and links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = [
    "PAGES",
    "ROOT",
    "Block",
    "blocks_of",
    "commands_of",
    "links_of",
    "name_of",
    "spans_of",
    "tokens_of",
]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/*.md"))]

NOT_RUN = re.compile(r"<!-- not run: *(.*?) *-->\s*")
TITLE = re.compile(r'title="(.+)"')
SHELL = ("console", "bash", "")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: Where it stands.
        line: Its first line there, from 1.
        language: What follows the fence; empty for an indented block.
        title: The name of the file that it shows, if it has one.
        code: Its text.
        reason: Why it is not run, as the comment above it says; None where there is no such comment.
    """

    page: Path
    line: int
    language: str
    title: str | None
    code: str
    reason: str | None


def name_of(page: Path) -> str:
    """The page's path in the tree."""
    return page.relative_to(ROOT).as_posix()


def tokens_of(page: Path) -> list[Token]:
    """The page, read."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks_of(page: Path) -> list[Block]:
    """The page's blocks of code, in order."""
    found = []
    before: Token | None = None
    for token in tokens_of(page):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            language, _, more = token.info.partition(" ")
            title = TITLE.search(more)
            marked = NOT_RUN.fullmatch(before.content) if before and before.type == "html_block" else None
            line = token.map[0] + (2 if token.type == "fence" else 1)
            found.append(
                Block(
                    page,
                    line,
                    language,
                    title and title[1],
                    token.content,
                    None if marked is None else marked[1],
                )
            )
        before = token
    return found


def commands_of(block: Block) -> list[tuple[list[str], list[str]]]:
    """The commands of a block, each as its words and the lines that are shown below it."""
    found: list[tuple[list[str], list[str]]] = []
    if block.language not in SHELL:
        return found
    for line in block.code.replace("\\\n", " ").splitlines():
        if block.language != "console":
            found += [(words, []) for part in line.split("; ") if (words := _words(part))]
        elif line.startswith("$ "):
            found.append((_words(line.removeprefix("$ ")), []))
        elif found:
            found[-1][1].append(line)
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a block of something else
        return []


def spans_of(page: Path) -> Iterator[str]:
    """The page's inline code, in order."""
    for token in tokens_of(page):
        yield from (child.content for child in token.children or () if child.type == "code_inline")


def links_of(page: Path) -> Iterator[str]:
    """Where the page's links and images point, in order."""
    for token in tokens_of(page):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target:
                yield str(target)
