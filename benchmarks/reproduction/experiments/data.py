"""How much data (table 8)."""

from __future__ import annotations

from itertools import pairwise

from ..models import DOMAIN, SHARES_OF_DATA
from ..results import Claim, Result, Rows
from ..scoring import difference
from ..verifications import hits, one_and_all
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


async def run(work: Work) -> Result:
    names = [*SHARES_OF_DATA, "reference"]
    found = {name: await work.by_small(name) for name in names}
    samples = work.scale.variant_samples
    called = {
        **{name: f"{round(share * work.scale.pool):,}" for name, share in SHARES_OF_DATA.items()},
        "reference": "ever new",
    }
    return Result(
        how=(
            f"Small verifiers of {DOMAIN}, trained on 25%, 50% and 100% of {work.scale.pool:,} "
            f"solutions, with equal numbers of steps, so that fewer solutions come more often; and one that "
            f"never sees a solution twice."
        ),
        paper="Table 8 compares 25%, 50% and 100% of 23,000 examples.",
        tables=(
            Rows(
                "F1 in percent, by different solutions in training",
                (
                    ("solutions", "1 sample", f"{samples} samples"),
                    *((called[name], *one_and_all(found[name])) for name in names),
                ),
            ),
        ),
        claims=tuple(
            Claim(
                f"Training on {called[more]} solutions is better than on {called[less]}.",
                difference(hits(found[more]), hits(found[less])),
            )
            for less, more in pairwise(names)
        ),
    )


EXPERIMENT = Experiment("data", "How much data (table 8)", run)
