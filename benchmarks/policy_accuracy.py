"""How well a solver solves and repairs: pass@1 on fresh exercises, and answers to true and false critiques.

Exercises come from seeds that training does not use, sampling is at temperature 0.7 without truncation, and
attempts are judged by their worlds. A wrong attempt gets a true critique (its first wrong step, with what the
step's code prints), a right one a false critique (a random step, with what another solution's code printed).
Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from _shares import Table, options, run, share, show

from genprm_sdk.backends import Sampling
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.models import find_model
from genprm_sdk.prompt import Segment
from genprm_sdk.training.sampling import draw_exercises, is_right
from genprm_sdk.training.solving import Attempt, attempt_example, conversation, question
from genprm_sdk.training.worlds import WORLDS, Exercise
from genprm_sdk.types import split_steps

LONGEST = 1280


AT_ONCE = 32


async def written(backend: LlamaCppBackend, prompts: Sequence[Sequence[Segment]]) -> list[tuple[str, ...]]:
    """What the model writes for each prompt, as steps; nothing where it does not come to an end."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int, prompt: Sequence[Segment]) -> tuple[str, ...]:
        async with room:
            sequence = await backend.open(prompt)
            try:
                sampling = Sampling(temperature=0.7, top_p=1.0, top_k=0, seed=seed)
                generation = await sequence.generate([], LONGEST, sampling)
            finally:
                await sequence.close()
        return tuple(split_steps(generation.text)) if generation.finish == "end" else ()

    return await asyncio.gather(*(one(seed, prompt) for seed, prompt in enumerate(prompts)))


async def measure(arguments: argparse.Namespace) -> Table:
    table = {}
    _, file = find_model(arguments.model)
    async with await LlamaCppBackend.load(file) as backend:
        for domain in arguments.domains or WORLDS:
            table[domain] = await measured(backend, domain, arguments.examples, arguments.seed)
            show(domain, table[domain])
    return table


async def measured(backend: LlamaCppBackend, domain: str, examples: int, seed: int) -> dict[str, str]:
    counts: Counter[str] = Counter()
    rng = random.Random(f"{seed}/{domain}")
    conclusions = ["The code prints False."]
    exercises = draw_exercises([domain], examples, "benchmark")
    solutions = await written(backend, [question(exercise.problem) for exercise in exercises])
    challenged: list[tuple[str, Exercise, list[Segment]]] = []
    for exercise, steps in zip(exercises, solutions, strict=True):
        attempt = Attempt(domain, exercise.problem, exercise.steps, steps)
        example = attempt_example(attempt) if steps else None
        right = is_right(attempt, exercise.answer)
        counts["right"] += right
        counts["readable"] += example is not None
        if example is None:
            continue
        wrong = example.first_error
        counts["right answer, wrong step"] += right and wrong is not None
        if right and wrong is None:
            kind, step = "kept", rng.randrange(len(steps))
            reason = f"{example.steps[step].rationale.analysis} {rng.choice(conclusions)}"
        elif not right and wrong is not None:
            kind, step = "repaired", wrong
            rationale = example.steps[wrong].rationale
            conclusions.append(rationale.conclusion)
            reason = f"{rationale.analysis} {rationale.conclusion}"
        else:
            continue
        challenged.append((kind, exercise, conversation(exercise.problem, steps, steps[step], reason)))
    answers = await written(backend, [prompt for _, _, prompt in challenged])
    for (kind, exercise, _), steps in zip(challenged, answers, strict=True):
        again = Attempt(domain, exercise.problem, exercise.steps, steps)
        counts[kind] += is_right(again, exercise.answer)
        counts[f"of {kind}"] += 1
    return {
        "pass@1": share(counts["right"], examples),
        "readable": share(counts["readable"], examples),
        "right answer with a wrong step": share(counts["right answer, wrong step"], counts["right"]),
        "wrong ones repaired after a true critique": share(counts["repaired"], counts["of repaired"]),
        "right ones kept after a false critique": share(counts["kept"], counts["of kept"]),
    }


def main() -> None:
    parser = options(__doc__, "policy-mini")
    run(parser, measure)


if __name__ == "__main__":
    main()
