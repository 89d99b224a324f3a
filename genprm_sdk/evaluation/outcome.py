"""What became of one benchmark record: its label beside the prediction, or the error. Counts nothing."""

from __future__ import annotations

from ..types import Frozen, Probability, Report, ReportVerdict, Usage
from .datasets import Item, Unreadable
from .reading import encodable

__all__ = ["Outcome"]


class Outcome(Frozen):
    """One record's result, as it is also kept in ``results.jsonl``.

    Attributes:
        key: The record's key.
        subset: Its subset.
        digest: Of the record's content, so that a changed one is checked again; empty if it was never read.
        labelled: Whether its label could be read.
        expected: The label: first wrong step from 0, or None; means nothing unless ``labelled``.
        predicted: The report's first error.
        verdict: The report's verdict, or None if there is no report.
        scores: The steps' scores.
        usage: What it cost.
        error: Why there is no report.
    """

    key: str
    subset: str
    digest: str = ""
    labelled: bool = True
    expected: int | None = None
    predicted: int | None = None
    verdict: ReportVerdict | None = None
    scores: tuple[Probability | None, ...] = ()
    usage: Usage = Usage()
    error: str | None = None

    @property
    def decided(self) -> bool:
        """Whether there is a prediction at all; without one the record counts as wrong."""
        return self.verdict in ("correct", "incorrect")

    @property
    def exact(self) -> bool:
        """Whether the prediction is the label, index and all."""
        return self.labelled and self.decided and self.predicted == self.expected

    @classmethod
    def of_report(cls, item: Item, digest: str, report: Report) -> Outcome:
        return cls(
            key=item.key,
            subset=item.subset,
            digest=digest,
            expected=item.expected,
            predicted=report.first_error,
            verdict=report.verdict,
            scores=tuple(step.score for step in report.steps),
            usage=report.usage,
        )

    @classmethod
    def of_error(cls, item: Item, digest: str, error: Exception) -> Outcome:
        message = encodable(str(error) or type(error).__name__)
        return cls(
            key=item.key,
            subset=item.subset,
            digest=digest,
            expected=item.expected,
            error=message,
        )

    @classmethod
    def of_unreadable(cls, record: Unreadable) -> Outcome:
        message = encodable(f"{record.place}: {record.reason}")
        return cls(key=record.key, subset=record.subset, labelled=False, error=message)
