"""What a report says in words, and which evidence speaks for it: what all views share.

Knows no layout, no colours and no markup.
"""

from __future__ import annotations

from ..types import CodeRun, CodeStatus, Report, ReportVerdict, StepResult, Stopped, VerificationPath

__all__ = [
    "CODE_ENDINGS",
    "DEGRADED",
    "MARKS",
    "STOPPED",
    "code_output",
    "counted",
    "not_judged",
    "shown_path",
    "verdict_words",
]

MARKS: dict[ReportVerdict, str] = {"correct": "✓", "incorrect": "✗", "unparsed": "?", "incomplete": "?"}
"""Of verdicts and of labels, which are some of them."""

VERDICTS: dict[ReportVerdict, str] = {
    "correct": "no mistake found",
    "incorrect": "first mistake: step {first}",
    "unparsed": "no verdict: a step's judgement could not be read",
    "incomplete": "no verdict: not every step was checked",
}

STOPPED: dict[Stopped, str] = {
    "first_error": "stopped at the first mistake, as asked",
    "samples": "stopped: the budget of verifications was spent",
    "tokens": "stopped: the budget of written tokens was spent",
    "seconds": "stopped: the time was up",
    "context": "stopped: the next step did not fit the model's context",
}

DEGRADED = {
    "rounds": "no verdict within the allowed rounds of code",
    "tokens": "the turn's budget of tokens was spent",
    "context": "the model's context was full",
}

CODE_ENDINGS: dict[CodeStatus, str] = {
    "ok": "ran",
    "error": "ended with an error",
    "syntax_error": "is not valid Python",
    "policy": "was refused",
    "timeout": "ran out of time",
    "memory": "ran out of memory",
    "crashed": "crashed",
    "output_limit": "printed too much",
    "closed": "was cut off",
    "not_executed": "was not executed",
}


def counted(count: int, noun: str) -> str:
    """A number and its noun: ``1 path``, ``2 paths``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def verdict_words(report: Report) -> str:
    """The verdict on the whole solution."""
    return VERDICTS[report.verdict].format(first=report.first_error)


def not_judged(report: Report) -> int:
    """Steps of the solution that the report has no result for."""
    return max(0, (report.total_steps or 0) - len(report.steps))


def shown_path(step: StepResult) -> VerificationPath | None:
    """The path that speaks most clearly for the step's label, or the first one when none can be read."""
    readable = [path for path in step.paths if path.score is not None]
    if not readable:
        return step.paths[0] if step.paths else None
    sign = 1 if step.label == "incorrect" else -1
    return min(readable, key=lambda path: sign * (path.score or 0.0))


def code_output(run: CodeRun) -> str:
    """What a block printed and, if it ended badly, why; empty when there is neither."""
    printed = run.stdout.rstrip("\n")
    if run.status in ("ok", "not_executed"):
        return printed
    why = run.feedback or ": ".join(part for part in (run.error_type or run.status, run.message) if part)
    return f"{printed}\n{why}" if printed and printed not in why else why
