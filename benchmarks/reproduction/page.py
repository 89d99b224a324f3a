"""The document: every experiment's tables, plots and claims, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from _engine_plots import Panel, picture

from .experiments import Experiment
from .results import Claim, Picture, Result, Rows
from .scales import Scale

__all__ = ["write_page"]

HEAD = """\
# The paper in miniature

The experiments of GenPRM (arXiv 2504.00891) on generated worlds, with models of a few million parameters that
ship with the package or are trained on the way. `make reproduce` runs them and writes this page,
and every number of ours on it comes from that run: at the scale `{scale}`, on {machine}.

What the paper reports is marked as published: it is of models a thousand times larger, on other problems, and
was not measured here. What can be held against it is the direction of a difference, not a value.

Shares are in percent. Intervals are 95%: percentile bootstraps over solutions, unless a table says otherwise.
A claim holds if the interval of its difference lies above 0, does not hold if it lies below, and is undecided
otherwise. Differences are in points, of the same solutions.
"""


NOTHING_DECIDED = """\
**This scale shows that the experiments run. With so few solutions no interval means anything.**
"""


def write_page(
    path: Path, scale: Scale, machine: str, found: Sequence[tuple[Experiment, Result | None]]
) -> None:
    """Write the document and its plots, which lie in ``images`` beside it."""
    images = path.parent / "images"
    parts = [HEAD.format(scale=scale.name, machine=machine)]
    if scale.name == "smoke":
        parts.append(NOTHING_DECIDED)
    parts.append(summary(found))
    for experiment, result in found:
        parts.append(f"## {experiment.title}\n")
        parts.append("Not run yet.\n" if result is None else section(result))
        if result is not None and result.pictures:
            images.mkdir(parents=True, exist_ok=True)
            file = images / f"reproduction-{experiment.name}.svg"
            panels = [panel(each) for each in result.pictures]
            file.write_text(picture(panels, columns=min(3, len(panels))), encoding="utf-8")
            parts.append(f"![{experiment.title}](images/{file.name})\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")


def summary(found: Sequence[tuple[Experiment, Result | None]]) -> str:
    """All claims by how they stand, those that are not borne out first."""
    standing: Mapping[str, list[Claim]] = {"does not hold": [], "undecided": [], "holds": []}
    for _, result in found:
        for claim in result.claims if result is not None else ():
            standing[claim.standing].append(claim)
    lines = ["## What is borne out, and what is not\n"]
    for name, claims in standing.items():
        lines += [f"- **{name}**: {claim.text} {claim.difference}" for claim in claims]
    missing = [experiment.title for experiment, result in found if result is None]
    if missing:
        lines.append(f"- **not run yet**: {'; '.join(missing)}")
    return "\n".join([*lines, ""])


def section(result: Result) -> str:
    parts = [f"{result.how}\n", f"**Published**: {result.paper}\n"]
    parts += [table(each) for each in result.tables]
    if result.claims:
        parts += [
            "\n".join(
                [*(f"- {each.text} **{each.standing}**: {each.difference}" for each in result.claims), ""]
            )
        ]
    parts += [f"{remark}\n" for remark in result.remarks]
    return "\n".join(parts)


def table(rows: Rows) -> str:
    head, *rest = rows.rows
    lines = [f"{rows.title}:\n", row(head), row(["---"] * len(head)), *(row(each) for each in rest)]
    return "\n".join([*lines, ""])


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def panel(each: Picture) -> Panel:
    return Panel(each.title, each.across, each.lines)
