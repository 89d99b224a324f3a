"""What callers see: frozen pydantic models that round-trip through JSON.

Knows nothing of models, prompts or engines. Steps are counted from 0 everywhere; only the text of a
prompt, which says "Paragraph 1", counts from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .errors import InputError

__all__ = [
    "CodeRun",
    "CodeStatus",
    "Label",
    "Report",
    "ReportVerdict",
    "Solution",
    "StepResult",
    "Usage",
    "Verdict",
    "VerificationPath",
    "split_steps",
]

Verdict = Literal["yes", "no"]
"""What one path wrote about one step."""

Label = Literal["correct", "incorrect", "unparsed"]
"""What the paths together say about one step; ``unparsed`` when no path could be read."""

ReportVerdict = Literal["correct", "incorrect", "unparsed", "incomplete"]

CodeStatus = Literal[
    "ok",
    "error",
    "syntax_error",
    "policy",
    "timeout",
    "memory",
    "crashed",
    "output_limit",
    "closed",
    "not_executed",
]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Frozen(BaseModel):
    """Immutable, refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def split_steps(text: str) -> list[str]:
    """Split a solution text into steps at blank lines; spaces around a step are dropped."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


class Solution(Frozen):
    """A problem and the steps somebody solved it with.

    Attributes:
        problem: The problem's text, or None when only the steps are known.
        steps: At least one step; none of them blank.
        id: The caller's own identifier, passed through to the report.
    """

    problem: str | None = None
    steps: tuple[str, ...]
    id: str | None = None

    @field_validator("problem", "steps")
    @classmethod
    def _is_valid_unicode(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        texts = (value,) if isinstance(value, str) else value or ()
        if any(not text.isascii() and re.search("[\ud800-\udfff]", text) for text in texts):
            raise ValueError("the text holds half a surrogate pair, which is no character: remove it")
        return value

    @field_validator("problem")
    @classmethod
    def _blank_problem_is_an_error(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("the problem is blank: give its text, or leave it out")
        return value

    @field_validator("steps")
    @classmethod
    def _steps_hold_text(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("there are no steps: a solution needs at least one")
        for index, step in enumerate(value):
            if not step.strip():
                raise ValueError(f"step {index} is blank: remove it or give its text")
        return value

    @classmethod
    def of(
        cls,
        steps: str | Iterable[str] | Solution,
        problem: str | None = None,
        id: str | None = None,
    ) -> Solution:
        """Build a solution from a list of steps or from one text that is split at blank lines.

        Raises:
            InputError: No steps, a blank step or problem, or something that is not text.
        """
        if isinstance(steps, Solution):
            if problem is not None:
                raise InputError("the solution already has a problem: pass one or the other")
            return steps
        if isinstance(steps, str):
            items = split_steps(steps)
        elif isinstance(steps, Iterable):
            items = list(steps)
        else:
            raise InputError(f"steps must be text or a list of texts, not {type(steps).__name__}")
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise InputError(f"step {index} must be text, not {type(item).__name__}")
        if problem is not None and not isinstance(problem, str):
            raise InputError(f"the problem must be text, not {type(problem).__name__}")
        try:
            return cls(problem=problem, steps=tuple(items), id=id)
        except ValueError as error:
            raise InputError(first_message(error)) from None


def first_message(error: ValueError) -> str:
    """The first complaint of a pydantic error, without pydantic's own framing."""
    details = getattr(error, "errors", None)
    if details is None:
        return str(error)
    first = details()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    where = ".".join(str(part) for part in first["loc"])
    return message if first["type"] == "value_error" or not where else f"{where}: {message}"


class Usage(Frozen):
    """What a check cost.

    Attributes:
        prompt_tokens: Tokens of prompts, steps and forced text that were put before the model.
        shared_tokens: Tokens that were *not* put before it again because a fork shared them.
        cached_tokens: Tokens that were not evaluated because the engine's cache held them.
        evaluated_tokens: Tokens that went through the model.
        generated_tokens: Tokens the model wrote.
        model_runs: Runs of the model that paths took part in.
        companions: Sequences in those runs, summed over the runs, a path's own included.
        cache_peak: Most tokens the engine's cache held meanwhile, whoever's they were.
        queued_seconds: Time that paths waited for room in the engine, summed over paths.
        code_runs: Code blocks executed.
        seconds: Wall-clock seconds.
    """

    prompt_tokens: int = Field(0, ge=0)
    shared_tokens: int = Field(0, ge=0)
    cached_tokens: int = Field(0, ge=0)
    evaluated_tokens: int = Field(0, ge=0)
    generated_tokens: int = Field(0, ge=0)
    model_runs: int = Field(0, ge=0)
    companions: int = Field(0, ge=0)
    cache_peak: int = Field(0, ge=0)
    queued_seconds: float = Field(0.0, ge=0.0)
    code_runs: int = Field(0, ge=0)
    seconds: float = Field(0.0, ge=0.0)

    @property
    def occupancy(self) -> float:
        """Sequences in a run of the model, on average."""
        return self.companions / self.model_runs if self.model_runs else 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            shared_tokens=self.shared_tokens + other.shared_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            evaluated_tokens=self.evaluated_tokens + other.evaluated_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            model_runs=self.model_runs + other.model_runs,
            companions=self.companions + other.companions,
            cache_peak=max(self.cache_peak, other.cache_peak),
            queued_seconds=self.queued_seconds + other.queued_seconds,
            code_runs=self.code_runs + other.code_runs,
            seconds=self.seconds + other.seconds,
        )


class CodeRun(Frozen):
    """One block of a model's code and what became of it.

    Attributes:
        code: The source as the model wrote it.
        status: How it ended; ``ok`` is the only good ending.
        stdout: What it printed, also before an error; cut at the output limit.
        truncated: Whether ``stdout`` was cut.
        error_type: The exception's class name, if one ended the block.
        message: The exception's message, one line.
        duration: Wall-clock seconds.
        isolation: What stood between the code and this machine, e.g. ``kernel+language``;
            see ``sandbox.Isolation``.
        state_kept: Whether variables survive for the next block of the same session.
        feedback: The exact text that goes back to the model as the code's output.
    """

    code: str
    status: CodeStatus
    stdout: str = ""
    truncated: bool = False
    error_type: str | None = None
    message: str | None = None
    duration: float = Field(0.0, ge=0.0)
    isolation: str = ""
    state_kept: bool = True
    feedback: str = ""


class VerificationPath(Frozen):
    """One independent verification of one step.

    Attributes:
        index: The path's number, 0-based; path ``i`` of every step belongs to the same chain.
        verdict: What the path wrote, or None if it cannot be read.
        score: P(Yes) / (P(Yes) + P(No)) at the verdict token, or None if the verdict cannot be read.
        text: The whole verification turn: analysis, code, outputs, verdict.
        analysis: The text inside ``<analyze>``, without the forced opening.
        code_runs: The code blocks in the order they were written.
        degraded: Why the code part was given up, or None: ``rounds``, ``tokens`` or ``context``.
        usage: What the path cost on this step.
    """

    index: int = Field(ge=0)
    verdict: Verdict | None
    score: Probability | None
    text: str
    analysis: str | None = None
    code_runs: tuple[CodeRun, ...] = ()
    degraded: Literal["rounds", "tokens", "context"] | None = None
    usage: Usage = Usage()

    @model_validator(mode="after")
    def _score_goes_with_a_verdict(self) -> Self:
        if (self.verdict is None) != (self.score is None):
            raise ValueError("a path has a score exactly when its verdict could be read")
        return self


class StepResult(Frozen):
    """One step and what the paths say about it.

    Attributes:
        index: 0-based.
        text: The step as it was given.
        label: ``correct`` iff the score is at least 0.5; ``unparsed`` when no path could be read.
        score: Mean of the readable paths' scores (arXiv 2504.00891, section 3.3), or None.
        paths: In the order of their numbers.
    """

    index: int = Field(ge=0)
    text: str
    label: Label
    score: Probability | None
    paths: tuple[VerificationPath, ...]


class Report(Frozen):
    """What a check found.

    Attributes:
        id: The solution's own identifier, if it has one.
        problem: The problem, or None.
        steps: One result a step; fewer than the solution has only if the verdict is ``incomplete``.
        first_error: Index of the first step labelled ``incorrect``, 0-based, or None.
        verdict: ``incorrect`` if there is a first error with no unreadable step before it, ``unparsed`` if a
            step could not be read and no earlier one is wrong, ``incomplete`` if a budget cut the check and
            nothing before the cut decides it, else ``correct``.
        model: The model's name.
        samples: Paths a step.
        seed: The seed that, with an exact verifier, reproduces this report on the same machine.
        usage: What the whole check cost.
    """

    id: str | None = None
    problem: str | None = None
    steps: tuple[StepResult, ...]
    first_error: int | None
    verdict: ReportVerdict
    model: str
    samples: int = Field(ge=1)
    seed: int
    usage: Usage = Usage()
