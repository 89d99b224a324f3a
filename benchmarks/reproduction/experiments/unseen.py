"""Phrasings and a domain that training never drew."""

from __future__ import annotations

from genprm_sdk.training.worlds import WORLDS

from ..models import DOMAIN, trained
from ..results import Result, Rows
from ..verifications import one_and_all
from .experiment import BUNDLED, Experiment, Work

__all__ = ["EXPERIMENT"]

UNSEEN = "word_problems"


async def run(work: Work) -> Result:
    samples = work.scale.variant_samples
    rows: list[tuple[str, ...]] = [("verifier", "solutions", "1 sample", f"{samples} samples")]
    for domain in work.scale.domains:
        style = WORLDS[domain].held_out_style
        found = await work.judging.by(
            BUNDLED, work.solutions(domain, style=style), samples, called=f"{BUNDLED}-{domain}-{style}"
        )
        rows.append((BUNDLED, f"{domain}, unseen style", *one_and_all(found)))
    file = trained("reference", work.scale, work.folder / "models", work.say)
    seen = await work.by_small("reference")
    found = await work.judging.by(file, work.solutions(UNSEEN), samples, called=f"mini-reference-{UNSEEN}")
    rows.append((f"trained on {DOMAIN} alone", DOMAIN, *one_and_all(seen)))
    rows.append((f"trained on {DOMAIN} alone", UNSEEN, *one_and_all(found)))
    return Result(
        how=(
            "Each world keeps one style of phrasing out of training; the bundled verifier judges solutions "
            f"in that style. A small verifier that was trained on {DOMAIN} alone judges another domain."
        ),
        paper="Other domains than mathematics are left open.",
        tables=(Rows("F1 in percent", tuple(rows)),),
    )


EXPERIMENT = Experiment("unseen", "An unseen style, an unseen domain", run)
