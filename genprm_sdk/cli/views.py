"""The two ways ``genprm check`` shows a result: for people, and for programs."""

from __future__ import annotations

import json
from typing import Protocol

from ..report.terminal import render_report
from ..types import Report
from .solutions import Entry
from .terminal import show, write_line

__all__ = ["JsonView", "ReadableView", "View"]


class View(Protocol):
    """Shows one report on stdout, at once."""

    def show(self, entry: Entry, report: Report) -> None: ...


class JsonView:
    """One JSON object a line, in ASCII, so that no reader splits or decodes it differently."""

    def show(self, entry: Entry, report: Report) -> None:
        fields = report.model_dump(mode="json", exclude={"problem"})
        fields["id"] = entry.id
        order = ("id", "first_error", "verdict", "model", "samples", "seed", "steps", "usage")
        write_line(json.dumps({name: fields[name] for name in order}))


class ReadableView:
    """Coloured where a terminal is."""

    def show(self, entry: Entry, report: Report) -> None:
        show(render_report(report, title=entry.title))
