"""Model sizes, with and without voting (table 7)."""

from __future__ import annotations

from itertools import pairwise

from .. import published
from ..models import DOMAIN, SIZES, parameters
from ..results import Claim, Result, Rows
from ..scoring import difference
from ..verifications import hits, one_and_all
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


async def run(work: Work) -> Result:
    found = {name: await work.by_small(name) for name in SIZES}
    samples = work.scale.variant_samples
    millions = {name: f"{parameters(shape) / 1e6:.1f} million" for name, shape in SIZES.items()}
    of_paper = "; ".join(f"{size}: {one}, {eight}" for size, (one, eight) in published.SIZES.items())
    return Result(
        how=(
            f"Small verifiers of {DOMAIN} that differ in nothing but their size, trained from nothing with "
            f"equal numbers of steps, judge {work.scale.solutions} fresh solutions."
        ),
        paper=f"F1 with one sample and with 8: {of_paper}. The 7B model with 8 passes the 32B with one.",
        tables=(
            Rows(
                "F1 in percent, by parameters",
                (
                    ("parameters", "1 sample", f"{samples} samples"),
                    *((millions[name], *one_and_all(judged)) for name, judged in found.items()),
                ),
            ),
        ),
        claims=(
            *(
                Claim(
                    f"{millions[larger]} parameters are better than {millions[smaller]} ({samples} samples).",
                    difference(hits(found[larger]), hits(found[smaller])),
                )
                for smaller, larger in pairwise(SIZES)
            ),
            *(
                Claim(
                    f"{samples} samples of {millions[smaller]} are better than one of {millions[larger]}.",
                    difference(hits(found[smaller]), hits(found[larger], 1)),
                )
                for smaller, larger in pairwise(SIZES)
            ),
        ),
    )


EXPERIMENT = Experiment("sizes", "Sizes of models, with and without voting (table 7)", run)
