"""What callers see: frozen pydantic models that round-trip through JSON.

Knows nothing of models, prompts or engines. Steps are counted from 0 everywhere; only the text of a
prompt, which says "Paragraph 1", counts from 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .errors import InputError
from .modes import History, Reasoning
from .scoring import SolutionScores

if TYPE_CHECKING:
    from .diagnostics import Diagnostics

__all__ = [
    "CodeRun",
    "CodeStatus",
    "Label",
    "Report",
    "ReportVerdict",
    "Solution",
    "StepResult",
    "Stopped",
    "Usage",
    "Verdict",
    "VerificationPath",
    "Votes",
    "split_steps",
]

Verdict = Literal["yes", "no"]
"""What one path wrote about one step."""

Label = Literal["correct", "incorrect", "unparsed"]
"""What the paths together say about one step; ``unparsed`` when no path could be read."""

ReportVerdict = Literal["correct", "incorrect", "unparsed", "incomplete"]

Stopped = Literal["first_error", "samples", "tokens", "seconds", "context"]

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


MOST_STEPS = 4096
MOST_CHARACTERS = 1_000_000
LONGEST_RUN = 10_000
"""Of letters and digits, of spaces or of marks; some of llama.cpp's tokenizers overflow their stack at three
times as many."""

_RUN = re.compile(r"\w+|\s+|[^\w\s]+")


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
    def _is_plain_text(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(value, tuple):
            if len(value) > MOST_STEPS:
                raise ValueError(f"there are {len(value):,} steps, and at most {MOST_STEPS:,} can be checked")
            named = [(f"step {index}", text) for index, text in enumerate(value)]
        else:
            named = [("the problem", value or "")]
        for name, text in named:
            if len(text) > MOST_CHARACTERS:
                raise ValueError(
                    f"{name} has {len(text):,} characters, and at most {MOST_CHARACTERS:,} are taken"
                )
            if len(text) > LONGEST_RUN and any(len(run[0]) > LONGEST_RUN for run in _RUN.finditer(text)):
                raise ValueError(
                    f"{name} holds more than {LONGEST_RUN:,} characters without a break, on which tokenizers "
                    "fail: remove them"
                )
            if "\0" in text:
                raise ValueError(f"{name} holds a NUL byte, which no model reads as text: remove it")
            if not text.isascii() and re.search("[\ud800-\udfff]", text):
                raise ValueError(f"{name} holds half a surrogate pair, which is no character: remove it")
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
        given: object = steps
        if isinstance(given, str):
            items = split_steps(given)
        elif isinstance(given, Mapping):
            raise InputError(
                "steps must be text or a list of texts, not a record: give its steps, and its problem as "
                "problem, or Solution(**record)"
            )
        elif isinstance(given, Iterable) and not isinstance(given, Set | BaseModel):
            items = list(given)
        else:
            raise InputError(f"steps must be text or a list of texts, not {type(given).__name__}")
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
        code_failures: Those that did not end well, by status; blocks without code are ``error``.
        prompt_seconds: Time spent putting prompts and forced text before the model, summed over paths.
        generate_seconds: The same for writing.
        verdict_seconds: The same for reading verdicts.
        code_seconds: The same for running code.
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
    code_failures: dict[CodeStatus, int] = {}
    prompt_seconds: float = Field(0.0, ge=0.0)
    generate_seconds: float = Field(0.0, ge=0.0)
    verdict_seconds: float = Field(0.0, ge=0.0)
    code_seconds: float = Field(0.0, ge=0.0)
    seconds: float = Field(0.0, ge=0.0)

    @property
    def occupancy(self) -> float:
        """Sequences in a run of the model, on average."""
        return self.companions / self.model_runs if self.model_runs else 0.0

    def __hash__(self) -> int:
        return hash(tuple(value for value in vars(self).values() if not isinstance(value, dict)))

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = dict(self), dict(other)
        failures = Counter(self.code_failures)
        failures.update(other.code_failures)
        apart = {
            "cache_peak": max(self.cache_peak, other.cache_peak),
            "code_failures": dict(failures),
        }
        return Usage.model_validate(
            {name: apart[name] if name in apart else mine[name] + theirs[name] for name in mine}
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
        verdict_mass: P(Yes) + P(No) there, or None if no verdict was asked for: near 0 for a model that does
            not know the question.
        reasoning: What it wrote before the verdict.
        forgotten: Earlier verifications that it no longer saw, because the context could not hold them.
        text: The whole verification turn: analysis, code, outputs, verdict.
        analysis: The text inside ``<analyze>``, without the forced opening.
        code_runs: The code blocks in the order they were written.
        degraded: Why the code part was given up, or None: ``rounds``, ``tokens`` or ``context``.
        usage: What the path cost on this step.
    """

    index: int = Field(ge=0)
    verdict: Verdict | None
    score: Probability | None
    verdict_mass: Probability | None = None
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE
    forgotten: int = Field(0, ge=0)
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


class Votes(NamedTuple):
    """Written verdicts of one step's paths."""

    yes: int
    no: int
    unparsed: int


class StepResult(Frozen):
    """One step and what the paths say about it.

    Attributes:
        index: 0-based.
        text: The step as it was given.
        label: ``correct`` iff the score is at least 0.5; ``unparsed`` when no path could be read.
        score: Mean of the readable paths' scores (arXiv 2504.00891, section 3.3), or None.
        paths: In the order of their numbers; fewer than the report's ``samples`` if some were left out.
        cheaper: The paths of a cascade's cheaper stages, which were unsure; they do not count.
        extra: Paths that voted on this step only in order to come to a later one; they do not count.
    """

    index: int = Field(ge=0)
    text: str
    label: Label
    score: Probability | None
    paths: tuple[VerificationPath, ...]
    cheaper: tuple[VerificationPath, ...] = ()
    extra: tuple[VerificationPath, ...] = ()

    @property
    def all_paths(self) -> tuple[VerificationPath, ...]:
        """Those that count and those that do not."""
        return (*self.paths, *self.cheaper, *self.extra)

    @property
    def votes(self) -> Votes:
        """How the paths' written verdicts add up."""
        said = [path.verdict for path in self.paths]
        return Votes(said.count("yes"), said.count("no"), said.count(None))

    @property
    def majority(self) -> Label:
        """What most written verdicts say, beside the mean of the scores; a tie counts as ``correct``."""
        if not self.votes.yes + self.votes.no:
            return "unparsed"
        return "correct" if self.votes.yes >= self.votes.no else "incorrect"


class Report(Frozen):
    """What a check found. The lines of ``genprm check --json`` are read by ``model_validate_json``, too.

    Attributes:
        id: The solution's own identifier, if it has one.
        problem: The problem, or None.
        steps: One result a step; fewer than the solution has only if the verdict is ``incomplete``.
        first_error: Index of the first step labelled ``incorrect``, 0-based, or None.
        verdict: ``incorrect`` if there is a first error with no unreadable step before it, ``unparsed`` if a
            step could not be read and no earlier one is wrong, ``incomplete`` if a budget cut the check and
            nothing before the cut decides it, else ``correct``.
        model: The model's name.
        samples: Paths a step, if none is left out.
        seed: The seed that, with an exact verifier, reproduces this report on the same machine.
        reasoning: What was written before a verdict; of a cascade, its stages in order.
        history: What a path saw of earlier steps.
        total_steps: Steps of the solution, judged or not.
        stopped: Why not every step has all its paths: ``first_error`` where the rest was not asked for, the
            part of the budget that was spent, or ``context`` where the next step did not fit; None otherwise.
        usage: What the whole check cost.
    """

    id: Annotated[str, Field(coerce_numbers_to_str=True)] | None = None
    problem: str | None = None
    steps: tuple[StepResult, ...]
    first_error: int | None
    verdict: ReportVerdict
    model: str
    samples: int = Field(ge=1)
    seed: int
    reasoning: tuple[Reasoning, ...] = (Reasoning.ANALYSIS_CODE,)
    history: History = History.RATIONALES
    total_steps: int | None = None
    stopped: Stopped | None = None
    usage: Usage = Usage()

    @model_validator(mode="before")
    @classmethod
    def _without_what_follows_from_it(cls, given: object) -> object:
        if isinstance(given, Mapping):
            return {name: given[name] for name in given if name not in ("scores", "diagnostics")}
        return given

    @property
    def scores(self) -> SolutionScores:
        """The steps' scores and what they come to for the solution."""
        return SolutionScores.of([step.score for step in self.steps])

    @property
    def diagnostics(self) -> Diagnostics:
        """The failure signatures of this method in this report; see ``Diagnostics.of`` for several."""
        from .diagnostics import Diagnostics

        return Diagnostics.of([self])

    def to_html(self, title: str | None = None) -> str:
        """The report as one HTML page that needs nothing from anywhere; see ``genprm_sdk.report.html``."""
        from .report.html import render_page

        return render_page(self, title)

    def _repr_html_(self) -> str:
        from .report.html import render_fragment

        return render_fragment(self)
