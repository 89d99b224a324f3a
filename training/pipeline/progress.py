"""From Monte Carlo scores to labels: relative progress (arXiv 2504.00891), and the rules it is held against.

A step's score is that of the prefix that ends with it. Whatever the rule, a step behind which the answer is
never reached is wrong, and so are all that follow: from the first score of 0 on, scores are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, Self

from pydantic import model_validator
from scipy.special import betaln

from genprm_sdk.types import Frozen

from .intervals import Counts, posterior_interval, probability_ahead, wilson
from .records import Estimate, Estimated, Estimates, Labelled, Rationale, StepLabel

__all__ = ["Rule", "at_most", "decided", "label_solution", "label_steps"]

RuleKind = Literal["ratio", "difference", "hard"]


class Rule(Frozen):
    """When a step is right.

    Attributes:
        kind: ``ratio`` holds the score behind the step over the score before it against the threshold,
            ``difference`` the one less the other, ``hard`` asks whether the answer is reached at all.
        threshold: 0.8 for ``ratio`` and -0.3 for ``difference``, if it is not given.
    """

    kind: RuleKind = "ratio"
    threshold: float | None = None

    @model_validator(mode="after")
    def _threshold_suits(self) -> Self:
        if self.kind == "hard" and self.threshold is not None:
            raise ValueError("the rule `hard` has no threshold: leave it out")
        if self.kind == "ratio" and not 0 < self.least <= 2:
            raise ValueError(f"a ratio's threshold must be above 0 and at most 2, not {self.least}")
        if self.kind == "difference" and not -1 <= self.least <= 1:
            raise ValueError(f"a difference's threshold must be from -1 to 1, not {self.least}")
        return self

    @property
    def least(self) -> float:
        """The threshold."""
        if self.threshold is not None:
            return self.threshold
        return {"ratio": 0.8, "difference": -0.3, "hard": 0.0}[self.kind]

    def passes(self, before: Estimate, behind: Estimate) -> bool:
        """Whether a step is right, by the scores alone; exact, for a ratio may equal its threshold."""
        if not behind.score or not before.score:
            return False
        after, first = _fraction(behind), _fraction(before)
        least = Fraction(str(self.least))
        if self.kind == "ratio":
            return after >= least * first
        return self.kind == "hard" or after - first >= least

    def value(self, before: Estimate, behind: Estimate) -> float:
        """What is held against the threshold."""
        if self.kind == "ratio":
            return behind.score / before.score
        return behind.score - before.score if self.kind == "difference" else behind.score


def _fraction(estimate: Estimate) -> Fraction:
    if estimate.known is not None:
        return Fraction(int(estimate.known))
    return Fraction(estimate.right, estimate.drawn)


def _counts(estimate: Estimate) -> Counts:
    if estimate.known is not None:
        return Counts(int(estimate.known), 0, known=True)
    return Counts(estimate.right, estimate.drawn)


def confidence(rule: Rule, before: Estimate, behind: Estimate) -> float:
    """The posterior probability that endless completions would give the label that these give.

    Where nothing reached the answer and the rule is ``hard``: that as many completions again would not
    either.
    """
    if rule.kind == "hard":
        if behind.score or behind.known is not None:
            return 1.0
        drawn = behind.drawn
        return float(min(1.0, 2.718281828459045 ** (betaln(0.5, 2 * drawn + 0.5) - betaln(0.5, drawn + 0.5))))
    reached = probability_ahead(rule.kind, _counts(before), _counts(behind), rule.least)
    return reached if rule.passes(before, behind) else 1.0 - reached


def decided(rule: Rule, before: Estimate, behind: Estimate, level: float) -> bool:
    """Whether the label needs no more completions; a score of 0 before the step decides it, too."""
    if not before.score:
        return True
    if rule.kind == "hard":
        return behind.score > 0 or behind.known is not None
    return confidence(rule, before, behind) >= level


def label_steps(start: Estimate, steps: Sequence[Estimate], rule: Rule) -> tuple[StepLabel, ...]:
    """Label a solution's steps.

    Args:
        start: The score before the first step.
        steps: The score behind each step.
        rule: When a step is right.
    """
    labels: list[StepLabel] = []
    before, sure = start, 1.0
    for behind in steps:
        if not before.score:
            labels.append(StepLabel(correct=False, value=None, low=None, high=None, confidence=sure))
            continue
        sure = confidence(rule, before, behind)
        if rule.kind == "hard":
            low, high = (
                (behind.score,) * 2 if behind.known is not None else wilson(behind.right, behind.drawn)
            )
        else:
            low, high = posterior_interval(rule.kind, _counts(before), _counts(behind))
        labels.append(
            StepLabel(
                correct=rule.passes(before, behind),
                value=rule.value(before, behind),
                low=low,
                high=high,
                confidence=min(1.0, max(0.0, sure)),
            )
        )
        before = behind
    return tuple(labels)


def label_solution(rationale: Rationale, rule: Rule) -> Labelled:
    """Label the solution that a rationale is about."""
    return Labelled(rationale=rationale, labels=label_steps(rationale.start, rationale.estimates, rule))


def at_most(estimates: Estimates, completions: int) -> Estimates:
    """The same, had each prefix got so many completions at most: for the sensitivity to K."""
    return Estimates(
        problem=estimates.problem,
        start=estimates.start.first(completions),
        solutions=tuple(
            Estimated(
                rollout=solution.rollout, steps=tuple(step.first(completions) for step in solution.steps)
            )
            for solution in estimates.solutions
        ),
        most=min(completions, estimates.most),
        drawn=estimates.drawn,
        full=estimates.full,
        tokens=estimates.tokens,
    )
