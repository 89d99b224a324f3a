"""Reports to look at: one that has every feature, one that is large, and one that is full of one text."""

from __future__ import annotations

from genprm_sdk.modes import History, Reasoning
from genprm_sdk.types import (
    CodeRun,
    CodeStatus,
    Label,
    Report,
    StepResult,
    Usage,
    VerificationPath,
)

__all__ = ["busy", "code", "full_of", "large", "path", "realistic", "report", "step"]

CODE = """
from sympy import symbols, solve

x = symbols('x')
roots = solve(3 * x**2 - 12 * x + 9, x)
print(roots)
"""
LONG_LINE = "assert all(abs(float(3 * root**2 - 12 * root + 9)) < 1e-9 for root in roots), f'no: {roots}'"


def code(status: CodeStatus = "ok", source: str = CODE, **fields: object) -> CodeRun:
    return CodeRun.model_validate(
        {"code": source, "status": status, "duration": 0.03, "isolation": "kernel+language"} | fields
    )


def busy(generate: float, code: float = 0.0, queued: float = 0.0) -> Usage:
    return Usage(
        prompt_tokens=212,
        generated_tokens=int(generate * 120),
        prompt_seconds=0.08,
        generate_seconds=generate,
        code_seconds=code,
        verdict_seconds=0.02,
        queued_seconds=queued,
        code_runs=1 if code else 0,
        seconds=0.1 + generate + code,
    )


def path(index: int, score: float | None, *runs: CodeRun, **fields: object) -> VerificationPath:
    verdict = None if score is None else "yes" if score >= 0.5 else "no"
    given = {
        "index": index,
        "verdict": verdict,
        "score": score,
        "verdict_mass": 0.98,
        "text": "The whole turn",
        "analysis": "The step divides both sides by 3, which is allowed, and the signs are kept.",
        "code_runs": runs,
        "usage": busy(0.7 + index / 5, 0.1 if runs else 0.0, index / 10),
    }
    return VerificationPath.model_validate(given | fields)


def step(index: int, text: str, label: Label, *paths: VerificationPath, **fields: object) -> StepResult:
    scores = [path.score for path in paths if path.score is not None]
    score = sum(scores) / len(scores) if scores else None
    given = {"index": index, "text": text, "label": label, "score": score, "paths": paths}
    return StepResult.model_validate(given | fields)


def report(*steps: StepResult, **fields: object) -> Report:
    given = {
        "problem": "Find the sum of the roots.",
        "steps": steps,
        "first_error": next((step.index for step in steps if step.label == "incorrect"), None),
        "verdict": next((step.label for step in steps if step.label != "correct"), "correct"),
        "model": "genprm-mini",
        "samples": 4,
        "seed": 0,
    }
    return Report.model_validate(given | fields)


def realistic() -> Report:
    """A check with a mistake in it, and with everything that a report can say."""
    right = step(
        0,
        "Divide both sides by 3:\n    x² − 4x + 3 = 0",
        "correct",
        path(0, 0.97, code("ok", stdout="[1, 3]\n")),
        path(1, 0.91, code("ok", CODE + LONG_LINE, stdout="")),
        path(2, 0.88, analysis="مرحبا, the step is fine."),
        cheaper=(path(0, 0.62, reasoning=Reasoning.DIRECT, analysis=None),),
    )
    wrong = step(
        1,
        "The sum of the roots of x² − 4x + 3 is −4, because it is the coefficient of x.",
        "incorrect",
        path(
            0,
            0.08,
            code(
                "error",
                LONG_LINE,
                stdout="[1, 3]\n",
                feedback="AssertionError: not a root",
            ),
            code("ok", stdout="The sum is 4, not -4\n"),
            analysis="By Vieta's formulas the sum of the roots is minus the coefficient of x, which is 4.\n"
            "The step forgets the sign: it claims −4.",
        ),
        path(
            1,
            0.31,
            code("timeout", feedback="TimeoutError", state_kept=False),
            forgotten=1,
        ),
        path(2, 0.55, degraded="rounds"),
        path(3, None, degraded="tokens", text="<analyze>\nLet's see. The roots are 1 and"),
    )
    split = step(
        2,
        "So the answer, squared, is 16.",
        "correct",
        path(0, 0.45),
        path(1, 0.48, code("not_executed", source="print((-4) ** 2)\n")),
        path(2, 0.99, code("output_limit", stdout="1\n" * 60, truncated=True, feedback="")),
        extra=(path(3, 0.7),),
    )
    unread = step(
        3, "Answer: 16 \x1b[31mred\x1b[0m \u202eabc", "unparsed", path(0, None, text="no idea", analysis=None)
    )
    usage = Usage(
        prompt_tokens=5218,
        shared_tokens=1804,
        cached_tokens=3011,
        evaluated_tokens=6120,
        generated_tokens=2204,
        model_runs=1630,
        companions=4890,
        cache_peak=3904,
        queued_seconds=0.6,
        code_runs=6,
        code_failures={"error": 1, "timeout": 1, "output_limit": 1},
        prompt_seconds=0.9,
        generate_seconds=9.8,
        verdict_seconds=0.2,
        code_seconds=0.8,
        seconds=4.1,
    )
    return report(
        right,
        wrong,
        split,
        unread,
        id="roots-7",
        problem="Let 3x² − 12x + 9 = 0. Find the square of the sum of its roots <i>exactly</i>.",
        reasoning=(Reasoning.DIRECT, Reasoning.ANALYSIS_CODE),
        history=History.SHARED,
        total_steps=6,
        stopped="tokens",
        usage=usage,
    )


def large(steps: int, paths: int) -> Report:
    """A report of many steps and paths, with a mistake in the middle."""
    return report(
        *(
            step(
                index,
                f"Step number {index} says that {index} + {index} = {2 * index}. " * 3,
                "incorrect" if index == steps // 2 else "correct",
                *(
                    path(number, 0.9, code(stdout="[1, 3]\n"), analysis="It holds. " * 60)
                    for number in range(paths)
                ),
            )
            for index in range(steps)
        ),
        samples=paths,
    )


def full_of(text: str) -> Report:
    """A report with one text wherever a text can stand."""
    run = code(
        "error",
        text,
        stdout=text,
        feedback=text,
        error_type=text,
        message=text,
        isolation=text,
        state_kept=False,
    )
    paths = [
        path(0, 0.2, run, analysis=text, text=text, degraded="context", forgotten=2),
        path(1, None, run, analysis=text, text=text),
    ]
    wrong = step(0, text, "incorrect", *paths, cheaper=paths, extra=paths)
    return report(
        wrong,
        step(1, text, "unparsed", paths[1]),
        id=text,
        problem=text,
        model=text,
        total_steps=3,
        stopped="context",
    )
