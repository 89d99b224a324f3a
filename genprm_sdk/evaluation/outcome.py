"""What became of one benchmark record: its label beside the prediction, or the error. Counts nothing."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ..types import (
    MOST_STEPS,
    CodeStatus,
    Frozen,
    Label,
    Probability,
    Report,
    ReportVerdict,
    StepResult,
    Usage,
    Verdict,
    VerificationPath,
)
from ..voting import combine_paths, first_error, report_verdict
from .datasets import Item, Unreadable
from .reading import encodable

__all__ = ["Outcome", "PathOutcome", "StepOutcome"]


class PathOutcome(Frozen):
    """One path's verification of one step, without its text.

    Attributes:
        index: The path's number, from 0.
        verdict: What it wrote, or None if that cannot be read.
        score: P(Yes) / (P(Yes) + P(No)), or None if the verdict cannot be read.
        generated_tokens: What it wrote, in tokens.
        code_runs: Code blocks that it had executed.
        code_failures: Those that did not end well, by status.
    """

    index: int = Field(ge=0)
    verdict: Verdict | None
    score: Probability | None
    generated_tokens: int = Field(0, ge=0)
    code_runs: int = Field(0, ge=0)
    code_failures: dict[CodeStatus, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, path: VerificationPath) -> Self:
        return cls(
            index=path.index,
            verdict=path.verdict,
            score=path.score,
            generated_tokens=path.usage.generated_tokens,
            code_runs=path.usage.code_runs,
            code_failures=path.usage.code_failures,
        )


class StepOutcome(Frozen):
    """One step and what its paths say.

    Attributes:
        index: From 0.
        label: By the mean score.
        score: The mean of the readable paths' scores, or None.
        paths: Those that count, in the order of their numbers.
    """

    index: int = Field(ge=0)
    label: Label
    score: Probability | None
    paths: tuple[PathOutcome, ...] = ()

    @classmethod
    def of(cls, step: StepResult) -> Self:
        paths = tuple(PathOutcome.of(path) for path in step.paths)
        return cls(index=step.index, label=step.label, score=step.score, paths=paths)

    def with_first_paths(self, count: int) -> Self:
        """The step as the first paths alone would have it."""
        first = tuple(path for path in self.paths if path.index < count)
        label, score = combine_paths(first)
        return self.model_copy(update={"label": label, "score": score, "paths": first})


class Outcome(Frozen):
    """One record's result, as it is also kept in ``results.jsonl``.

    Attributes:
        key: The record's key.
        subset: Its subset.
        digest: Of the record's content, so that a changed one is checked again; empty if it was never read.
        labelled: Whether its label could be read.
        expected: The label: first wrong step from 0, or None; means nothing unless ``labelled``.
        labels: Whether each step is right, where that is known of all.
        total_steps: Steps of the solution, judged or not.
        predicted: The report's first error.
        verdict: The report's verdict, or None if there is no report.
        steps: The judged steps.
        usage: What it cost.
        error: Why there is no report.
    """

    key: str
    subset: str
    digest: str = ""
    labelled: bool = True
    expected: int | None = None
    labels: tuple[bool, ...] | None = None
    total_steps: int = Field(0, ge=0, le=MOST_STEPS)
    predicted: int | None = None
    verdict: ReportVerdict | None = None
    steps: tuple[StepOutcome, ...] = ()
    usage: Usage = Usage()
    error: str | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.labels is not None and len(self.labels) != self.total_steps:
            raise ValueError(f"{len(self.labels)} labels for {self.total_steps} steps")
        return self

    @property
    def decided(self) -> bool:
        """Whether there is a prediction at all; without one the record counts as wrong."""
        return self.verdict in ("correct", "incorrect")

    @property
    def exact(self) -> bool:
        """Whether the prediction is the label, index and all."""
        return self.labelled and self.decided and self.predicted == self.expected

    @property
    def truth(self) -> tuple[bool | None, ...]:
        """Of each step whether it is right; None behind the first wrong one where nobody labelled it."""
        if not self.labelled:
            return ()
        if self.labels is not None:
            return self.labels
        first = self.total_steps if self.expected is None else self.expected
        return tuple(None if index > first else index < first for index in range(self.total_steps))

    @property
    def step_labels(self) -> tuple[Label, ...]:
        """What was said of each step; ``unparsed`` also where it was not judged."""
        said = {step.index: step.label for step in self.steps}
        return tuple(said.get(index, "unparsed") for index in range(self.total_steps))

    def with_first_paths(self, count: int) -> Outcome:
        """The result as the first paths alone would have it, of a check that judged every step."""
        if self.verdict is None:
            return self
        steps = tuple(step.with_first_paths(count) for step in self.steps)
        verdict = report_verdict(steps, self.total_steps)
        return self.model_copy(update={"predicted": first_error(steps), "verdict": verdict, "steps": steps})

    @classmethod
    def of_report(cls, item: Item, digest: str, report: Report) -> Outcome:
        return cls(
            key=item.key,
            subset=item.subset,
            digest=digest,
            expected=item.expected,
            labels=item.labels,
            total_steps=len(item.solution.steps),
            predicted=report.first_error,
            verdict=report.verdict,
            steps=tuple(StepOutcome.of(step) for step in report.steps),
            usage=report.usage,
        )

    @classmethod
    def of_error(cls, item: Item, digest: str, error: Exception) -> Outcome:
        return cls(
            key=item.key,
            subset=item.subset,
            digest=digest,
            expected=item.expected,
            labels=item.labels,
            total_steps=len(item.solution.steps),
            error=encodable(str(error) or type(error).__name__),
        )

    @classmethod
    def of_unreadable(cls, record: Unreadable) -> Outcome:
        message = encodable(f"{record.place}: {record.reason}")
        return cls(key=record.key, subset=record.subset, labelled=False, error=message)
