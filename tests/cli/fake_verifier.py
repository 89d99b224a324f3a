"""A verifier without a model, told by the steps' texts what to do; as a script, the command line upon it.

A step with WRONG is incorrect, with UNREADABLE unparsed, with LONG too long, with BROKEN ends in an engine's
error, and with SLOW takes a minute.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from typing import Unpack

from genprm_sdk.errors import BackendError, ContextLengthError, GenPRMError, UnknownModelError
from genprm_sdk.events import Event, Finished, PathFinished, StepFinished, StepStarted
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.options import CheckOptions
from genprm_sdk.types import CodeRun, Label, Report, Solution, StepResult, Usage, VerificationPath
from genprm_sdk.voting import first_error, report_verdict


def path_for(text: str, index: int = 0) -> VerificationPath:
    run = CodeRun(code="v = 6 * 7\nprint(v, v == 42)", status="ok", stdout="42 True\n", feedback="42 True")
    if "UNREADABLE" in text:
        return VerificationPath(index=index, verdict=None, score=None, text="I wonder.")
    wrong = "WRONG" in text
    return VerificationPath(
        index=index,
        verdict="no" if wrong else "yes",
        score=(0.1 if wrong else 0.9) + 0.01 * index,
        text="turn",
        analysis=f"the step says {text}",
        code_runs=(run,),
        usage=Usage(prompt_tokens=10, generated_tokens=20, code_runs=1),
    )


def step_for(text: str, index: int, samples: int) -> StepResult:
    paths = tuple(path_for(text, i) for i in range(samples))
    label: Label = "unparsed" if "UNREADABLE" in text else "incorrect" if "WRONG" in text else "correct"
    scores = [path.score for path in paths if path.score is not None]
    score = sum(scores) / len(scores) if scores else None
    return StepResult(index=index, text=text, label=label, score=score, paths=paths)


class FakeVerifier:
    def __init__(self, refusal: GenPRMError | None = None) -> None:
        self.refusal = refusal
        self.calls: list[tuple[Solution, int, int]] = []
        self.options: list[CheckOptions] = []
        self.opened = 0
        self.closed = 0

    name = "fake"
    reasoning = Reasoning.ANALYSIS
    history = History.STEPS

    async def __aenter__(self) -> FakeVerifier:
        if self.refusal is not None:
            raise self.refusal
        self.opened += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1

    async def check(self, steps: Solution, **options: Unpack[CheckOptions]) -> Report:
        report = None
        async for event in self.stream(steps, **options):
            if isinstance(event, Finished):
                report = event.report
        assert report is not None
        return report

    async def stream(self, steps: Solution, **options: Unpack[CheckOptions]) -> AsyncIterator[Event]:
        samples, seed = options.get("samples", 1), options.get("seed", 0)
        self.options.append(options)
        self.calls.append((steps, samples, seed))
        results: list[StepResult] = []
        for index, text in enumerate(steps.steps):
            yield StepStarted(index, len(steps.steps))
            await asyncio.sleep(60 if "SLOW" in text else 0)
            if "LONG" in text:
                raise ContextLengthError(f"step {index} needs 9000 tokens, the model holds 2048: shorten it")
            if "BROKEN" in text:
                error = BackendError("the engine failed")
                error.report = self._report(steps, results, options)
                raise error
            result = step_for(text, index, samples)
            for path in result.paths:
                yield PathFinished(index, path)
            results.append(result)
            yield StepFinished(result)
        yield Finished(self._report(steps, results, options))

    def _report(self, steps: Solution, results: list[StepResult], options: CheckOptions) -> Report:
        return Report(
            id=steps.id,
            problem=steps.problem,
            steps=tuple(results),
            first_error=first_error(results),
            verdict=report_verdict(results, len(steps.steps)),
            model=self.name,
            samples=options.get("samples", 1),
            seed=options.get("seed", 0),
            usage=sum((path.usage for step in results for path in step.paths), Usage()),
        )


def open_fake(model: str, *_: object) -> FakeVerifier:
    """Stands in for ``genprm_sdk.cli.opening.open_verifier``."""
    return FakeVerifier(None if model == "genprm-mini" else UnknownModelError(f"unknown model {model!r}"))


if __name__ == "__main__":
    from genprm_sdk.cli import main, opening

    # A shell's background jobs, and all that they start, are born deaf to interruptions.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    opening.open_verifier = open_fake  # type: ignore[assignment]
    sys.exit(main())
