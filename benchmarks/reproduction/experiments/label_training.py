"""Verifiers trained further on the labels of each rule (tables 3 and 4)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from labels import RULES, recipe_of

from genprm_sdk.training.pipeline import export, run_pipeline
from genprm_sdk.training.tuning.settings import SFTRecipe
from genprm_sdk.training.tuning.sft import SFTProgress, train_sft

from .. import published
from ..models import DOMAIN
from ..results import Claim, Result, Rows
from ..scoring import difference
from ..solving import POLICY
from ..verifications import hits, one_and_all
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]

COMPLETIONS = 16
COMPARED = ("hard", "difference -0.3", "ratio 0.5", "ratio 0.8", "ratio 1.0")
BEFORE = "none: before"


async def run(work: Work) -> Result:
    folder = work.folder / "label-training"
    base = await work.small_folder()
    samples = work.scale.variant_samples
    found = {BEFORE: await work.by_model(base, "reference-folder")}
    kept = {BEFORE: ""}
    for rule in COMPARED:
        data = folder / f"{rule}.jsonl"
        if not data.exists():
            await write_conversations(rule, work, folder / "pipeline", data)
        kept[rule] = str(len(data.read_text(encoding="utf-8").splitlines()))
        model = await asyncio.to_thread(fine_tuned, rule, work, base, data, folder / rule)
        found[rule] = await work.by_model(model, f"labels-{rule}")
    ratio = found["ratio 0.8"]
    return Result(
        how=(
            f"The small verifier of {DOMAIN} is trained further on rationales of the bundled one about "
            f"solutions of {work.scale.pipeline_problems} problems by policy-mini: those on which it agrees "
            f"with Monte Carlo labels, {completions(work)} completions of a prefix, by each rule. Neither "
            f"labels nor rationales know the truth."
        ),
        paper="F1, 7B, one sample: "
        + ", ".join(f"{name} {value}" for name, value in published.LABELS.items())
        + ".",
        tables=(
            Rows(
                f"F1 in percent on {work.scale.solutions} fresh solutions",
                (
                    ("labels", "solutions kept", "1 sample", f"{samples} samples"),
                    *((rule, kept[rule], *one_and_all(each)) for rule, each in found.items()),
                ),
            ),
        ),
        claims=tuple(
            Claim(
                f"Labels of ratio 0.8 are better to train on than {other}.",
                difference(hits(ratio), hits(found[rule])),
            )
            for rule, other in (
                ("hard", "hard ones"),
                ("difference -0.3", "those of difference -0.3"),
                ("ratio 0.5", "those of ratio 0.5"),
                ("ratio 1.0", "those of ratio 1.0"),
                (BEFORE, "none"),
            )
        ),
    )


def completions(work: Work) -> int:
    return min(COMPLETIONS, work.scale.completions)


async def write_conversations(rule: str, work: Work, folder: Path, data: Path) -> None:
    """What consensus keeps by this rule; rationales and scores are those of the rule before."""
    work.say(f"conversations by {rule}")
    recipe = recipe_of(POLICY, [DOMAIN], work.scale.pipeline_problems, completions(work), RULES[rule])
    await run_pipeline(recipe, folder)
    await export(folder, data)


def fine_tuned(rule: str, work: Work, base: Path, data: Path, folder: Path) -> Path:
    def heard(progress: SFTProgress) -> None:
        work.say(f"training on labels of {rule}: step {progress['step']:g} of {progress['steps']:g}")

    recipe = SFTRecipe(batch=8, device_batch=8, learning_rate=1e-4, save_every=50)
    train_sft(base, data, folder, recipe, hear=heard)
    return folder / "model"


EXPERIMENT = Experiment(
    "label-training", "Verifiers trained on the labels of each rule (tables 3 and 4)", run
)
