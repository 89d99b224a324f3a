"""The ways ``genprm check`` shows a result: for people, for programs, and as pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from ..diagnostics import Diagnostics
from ..errors import InputError
from ..report.terminal import render_report
from ..types import Report
from .solutions import Entry
from .terminal import show, write_line

__all__ = ["HtmlView", "JsonView", "ReadableView", "View", "diagnosis_lines"]


class View(Protocol):
    """Shows one report on stdout, at once."""

    def show(self, entry: Entry, report: Report) -> None: ...


class JsonView:
    """One JSON object a line, in ASCII, so that no reader splits or decodes it differently."""

    def __init__(self, diagnose: bool = False) -> None:
        self._diagnose = diagnose

    def show(self, entry: Entry, report: Report) -> None:
        fields = report.model_dump(mode="json", exclude={"problem", "steps", "usage"})
        fields = {"id": entry.id, **{name: value for name, value in fields.items() if name != "id"}}
        fields["scores"] = asdict(report.scores)
        if self._diagnose:
            fields["diagnostics"] = report.diagnostics.model_dump(mode="json")
        write_line(json.dumps({**fields, **report.model_dump(mode="json", include={"steps", "usage"})}))


class ReadableView:
    """Coloured where a terminal is."""

    def show(self, entry: Entry, report: Report) -> None:
        show(render_report(report, title=entry.title))


class HtmlView:
    """A page a solution in a folder, beside another view.

    Raises:
        InputError: The folder cannot be written to.
    """

    def __init__(self, folder: Path, beside: View) -> None:
        self._folder = folder
        self._beside = beside
        self._pages = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from None

    def show(self, entry: Entry, report: Report) -> None:
        self._beside.show(entry, report)
        self._pages += 1
        page = self._folder / f"{self._pages:04d}.html"
        try:
            page.write_text(report.to_html(entry.title), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise _unwritable(page, error) from None


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {path}: {error.strerror or error}; give another folder with --html")


def diagnosis_lines(found: Diagnostics) -> Iterator[str]:
    """The failure signatures of a run, a line each."""

    def share(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.1f}%"

    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(found.code_failures.items()))
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(found.degraded.items()))
    votes = "–" if found.effective_votes is None else f"{found.effective_votes:.2f}"
    yield f"diagnostics of {found.paths} paths over {found.steps} steps:"
    yield f"  code that failed   {share(found.code_failed)} of {found.code_runs} runs" + (
        f" ({kinds})" if kinds else ""
    )
    yield f"  unparsed verdicts  {share(found.unparsed)}"
    yield f"  code part given up {sum(found.degraded.values())}" + (f" ({reasons})" if reasons else "")
    yield f"  forgetful paths    {found.forgetful}"
    yield f"  agreement of paths {share(found.agreement)}, effective independent votes {votes}"
    yield f"  P(Yes) + P(No)     {share(found.verdict_mass)}"
