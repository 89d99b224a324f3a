"""What all agents share: one problem's run with its budget, its attempts and its events.

An agent is its ``_work``: it asks and judges by way of a ``Run`` and returns why it is through. Deadlines,
events, cancellation, errors that carry the trajectory, and resuming are the same for all.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TypedDict

from ..arguments import instance_of, shown, whole_number
from ..cancellation import cancelled_once
from ..errors import ContextLengthError, GenPRMError, InputError
from ..events import Event
from ..options import Budget
from ..types import Solution
from ..verifier import Verifier
from ..wording import STEP_SEPARATOR
from .critic import Asked, Critic, CriticError, Judgement, blaming, critic_of, judged_by
from .events import (
    AgentEvent,
    AgentFinished,
    AttemptJudged,
    AttemptWritten,
    Checking,
    PolicyRetried,
    PolicyWrote,
    TurnFinished,
    TurnStarted,
)
from .policy import Message, Policy, Request, Said, Speaker, name_of
from .spending import AgentBudget, Enough, Purse, Spent, Stopped
from .steps import final_answer, split_solution, text_before
from .templates import Templates
from .trajectory import AgentError, Attempt, Challenge, Fault, Trajectory, Turn, best_of

__all__ = ["Agent", "AgentSettings", "Run", "Wanted", "normal"]

MOST_STEPS = 512
LONGEST_KEPT = 20_000
"""Characters of an unusable text that a trajectory keeps."""


@dataclass(frozen=True)
class Wanted:
    """An attempt to be written.

    Attributes:
        messages: What the policy is asked.
        parent: The attempt that it repairs or goes on from.
        prefix: What it begins with, which is not written again.
        kept: How many steps that are.
        one_step: Whether it ends behind the next step.
    """

    messages: Sequence[Message]
    parent: int | None = None
    prefix: str = ""
    kept: int = 0
    one_step: bool = False


class Run:
    """One problem, from the first question to the trajectory."""

    def __init__(self, agent: Agent, trajectory: Trajectory, budget: AgentBudget, needs_answer: bool) -> None:
        self._agent = agent
        self._begun = trajectory
        self.problem = trajectory.problem
        self.attempts: list[Attempt] = list(trajectory.attempts)
        self.turns: list[Turn] = list(trajectory.turns)
        self.weights: dict[str, float] = dict(trajectory.weights)
        self.purse = Purse(budget)
        self.needs_answer = needs_answer
        self.preferred: int | None = None
        self._judgements: dict[int, Judgement] = {}
        self.emit: Callable[[AgentEvent], None] = lambda event: None
        self._heard = False

    def listen(self, emit: Callable[[AgentEvent], None]) -> None:
        """Have events told."""
        self.emit = emit
        self._heard = True

    @property
    def turns_spent(self) -> bool:
        """Whether the budget holds no further turn; the first is not counted."""
        limit = self.purse.budget.turns
        return limit is not None and len(self.turns) - max(1, len(self._begun.turns)) >= limit

    @property
    def at_once(self) -> int:
        """How many attempts are written or judged at once; one where each must leave the next its budget."""
        limits = self.purse.budget
        return self._agent.concurrency if limits.tokens is None and limits.samples is None else 1

    def begin_turn(self, challenge: Challenge | None = None) -> Turn:
        """Open a round."""
        turn = Turn(index=len(self.turns), challenge=challenge)
        self.turns.append(turn)
        self.emit(TurnStarted(turn, self.trajectory(None)))
        return turn

    def end_turn(self, *, ignored: bool = False) -> None:
        """Close the round at hand."""
        self.turns[-1] = self.turns[-1].model_copy(update={"ignored": ignored})
        self.emit(TurnFinished(self.turns[-1], self.trajectory(None)))

    def _enter(self, attempt: Attempt) -> Attempt:
        if attempt.fault is None:
            earlier = (each for each in self.attempts if each.fault is None)
            same = normal(attempt.steps)
            repeats = next((each.index for each in earlier if normal(each.steps) == same), None)
            attempt = attempt.model_copy(update={"repeats": repeats})
        self.attempts.append(attempt)
        turn = self.turns[-1]
        self.turns[-1] = turn.model_copy(update={"attempts": (*turn.attempts, attempt.index)})
        self.emit(AttemptWritten(attempt))
        return attempt

    async def ask_all(self, wanted: Sequence[Wanted]) -> list[Attempt]:
        """Have several attempts written, as many at once as the agent allows; they are numbered in order.

        Raises:
            Enough: The budget is spent, or the policy has failed.
        """
        room = asyncio.Semaphore(self.at_once)
        first = len(self.attempts)

        async def one(number: int, each: Wanted) -> Attempt:
            async with room:
                return await self._asked(first + number, each)

        tasks = [asyncio.create_task(one(number, each)) for number, each in enumerate(wanted)]
        entered: list[Attempt] = []
        try:
            for task in tasks:
                entered.append(self._enter(await task))  # noqa: PERF401 - each as soon as it is there
        finally:
            await _ended(tasks)
        if entered and all(each.fault is not None and each.fault.kind == "raised" for each in entered):
            raise Enough("policy")
        return entered

    async def ask(self, wanted: Wanted) -> Attempt:
        """Have an attempt written; what is wrong with it is its ``fault``."""
        return (await self.ask_all([wanted]))[0]

    async def _asked(self, index: int, wanted: Wanted) -> Attempt:
        agent, speaker = self._agent, self._agent.speaker
        tokens = self.purse.left("tokens")
        seed = derived(self._begun.seed, index)
        natural = speaker.continues or not wanted.prefix
        messages = wanted.messages
        if not natural:
            *before, last = messages
            request = agent.templates.keeping(last["content"], wanted.prefix)
            messages = [*before, Message(role="user", content=request)]
        show = (lambda text: self.emit(PolicyWrote(index, text))) if self._heard else None
        request_made = Request(
            tuple(messages),
            prefix=wanted.prefix if natural else "",
            seed=seed,
            max_tokens=min((each for each in (tokens, agent.max_tokens) if each is not None), default=None),
            stop=(STEP_SEPARATOR,) if wanted.one_step and natural else (),
            show=show,
        )

        def retried(error: BaseException) -> None:
            self.emit(PolicyRetried(index, f"{type(error).__name__}: {error}"[:500]))

        try:
            said = await replace(speaker, retried=retried).say(request_made)
        except ContextLengthError as error:
            said = Said("", Spent(calls=1), fault=Fault(kind="context", message=str(error)))
        self.purse.pay(said.spent)
        return self._read(index, seed, wanted, said)

    def _read(self, index: int, seed: int, wanted: Wanted, said: Said) -> Attempt:
        text = said.text
        if wanted.prefix:
            text = (
                wanted.prefix + text.removeprefix(wanted.prefix).removeprefix(wanted.prefix.rstrip()).lstrip()
            )
        steps = split_solution(text) if said.fault is None else ()
        answer = final_answer(text)
        complete = True
        if wanted.one_step:
            steps = steps[: wanted.kept + 1]
            rest = text_before(text, wanted.kept + 1)
            complete = said.finish != "stop" and not text[len(rest) :].strip()
            text = rest
            answer = final_answer(text)
            complete = complete or answer is not None
        fault = said.fault or self._fault(said, wanted, steps, answer, complete)
        if fault is not None:
            text, steps = text[:LONGEST_KEPT], steps[:MOST_STEPS]
        return Attempt(
            index=index,
            parent=wanted.parent,
            seed=seed,
            text=text,
            steps=steps,
            kept=wanted.kept,
            answer=answer,
            complete=complete,
            fault=fault,
            spent=said.spent,
        )

    def _fault(
        self, said: Said, wanted: Wanted, steps: tuple[str, ...], answer: str | None, complete: bool
    ) -> Fault | None:
        if not said.text.strip():
            return Fault(kind="empty", message="the policy wrote nothing")
        if len(steps) <= wanted.kept and wanted.prefix:
            return Fault(kind="no_steps", message="the policy wrote no step behind those that were kept")
        if not steps:
            return Fault(kind="no_steps", message="there is no step in what the policy wrote")
        if len(steps) > MOST_STEPS:
            return Fault(kind="too_long", message=f"it has {len(steps):,} steps; {MOST_STEPS} are taken")
        if said.finish == "length":
            return Fault(kind="unfinished", message="it did not come to an end within its tokens")
        if complete and answer is None and self.needs_answer:
            return Fault(kind="no_answer", message=r"there is no final answer in \boxed{}")
        return None

    async def judge_all(self, attempts: Sequence[Attempt]) -> None:
        """Have attempts judged, as many at once as the agent allows; faulty ones stay as they are.

        Raises:
            Enough: The budget is spent.
        """
        room = asyncio.Semaphore(self.at_once)

        async def one(attempt: Attempt) -> Attempt:
            async with room:
                return await self.judge(attempt)

        for repeated in (False, True):  # those that say the same as another wait for its judgement
            tasks = [
                asyncio.create_task(one(attempt))
                for attempt in attempts
                if (attempt.repeats is not None) == repeated
            ]
            try:
                for task in tasks:
                    await task
            finally:
                await _ended(tasks)

    async def judge(self, attempt: Attempt) -> Attempt:
        """Have an attempt judged; one that repeats another has that one's judgement, for nothing.

        Raises:
            Enough: The budget is spent.
        """
        attempt = self.attempts[attempt.index]
        critic = self._agent.critic
        if attempt.fault is not None or critic is None or attempt.verdict is not None:
            return attempt
        same = None if attempt.repeats is None else self.attempts[attempt.repeats]
        if same is not None and same.verdict is not None:
            said = {
                "score": same.score,
                "verdict": same.verdict,
                "report": same.report,
                "remark": same.remark,
            }
            return self._judged(attempt, said)

        def hear(event: Event) -> None:
            self.emit(Checking(attempt.index, event))

        samples, tokens = self.purse.left("samples"), self.purse.left("tokens")
        asked = Asked(self._begun.seed, samples, tokens, hear if self._heard else None)
        try:
            solution = Solution.of(attempt.steps, problem=self.problem)
            judged = await judged_by(critic, solution, asked)
        except CriticError:
            raise
        except InputError as error:
            return self._judged(attempt, {"fault": Fault(kind="unreadable", message=str(error)[:500])})
        self.purse.pay(judged.spent)
        return self._judged(
            attempt,
            {
                "score": judged.score,
                "verdict": judged.verdict,
                "report": judged.report,
                "remark": judged.remark,
                "spent": attempt.spent + judged.spent,
            },
            judged,
        )

    def _judged(
        self, attempt: Attempt, said: Mapping[str, object], judgement: Judgement | None = None
    ) -> Attempt:
        attempt = attempt.model_copy(update=said)
        self.attempts[attempt.index] = attempt
        if judgement is not None:
            self._judgements[attempt.index] = judgement
        self.emit(AttemptJudged(attempt))
        return attempt

    async def judgement(self, attempt: Attempt) -> Judgement | None:
        """What the critic said of a judged attempt or the one that it repeats; asked again if it must be."""
        critic = self._agent.critic
        for index in (attempt.index, attempt.repeats):
            if index is not None and index in self._judgements:
                return self._judgements[index]
        if critic is None or attempt.verdict is None:
            return None
        if attempt.report is not None:
            with blaming(critic):
                return critic.again(Solution.of(attempt.steps, problem=self.problem), attempt.report)
        self.attempts[attempt.index] = attempt.model_copy(update={"verdict": None, "repeats": None})
        await self.judge(attempt)
        return self._judgements.get(attempt.index)

    def best(self) -> int | None:
        """The attempt to use: by score, of equal ones the earliest; an unfinished one if need be."""
        if self.preferred is not None:
            return self.preferred
        return best_of(self.attempts)

    def trajectory(self, stopped: Stopped | None) -> Trajectory:
        """All that there is so far."""
        return self._begun.model_copy(
            update={
                "turns": tuple(self.turns),
                "attempts": tuple(self.attempts),
                "best": self.best(),
                "stopped": stopped,
                "weights": dict(self.weights),
                "spent": self._begun.spent + self.purse.spent,
                "seconds": self._begun.seconds + self.purse.seconds,
            }
        )


class AgentSettings(TypedDict, total=False):
    """What all agents take; see ``Agent``."""

    templates: Templates
    max_tokens: int | None
    concurrency: int
    tries: int
    patience: float


class Agent(ABC):
    """Solves problems with a policy, and mostly a critic.

    Args:
        policy: Who writes.
        critic: Who judges: a critic or an open ``Verifier``.
        templates: What the policy is asked with.
        max_tokens: Of one answer, at most; None leaves it to the policy.
        concurrency: How many attempts are written or judged at once.
        tries: How often a policy is asked again after an exception, itself included.
        patience: Seconds that one answer may take.
    """

    kind = "agent"

    def __init__(
        self,
        policy: Policy,
        critic: Critic | Verifier | None = None,
        *,
        templates: Templates | None = None,
        max_tokens: int | None = None,
        concurrency: int = 8,
        tries: int = 3,
        patience: float = 600.0,
    ) -> None:
        for name, value in (("concurrency", concurrency), ("tries", tries), ("max_tokens", max_tokens)):
            if value is not None:
                whole_number(value, name)
        if type(patience) not in (int, float) or not patience > 0:
            raise InputError(f"patience must be a number of seconds above 0, not {shown(patience)}")
        self.speaker = Speaker(policy, tries, patience)
        self.critic = None if critic is None else critic_of(critic)
        self.templates = instance_of(Templates, templates, "templates") or Templates()
        self.max_tokens = max_tokens
        self.concurrency = concurrency

    @property
    def critic_name(self) -> str | None:
        """What the critic is called in trajectories, or None without one."""
        return None if self.critic is None else name_of(self.critic)

    @abstractmethod
    async def _work(self, run: Run) -> Stopped:
        """Do all there is to do; returns why it is done."""

    async def _settle(self, run: Run) -> None:  # noqa: B027 - most agents have nothing to settle
        """Choose among the attempts, however the work ended, where the best score does not decide it."""

    async def solve(
        self, problem: str, *, budget: Budget | None = None, seed: int = 0, id: str | None = None
    ) -> Trajectory:
        """Solve a problem.

        Args:
            problem: Its text.
            budget: What may be spent: a ``Budget``, or an ``AgentBudget``, which also limits turns.
            seed: Decides what is drawn.
            id: The caller's own identifier.

        Raises:
            InputError: The problem or the budget cannot be used.
            AgentError: The policy failed before there was any attempt, or what runs the policy or the critic
                failed; the trajectory rides on it.
        """
        return await self._run(self._new(problem, seed, id), budget, None)

    async def stream(
        self, problem: str, *, budget: Budget | None = None, seed: int = 0, id: str | None = None
    ) -> AsyncGenerator[AgentEvent, None]:
        """Solve a problem and say what happens meanwhile; leaving early cancels it. See ``solve``."""
        async with aclosing(self._streamed(self._new(problem, seed, id), budget)) as events:
            async for event in events:
                yield event

    async def resume(self, trajectory: Trajectory, *, budget: Budget | None = None) -> Trajectory:
        """Go on where a trajectory ended, with a budget of its own; what is finished is not done again.

        Attempts at its end to which the policy gave no answer are asked for again.

        Raises:
            InputError: It is no trajectory of this kind of agent, or the budget cannot be used.
            AgentError: See ``solve``.
        """
        return await self._run(self._taken_up(trajectory), budget, None)

    def _new(self, problem: str, seed: int, id: str | None, given: bool = False) -> Trajectory:
        if type(seed) is not int or seed.bit_length() > 64:
            raise InputError("seed must be a whole number of at most 64 bits")
        if not isinstance(problem, str):
            raise InputError(f"problem must be text, not {type(problem).__name__}")
        if not problem.strip():
            raise InputError("problem is blank: give its text")
        instance_of(str, id, "id")
        Solution.of(["-"], problem=problem)
        return Trajectory(
            agent=self.kind,
            problem=problem,
            id=id,
            policy=self.speaker.name,
            critic=self.critic_name,
            seed=seed,
            given=given,
        )

    def _taken_up(self, trajectory: Trajectory) -> Trajectory:
        if not isinstance(trajectory, Trajectory):
            raise InputError(
                f"trajectory must be a Trajectory, not a {type(trajectory).__name__}: read it with "
                "Trajectory.model_validate, from JSON with Trajectory.model_validate_json"
            )
        if trajectory.agent != self.kind:
            raise InputError(f"the trajectory is of the agent {trajectory.agent}, not of {self.kind}")
        return _without_outage(trajectory)

    async def _streamed(self, begun: Trajectory, budget: Budget | None) -> AsyncGenerator[AgentEvent, None]:
        events: asyncio.Queue[AgentEvent | None] = asyncio.Queue()
        loop, home = asyncio.get_running_loop(), threading.get_ident()

        def emit(event: AgentEvent) -> None:
            if threading.get_ident() == home:
                events.put_nowait(event)
                return
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
                loop.call_soon_threadsafe(events.put_nowait, event)

        task = asyncio.create_task(self._run(begun, budget, emit))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            await _ended([task])

    async def _run(
        self, begun: Trajectory, budget: Budget | None, emit: Callable[[AgentEvent], None] | None
    ) -> Trajectory:
        return await cancelled_once(self._done(begun, AgentBudget.of(budget), emit))

    async def _done(
        self, begun: Trajectory, limits: AgentBudget, emit: Callable[[AgentEvent], None] | None
    ) -> Trajectory:
        needs_answer = not (begun.given and begun.attempts and begun.attempts[0].answer is None)
        run = Run(self, begun, limits, needs_answer)
        if emit is not None:
            run.listen(emit)
        stopped: Stopped
        deadline = asyncio.timeout(limits.seconds)
        try:
            async with deadline:
                stopped = await self._work(run)
        except Enough as enough:
            stopped = enough.why
        except TimeoutError:
            if not deadline.expired():
                raise
            stopped = "seconds"
        except CriticError as error:
            raise AgentError(str(error), run.trajectory("error")) from error.__cause__ or error
        except InputError:
            raise
        except GenPRMError as error:
            raise AgentError(str(error), run.trajectory("error")) from error
        await self._settle(run)
        trajectory = run.trajectory(stopped)
        if stopped == "policy" and trajectory.best is None:
            fault = next((each.fault for each in run.attempts if each.fault is not None), None)
            said = "" if fault is None else f": {fault.message}"
            raise AgentError(f"the policy {self.speaker.name} failed{said}", trajectory)
        run.emit(AgentFinished(trajectory))
        return trajectory


async def _ended(tasks: Sequence[asyncio.Task[object]] | Sequence[asyncio.Task[Attempt]]) -> None:
    """Have tasks end, however often this is cancelled."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


def _without_outage(trajectory: Trajectory) -> Trajectory:
    """A trajectory without the attempts at its end to which the policy gave no answer.

    The turn that they begin in stays, so that they are asked for again in it.
    """
    kept = len(trajectory.attempts)
    while kept and (fault := trajectory.attempts[kept - 1].fault) and fault.kind in ("raised", "hung"):
        kept -= 1
    if kept == len(trajectory.attempts):
        return trajectory
    turns = [
        turn.model_copy(update={"attempts": tuple(index for index in turn.attempts if index < kept)})
        for turn in trajectory.turns
    ]
    empty = next((place for place, turn in enumerate(turns) if not turn.attempts), len(turns))
    return trajectory.model_copy(
        update={"attempts": trajectory.attempts[:kept], "turns": tuple(turns[: empty + 1])}
    )


def derived(seed: int, index: int) -> int:
    """The seed of one attempt."""
    digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def normal(steps: Sequence[str]) -> str:
    """Solutions with equal ones say the same."""
    return "\n".join(" ".join(step.split()) for step in steps)
