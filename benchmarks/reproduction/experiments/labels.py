"""Labels by their rules and by the number of completions (tables 3 and 4)."""

from __future__ import annotations

from labels import RULES, Solved, at, quality, recipe_of, records, sequential_rows, truth_of

from genprm_sdk.evaluation.scaling import doublings
from genprm_sdk.training.pipeline import run_pipeline
from genprm_sdk.training.pipeline.records import Estimates, Rollouts

from .. import published
from ..results import Claim, Result, Rows
from ..scoring import mean_difference
from ..solving import POLICY
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


async def run(work: Work) -> Result:
    folder = work.folder / "labels"
    work.say("labels: rollouts and Monte Carlo")
    recipe = recipe_of(POLICY, work.scale.domains, work.scale.label_problems, work.scale.completions)
    await run_pipeline(recipe, folder, stages=("problems", "rollouts", "monte-carlo"))
    scored = [Estimates.model_validate_json(line) for line in await records(folder, "monte-carlo")]
    drawn = [Rollouts.model_validate_json(line) for line in await records(folder, "rollouts")]
    known = [
        solved
        for each in scored
        for solution in each.solutions
        if (solved := truth_of(each, solution)) is not None
    ]
    most = work.scale.completions
    counts = [k for k in doublings(most) if k >= min(8, most)]
    by_text = {each.problem.text: each for each in drawn}
    saved = dict(sequential_rows([(each, by_text[each.problem.text]) for each in scored], most))
    head = ("", *next(iter(saved.values())))
    return Result(
        how=(
            f"{len(known)} solutions of policy-mini, right and wrong ones, with {most} completions of every "
            f"prefix; smaller K are the first of the same. Truth is the world's, of steps up to the first "
            f"wrong one."
        ),
        paper="F1 of the verifier trained on them, 7B, one sample: "
        + ", ".join(f"{name} {value}" for name, value in published.LABELS.items())
        + ". The quality of the labels themselves is not reported, nor is their sensitivity to K.",
        tables=(
            Rows(f"Labels at K = {most}", rows_by_rule(known, most)),
            Rows("Relative progress at 0.8, by K", rows_by_count(known, counts)),
            Rows(
                "Sampling that stops when a label is decided",
                (head, *((n, *row.values()) for n, row in saved.items())),
            ),
        ),
        claims=(
            claim(known, most, "ratio 0.8", "hard"),
            claim(known, most, "ratio 0.8", "difference -0.3"),
            claim(known, most, "ratio 0.8", "ratio 0.5"),
            claim(known, most, "ratio 0.8", "ratio 1.0"),
        ),
    )


def rows_by_rule(known: list[Solved], k: int) -> tuple[tuple[str, ...], ...]:
    found = {name: quality((each.truth, at(each, k, rule)) for each in known) for name, rule in RULES.items()}
    head = ("rule", *next(iter(found.values())))
    return (head, *((name, *row.values()) for name, row in found.items()))


def rows_by_count(known: list[Solved], counts: list[int]) -> tuple[tuple[str, ...], ...]:
    rule = RULES["ratio 0.8"]
    found = {k: quality((each.truth, at(each, k, rule)) for each in known) for k in counts}
    head = ("K", *next(iter(found.values())))
    return (head, *((str(k), *row.values()) for k, row in found.items()))


def claim(known: list[Solved], k: int, one: str, other: str) -> Claim:
    return Claim(
        f"The labels of {one} are right for more whole solutions than those of {other}.",
        mean_difference(whole(known, k, one), whole(known, k, other)),
    )


def whole(known: list[Solved], k: int, rule: str) -> list[float]:
    return [float(at(each, k, RULES[rule])[: len(each.truth)] == each.truth) for each in known]


EXPERIMENT = Experiment("labels", "Labels and their sensitivity to K (tables 3 and 4)", run)
