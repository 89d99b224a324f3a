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

from .samples import realistic


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
    shown = plain(render_report(report(step("correct", path(0.9, 0, code_run("output_limit", "12\n"))))))
    assert "      12\n      output_limit\n" in shown
    shown = plain(render_report(report(step("correct", path(0.9, 0, code_run("not_executed"))))))
    assert "not executed" in shown
    assert "output" not in shown


def test_long_lines_of_code_are_shown_whole() -> None:
    long = CodeRun(code=f"print({' + '.join(map(str, range(60)))})", status="ok")
    shown = plain(render_report(report(step("correct", path(0.9, 0, long)))), width=40)
    assert [n for n in map(str, range(60)) if n not in shown] == []


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
    assert shown.count(r"[red]a[/blue] [link=x]\x1b[31m\x1b]0;t\x07 :smile:\x9b") >= 4
    assert not any(c in shown for c in "\x1b\x07\x9b")


def test_why_a_check_ended_early_is_said() -> None:
    shown = plain(render_report(realistic()))
    assert "… stopped: the budget of written tokens was spent; 2 steps not judged" in shown
    whole = plain(render_report(report(step("correct", path(0.9)))))
    assert "stopped" not in whole
    assert "not judged" not in whole


def test_what_else_is_to_know_of_a_step_is_said() -> None:
    shown = plain(render_report(realistic()))
    assert "✓ step 0  0.92  correct  3 yes, 0 no, 1 cheaper, unsure" in shown
    assert "✓ step 2  0.64  correct  1 yes, 2 no, by vote incorrect" in shown
    forgetful = path(0.9).model_copy(update={"forgotten": 2, "degraded": "rounds"})
    shown = plain(render_report(report(step("correct", forgetful))))
    assert "no longer saw 2 earlier verifications" in shown
    assert "code part given up" in shown
    assert "no verdict within the allowed rounds of code" in shown


STEERING = "\x1b\x07\x9b\x7f\u202a\u202e\u2066\u2069\u200e\u200f\u061c"
UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u2028\u2029\xad\U000e0001\U000e0041\U000e0100\ud800\udfff"
FILLERS = "\u115f\u1160\u3164\uffa0"
UNSEEN += FILLERS + "\u17b4\u180b\u180f\ufe00\ufe0d\ufff0\U0001bca0\U0001d17a"


@given(st.text(st.characters() | st.sampled_from(STEERING + UNSEEN)))
def test_clean_text_steers_and_hides_nothing(text: str) -> None:
    cleaned = clean(text)
    assert not [c for c in cleaned if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]
    assert not set(cleaned) & set(STEERING + UNSEEN)
    assert clean(cleaned) == cleaned
    assert "\n" not in one_line(text)
    cleaned.encode()


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs", "Mc", "Me"), exclude_characters=FILLERS)))
def test_clean_leaves_ordinary_text_alone(text: str) -> None:
    assert clean(text) == text


def test_what_was_taken_out_is_written_out() -> None:
    assert clean("a\x1b[31m\u202eb\U000e0041\ud800\x00") == r"a\x1b[31m\u202eb\U000e0041\ud800\x00"
    assert clean("a\tb\r\nc\rd\n") == "a\tb\nc\\x0dd\n"
    assert clean("\x1b \\x1b", "<{}>".format) == r"<\x1b> \x1b"
