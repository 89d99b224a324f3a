"""``genprm refine`` and ``genprm solve``: an agent on every problem of a file, results as they come."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..agents import (
    Agent,
    AgentError,
    AgentEvent,
    AgentFinished,
    Answers,
    AttemptJudged,
    AttemptWritten,
    BestOfN,
    RefinementAgent,
    SelfConsistency,
    SelfRefinement,
    StepSearch,
    Trajectory,
    TurnStarted,
)
from ..agents.following import Following
from ..agents.sampling import MOST_ATTEMPTS
from ..agents.search import MOST_CANDIDATES
from ..agents.terminal import render_trajectory
from ..errors import ClosedError, GenPRMError, InputError, ModelError
from ..evaluation.reading import Broken, Place, Record, read_file, read_records
from ..types import Solution
from .agent_kinds import AgentKind
from .agent_options import AgentOptions, ResultOptions
from .codes import FINE, INTERRUPTED, UNUSABLE, exit_code
from .solutions import PROBLEM_NAMES, json_name
from .terminal import Progress, complain, note, show, write_line

__all__ = ["AgentRequest", "solve_file"]

ANSWER_NAMES = ("answer", "final_answer", "target")


@dataclass(frozen=True)
class AgentRequest:
    """What the user asked for.

    Attributes:
        options: Who writes and judges, how, and for how much.
        results: Which problems, and how their results are shown.
        policy: Who writes: a model, or the address of a chat API.
        agent: Which one.
        given: Whether the records' own solutions are refined; those without one are solved.
        n: Attempts, or candidates of a step.
        width: Beginnings that a search keeps.
        diverse: Whether each of them is searched on its own.
        vote: Whether answers with the largest sum of scores win.
    """

    options: AgentOptions
    results: ResultOptions
    policy: str
    agent: AgentKind = AgentKind.REFINE
    given: bool = False
    n: int = 4
    width: int = 2
    diverse: bool = False
    vote: bool = False

    def check(self) -> None:
        """Refuse counts that the agent would refuse, before anything is downloaded or loaded.

        Raises:
            InputError: There are too many attempts, or candidates.
        """
        sampled = self.agent in (AgentKind.BEST_OF_N, AgentKind.SELF_CONSISTENCY)
        if sampled and self.n > MOST_ATTEMPTS:
            raise InputError(f"--n must be at most {MOST_ATTEMPTS}, not {self.n}")
        if self.agent == AgentKind.STEP_SEARCH and self.width * self.n > MOST_CANDIDATES:
            raise InputError(
                f"--width times --n must be at most {MOST_CANDIDATES}, not {self.width * self.n}"
            )


@dataclass(frozen=True)
class Problem:
    """A record: what is to be solved, perhaps how somebody did, perhaps what comes out."""

    place: Place
    text: str
    id: str | int | float | None
    solution: Solution | None = None
    answer: str | None = None

    @property
    def title(self) -> str:
        return str(self.place) if self.id is None else str(self.id)


@dataclass
class Outcomes:
    """What has happened so far."""

    total: int
    done: int = 0
    answered: int = 0
    verified: int = 0
    known: int = 0
    right: int = 0
    failed: int = 0
    interrupted: bool = False
    code: int = FINE

    def refuse(self, code: int) -> None:
        self.failed += 1
        self.code = max(self.code, code)

    def summary(self) -> str:
        """One line for the end."""
        parts = [
            f"{self.done} of {self.total} problem{'' if self.total == 1 else 's'}: {self.answered} answered"
        ]
        if self.verified:
            parts.append(f"{self.verified} without a mistake found")
        if self.known:
            parts.append(f"{self.right} of {self.known} right")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.interrupted:
            parts.append("interrupted")
        return ", ".join(parts)


def solve_file(file: str, request: AgentRequest) -> int:
    """Have an agent solve or refine a file's problems; returns the exit code.

    Raises:
        GenPRMError: Nothing could be done, for one reason.
        ReaderLeft: Nobody reads the results.
    """
    records = read_problems(file, request)
    if request.results.html is not None:
        try:
            request.results.html.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(request.results.html, error) from None
    outcomes = Outcomes(len(records))
    try:
        asyncio.run(solve_records(records, request, outcomes))
    except KeyboardInterrupt:
        outcomes.interrupted = True
    note(outcomes.summary())
    return INTERRUPTED if outcomes.interrupted else outcomes.code


async def solve_records(
    records: Sequence[Problem | Broken], request: AgentRequest, outcomes: Outcomes
) -> None:
    """Solve what can be solved, in order; the models are loaded only if there is something."""
    problems = [record for record in records if isinstance(record, Problem)]
    for record in records:
        if isinstance(record, Broken):
            complain(f"{record.place}: {record.message}")
            outcomes.refuse(UNUSABLE)
    if not problems:
        return
    with Progress(every=10.0) as progress:
        progress.say("loading the models")
        async with open_agent(request) as agent, Answers() as answers:
            for number, problem in enumerate(problems, 1):
                which = f"problem {number}/{len(problems)}"
                try:
                    trajectory = await watched(agent, problem, request, progress, which, outcomes)
                except (ClosedError, ModelError):
                    raise
                except GenPRMError as error:
                    progress.clear()
                    complain(f"{problem.place}: {error}")
                    cause = error.__cause__ if isinstance(error.__cause__, GenPRMError) else error
                    outcomes.refuse(exit_code(cause))
                    if isinstance(error, AgentError) and error.trajectory.attempts:
                        present(problem, error.trajectory, request, outcomes)
                    continue
                progress.clear()
                right = None
                if problem.answer is not None:
                    right = trajectory.answer is not None and await answers.same(
                        trajectory.answer, problem.answer
                    )
                    outcomes.known += 1
                    outcomes.right += right
                present(problem, trajectory, request, outcomes, right)


async def watched(
    agent: Agent, problem: Problem, request: AgentRequest, progress: Progress, which: str, outcomes: Outcomes
) -> Trajectory:
    """One problem to its trajectory, with progress; a cancellation shows what there is."""
    following = Following()
    name = None if problem.id is None else str(problem.id)
    events: AsyncGenerator[AgentEvent, None]
    if problem.solution is not None and isinstance(agent, RefinementAgent):
        events = agent.stream_refine(
            problem.text,
            problem.solution.steps,
            budget=request.options.budget(),
            seed=request.results.seed,
            id=name,
        )
    else:
        events = agent.stream(
            problem.text, budget=request.options.budget(), seed=request.results.seed, id=name
        )
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, AgentFinished):
                    return event.trajectory
                following.hear(event)
                words = said(event)
                if words is not None:
                    progress.say(f"{which}, {words}")
    except asyncio.CancelledError:
        progress.clear()
        sofar = following.trajectory()
        if sofar is not None and sofar.attempts:
            present(problem, sofar, request, outcomes)
        raise
    raise RuntimeError("the agent's events ended without a trajectory")


def said(event: AgentEvent) -> str | None:
    """What the progress line tells of an event."""
    if isinstance(event, TurnStarted):
        return f"turn {event.turn.index}"
    if isinstance(event, AttemptWritten):
        return f"attempt {event.attempt.index} written"
    if isinstance(event, AttemptJudged):
        score = event.attempt.score
        return f"attempt {event.attempt.index} " + ("not judged" if score is None else f"scores {score:.2f}")
    return None


def present(
    problem: Problem,
    trajectory: Trajectory,
    request: AgentRequest,
    outcomes: Outcomes,
    right: bool | None = None,
) -> None:
    """Show one result and count it."""
    if trajectory.stopped not in (None, "error"):
        outcomes.done += 1
        outcomes.answered += trajectory.answer is not None
        outcomes.verified += trajectory.verified
    if request.results.json:
        fields = trajectory.model_dump(mode="json")
        head = {
            "id": problem.id,
            "answer": trajectory.answer,
            "right": right,
            "verified": trajectory.verified,
        }
        write_line(json.dumps({**head, **{name: value for name, value in fields.items() if name != "id"}}))
    else:
        show(render_trajectory(trajectory, problem.title))
    if request.results.html is not None:
        page = request.results.html / f"{problem.place.number:04d}.html"
        try:
            page.write_text(trajectory.to_html(problem.title), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise unwritable(page, error) from None


@asynccontextmanager
async def open_agent(request: AgentRequest) -> AsyncIterator[Agent]:
    """The agent that was asked for, with its models loaded."""
    options = request.options
    async with AsyncExitStack() as stack:
        policy = await stack.enter_async_context(options.open_policy(request.policy))
        if request.agent == AgentKind.SELF_CONSISTENCY:
            yield SelfConsistency(policy, n=request.n)
            return
        if request.agent == AgentKind.SELF_REFINE:
            yield SelfRefinement(policy, turns=options.turns)
            return
        critic = await stack.enter_async_context(options.open_critic())
        made: dict[AgentKind, Callable[[], Agent]] = {
            AgentKind.REFINE: lambda: options.refinement(policy, critic),
            AgentKind.BEST_OF_N: lambda: BestOfN(
                policy, critic, n=request.n, select="vote" if request.vote else "best"
            ),
            AgentKind.STEP_SEARCH: lambda: StepSearch(
                policy, critic, width=request.width, expand=request.n, diverse=request.diverse
            ),
        }
        yield made[request.agent]()


def read_problems(file: str, request: AgentRequest) -> list[Problem | Broken]:
    """The first records of a file, ``-`` for stdin.

    Raises:
        InputError: The file cannot be read, or holds no record at all.
    """
    if file == "-":
        name, data = "<stdin>", sys.stdin.buffer.read()
    else:
        name, data = file, read_file(Path(file))
    records = read_records(data, name)
    if not records:
        raise InputError(f'{name} holds no records: give objects like {{"problem": "..."}}')
    return [
        record if isinstance(record, Broken) else problem_of(record, given=request.given)
        for record in records[: request.results.limit]
    ]


def problem_of(record: Record, *, given: bool) -> Problem | Broken:
    try:
        return interpret(record, given=given)
    except InputError as error:
        return Broken(record.place, str(error))


def interpret(record: Record, *, given: bool) -> Problem:
    fields = record.value
    if not isinstance(fields, dict):
        raise InputError(f"a record is a JSON object, not {json_name(fields)}")
    text = next((fields[name] for name in PROBLEM_NAMES if fields.get(name) is not None), None)
    if not isinstance(text, str) or not text.strip():
        raise InputError('there is no "problem": give its text')
    identifier = fields.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, (str, int, float, type(None))):
        raise InputError(f"the id must be text or a number, not {json_name(identifier)}")
    answer = next((fields[name] for name in ANSWER_NAMES if fields.get(name) is not None), None)
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float, type(None))):
        raise InputError(f"the answer must be text or a number, not {json_name(answer)}")
    solution = None
    if given and fields.get("steps") is not None:
        if not isinstance(fields["steps"], (str, list)):
            raise InputError(f"steps must be a list of texts or one text, not {json_name(fields['steps'])}")
        solution = Solution.of(fields["steps"])
    Solution.of(["-"], problem=text)
    return Problem(record.place, text, identifier, solution, None if answer is None else str(answer))


def unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {path}: {error.strerror or error}; give another folder with --html")
