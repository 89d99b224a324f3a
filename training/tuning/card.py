"""A model card in Markdown, from facts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .parity import LEAST_AGREEMENT, OUTLIER, Parity

__all__ = ["CardFacts", "Exported", "model_card"]

Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Exported:
    """A file that computes what its folder's model computes.

    Attributes:
        path: The file.
        quantization: Type of its matrices.
        size: Bytes.
        sha256: Of its content.
        parity: How far it is from the folder's model.
    """

    path: Path
    quantization: str
    size: int
    sha256: str
    parity: Parity


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        name: The model's name.
        base: The model that it was made of.
        licence: Its licence, if that is known.
        records: How it was made: rows of a name and a value, by the titles of sections.
        files: Its files.
    """

    name: str
    base: str
    licence: str | None = None
    records: Mapping[str, Rows] = field(default_factory=dict)
    files: Sequence[Exported] = ()


def model_card(facts: CardFacts) -> str:
    """The card, with the front matter that model hubs read."""
    licence = facts.licence or "unknown"
    front = {"base_model": facts.base, "library_name": "genprm-sdk", "tags": ["process-reward-model", "gguf"]}
    if facts.licence:
        front["license"] = facts.licence
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---"]
    lines += ["", f"# {facts.name}", "", *_table(("", ""), [("made of", facts.base), ("licence", licence)])]
    for title, rows in facts.records.items():
        lines += ["", f"## {title}", "", *_table(("", ""), rows)]
    if facts.files:
        lines += ["", "## Files", "", *_files(facts.files)]
        lines += ["", *_usage(facts.files[-1].path.name)]
    return "\n".join(lines) + "\n"


def _files(files: Sequence[Exported]) -> list[str]:
    """The files, and how far they are from the model that they were written from."""
    sums = [(file.path.name, file.quantization, f"{file.size:,}", f"`{file.sha256}`") for file in files]
    differences = [
        (
            file.path.name,
            f"{file.parity.mean:.2g}",
            f"{file.parity.largest:.2g}",
            "none" if file.parity.tolerance is None else f"{file.parity.tolerance:g}",
            f"{file.parity.agreement:.2%}",
            "-" if file.parity.largest_verdict is None else f"{file.parity.largest_verdict:.2g}",
        )
        for file in files
    ]
    first = files[0].parity
    return [
        *_table(("file", "type", "bytes", "SHA-256"), sums),
        "",
        "llama.cpp's log-probabilities against those of the weights in float32, of entries that are at least "
        f"0.0001 likely, at {first.positions:,} positions of {first.texts} texts, and P(Yes) at "
        f"{first.verdicts} verdicts. A file was kept only if the mean difference is within the bound of its "
        f"type and the largest within {OUTLIER} times that; or, where there is none, if both find the same "
        f"token likeliest at {LEAST_AGREEMENT:.0%} of the positions.",
        "",
        *_table(
            (
                "file",
                "mean difference",
                "largest",
                "bound of the mean",
                "same likeliest token",
                "largest of P(Yes)",
            ),
            differences,
        ),
    ]


def _usage(file: str) -> list[str]:
    return [
        "## Use",
        "",
        "```python",
        "from genprm_sdk.sync import Verifier",
        "",
        f"with Verifier({json.dumps('./' + file)}) as verifier:",
        "    report = verifier.check(steps, problem=problem, samples=4)",
        "```",
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
