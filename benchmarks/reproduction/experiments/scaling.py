"""Test-time scaling of the verifier (table 1)."""

from __future__ import annotations

from genprm_sdk.evaluation.scaling import doublings

from .. import published
from ..results import Claim, Picture, Result, Rows
from ..scoring import Hit, difference, f1
from ..verifications import hits
from .experiment import Experiment, Work

__all__ = ["EXPERIMENT"]


def of_domain(found: list[Hit], domain: str) -> list[Hit]:
    return [hit for hit in found if hit.group == domain]


async def run(work: Work) -> Result:
    judged = await work.by_bundled()
    domains = work.scale.domains
    by_count = {count: hits(judged, count) for count in doublings(work.scale.samples)}
    rows = [
        ("samples a step", *domains, "mean of the domains"),
        *(
            (str(count), *(str(f1(of_domain(found, domain))) for domain in domains), str(f1(found)))
            for count, found in by_count.items()
        ),
    ]
    lines = {
        domain: tuple((n, 100 * f1(of_domain(found, domain)).value) for n, found in by_count.items())
        for domain in domains
    }
    most = max(by_count)
    of_paper = "; ".join(f"{size}: {one} and {eight}" for size, (one, eight) in published.SIZES.items())
    return Result(
        how=(
            f"The bundled verifier judges {work.scale.solutions} fresh solutions of each domain with "
            f"{work.scale.samples} paths a step. Fewer samples are the first of the same paths. The metric "
            f"is ProcessBench's F1."
        ),
        paper=f"F1 on ProcessBench with one sample and with 8: {of_paper}.",
        tables=(Rows("F1 in percent, with 95% intervals", tuple(rows)),),
        claims=(
            Claim(
                f"{most} samples are better than one.",
                difference(by_count[most], by_count[1]),
            ),
        ),
        pictures=(Picture("F1 in percent", "samples a step", lines),),
    )


EXPERIMENT = Experiment("scaling", "Test-time scaling of the verifier (table 1)", run)
