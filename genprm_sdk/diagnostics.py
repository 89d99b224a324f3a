"""The failure signatures of generative verification, counted in reports.

Code that fails, paths that say the same however many there are, verdicts that cannot be read, and parts that
were given up: what the method's authors leave open, as numbers of every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from .types import CodeStatus, Frozen, Report, VerificationPath

__all__ = ["Diagnostics", "effective_votes"]


class Diagnostics(Frozen):
    """What went wrong, and how much voting could bring.

    Attributes:
        steps: Judged steps.
        paths: Verifications of them.
        code_runs: Code blocks that were executed.
        code_failed: Share of them that did not end well, or None without any.
        code_failures: Those, by status.
        unparsed: Share of the paths whose verdict could not be read, or None without paths.
        degraded: Paths that gave up their code part, by reason.
        forgetful: Paths that no longer saw all earlier verifications.
        agreement: Share of pairs of a step's paths that wrote the same verdict; None where no step has two.
        effective_votes: How many independent votes the paths of a step amount to: n / (1 + (n - 1) r), with
            n their number, averaged over steps, and r the correlation of verdicts within a step (analysis of
            variance; Kish's design effect). 1 where paths never differ: then more of them bring nothing. None
            where no step has two paths, and where they differ on the only step that has.
        verdict_mass: Mean of P(Yes) + P(No) where a verdict was asked for, or None.
    """

    steps: int
    paths: int
    code_runs: int
    code_failed: float | None
    code_failures: dict[CodeStatus, int]
    unparsed: float | None
    degraded: dict[str, int]
    forgetful: int
    agreement: float | None
    effective_votes: float | None
    verdict_mass: float | None

    @classmethod
    def of(cls, reports: Iterable[Report]) -> Diagnostics:
        """Count over all paths of all reports, those that did not decide included."""
        steps = [step for report in reports for step in report.steps]
        paths = [path for step in steps for path in step.all_paths]
        runs = [run for path in paths for run in path.code_runs if run.status != "not_executed"]
        failures: Counter[CodeStatus] = Counter(run.status for run in runs if run.status != "ok")
        votes = [group for step in steps if len(group := _votes((*step.paths, *step.extra))) > 1]
        return cls(
            steps=len(steps),
            paths=len(paths),
            code_runs=len(runs),
            code_failed=failures.total() / len(runs) if runs else None,
            code_failures=dict(failures),
            unparsed=sum(path.verdict is None for path in paths) / len(paths) if paths else None,
            degraded=dict(Counter(path.degraded for path in paths if path.degraded is not None)),
            forgetful=sum(path.forgotten > 0 for path in paths),
            agreement=_agreement(votes),
            effective_votes=effective_votes(votes),
            verdict_mass=_mean([path.verdict_mass for path in paths if path.verdict_mass is not None]),
        )


def _votes(paths: Sequence[VerificationPath]) -> list[int]:
    return [int(path.verdict == "yes") for path in paths if path.verdict is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _agreement(votes: Sequence[Sequence[int]]) -> float | None:
    pairs = same = 0
    for group in votes:
        count, yes = len(group), sum(group)
        no = count - yes
        pairs += count * (count - 1) // 2
        same += yes * (yes - 1) // 2 + no * (no - 1) // 2
    return same / pairs if pairs else None


def effective_votes(votes: Sequence[Sequence[int]]) -> float | None:
    """n / (1 + (n - 1) r) with r from a one-way analysis of variance of 0/1 votes, steps as groups."""
    if not votes:
        return None
    total = sum(map(len, votes))
    size = total / len(votes)
    within = sum(sum(group) * (len(group) - sum(group)) / len(group) for group in votes)
    if within == 0:
        return 1.0
    mean_within = within / (total - len(votes))
    if len(votes) == 1:
        return None
    grand = sum(map(sum, votes)) / total
    between = sum(len(group) * (sum(group) / len(group) - grand) ** 2 for group in votes) / (len(votes) - 1)
    typical = (total - sum(len(group) ** 2 for group in votes) / total) / (len(votes) - 1)
    spread = max(0.0, (between - mean_within) / typical)
    correlation = spread / (spread + mean_within)
    return size / (1 + (size - 1) * correlation)
