"""Whether scores mean what they say: of the steps that a verifier scores 0.8, are 80% correct?

Scores beside labels in; a table with the errors of calibration, and the temperature that mends the common
one, out. Knows reports and labels, no benchmark and no model. A score is the probability that a step is
correct, so calibration is that of this one event, not of the likelier label.

Sources. Expected and maximum calibration error over bins: Naeini, Cooper and Hauskrecht, "Obtaining Well
Calibrated Probabilities Using Bayesian Binning", AAAI 2015; with bins of equal count: Nguyen and O'Connor,
arXiv 1508.05154. Temperature scaling: Guo et al., arXiv 1706.04599. Brier score: Brier, "Verification of
Forecasts Expressed in Terms of Probability", Monthly Weather Review 78, 1950. Interval of a share: Wilson,
"Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927; it takes judgements for
independent, which those of one solution's steps are not quite.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from ..arguments import one_of, shown, whole_number
from ..errors import InputError
from ..types import Frozen, Probability, Report

__all__ = [
    "Bin",
    "Binning",
    "Judgement",
    "Reliability",
    "TemperatureFit",
    "fit_temperature",
    "judgements_of",
    "reliability",
    "rescaled",
]

Binning = Literal["width", "count"]
"""Bins as wide as each other, or holding as many judgements as each other."""

Scored = Literal["steps", "paths"]

CLIP = 1e-7
"""Where log-odds are taken, a score lies at least this far from 0 and 1: about what single precision can tell
from 1. A certain mistake costs 16.1 nats."""

MOST_BINS = 10_000
Z = NormalDist().inv_cdf(0.975)


class Judgement(NamedTuple):
    """A step's score, or one path's, and whether the step is correct."""

    score: float
    correct: bool


def judgements_of(report: Report, first_error: int | None, of: Scored = "steps") -> list[Judgement]:
    """Pair the scores of a labelled solution with their labels.

    A benchmark's label is the first wrong step: the steps before it are correct, it is not, and those behind
    it are unknown. These are left out, and so are scores that could not be read. Where the check stopped at a
    first error of its own, the correct steps behind a false alarm are missing too.

    Args:
        report: What the verifier found.
        first_error: The label, 0-based; None where every step is correct.
        of: ``steps`` for the mean scores that labels come from, ``paths`` for the scores that a verifier's
            ``score_temperature`` acts on. With one path a step they are the same.

    Raises:
        InputError: The label is no step of the solution.
    """
    one_of(get_args(Scored), of, "of")
    total = len(report.steps) if report.total_steps is None else report.total_steps
    if first_error is not None and not (type(first_error) is int and 0 <= first_error < total):
        raise InputError(
            f"first_error must be None or, from 0, one of the solution's {total} steps, not {first_error!r}"
        )
    return [
        Judgement(score, step.index != first_error)
        for step in report.steps
        if first_error is None or step.index <= first_error
        for score in ([step.score] if of == "steps" else [path.score for path in step.paths])
        if score is not None
    ]


class Bin(Frozen):
    """Judgements with scores close to each other.

    Attributes:
        low: Of equal width, where the bin begins; of equal count, its lowest score.
        high: Where it ends, or its highest score.
        count: Judgements in it.
        score: Their mean score.
        correct: The share of them that is correct.
        correct_low: Lower end of that share's 95% interval.
        correct_high: Upper end.
    """

    low: Probability
    high: Probability
    count: int = Field(ge=1)
    score: Probability
    correct: Probability
    correct_low: Probability
    correct_high: Probability

    @property
    def gap(self) -> float:
        """How far the share lies from the score."""
        return abs(self.score - self.correct)


class Reliability(Frozen):
    """How far scores are from the shares they promise.

    Attributes:
        bins: From low to high scores, without the empty ones.
        count: Judgements.
        expected_error: Mean gap of the bins, weighted by their counts (ECE). Never below 0, and above it by
            chance where bins hold few judgements.
        maximum_error: Largest gap of a bin (MCE).
        brier: Mean squared distance of the score from 1 where the step is correct, from 0 where it is not.
        log_loss: Mean negative log-likelihood of the labels, in nats, scores clipped to 1e-7 from 0 and 1.
    """

    bins: tuple[Bin, ...]
    count: int = Field(ge=1)
    expected_error: Probability
    maximum_error: Probability
    brier: Probability
    log_loss: float = Field(ge=0)

    def to_markdown(self) -> str:
        """The table, and the four numbers below it."""
        lines = [
            "| score | steps | mean score | correct | 95% interval |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {row.low:.3f} to {row.high:.3f} | {row.count} | {row.score:.3f} | {row.correct:.3f} | "
            f"{row.correct_low:.3f} to {row.correct_high:.3f} |"
            for row in self.bins
        ]
        numbers = (
            f"ECE {self.expected_error:.4f}, MCE {self.maximum_error:.4f}, Brier score {self.brier:.4f}, "
            f"log loss {self.log_loss:.4f}, of {self.count} judgements"
        )
        return "\n".join([*lines, "", numbers, ""])


def reliability(judgements: Iterable[Judgement], bins: int = 10, binning: Binning = "width") -> Reliability:
    """Hold scores against labels.

    Args:
        judgements: At least one.
        bins: How many there are, at most.
        binning: ``width`` cuts [0, 1] into equal parts that hold their lower end, the last one 1 too.
            ``count`` shares the judgements out evenly, but never parts equal scores.

    Raises:
        InputError: There are no judgements, a score is no probability, or another argument is unusable.
    """
    judged = sorted(_checked(judgements))
    whole_number(bins, "bins", most=MOST_BINS)
    one_of(get_args(Binning), binning, "binning")
    scores = [score for score, _ in judged]
    groups: defaultdict[int, list[Judgement]] = defaultdict(list)
    for judgement in judged:
        if binning == "width":
            at = bisect_right(range(1, bins), judgement.score, key=lambda edge: edge / bins)
        else:
            at = bisect_left(scores, judgement.score) * bins // len(judged)
        groups[at].append(judgement)
    rows = [
        _bin(group, at / bins, (at + 1) / bins)
        if binning == "width"
        else _bin(group, group[0].score, group[-1].score)
        for at, group in groups.items()
    ]
    return Reliability(
        bins=tuple(rows),
        count=len(judged),
        expected_error=math.fsum(row.gap * row.count for row in rows) / len(judged),
        maximum_error=max(row.gap for row in rows),
        brier=_mean([(score - correct) ** 2 for score, correct in judged]),
        log_loss=_loss(_margins(judged), 1.0),
    )


def _bin(group: Sequence[Judgement], low: float, high: float) -> Bin:
    count, hits = len(group), sum(correct for _, correct in group)
    share = hits / count
    centre = (hits + Z**2 / 2) / (count + Z**2)
    reach = Z * math.sqrt(hits * (count - hits) / count + Z**2 / 4) / (count + Z**2)
    return Bin(
        low=low,
        high=high,
        count=count,
        score=_mean([score for score, _ in group]),
        correct=share,
        correct_low=min(share, max(0.0, centre - reach)),
        correct_high=max(share, min(1.0, centre + reach)),
    )


def rescaled(judgements: Iterable[Judgement], factor: float) -> list[Judgement]:
    """The judgements with the log-odds of their scores, clipped to 1e-7 from 0 and 1, divided by a factor.

    Raises:
        InputError: A score is no probability, there are none, or the factor is not above 0.
    """
    judged = _checked(judgements)
    _check_positive(factor, "factor")
    return [Judgement(_sigmoid(_log_odds(score) / factor), correct) for score, correct in judged]


class TemperatureFit(Frozen):
    """The temperature with which scores fit the labels best.

    Attributes:
        temperature: What to give ``Verifier(score_temperature=...)``: the one that the scores were made at,
            times ``factor``.
        factor: What the log-odds are divided by; above 1 where the scores were too sure.
        count: Judgements.
        log_loss_before: Of the scores as they are.
        log_loss_after: At that temperature; of the same judgements, so it flatters the fit a little.
        expected_error_before: Their expected calibration error.
        expected_error_after: At that temperature. It need not be lower: the fit is to the log loss.
    """

    temperature: float = Field(gt=0)
    factor: float = Field(gt=0)
    count: int = Field(ge=2)
    log_loss_before: float = Field(ge=0)
    log_loss_after: float = Field(ge=0)
    expected_error_before: Probability
    expected_error_after: Probability


def fit_temperature(
    judgements: Iterable[Judgement], made_at: float = 1.0, bins: int = 10, binning: Binning = "width"
) -> TemperatureFit:
    """Find the T that minimises the log loss of sigmoid(logit(score) / T).

    Scores are clipped to 1e-7 from 0 and 1. The log loss is convex in 1 / T, so there is one minimum at most,
    where its derivative is 0.

    Args:
        judgements: Of both kinds, correct and wrong. For a verifier that votes, those of its paths: the
            temperature acts on them and not on their mean.
        made_at: The ``score_temperature`` of the verifier that made the scores.
        bins: For the expected calibration error; see ``reliability``.
        binning: Likewise.

    Raises:
        InputError: There are no judgements, a score is no probability, another argument is unusable, all
            labels are the same, or no temperature is best: no score on the wrong side of 0.5, or too many.
    """
    from scipy.optimize import brentq

    judged = _checked(judgements)
    _check_positive(made_at, "made_at")
    before = reliability(judged, bins, binning)
    kinds = {bool(correct) for _, correct in judged}
    if len(kinds) == 1:
        only = "correct" if kinds.pop() else "wrong"
        raise InputError(f"every judgement is of a {only} step: a temperature needs both kinds")
    margins = _margins(judged)
    if min(margins) >= 0 and max(margins) > 0:
        raise InputError(
            "no score is on the wrong side of 0.5, so no temperature is best: the lower, the better the fit; "
            "more judgements are needed"
        )
    if math.fsum(margins) <= 0:
        raise InputError("the scores do not lean towards the labels, so no temperature makes them fit better")

    def slope(log_scale: float) -> float:
        scale = math.exp(log_scale)
        return -math.fsum(margin * _sigmoid(-scale * margin) for margin in margins)

    log_scale = brentq(slope, _where(slope, below=True), _where(slope, below=False))
    factor = math.exp(-log_scale)
    return TemperatureFit(
        temperature=made_at * factor,
        factor=factor,
        count=len(judged),
        log_loss_before=before.log_loss,
        log_loss_after=_loss(margins, 1 / factor),
        expected_error_before=before.expected_error,
        expected_error_after=reliability(rescaled(judged, factor), bins, binning).expected_error,
    )


def _where(slope: Callable[[float], float], *, below: bool) -> float:
    """A place on the given side of the slope's root."""
    at = -1.0 if below else 1.0
    while (slope(at) < 0) != below:
        at *= 2
    return at


def _checked(judgements: Iterable[Judgement]) -> list[Judgement]:
    judged: list[Judgement] = []
    for index, judgement in enumerate(judgements):
        try:
            score, correct = judgement
            if correct not in (False, True):
                raise ValueError
            judged.append(Judgement(float(score), bool(correct)))
        except (TypeError, ValueError):
            raise InputError(
                f"judgement {index} is {shown(judgement)}: give a score and whether the step is correct, and "
                "leave out steps without a score"
            ) from None
        if not 0.0 <= judged[-1].score <= 1.0:
            raise InputError(f"judgement {index} has the score {score!r}, which is not between 0 and 1")
    if not judged:
        raise InputError("there are no judgements: calibration needs scores of labelled steps")
    return judged


def _check_positive(value: float, name: str) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{name} must be a finite number above 0, not {value!r:.80}")


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _log_odds(score: float) -> float:
    clipped = min(max(score, CLIP), 1 - CLIP)
    return math.log(clipped) - math.log1p(-clipped)


def _margins(judged: Iterable[Judgement]) -> list[float]:
    """Log-odds of the true label."""
    return [_log_odds(score) if correct else -_log_odds(score) for score, correct in judged]


def _loss(margins: Sequence[float], scale: float) -> float:
    """Mean of log(1 + exp(-scale * margin)), however large the margins."""
    return _mean([max(0.0, -scale * m) + math.log1p(math.exp(-abs(scale * m))) for m in margins])


def _sigmoid(x: float) -> float:
    small = math.exp(-abs(x))
    return 1 / (1 + small) if x >= 0 else small / (1 + small)
