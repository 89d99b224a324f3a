"""Where the commands write: results to stdout, progress and complaints to stderr.

Knows terminals: no colour or animation where nobody looks, no markup in other people's text, and a reader
who has gone away ends the command.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from ..report.text import one_line

__all__ = ["OutputLost", "Progress", "ReaderLeft", "complain", "note", "show", "to_stdout", "write_line"]


class ReaderLeft(Exception):
    """Nobody reads stdout any more. No ``OSError``, because typer ends the process on a broken pipe."""


class OutputLost(Exception):
    """Stdout cannot be written to, a full disk say. No ``OSError``, so that nobody takes it for a file's."""


class PipeConsole(Console):
    """A console that reports a closed pipe as what it is."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def stdout_console() -> Console:
    return PipeConsole(file=sys.stdout, highlight=False, markup=False, emoji=False)


def stderr_console() -> Console:
    return PipeConsole(file=sys.stderr, highlight=False, markup=False, emoji=False)


@contextmanager
def to_stdout() -> Iterator[None]:
    """Have failures to write end the command.

    Raises:
        ReaderLeft: Nobody reads it.
        OutputLost: It cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise ReaderLeft from None
    except OSError as error:
        raise OutputLost(f"cannot write to stdout: {error.strerror or error}") from None


def write_line(text: str) -> None:
    """One line to stdout, at once, as it is; see ``to_stdout``."""
    with to_stdout():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def show(renderable: RenderableType) -> None:
    """Something for people to stdout, at once; see ``to_stdout``."""
    console = stdout_console()
    with to_stdout():
        console.print(renderable)
        console.file.flush()


def complain(message: str) -> None:
    """One red line on stderr."""
    stderr_console().print(Text(one_line(f"genprm: {message}"), style="red"), soft_wrap=True)


def note(message: str) -> None:
    """One line on stderr."""
    stderr_console().print(Text(one_line(message)), soft_wrap=True)


class Progress:
    """A live line on stderr; where stderr is no terminal, a plain line now and then.

    Args:
        every: Seconds between two plain lines; None for no plain lines at all.
    """

    def __init__(self, every: float | None = None) -> None:
        self._console = stderr_console()
        self._every = every
        self._spoken = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def say(self, message: str) -> None:
        """Replace the line."""
        text = Text(one_line(message), no_wrap=True, overflow="ellipsis")
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            else:
                self._status.update(text)
        elif self._every is not None and time.monotonic() - self._spoken >= self._every:
            self._spoken = time.monotonic()
            self._console.print(text, soft_wrap=True)

    def clear(self) -> None:
        """Take the line away, before something else is printed."""
        if self._status is not None:
            self._status.stop()
            self._status = None
