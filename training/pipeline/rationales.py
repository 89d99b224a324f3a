"""Rationales: a teacher verifies each step of a solution; its labels come later, by whatever rule.

A teacher is a verifier, whose paths are the rationales, or a writer: any model that is asked in plain words
for analyses and code, which runs in the sandbox while it writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from genprm_sdk.backends.base import Backend, Sampling
from genprm_sdk.errors import ContextLengthError, InputError
from genprm_sdk.prompt import content, control
from genprm_sdk.sandbox import Sandbox
from genprm_sdk.types import CodeRun, Solution
from genprm_sdk.verifier import Verifier
from genprm_sdk.wording import CODE_FENCE_CLOSE, CODE_FENCE_OPEN, code_output

from .policy import seed_of
from .records import Drop, Rationale, Scored, Turn
from .turns import assembled_turn, turn_of_path

__all__ = ["Teacher", "VerifierTeacher", "WriterTeacher", "rationalise", "read_critique", "request"]

Judgement = tuple[tuple[bool | None, ...], tuple[tuple[Turn, ...], ...]]
"""The label of each step, and the turns of each path."""


class Teacher(Protocol):
    """What writes rationales."""

    async def judge(self, solution: Solution, seed: int, *, to_first_error: bool) -> Judgement:
        """Verify a solution's steps.

        Raises:
            InputError: The solution cannot be used, or does not fit.
        """
        ...


async def rationalise(
    scored: Scored, teacher: Teacher, seed: int, *, to_first_error: bool
) -> Rationale | Drop:
    """Let a teacher verify a solution, unless no rule could say anything about its steps.

    Args:
        scored: The solution.
        teacher: What verifies it.
        seed: Decides what is drawn, with the solution's text.
        to_first_error: Whether the teacher stops behind the first step that it finds wrong.
    """
    if not scored.start.score:
        return Drop(reason="no completion solves the problem")
    problem, steps = scored.problem.text, scored.rollout.steps
    drawn = seed_of(seed, "rationale", problem, *steps)
    try:
        solution = Solution.of(steps, problem)
        judged, paths = await teacher.judge(solution, drawn, to_first_error=to_first_error)
    except ContextLengthError as error:
        return Drop(reason="the solution does not fit into the teacher's context", detail=str(error))
    except InputError as error:
        return Drop(reason="the solution cannot be verified", detail=str(error))
    return Rationale(
        problem=scored.problem,
        rollout=scored.rollout,
        start=scored.start,
        estimates=scored.estimates,
        judged=judged,
        paths=paths,
    )


class VerifierTeacher:
    """A verifier whose paths are the rationales.

    Args:
        verifier: An open one.
        samples: Paths a solution; the label is theirs together.
    """

    def __init__(self, verifier: Verifier, samples: int) -> None:
        self._verifier = verifier
        self._samples = samples

    async def judge(self, solution: Solution, seed: int, *, to_first_error: bool) -> Judgement:
        """Check the solution with all paths."""
        report = await self._verifier.check(
            solution,
            samples=self._samples,
            seed=seed,
            adaptive=False,
            stop_at_first_error=to_first_error,
        )
        labels = [None if step.label == "unparsed" else step.label == "correct" for step in report.steps]
        missing = len(solution.steps) - len(labels)
        paths: list[tuple[Turn, ...]] = []
        for number in range(self._samples):
            of_path = [next((p for p in step.paths if p.index == number), None) for step in report.steps]
            until = of_path.index(None) if None in of_path else len(of_path)
            paths.append(tuple(turn_of_path(p, i) for i, p in enumerate(of_path[:until]) if p is not None))
        return (*labels, *[None] * missing), tuple(paths)


SYSTEM = "You review solutions of mathematical problems with great care, and check claims by running code."

REQUEST = """\
Below are a problem and a solution of it, cut into numbered paragraphs. Verify them one after another, each \
by the problem and the paragraphs before it.

Write a section for each paragraph, in exactly this form:

### Paragraph {{ID}}
<analyze>
What the paragraph claims, and whether that holds.
</analyze>
<verify>
```python
# checks the paragraph's claims, and prints what comes out
```
</verify>

Each block of code is executed as soon as you close it, and what it prints is put behind it under \
[Code Output]; do not write that yourself. Variables live on from block to block. If code and analysis \
disagree, find out which is wrong before you close the section.

Stop behind the first paragraph that is wrong. At the very end write the number of that paragraph as \
\\boxed{{ID}}, or \\boxed{{-1}} if all paragraphs are right.

<problem>
{problem}
</problem>

{paragraphs}"""

SECTION = re.compile(r"^#{1,4} Paragraph (\d+)[ \t:]*$", re.MULTILINE)
INDEX = re.compile(r"\\boxed\{\s*(-?\d+)\s*\}")
THOUGHT = "</think>"


def request(solution: Solution) -> str:
    """What a writer is asked."""
    paragraphs = "\n\n".join(
        f"<paragraph_{number}>\n{step}\n</paragraph_{number}>"
        for number, step in enumerate(solution.steps, start=1)
    )
    return REQUEST.format(problem=solution.problem or "(not given)", paragraphs=paragraphs)


class WriterTeacher:
    """A model that is asked in plain words, on any backend.

    Args:
        backend: The model.
        sandbox: Where its code runs.
        sampling: How tokens are drawn.
        tokens: Of one answer at most, code output included.
        rounds: Code blocks of one answer at most.
    """

    def __init__(
        self, backend: Backend, sandbox: Sandbox, sampling: Sampling, tokens: int, rounds: int
    ) -> None:
        self._backend = backend
        self._sandbox = sandbox
        self._sampling = sampling
        self._tokens = tokens
        self._rounds = rounds

    async def judge(self, solution: Solution, seed: int, *, to_first_error: bool) -> Judgement:
        """Ask, and execute code as it comes; a writer stops behind the first error by itself."""
        frame = self._backend.frame
        sequence = await self._backend.open(
            [
                control(frame.opening),
                content(SYSTEM),
                control(frame.system_to_user),
                content(request(solution)),
                control(frame.generation),
            ]
        )
        try:
            async with self._sandbox.session() as session:
                text, runs = "", list[CodeRun]()
                begun = sequence.tokens
                executed = call = 0
                while (left := self._tokens - (sequence.tokens - begun)) > 0:
                    sampling = Sampling(
                        self._sampling.temperature,
                        self._sampling.top_p,
                        self._sampling.top_k,
                        self._sampling.min_p,
                        seed_of(seed, call),
                    )
                    call += 1
                    generation = await sequence.generate([CODE_FENCE_CLOSE], left, sampling)
                    text += generation.text
                    if generation.finish != "stop" or len(runs) >= self._rounds:
                        break
                    opened = text.find(CODE_FENCE_OPEN, executed)
                    if opened < 0:
                        continue
                    code = text[opened + len(CODE_FENCE_OPEN) : -len(CODE_FENCE_CLOSE)]
                    runs.append(await session.run(code))
                    output = code_output(runs[-1].feedback)
                    await sequence.append([content(output)])
                    text += output
                    executed = len(text)
        finally:
            await sequence.close()
        return read_critique(text, len(solution.steps), runs)


def read_critique(text: str, steps: int, runs: Sequence[CodeRun]) -> Judgement:
    """Read a writer's answer.

    Args:
        text: All of it, code outputs included; what stands before the end of a thought does not count.
        steps: The solution's.
        runs: The code blocks in order.

    Returns:
        Labels up to the first wrong paragraph, and the turns up to there, as far as there are sections; no
        label at all where the answer does not end with an index.
    """
    thought = text.rfind(THOUGHT)
    answer = text if thought < 0 else text[thought + len(THOUGHT) :]
    found = list(INDEX.finditer(answer))
    index = int(found[-1][1]) if found else 0
    if index != -1 and not 1 <= index <= steps:
        return (None,) * steps, ()
    last = steps if index == -1 else index
    labels = [step + 1 != index for step in range(last)]
    sections = _sections(answer)
    remaining = list(runs)
    turns: list[Turn] = []
    for step, correct in enumerate(labels):
        section = sections.get(step + 1)
        analysis = None if section is None else _between(section, "<analyze>", "</analyze>")
        if section is None or analysis is None:
            break
        checks = _between(section, "<verify>", "</verify>")
        code = None if checks is None else checks.partition(CODE_FENCE_OPEN)[2] or None
        mine: list[CodeRun] = []
        while code is not None and remaining and code_output(remaining[0].feedback) in section:
            mine.append(remaining.pop(0))
            section = section.partition(code_output(mine[-1].feedback))[2]
        turns.append(assembled_turn(step, correct, analysis, code, mine))
    return (*labels, *[None] * (steps - last)), (tuple(turns),)


def _sections(answer: str) -> dict[int, str]:
    marks = list(SECTION.finditer(answer))
    starts = [mark.start() for mark in marks]
    ends = [*starts[1:], len(answer)]
    return {int(mark[1]): answer[mark.end() : end] for mark, end in zip(marks, ends, strict=False)}


def _between(text: str, opening: str, closing: str) -> str | None:
    start = text.find(opening)
    end = text.find(closing, start)
    return None if start < 0 or end < 0 else text[start + len(opening) : end]
