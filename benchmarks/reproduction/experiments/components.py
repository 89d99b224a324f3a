"""Direct, analysis, code, executed code (table 5): by what is asked for, and by what was trained."""

from __future__ import annotations

from genprm_sdk.modes import Reasoning

from .. import published
from ..models import DOMAIN
from ..results import Claim, Result, Rows
from ..scoring import Hit, difference, f1
from ..solving import POLICY
from ..verifications import hits
from .experiment import BUNDLED, Experiment, Work

__all__ = ["EXPERIMENT"]

ASKED = (
    Reasoning.ANALYSIS,
    Reasoning.CODE_UNEXECUTED,
    Reasoning.CODE,
    Reasoning.ANALYSIS_CODE_UNEXECUTED,
    Reasoning.ANALYSIS_CODE,
)
TRAINED = {
    "direct": Reasoning.DIRECT,
    "analysis": Reasoning.ANALYSIS,
    "code": Reasoning.CODE,
    "reference": Reasoning.ANALYSIS_CODE,
}


async def run(work: Work) -> Result:
    asked, trained = await by_bundled(work), await by_trained(work)
    whole, unexecuted = asked[Reasoning.ANALYSIS_CODE], asked[Reasoning.ANALYSIS_CODE_UNEXECUTED]
    samples = work.scale.variant_samples
    return Result(
        how=(
            f"The bundled verifier is asked for less than it usually writes, on {work.scale.solutions} "
            f"solutions of each of {', '.join(work.scale.domains)}, {samples} paths a step. And small "
            f"verifiers of {DOMAIN}, which begin with the weights of {POLICY}, are trained to write just "
            f"that, with equal numbers of steps and of tokens read."
        ),
        paper="F1 with 8 samples, 7B: "
        + ", ".join(f"{name} {value}" for name, value in published.COMPONENTS.items())
        + ". The direct one was trained to judge directly.",
        tables=(
            Rows(
                "One verifier, asked for less: F1 in percent",
                (
                    ("reasoning", "1 sample", f"{samples} samples"),
                    *((kind.value, str(f1(one)), str(f1(many))) for kind, (one, many) in asked.items()),
                ),
            ),
            Rows(
                f"Verifiers of {DOMAIN} trained to write no more: F1 in percent",
                (
                    ("trained to write", "1 sample", f"{samples} samples"),
                    *(
                        (TRAINED[name].value, str(f1(one)), str(f1(many)))
                        for name, (one, many) in trained.items()
                    ),
                ),
            ),
        ),
        claims=(
            Claim(
                "Executed code is better than code that is not executed.", difference(whole[1], unexecuted[1])
            ),
            Claim(
                "Analysis and executed code are better than analysis alone, of one verifier.",
                difference(whole[1], asked[Reasoning.ANALYSIS][1]),
            ),
            *(
                Claim(
                    f"Trained to write analysis and code is better than trained to write {said}.",
                    difference(trained["reference"][1], trained[name][1]),
                )
                for name, said in (
                    ("direct", "the verdict alone"),
                    ("analysis", "an analysis"),
                    ("code", "code"),
                )
            ),
        ),
    )


async def by_bundled(work: Work) -> dict[Reasoning, tuple[list[Hit], list[Hit]]]:
    """With one path and with several, by what is asked for."""
    labelled = work.solutions(*work.scale.domains)
    samples = work.scale.variant_samples
    found = {}
    for reasoning in ASKED:
        if reasoning is Reasoning.ANALYSIS_CODE:
            judged = await work.by_bundled()
        else:
            judged = await work.judging.by(BUNDLED, labelled, samples, reasoning=reasoning, called=BUNDLED)
        found[reasoning] = (hits(judged, 1), hits(judged, samples))
    return found


async def by_trained(work: Work) -> dict[str, tuple[list[Hit], list[Hit]]]:
    found = {}
    for name, reasoning in TRAINED.items():
        judged = await work.by_small(name, reasoning)
        found[name] = (hits(judged, 1), hits(judged))
    return found


EXPERIMENT = Experiment("components", "Analysis, code and its execution (table 5)", run)
