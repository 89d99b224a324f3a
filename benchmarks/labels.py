"""How good the pipeline's labels are where the truth is known, and what sequential sampling and consensus do.

Solutions of worlds' problems by policy-mini, scored with K completions a prefix; smaller K and sequential
sampling are replayed on the same outcomes. Truth is the world's own reading of a step, by those before it.
Compared are steps up to the first truly wrong one: behind it the truth says whether a step follows from a
mistake, and scores whether the answer can still be reached. A wrong step that is labelled wrong is a hit.
Wilson intervals, 95%. With --out the run is kept and goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from _shares import share, show

from genprm_sdk.prompt import content
from genprm_sdk.training.pipeline import PipelineRecipe, export, run_pipeline
from genprm_sdk.training.pipeline.monte_carlo import MonteCarloSettings, Sequential, Tree
from genprm_sdk.training.pipeline.policy import FIRST_STEP, Policy, all_of
from genprm_sdk.training.pipeline.progress import Rule, at_most, label_steps
from genprm_sdk.training.pipeline.recipe import PolicyRecipe
from genprm_sdk.training.pipeline.records import (
    Estimated,
    Estimates,
    Kept,
    Labelled,
    Problem,
    Rollouts,
    StepLabel,
)
from genprm_sdk.training.pipeline.stages import load_model
from genprm_sdk.training.worlds import WORLDS

DOMAINS = ("arithmetic", "word_problems", "word_sorting", "tracking", "logical_deduction")
RULES = {
    "hard": Rule(kind="hard"),
    "difference -0.1": Rule(kind="difference", threshold=-0.1),
    "difference -0.3": Rule(kind="difference", threshold=-0.3),
    "ratio 0.5": Rule(kind="ratio", threshold=0.5),
    "ratio 0.8": Rule(kind="ratio", threshold=0.8),
    "ratio 1.0": Rule(kind="ratio", threshold=1.0),
}
RATIO = RULES["ratio 0.8"]
TREE_PROBLEMS, TREE_DRAWS = 4, 16


@dataclass(frozen=True)
class Solved:
    """One scored solution and the truth about its steps, up to the first wrong one."""

    estimates: Estimates
    solution: Estimated
    truth: tuple[bool, ...]


def recipe_of(
    model: str, domains: Sequence[str], problems: int, k: int, rule: Rule = RATIO
) -> PipelineRecipe:
    policy = {"model": model, "temperature": 0.7, "top_p": 1.0, "top_k": 0, "longest": 600}
    return PipelineRecipe.model_validate(
        {
            "name": "labels",
            "problems": {"worlds": dict.fromkeys(domains, problems)},
            "policy": policy,
            "rollouts": {"correct": 1, "incorrect": 1, "draws": 32},
            "monte_carlo": {"schedule": [], "completions": k, "sequential": None},
            "teacher": {"model": "genprm-mini"},
            "consensus": {"compare": "first_error"},
            "labels": rule.model_dump(),
        }
    )


def read_truth(problem: Problem, steps: Sequence[str]) -> tuple[bool, ...] | None:
    assert problem.domain is not None
    example = WORLDS[problem.domain].read(problem.text, steps)
    if example is None:
        return None
    until = len(steps) if example.first_error is None else example.first_error + 1
    return tuple(step.correct for step in example.steps[:until])


def truth_of(estimates: Estimates, solution: Estimated) -> Solved | None:
    truth = read_truth(estimates.problem, solution.rollout.steps)
    return None if truth is None else Solved(estimates, solution, truth)


def quality(pairs: Iterable[tuple[tuple[bool, ...], tuple[bool, ...]]]) -> dict[str, str]:
    """Precision and recall of wrong steps, and how many solutions have every label right."""
    counts: Counter[str] = Counter()
    for truth, labels in pairs:
        shown = labels[: len(truth)]
        counts["solutions"] += 1
        counts["whole"] += shown == truth
        for right, label in zip(truth, shown, strict=False):
            counts["hit"] += not right and not label
            counts["wrong"] += not right
            counts["said"] += not label
    return {
        "precision of wrong": share(counts["hit"], counts["said"]),
        "recall of wrong": share(counts["hit"], counts["wrong"]),
        "solutions with every label right": share(counts["whole"], counts["solutions"]),
    }


def labels_of(estimates: Estimates, solution: Estimated, rule: Rule) -> tuple[StepLabel, ...]:
    return label_steps(estimates.start, solution.steps, rule)


def at(solved: Solved, k: int, rule: Rule) -> tuple[bool, ...]:
    number = solved.estimates.solutions.index(solved.solution)
    reduced = at_most(solved.estimates, k)
    return tuple(label.correct for label in labels_of(reduced, reduced.solutions[number], rule))


def replayed(estimates: Estimates, rollouts: Rollouts, k: int, level: float) -> Estimates:
    """What sequential sampling would have drawn, from the outcomes of full K."""
    recorded = {(): estimates.start.outcomes}
    for solution in estimates.solutions:
        pieces: tuple[str, ...] = ()
        for step, scored in zip(solution.rollout.steps[:-1], solution.steps, strict=False):
            pieces = (*pieces, step + solution.rollout.separator)
            recorded[pieces] = scored.outcomes
    settings = MonteCarloSettings(
        schedule=(), completions=k, start=min(32, k), sequential=Sequential(confidence=level)
    )
    tree = Tree(rollouts, settings, RATIO, own=True)
    while wanted := tree.wanted():
        for prefix, count in wanted:
            first = len(prefix.outcomes)
            tree.add(prefix, recorded[prefix.pieces][first : first + count])
    return tree.estimates(0)


def sequential_rows(pairs: list[tuple[Estimates, Rollouts]], k: int) -> Iterator[tuple[str, dict[str, str]]]:
    for level in (0.8, 0.9, 0.95):
        counts: Counter[str] = Counter()
        for estimates, rollouts in pairs:
            full = at_most(estimates, k)
            less = replayed(estimates, rollouts, k, level)
            counts["drawn"] += less.drawn
            counts["full"] += less.full
            for number, solution in enumerate(less.solutions):
                mine = [label.correct for label in labels_of(less, solution, RATIO)]
                theirs = [label.correct for label in labels_of(full, full.solutions[number], RATIO)]
                counts["changed"] += sum(a != b for a, b in zip(mine, theirs, strict=True))
                counts["steps"] += len(mine)
        yield (
            f"sequential at {level}, K = {k}",
            {
                "completions saved": share(counts["full"] - counts["drawn"], counts["full"]),
                "labels changed against full K": share(counts["changed"], counts["steps"]),
            },
        )


async def records(folder: Path, stage: str) -> list[str]:
    target = folder / f"{stage}.jsonl"
    await export(folder, target, stage)  # type: ignore[arg-type]
    return target.read_text(encoding="utf-8").splitlines()


async def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}

    def tell(name: str, row: dict[str, str]) -> None:
        table[name] = row
        show(name, row)

    started = time.monotonic()
    recipe = recipe_of(arguments.model, arguments.domains or DOMAINS, arguments.problems, arguments.k)
    statuses = await run_pipeline(recipe, folder)
    for status in statuses:
        counts = {
            "kept": f"{status.kept} of {status.finished}",
            **{r: str(n) for r, n in status.dropped.items()},
        }
        tell(f"stage {status.stage}", counts)
    print(f"seconds: {time.monotonic() - started:.0f}")
    scored = [Estimates.model_validate_json(line) for line in await records(folder, "monte-carlo")]
    drawn = [Rollouts.model_validate_json(line) for line in await records(folder, "rollouts")]
    found = [truth_of(each, solution) for each in scored for solution in each.solutions]
    known = [each for each in found if each is not None]
    tell("solutions", {"scored": str(len(found)), "readable by their worlds": str(len(known))})
    for k in sorted({8, 32, arguments.k}):
        if k <= arguments.k:
            for name, rule in RULES.items():
                tell(f"{name}, K = {k}", quality((each.truth, at(each, k, rule)) for each in known))
    by_text = {each.problem.text: each for each in drawn}
    pairs = [(each, by_text[each.problem.text]) for each in scored]
    for k in sorted({32, arguments.k}):
        if k <= arguments.k:
            for name, row in sequential_rows(pairs, k):
                tell(name, row)
    labelled = [Labelled.model_validate_json(line) for line in await records(folder, "label")]
    kept = [Kept.model_validate_json(line) for line in await records(folder, "consensus")]
    for name, group in (
        (
            "before consensus",
            [(each.rationale.problem, each.rationale.rollout, each.labels) for each in labelled],
        ),
        ("after consensus", [(each.problem, each.rollout, each.labels) for each in kept]),
    ):
        truths = ((read_truth(problem, rollout.steps), labels) for problem, rollout, labels in group)
        tell(
            name,
            quality(
                (truth, tuple(label.correct for label in labels))
                for truth, labels in truths
                if truth is not None
            ),
        )
    tell("tree against independent requests", await trees(recipe.policy, scored[:TREE_PROBLEMS]))
    return table


async def trees(recipe: PolicyRecipe, scored: list[Estimates]) -> dict[str, str]:
    """Completions of all prefixes of some solutions, with forks and as requests that share nothing."""
    row = {}
    for shared in (True, False):
        async with await load_model(recipe) as backend:
            policy = Policy.of(backend, recipe.sampling, recipe.longest, None, 1)
            started = time.monotonic()
            written = 0
            for number, estimates in enumerate(scored):
                written += await completed(policy, estimates, number, shared=shared)
            seconds = time.monotonic() - started
            counters = backend.counters()
        name = "forks" if shared else "independent"
        row[f"{name}: written tokens a second"] = f"{written / seconds:,.0f} ({written:,} in {seconds:.1f} s)"
        row[f"{name}: evaluated tokens a written one"] = f"{counters.evaluated / written:.2f}"
    return row


async def completed(policy: Policy, estimates: Estimates, number: int, *, shared: bool) -> int:
    steps = estimates.solutions[0].rollout.steps
    separator = estimates.solutions[0].rollout.separator
    prefixes = ["".join(step + separator for step in steps[:length]) for length in range(len(steps))]

    async def one(base_text: str, draw: int, name: str) -> int:
        # Another beginning for each request, or the engine would find what they share in its cache.
        base = await policy.open(name + estimates.problem.text)
        try:
            generation = await policy.draw(base, base_text or FIRST_STEP, draw)
        finally:
            await base.close()
        return generation.tokens

    if not shared:
        draws = [(prefix, draw) for prefix in prefixes for draw in range(TREE_DRAWS)]
        return sum(await all_of(one(p, i, f"({number}.{j}) ") for j, (p, i) in enumerate(draws)))
    written = 0
    base = await policy.open(estimates.problem.text)
    try:
        for length, step in enumerate(["", *steps[:-1]]):
            if step:
                await base.append([content(step + separator)])
            forced = "" if length else FIRST_STEP
            drawn = await all_of(policy.draw(base, forced, i) for i in range(TREE_DRAWS))
            written += sum(generation.tokens for generation in drawn)
    finally:
        await base.close()
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="policy-mini")
    parser.add_argument("--domains", nargs="*", choices=sorted(WORLDS))
    parser.add_argument("--problems", type=int, default=4, help="of each domain")
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument(
        "--out", type=Path, help="folder for the run, which then goes on; and for labels.json"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        table = asyncio.run(measure(arguments, arguments.out or Path(folder)))
        if arguments.out:
            path = arguments.out / "labels.json"
            path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
