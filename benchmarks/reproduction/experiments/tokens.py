"""What a verification costs (table 9)."""

from __future__ import annotations

import numpy as np

from .. import published
from ..results import Result, Rows
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


async def run(work: Work) -> Result:
    judged = await work.by_bundled()
    rows: list[tuple[str, ...]] = [
        ("domain", "tokens a step: median", "95th percentile", "tokens a solution")
    ]
    for domain in work.scale.domains:
        mine = [each for each in judged if each.group == domain]
        steps = [tokens for each in mine for step in each.tokens for tokens in step]
        whole = [sum(path) for each in mine for path in zip(*each.tokens, strict=True)]
        rows.append(
            (
                domain,
                f"{np.median(steps):.0f}",
                f"{np.percentile(steps, 95):.0f}",
                f"{np.mean(whole):.0f}",
            )
        )
    return Result(
        how="Tokens that the bundled verifier writes, of one path, on the solutions of the first experiment.",
        paper=(
            f"{published.TOKENS_A_STEP} tokens a step, {published.TOKENS_A_RESPONSE} a response, by "
            f"benchmark."
        ),
        tables=(Rows("Written tokens of one path", tuple(rows)),),
    )


EXPERIMENT = Experiment("tokens", "Tokens (table 9)", run)
