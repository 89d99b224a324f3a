"""``genprm eval best-of-n`` and ``refine``: an agent on problems with answers, its accuracy on stdout."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..agents.accuracy import BestOfNSummary, RefinementSummary, summarise_best_of_n, summarise_refinement
from ..agents.evaluating import AgentRunSettings, ProblemOutcome, Task, run_agent
from ..agents.evaluation_pages import accuracy_table, write_agent_run
from ..agents.sampling import MOST_ATTEMPTS
from ..errors import InputError
from ..evaluation.datasets import files
from ..evaluation.reading import Broken, encodable, read_file, read_records, unique_key
from ..evaluation.store import ResultStore
from ..models import locate
from ..models.fingerprint import fingerprint
from .agent_kinds import AgentKind
from .agent_options import AgentOptions, ResultOptions
from .codes import FAILED, FINE, INTERRUPTED, UNUSABLE
from .evaluate import SECONDS_BETWEEN_LINES, plain_table
from .refine import AgentRequest, open_agent, problem_of
from .terminal import Progress, complain, note, show

__all__ = ["AgentEvaluation", "evaluate_agent", "read_counts"]

Summary = BestOfNSummary | RefinementSummary


@dataclass(frozen=True)
class AgentEvaluation:
    """What the user asked for.

    Attributes:
        data: A file of problems, or a folder of them.
        policy: Who writes.
        options: Who writes and judges, how, and for how much.
        counts: Of best-of-n, the numbers of attempts; None for refinement.
        seed: Decides what is drawn.
        limit: Only so many problems of each file.
        out: A folder for the results.
    """

    data: Path
    policy: str
    options: AgentOptions
    counts: tuple[int, ...] | None = None
    seed: int = 0
    limit: int | None = None
    out: Path | None = None

    def settings(self) -> AgentRunSettings:
        """What decides a result.

        Raises:
            UnknownModelError: There is no such model.
        """
        options = self.options
        policy, model = locate(self.policy), locate(options.model)
        others: dict[str, str | int | float | bool | None] = {
            "samples": options.samples,
            "max_samples": options.max_samples,
            "max_tokens": options.max_tokens,
            "max_seconds": options.max_seconds,
            "exact": options.exact,
            "prefill": options.prefill,
        }
        if self.counts is None:
            others |= {
                "repair": options.repair.value,
                "evidence": options.evidence,
                "threshold": options.threshold,
                "confidence": options.confidence,
            }
        return AgentRunSettings(
            benchmark="refine" if self.counts is None else "best-of-n",
            policy=options.policy_model or policy.name,
            policy_file=fingerprint(policy),
            model=model.name,
            model_file=fingerprint(model),
            attempts=options.turns if self.counts is None else max(self.counts),
            others=others,
            seed=self.seed,
        )

    def request(self) -> AgentRequest:
        """The agent that does it."""
        results = ResultOptions(seed=self.seed)
        if self.counts is None:
            return AgentRequest(self.options, results, self.policy)
        return AgentRequest(self.options, results, self.policy, AgentKind.BEST_OF_N, n=max(self.counts))


def read_counts(text: str) -> tuple[int, ...]:
    """Numbers of attempts with commas between them, in order.

    Raises:
        InputError: They are no such numbers.
    """
    try:
        counts = sorted({int(part) for part in text.split(",")})
    except ValueError:
        counts = [0]
    if counts[0] < 1 or counts[-1] > MOST_ATTEMPTS:
        raise InputError(
            f"--n takes whole numbers from 1 to {MOST_ATTEMPTS} with commas between them, such as 1,2,4,8, "
            f"not {text!r:.80}"
        )
    return tuple(counts)


def evaluate_agent(asked: AgentEvaluation) -> int:
    """Run an agent on problems with answers; returns the exit code.

    Raises:
        GenPRMError: Nothing could be solved, for one reason.
    """
    tasks = read_tasks(asked.data, asked.limit)
    settings = asked.settings()
    store = None if asked.out is None else ResultStore.open(asked.out, settings, ProblemOutcome)
    heard: list[ProblemOutcome] = []
    try:
        outcomes = asyncio.run(solve_all(asked, tasks, store, heard))
    except KeyboardInterrupt:
        if heard:
            show(plain_table(accuracy_table(summarised(asked, settings, heard))))
        resume = f"; the same command goes on from {asked.out}" if asked.out is not None else ""
        note(f"interrupted: {len(heard)} of {len(tasks)} problems are done{resume}")
        return INTERRUPTED
    summary = summarised(asked, settings, outcomes)
    show(plain_table(accuracy_table(summary)))
    note(f"{sum(outcome.right for outcome in outcomes)} of {len(outcomes)} problems are right")
    if store is not None:
        saved = store.conclude(summary)
        note(f"saved to {saved}; to look at: {write_agent_run(store.folder, summary, outcomes)}")
    if any(task.fault is not None for task in tasks):
        return UNUSABLE
    return FAILED if any(outcome.error is not None for outcome in outcomes) else FINE


def summarised(
    asked: AgentEvaluation, settings: AgentRunSettings, outcomes: Sequence[ProblemOutcome]
) -> Summary:
    if asked.counts is None:
        return summarise_refinement(settings, outcomes)
    return summarise_best_of_n(settings, outcomes, asked.counts)


async def solve_all(
    asked: AgentEvaluation,
    tasks: Sequence[Task],
    store: ResultStore[ProblemOutcome] | None,
    outcomes: list[ProblemOutcome],
) -> list[ProblemOutcome]:
    right = 0
    with Progress(every=SECONDS_BETWEEN_LINES) as progress:

        def heard(outcome: ProblemOutcome) -> None:
            nonlocal right
            outcomes.append(outcome)
            right += outcome.right
            if outcome.error is not None:
                progress.clear()
                complain(f"{outcome.key}: {outcome.error}")
            progress.say(f"{len(outcomes)} of {len(tasks)} problems, {right} right")

        progress.say("loading the models")
        async with open_agent(asked.request()) as agent:
            return await run_agent(
                agent, tasks, seed=asked.seed, budget=asked.options.budget(), store=store, on_outcome=heard
            )


def read_tasks(data: Path, limit: int | None) -> list[Task]:
    """The problems of a file, or of every ``*.jsonl`` of a folder.

    Raises:
        InputError: Nothing is there, or no problem with an answer.
    """
    used: Counter[str] = Counter()
    tasks: list[Task] = []
    for file in files(data):
        name = encodable(file.stem)
        for record in read_records(read_file(file), str(file))[:limit]:
            problem = record if isinstance(record, Broken) else problem_of(record, given=False)
            number = f"{name}/record-{record.place.number}"
            if isinstance(problem, Broken):
                fault = f"{problem.place}: {problem.message}"
                tasks.append(Task(unique_key(number, used), fault=fault))
            elif problem.answer is None:
                fault = f'{problem.place}: there is no "answer": give the right one'
                tasks.append(Task(unique_key(number, used), fault=fault))
            else:
                key = number if problem.id is None else f"{name}/{problem.id}"
                tasks.append(Task(unique_key(key, used), problem.text, problem.answer))
    if not any(task.fault is None for task in tasks):
        reason = f"; {tasks[0].fault}" if tasks else ""
        shape = '{"problem": "...", "answer": "..."}'
        raise InputError(f"{data} holds no problem with an answer: give objects like {shape}{reason}")
    return tasks
