"""Solutions judged by verifiers, kept, so that experiments share them and a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from _paths import Judged, Labelled, Stopped, judged, read

from genprm_sdk import Cascade, Verifier
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.verifier import AT_ONCE

from .scoring import Hit, f1

__all__ = ["Judging", "hits", "hits_of", "one_and_all"]


class Judging:
    """Judges, or reads what was judged before.

    Args:
        folder: Where the judgements lie, a file for each verifier, reasoning and set of solutions.
        say: Told of progress.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        folder.mkdir(parents=True, exist_ok=True)

    async def by(
        self,
        model: str | Path,
        labelled: Sequence[Labelled],
        samples: int,
        *,
        reasoning: Reasoning = Reasoning.ANALYSIS_CODE,
        history: History | None = None,
        at_once: int = AT_ONCE,
        called: str,
    ) -> list[Judged]:
        """All solutions by one verifier, in their order.

        Args:
            model: The verifier.
            labelled: The solutions.
            samples: Paths of each step.
            reasoning: What it writes.
            history: What it sees of earlier steps, if not what its file says.
            at_once: How many solutions at a time.
            called: A name of verifier and solutions together.
        """
        keep = self._folder / f"{called}-{reasoning.value.replace('+', '-')}-{samples}.jsonl"
        found = read(keep)
        missing = [each for each in labelled if (each.group, each.number) not in found]
        if missing:
            async with Verifier(str(model), reasoning=reasoning, history=history) as verifier:
                async for each in judged(verifier, missing, samples, keep, at_once):
                    found[each.group, each.number] = each
                    self._say(f"{called}, {reasoning}: {len(found)} of {len(labelled)} solutions judged")
        return [found[each.group, each.number] for each in labelled]

    async def by_cascade(
        self, model: str, labelled: Sequence[Labelled], cascade: Cascade, *, called: str
    ) -> list[Stopped]:
        """All solutions by one path that goes deeper where the cheaper reasoning is unsure."""
        keep = self._folder / f"{called}-cascade.jsonl"
        lines = keep.read_text(encoding="utf-8").splitlines() if keep.exists() else []
        found = {(row["group"], row["number"]): row for row in map(json.loads, lines)}
        missing = [each for each in labelled if (each.group, each.number) not in found]
        if missing:
            async with Verifier(model) as verifier:
                for each in missing:
                    report = await verifier.check(each.solution, cascade=cascade)
                    row = {
                        "group": each.group,
                        "number": each.number,
                        "labels": [step.label for step in report.steps],
                        "tokens": report.usage.generated_tokens,
                        "complete": len(report.steps) == len(each.solution.steps),
                    }
                    with keep.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    found[each.group, each.number] = row
                    self._say(f"{called}, cascade: {len(found)} of {len(labelled)} solutions judged")
        rows = [found[each.group, each.number] for each in labelled]
        return [Stopped(tuple(row["labels"]), row["tokens"], row["complete"]) for row in rows]


def hits(found: Sequence[Judged], samples: int | None = None) -> list[Hit]:
    """Whether the first mistakes were found by the first paths of each step."""
    return hits_of(found, [each.stopped(None, samples) for each in found])


def one_and_all(found: Sequence[Judged]) -> tuple[str, str]:
    """F1 of the first paths alone, and of all."""
    return str(f1(hits(found, 1))), str(f1(hits(found)))


def hits_of(found: Sequence[Judged], stopped: Sequence[Stopped]) -> list[Hit]:
    """The same by other labels of the same solutions."""
    return [
        Hit(each.group, each.first is not None, way.finds(each.first))
        for each, way in zip(found, stopped, strict=True)
    ]
