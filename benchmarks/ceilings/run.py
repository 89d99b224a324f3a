"""Which agreement with the labels of real solutions rules can reach, task by task.

A rule knows how a task's solutions are worded and what follows from what. Where it disagrees with a label,
label or wording are out of the ordinary, and no verifier should be expected to do much better.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

FILES = {
    "arithmetic": "multistep_arithmetic.jsonl",
    "tracking": "tracking_shuffled_objects.jsonl",
    "dyck": "dyck_languages.jsonl",
    "word_sorting": "word_sorting.jsonl",
    "logical_deduction": "logical_deduction.jsonl",
}

Rule = Callable[[str, list[str]], int | None]


@dataclass(frozen=True)
class Verdict:
    """What labels and rule say of one solution: the index of its first wrong step, or None."""

    key: str
    labelled: int | None
    found: int | None

    @property
    def agree(self) -> bool:
        return self.labelled == self.found


def verdicts(rule: Rule, path: Path) -> list[Verdict]:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Verdict(record["id"], record["mistake_index"], rule(record["input"], record["steps"]))
        for record in records
    ]


def agreement(of: list[Verdict]) -> str:
    return f"{sum(verdict.agree for verdict in of) / len(of):.1%}" if of else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of BIG-Bench-Mistake .jsonl files")
    parser.add_argument(
        "--misses", action="store_true", help="list the records on which rule and label differ"
    )
    arguments = parser.parse_args()
    row = "{:<18} {:>7} {:>9} {:>9} {:>9}"
    print(row.format("task", "records", "agreement", "wrong", "right"))
    for name, file in FILES.items():
        found = verdicts(import_module(name).first_mistake, arguments.data / file)
        wrong = [verdict for verdict in found if verdict.labelled is not None]
        right = [verdict for verdict in found if verdict.labelled is None]
        print(row.format(name, len(found), agreement(found), agreement(wrong), agreement(right)))
        if arguments.misses:
            for verdict in found:
                if not verdict.agree:
                    print(f"  {verdict.key}: labelled {verdict.labelled}, found {verdict.found}")


if __name__ == "__main__":
    main()
