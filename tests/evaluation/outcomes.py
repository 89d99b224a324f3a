"""Strategies for outcomes of benchmark records, as checks with several paths leave them."""

from __future__ import annotations

from hypothesis import strategies as st

from genprm_sdk.evaluation.outcome import Outcome, PathOutcome, StepOutcome
from genprm_sdk.types import Usage, VerificationPath
from genprm_sdk.voting import combine_paths, first_error, report_verdict

__all__ = ["HOSTILE", "outcome_of_scores", "outcomes"]

HOSTILE = "../<script>alert(1)</script>\x1b[31m\u202e\"'&/\n" + "w" * 300

Score = float | None


def outcome_of_scores(
    key: str, subset: str, scores: list[list[Score]], expected: int | None, labels: list[bool] | None = None
) -> Outcome:
    """A check whose paths came to these scores, by step and path."""
    steps = []
    for index, row in enumerate(scores):
        paths = [
            VerificationPath(
                index=number,
                verdict=None if score is None else "yes" if score >= 0.5 else "no",
                score=score,
                text="",
                usage=Usage(generated_tokens=10 + number),
            )
            for number, score in enumerate(row)
        ]
        label, score = combine_paths(paths)
        outcome = tuple(PathOutcome.of(path) for path in paths)
        steps.append(StepOutcome(index=index, label=label, score=score, paths=outcome))
    whole = Outcome(
        key=key,
        subset=subset,
        digest="d",
        expected=expected,
        labels=None if labels is None else tuple(labels),
        total_steps=len(steps),
        verdict="correct",
        steps=tuple(steps),
    )
    return whole.model_copy(
        update={"predicted": first_error(steps), "verdict": report_verdict(steps, len(steps))}
    )


@st.composite
def outcomes(draw: st.DrawFn, paths: int = 4, subsets: str = "ab") -> list[Outcome]:
    """Some records of each subset."""
    scores = st.sampled_from([None, 0.0, 0.2, 0.6, 1.0])
    made = []
    for number in range(draw(st.integers(1, 8))):
        steps = draw(st.lists(st.lists(scores, min_size=paths, max_size=paths), min_size=1, max_size=4))
        expected = draw(st.sampled_from([None, *range(len(steps))]))
        made.append(outcome_of_scores(f"k{number}", draw(st.sampled_from(subsets)), steps, expected))
    return made
