"""What reinforcement learning from labels alone does to a verifier on phrasings that it was not trained on.

Trains a bundled verifier by GRPO on fresh examples of a world, in the phrasing style that its own training
never drew: it gets the steps and whether they are right, and no rationale in that style. Then it and what it
was before judge other fresh examples, one path a step, with the same seeds. The interval of the difference is
a paired bootstrap over solutions (95%). With --out the run is kept and goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _shares import share, show

from genprm_sdk import Solution, Verifier, wording
from genprm_sdk.training.pipeline.records import Conversation, Message
from genprm_sdk.training.tuning.folders import base_folder
from genprm_sdk.training.tuning.rl import RLProgress, RLRecipe, train_rl
from genprm_sdk.training.worlds import WORLDS, Example

RESAMPLES = 10_000


@dataclass(frozen=True)
class Judged:
    """One model's verdicts on fresh solutions.

    Attributes:
        steps: For each solution and step whether the verdict is right.
        first: For each solution whether its first mistake, or that there is none, was found.
        unparsed: Steps whose verdict could not be read.
    """

    steps: list[list[bool]]
    first: list[bool]
    unparsed: int


def drawn(arguments: argparse.Namespace, purpose: str, count: int) -> list[Example]:
    world = WORLDS[arguments.domain]
    style = arguments.style or world.held_out_style
    seeds = (f"reinforcement/{purpose}/{arguments.seed}/{world.name}/{number}" for number in range(count))
    return [world.example(random.Random(seed), style) for seed in seeds]


def conversation(example: Example) -> Conversation:
    """The example as the pipeline would give it; its rationales' code is what later steps' code counts on."""
    messages = [Message(role="system", content=wording.REVIEW_SYSTEM)]
    for index, step in enumerate(example.steps):
        rationale = step.rationale
        code = rationale.code if index else example.setup + rationale.code
        asked = step.text if index else f"{example.problem}\n{step.text}"
        turn = (
            f"{wording.analysis_opening(index)}{rationale.analysis}\n{wording.ANALYSIS_CLOSE}"
            f"{wording.VERIFY_OPENING}{code}{wording.CODE_FENCE_CLOSE}{wording.code_output(rationale.output)}"
            f"{rationale.conclusion}\n{wording.VERIFY_CLOSE}{wording.VERDICT_OPENING}{wording.verdict(step.correct)}"
        )
        messages += [Message(role="user", content=asked), Message(role="assistant", content=turn)]
    return Conversation(
        problem=example.problem,
        domain=example.domain,
        steps=tuple(step.text for step in example.steps),
        labels=tuple(step.correct for step in example.steps),
        messages=tuple(messages),
        train=(),
    )


def judged(folder: Path, examples: list[Example], kept: Path) -> Judged:
    """What a model says; read from a file where it was asked before."""
    if not kept.exists():
        found = asyncio.run(judge(folder, examples))
        kept.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return Judged(**json.loads(kept.read_text(encoding="utf-8")))


async def judge(folder: Path, examples: list[Example]) -> Judged:
    solutions = [
        Solution(problem=example.problem, steps=tuple(step.text for step in example.steps))
        for example in examples
    ]
    steps: list[list[bool]] = []
    first: list[bool] = []
    unparsed = 0
    async with Verifier(folder, backend="transformers") as verifier:
        async for checked in verifier.check_many(solutions, samples=1, seed=0, concurrency=8, ordered=True):
            example, report = examples[checked.index], checked.report
            assert report is not None, checked.error
            labels = [result.label for result in report.steps]
            steps.append(
                [
                    label == ("correct" if step.correct else "incorrect")
                    for label, step in zip(labels, example.steps, strict=True)
                ]
            )
            first.append(report.first_error == example.first_error)
            unparsed += labels.count("unparsed")
    return Judged(steps, first, unparsed)


def difference(before: Judged, after: Judged) -> str:
    """How much more of the steps are judged rightly, with the interval of a paired bootstrap."""
    gains = np.array([sum(new) - sum(old) for old, new in zip(before.steps, after.steps, strict=True)])
    counts = np.array([len(steps) for steps in before.steps])
    drawn = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    shares = gains[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return f"{gains.sum() / counts.sum():+.1%} ({low:+.1%} to {high:+.1%})"


def row(found: Judged) -> dict[str, str]:
    hits = [hit for steps in found.steps for hit in steps]
    return {
        "steps judged rightly": share(sum(hits), len(hits)),
        "first mistakes found": share(sum(found.first), len(found.first)),
        "verdicts unreadable": share(found.unparsed, len(hits)),
    }


def recipe_of(arguments: argparse.Namespace) -> RLRecipe:
    return RLRecipe(
        steps=arguments.steps,
        prompts_per_step=arguments.prompts,
        generations=arguments.generations,
        candidates=arguments.candidates,
        balance=not arguments.unbalanced,
        degraded_cost=arguments.degraded_cost,
        passes=arguments.passes,
        learning_rate=arguments.learning_rate,
        beta=arguments.beta,
        warmup=arguments.warmup,
        turn_tokens=arguments.turn_tokens,
        seed=arguments.seed,
        save_every=5,
    )


def heard(progress: RLProgress) -> None:
    numbers = (f"{name} {value:g}" for name, value in progress.items() if name not in ("step", "steps"))
    print(
        f"{time.strftime('%H:%M:%S')} step {progress['step']:g}/{progress['steps']:g}", *numbers, flush=True
    )


def measure(arguments: argparse.Namespace, out: Path) -> dict[str, dict[str, str]]:
    base = base_folder(arguments.model, out / "base")
    fresh, train = (
        f"{purpose}-{arguments.domain}-{arguments.style or 'held-out'}-{count}-{arguments.seed}"
        for purpose, count in (("fresh", arguments.fresh), ("train", arguments.examples))
    )
    examples = drawn(arguments, "fresh", arguments.fresh)
    data = out / f"{train}.jsonl"
    if not data.exists():
        lines = [
            conversation(each).model_dump_json() for each in drawn(arguments, "train", arguments.examples)
        ]
        data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = judged(base, examples, out / f"before-{fresh}.json")
    table = {"before": row(before)}
    show("before", table["before"])
    started, used = time.monotonic(), time.process_time()
    train_rl(base, data, out / "run", recipe_of(arguments), hear=heard)
    trained = (
        f"{time.monotonic() - started:.0f}, {time.process_time() - used:.0f} of a core without the sandbox"
    )
    after = judged(out / "run" / "model", examples, out / f"after-{fresh}.json")
    table["after"] = {**row(after), "more steps judged rightly": difference(before, after)}
    show("after", {**table["after"], "seconds that this call trained": trained})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="genprm-mini")
    parser.add_argument("--domain", default="arithmetic", choices=sorted(WORLDS))
    parser.add_argument("--style", help="by default the one that training never drew")
    parser.add_argument("--examples", type=int, default=300, help="solutions to train on")
    parser.add_argument("--fresh", type=int, default=150, help="solutions to measure on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=8, help="of a step")
    parser.add_argument("--generations", type=int, default=8, help="of a prompt")
    parser.add_argument("--candidates", type=int, default=1, help="prompts for each that is learnt from")
    parser.add_argument("--unbalanced", action="store_true", help="labels as often as the world has them")
    parser.add_argument("--degraded-cost", type=float, default=0.5)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--beta", type=float, default=0.0)
    parser.add_argument("--warmup", type=int, default=0)
    parser.add_argument("--turn-tokens", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder that is kept, and gone on with")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        table = measure(arguments, out)
        (out / "reinforcement.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
