"""What reinforcement from labels alone adds to a verifier that was trained on rationales."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from reinforcement import conversation

from genprm_sdk.training.tuning.rl import RLProgress, RLRecipe, train_rl
from genprm_sdk.training.worlds import WORLDS

from ..models import DOMAIN
from ..results import Claim, Result, Rows
from ..scoring import difference
from ..verifications import hits, one_and_all
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]

EXAMPLES = 300


async def run(work: Work) -> Result:
    folder = work.folder / "reinforced"
    folder.mkdir(parents=True, exist_ok=True)
    before = await work.small_folder()
    after = await asyncio.to_thread(reinforced, work, before, folder)
    samples = work.scale.variant_samples
    found = {
        "rationales": await work.by_model(before, "reference-folder"),
        "rationales, then labels": await work.by_model(after, "reinforced"),
    }
    batch = work.scale.rl_batch
    one, other = found["rationales, then labels"], found["rationales"]
    return Result(
        how=(
            f"The small verifier of {DOMAIN} is trained further by GRPO: it is rewarded where its verdict "
            f"is the label, sees no rationale but its own, and its code is executed. {work.scale.rl_steps} "
            f"steps, {batch} prompts with {batch} generations each, on {EXAMPLES} solutions that it is not "
            f"measured on."
        ),
        paper="Left open: the paper's verifiers are trained on rationales alone.",
        tables=(
            Rows(
                f"F1 in percent on {work.scale.solutions} fresh solutions",
                (
                    ("trained on", "1 sample", f"{samples} samples"),
                    *((name, *one_and_all(each)) for name, each in found.items()),
                ),
            ),
        ),
        claims=(
            Claim("Reinforcement helps one sample.", difference(hits(one, 1), hits(other, 1))),
            Claim(f"Reinforcement helps {samples} samples.", difference(hits(one), hits(other))),
        ),
    )


def reinforced(work: Work, base: Path, folder: Path) -> Path:
    data = folder / "labels.jsonl"
    if not data.exists():
        drawn = (
            WORLDS[DOMAIN].example(random.Random(f"reinforced/{DOMAIN}/{number}"))
            for number in range(EXAMPLES)
        )
        lines = [conversation(each).model_dump_json() for each in drawn]
        data.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def heard(progress: RLProgress) -> None:
        work.say(f"reinforcement: step {progress['step']:g} of {progress['steps']:g}")

    recipe = RLRecipe(
        steps=work.scale.rl_steps,
        prompts_per_step=work.scale.rl_batch,
        generations=work.scale.rl_batch,
        rows=min(8, work.scale.rl_batch**2),
        candidates=3,
        learning_rate=3e-4,
        warmup=min(3, work.scale.rl_steps - 1),
        turn_tokens=work.scale.turn_tokens,
        save_every=5,
    )
    train_rl(base, data, folder / "run", recipe, hear=heard)
    return folder / "run" / "model"


EXPERIMENT = Experiment("reinforced", "Reinforcement behind rationales (beyond the paper)", run)
