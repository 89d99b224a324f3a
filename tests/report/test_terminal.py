"""What a report looks like as plain text, and that other people's text stays text."""

from __future__ import annotations

import io
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from genprm_sdk.report.terminal import render_report, shown_path
from genprm_sdk.report.text import clean, one_line
from genprm_sdk.types import CodeRun, CodeStatus, Label, Report, StepResult, Usage, VerificationPath


def plain(renderable: RenderableType, width: int = 100) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(renderable)
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


def path(score: float | None, index: int = 0, *runs: CodeRun, analysis: str | None = "A") -> VerificationPath:
    verdict = None if score is None else "yes" if score >= 0.5 else "no"
    return VerificationPath(
        index=index,
        verdict=verdict,
        score=score,
        text="whole turn",
        analysis=analysis,
        code_runs=runs,  # type: ignore[arg-type]
    )


def step(label: Label, *paths: VerificationPath, text: str = "S", index: int = 0) -> StepResult:
    scores = [p.score for p in paths if p.score is not None]
    return StepResult(
        index=index, text=text, label=label, score=sum(scores) / len(scores) if scores else None, paths=paths
    )


def report(*steps: StepResult, problem: str | None = "P") -> Report:
    return Report(
        id="id-1",
        problem=problem,
        steps=steps,
        first_error=next((s.index for s in steps if s.label == "incorrect"), None),
        verdict=next((s.label for s in steps if s.label != "correct"), "correct"),
        model="m",
        samples=2,
        seed=0,
        usage=Usage(generated_tokens=12, code_runs=1, seconds=1.5),
    )


def code_run(status: CodeStatus, stdout: str = "", feedback: str = "") -> CodeRun:
    return CodeRun(code="print(1)\n", status=status, stdout=stdout, feedback=feedback)


def test_a_whole_report() -> None:
    good = step(
        "correct", path(0.75, 0, code_run("ok", "1\n", "1"), analysis="fits"), path(0.95, 1, analysis="clear")
    )
    bad = step("incorrect", path(0.6, 0), path(0.2, 1, analysis="off by one"), text="6 * 7 = 43", index=1)
    shown = plain(render_report(report(good, bad)))
    for part in (
        "id-1", "✓ step 0  0.85  correct  2 yes, 0 no", "analysis (path 1)", "clear",
        "✗ step 1  0.40  incorrect  1 yes, 1 no", "6 * 7 = 43", "off by one",
        "→ first mistake: step 1", "m, 2 paths, 12 tokens written, 1 code run, 1.5 s",
    ):  # fmt: skip
        assert part in shown


def test_the_path_shown_is_the_clearest_for_the_label() -> None:
    paths = (path(0.6, 0), path(0.1, 1), path(None, 2), path(0.9, 3))
    assert shown_path(step("incorrect", *paths)) == paths[1]
    assert shown_path(step("correct", *paths)) == paths[3]
    assert shown_path(step("unparsed", path(None, 0), path(None, 1))) == path(None, 0)
    assert shown_path(StepResult(index=0, text="S", label="unparsed", score=None, paths=())) is None


def test_every_ending_of_code_is_shown() -> None:
    assert "prints nothing" in plain(render_report(report(step("correct", path(0.9, 0, code_run("ok"))))))
    failed = code_run("error", "12\n", "Code execute Error: ZeroDivisionError: division by zero")
    shown = plain(render_report(report(step("correct", path(0.9, 0, failed)))))
    assert "output (error)" in shown
    assert "      12\n      Code execute Error: ZeroDivisionError" in shown
    shown = plain(render_report(report(step("correct", path(0.9, 0, code_run("not_executed"))))))
    assert "not executed" in shown
    assert "output" not in shown


def test_an_unread_judgement_shows_what_was_written() -> None:
    shown = plain(render_report(report(step("unparsed", path(None)))))
    assert "? step 0  no score  unparsed" in shown
    assert "whole turn" in shown
    assert "no verdict" in shown


def test_markup_and_escapes_are_text() -> None:
    nasty = "[red]a[/blue] [link=x]\x1b[31m\x1b]0;t\x07 :smile:\x9b"
    run = CodeRun(code=f"print('{nasty}')", status="ok", stdout=nasty, feedback=nasty)
    shown = plain(
        render_report(report(step("correct", path(0.9, 0, run, analysis=nasty), text=nasty), problem=nasty))
    )
    assert shown.count("[red]a[/blue] [link=x][31m]0;t :smile:") >= 4
    assert not any(c in shown for c in "\x1b\x07\x9b")


@given(st.text(st.characters()))
def test_clean_text_holds_no_control_character(text: str) -> None:
    cleaned = clean(text)
    assert not [c for c in cleaned if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert clean(cleaned) == cleaned
    assert "\n" not in one_line(text)
    cleaned.encode()


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf"))))
def test_clean_leaves_ordinary_text_alone(text: str) -> None:
    assert clean(text) == text
