"""What is seen of earlier steps: all rationales, as in the paper, or the steps alone (beyond the paper)."""

from __future__ import annotations

import numpy as np

from genprm_sdk.modes import History

from ..models import DOMAIN, SEEING_RATIONALES
from ..results import Claim, Result, Rows
from ..scoring import difference
from ..verifications import hits, one_and_all
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


async def run(work: Work) -> Result:
    alone = await work.by_small("reference")
    shown = await work.by_small(SEEING_RATIONALES)
    pruned = await work.by_small(SEEING_RATIONALES, history=History.STEPS)
    samples = work.scale.variant_samples
    rows: list[tuple[str, ...]] = [
        ("trained and used", "1 sample", f"{samples} samples", "tokens written", "most tokens held")
    ]
    for name, judged in (
        ("seeing its rationales", shown),
        ("seeing the steps alone", alone),
        ("trained with its rationales, used without", pruned),
    ):
        written = np.mean([sum(map(sum, each.tokens)) for each in judged])
        held = [each.held for each in judged if each.held is not None]
        most = f"{np.mean(held):,.0f}" if len(held) == len(judged) else "not kept"
        rows.append((name, *one_and_all(judged), f"{written:,.0f}", most))
    return Result(
        how=(
            f"Two small verifiers of {DOMAIN}, trained with equal numbers of steps and of tokens read. One "
            f"sees what it wrote about the steps before; the other sees these steps and nothing else, so "
            f"that what was written about a step can be forgotten behind its verdict. Tokens are those of a "
            f"solution with {samples} paths, on average: written, and held in the cache at the most."
        ),
        paper="Every path sees its own rationales; pruning them is left open as future work.",
        tables=(Rows("F1 in percent, by what is seen of earlier steps", tuple(rows)),),
        claims=(
            Claim(
                f"Seeing earlier rationales is better than seeing the steps alone ({samples} samples).",
                difference(hits(shown), hits(alone)),
            ),
            Claim(
                "A verifier that was trained with its rationales needs them.",
                difference(hits(shown), hits(pruned)),
            ),
        ),
    )


EXPERIMENT = Experiment("pruned", "What is seen of earlier steps (beyond the paper)", run)
