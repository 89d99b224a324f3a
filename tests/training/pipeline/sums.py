"""A model without weights for tests of the pipeline: adds numbers, sometimes wrongly, and reviews sums.

What it writes is a function of the text before it and the seed, as of an exact engine. As a script it runs a
recipe on itself, and kills itself at random moments until the run comes to its end; see ``test_killed.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from genprm_sdk.backends.base import Counters, Generation, Sampling, Work
from genprm_sdk.errors import BackendError, ContextLengthError
from genprm_sdk.models import MetadataValue
from genprm_sdk.prompt import ChatFrame, Segment
from genprm_sdk.training.pipeline import PipelineRecipe, run, run_pipeline
from genprm_sdk.training.pipeline.recipe import ModelRecipe

FRAME = ChatFrame("<s>system\n", "</s><s>user\n", "</s><s>bot\n", "</s><s>user\n", "</s><s>bot\n", "</s>")
SUM = re.compile(r"(-?\d+) \+ (-?\d+) \+ (-?\d+)")
KEPT = "kept"
CLAIM = re.compile(r"(-?\d+) \+ (-?\d+) = (-?\d+)")


def write_problems(path: Path, count: int) -> None:
    lines = [{"problem": f"What is {i} + {i + 3} + {2 * i}?", "answer": str(4 * i + 3)} for i in range(count)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def sums_recipe(problems: Path, **changes: Any) -> PipelineRecipe:
    """Everything on this model."""
    return PipelineRecipe.model_validate(
        {
            "name": "sums",
            "problems": {"file": problems},
            "policy": {"model": "sums", "alias": "sums", "longest": 100},
            "answers": {"kind": "text"},
            "rollouts": {"correct": 1, "incorrect": 1, "draws": 16, "wave": 4},
            "monte_carlo": {"schedule": [], "completions": 8, "start": 8},
            "teacher": {"kind": "writer", "model": "sums", "alias": "sums"},
            **changes,
        }
    )


class Sums:
    """The model.

    Args:
        slip: How often a sum is wrong.
        calls: Generations after which its server has died; None lives.
        boxes: Whether it puts answers into boxes.
        seconds: Of each generation.
    """

    name = "sums"
    frame = FRAME
    capacity = prompts_at_once = 16
    metadata: Mapping[str, MetadataValue] = {}

    def __init__(
        self,
        slip: float = 0.3,
        calls: int | None = None,
        boxes: bool = True,
        seconds: float = 0.0,
        context: int = 100_000,
    ) -> None:
        self.slip = slip
        self.calls = calls
        self.boxes = boxes
        self.seconds = seconds
        self.context = context
        self.open_now = 0
        self.most_open = 0
        self.generations = 0

    async def load(self, model: ModelRecipe) -> Sums:
        return self

    async def open(self, segments: Sequence[Segment]) -> Text:
        return Text(self, "".join(segment.text for segment in segments))

    def counters(self) -> Counters:
        return Counters()

    async def close(self) -> None:
        assert self.open_now == 0, "a sequence was left open"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def written(self, text: str, seed: int) -> str:
        rng = random.Random(f"{seed}/{text}")
        return self._review(text) if "### Paragraph" in text else self._solution(text, rng)

    def _sum(self, a: int, b: int, rng: random.Random) -> int:
        return a + b + (rng.choice((-1, 1, 10)) if rng.random() < self.slip else 0)

    def _solution(self, text: str, rng: random.Random) -> str:
        asked = SUM.search(text)
        assert asked is not None
        a, b, c = map(int, asked.groups())
        said = CLAIM.search(text, asked.end())
        first = int(said[3]) if said else self._sum(a, b, rng)
        last = self._sum(first, c, rng)
        answer = f"\\boxed{{{last}}}" if self.boxes else str(last)
        ending = f"Step 2: {first} + {c} = {last}. The answer is {answer}."
        return ending if said else f" {a} + {b} = {first}.\n\n{ending}"

    def _review(self, text: str) -> str:
        """The next section, up to the end of its code; behind the output the sections go on."""
        asked = text.partition("<paragraph_1>")[2]
        claims = CLAIM.findall(asked.partition(FRAME.generation)[0])
        checked = [line == "True" for line in re.findall(r"^(True|False)$", asked, re.MULTILINE)]
        closing = "</verify>\n\n" if checked else ""
        if False in checked:
            return f"{closing}\\boxed{{{checked.index(False) + 1}}}"
        if len(checked) == len(claims):
            return f"{closing}\\boxed{{-1}}"
        a, b, c = claims[len(checked)]
        return (
            f"{closing}### Paragraph {len(checked) + 1}\n<analyze>\nIt adds {a} and {b}.\n</analyze>\n"
            f"<verify>\n```python\nprint({a} + {b} == {c})\n```\n"
        )


class Text:
    """An open sequence; a character is a token."""

    def __init__(self, model: Sums, text: str) -> None:
        if len(text) > model.context:
            raise ContextLengthError(f"{len(text)} characters do not fit into {model.context}")
        self._model = model
        self._text = text
        self._closed = False
        self.work = Work()
        model.open_now += 1
        model.most_open = max(model.most_open, model.open_now)

    @property
    def tokens(self) -> int:
        return len(self._text)

    async def fork(self) -> Text:
        return Text(self._model, self._text)

    async def append(self, segments: Sequence[Segment]) -> int:
        more = "".join(segment.text for segment in segments)
        self._text += more
        return len(more)

    async def generate(
        self,
        stop: Sequence[str],
        max_tokens: int,
        sampling: Sampling,
        show: Callable[[str], None] | None = None,
    ) -> Generation:
        model = self._model
        model.generations += 1
        if model.calls is not None and model.generations > model.calls:
            raise BackendError("the server at http://127.0.0.1:1 does not answer any more")
        await asyncio.sleep(model.seconds)
        text = model.written(self._text, sampling.seed)
        found = next((each for each in stop if each in text), None)
        if found is not None:
            text = text[: text.index(found) + len(found)]
        cut = text[:max_tokens]
        self._text += cut
        if cut != text:
            return Generation(cut, len(cut), "length")
        return Generation(text, len(text), "end" if found is None else "stop", found)

    async def probabilities(self, candidates: Sequence[str]) -> list[float]:
        return [0.5 for _ in candidates]

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._model.open_now -= 1


def live(folder: Path, log: Path) -> None:
    """One life: run on, and note the key of each record before it is made, and a line when it is kept."""
    made = run._Runner._make

    async def noted(self: run._Runner, item: run.Pending, work: Callable[[Any], Any]) -> None:
        with log.open("a", buffering=1) as file:
            file.write(f"{item.key}\n")
            await made(self, item, work)
            file.write(f"{KEPT}\n")

    run._Runner._make = noted  # type: ignore[method-assign]
    asyncio.run(run_pipeline(sums_recipe(folder / "problems.jsonl"), folder, load=Sums(seconds=0.001).load))


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def stored(folder: Path) -> set[str]:
    try:
        connection = sqlite3.connect(folder / "pipeline.sqlite", timeout=10)
        with connection:
            keys = {key for (key,) in connection.execute("SELECT key FROM records")}
        connection.close()
    except sqlite3.OperationalError:  # killed before there was a table
        return set()
    return keys


def main(folder: Path, seed: int) -> None:
    """Live and be killed until a life comes to its end; prints a line of JSON for each life."""
    rng = random.Random(seed)
    lives = 0
    while True:
        before, log = stored(folder), folder / f"life{lives}.log"
        pid = os.fork()
        if not pid:
            live(folder, log)
            os._exit(0)
        # At once, or when so many records are kept: a life that must start the sandbox gets the time for it.
        target, deadline = rng.randrange(12), time.monotonic() + rng.uniform(0.0, 0.3)
        ended = 0
        while not ended and (lines(log).count(KEPT) < target if target else time.monotonic() < deadline):
            ended, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)
        if not ended:
            time.sleep(rng.uniform(0.0, 0.01))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        keys = set(lines(log)) - {KEPT}
        after = stored(folder)
        again = len(before & keys)
        life = {"again": again, "lost": len(keys - after), "gone": len(before - after)}
        sys.stdout.write(json.dumps(life) + "\n")
        sys.stdout.flush()
        lives += 1
        if ended:
            assert status == 0
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
