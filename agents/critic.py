"""Who judges attempts: a verifier, or the policy itself."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, get_args

from ..arguments import one_of, share, shown, whole_number
from ..errors import GenPRMError, InputError
from ..events import Event, Finished
from ..modes import Reasoning
from ..options import Budget, CheckOptions, Plan
from ..report.findings import shown_path
from ..scoring import Aggregate
from ..types import Report, Solution, StepResult, VerificationPath
from ..verifier import Verifier
from ..wording import STEP_SEPARATOR, VERIFY_CLOSE, code_output
from .policy import Policy, Request, Speaker, assistant, name_of, user
from .remembering import Remembered, counting
from .spending import Spent
from .steps import final_answer, split_solution
from .templates import Templates
from .trajectory import Verdict

__all__ = [
    "Asked",
    "Critic",
    "CriticError",
    "Doubt",
    "Evidence",
    "Judgement",
    "SelfCritic",
    "VerifierCritic",
    "blaming",
    "critic_of",
    "judged_by",
    "require_usable",
]


class CriticError(InputError):
    """A critic raised, or said what is no judgement. It ends the agent: the solution is not to blame."""


@dataclass(frozen=True)
class Doubt:
    """A step that a critic thinks wrong.

    Attributes:
        step: Its index, from 0.
        score: What the critic gives it, or None.
        confidence: How probable it is that most of infinitely many verifications would call it wrong.
        reason: What is said against it.

    Raises:
        InputError: One of the numbers is none.
    """

    step: int
    score: float | None
    confidence: float
    reason: str

    def __post_init__(self) -> None:
        with _refused():
            whole_number(self.step, "Doubt.step", 0)
            if self.score is not None:
                share(self.score, "Doubt.score")
            share(self.confidence, "Doubt.confidence")


@dataclass(frozen=True)
class Judgement:
    """What a critic says of a solution.

    Attributes:
        score: What the solution is ranked by; None where it was not judged to its end, or not readably.
        verdict: Whether there is a mistake.
        doubts: Steps that may be wrong, in their order.
        report: The verification behind it, or None.
        remark: What was said otherwise.
        spent: What it cost.

    Raises:
        InputError: The score is no number from 0 to 1, or the verdict is unknown.
    """

    score: float | None
    verdict: Verdict
    doubts: tuple[Doubt, ...] = ()
    report: Report | None = None
    remark: str | None = None
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        with _refused():
            if self.score is not None:
                share(self.score, "Judgement.score")
            one_of(get_args(Verdict), self.verdict, "Judgement.verdict")


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise CriticError(str(error)) from None


@dataclass(frozen=True)
class Asked:
    """How a critic is to judge.

    Attributes:
        seed: Decides what is drawn; the same for all attempts of a trajectory.
        samples: Verifications, at most.
        tokens: Written tokens, at most.
        hear: Called with what a verifier says meanwhile.
    """

    seed: int = 0
    samples: int | None = None
    tokens: int | None = None
    hear: Callable[[Event], None] | None = None


class Critic(Protocol):
    """Judges solutions.

    Attributes:
        name: What it is called in trajectories.
    """

    @property
    def name(self) -> str: ...

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        """Judge a solution; its ``problem`` is set.

        Raises:
            InputError: The solution cannot be judged; counts against the attempt.
            GenPRMError: The critic failed; ends the agent.
        """
        ...

    def again(self, solution: Solution, report: Report) -> Judgement:
        """What a report that is there already says."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What of a verification goes into a critique. The default is the paper's: the analysis alone.

    Attributes:
        analysis: What the path wrote in its analysis.
        code: The code that it checked the step with.
        output: What the code printed.
        conclusion: What the path wrote behind that.
        paths: From so many paths, at most, that call the step wrong; the clearest first.
    """

    analysis: bool = True
    code: bool = False
    output: bool = False
    conclusion: bool = False
    paths: int = 1

    def __post_init__(self) -> None:
        whole_number(self.paths, "Evidence.paths")

    @classmethod
    def of(cls, names: str, paths: int = 1) -> Evidence:
        """From names with commas between them, such as ``analysis,conclusion``.

        Raises:
            InputError: One of them is no kind of evidence.
        """
        if not isinstance(names, str):
            raise InputError(f"evidence must be text, names with commas, not {type(names).__name__}")
        known = ("analysis", "code", "output", "conclusion")
        given = [name.strip() for name in names.split(",") if name.strip()]
        for name in given:
            if name not in known:
                raise InputError(f"evidence must be some of {', '.join(known)}, not {name!r:.80}")
        return cls(**{name: name in given for name in known}, paths=paths)

    def reason(self, step: StepResult) -> str:
        """What is said against a step."""
        against = [path for path in step.paths if path.score is not None and path.score < 0.5]
        clearest = shown_path(step)
        chosen = sorted(against, key=lambda path: path.score or 0.0)[: self.paths]
        said = [self._of(path) for path in chosen or ([clearest] if clearest is not None else [])]
        return STEP_SEPARATOR.join(dict.fromkeys(text for text in said if text))

    def _of(self, path: VerificationPath) -> str:
        run = path.code_runs[-1] if path.code_runs else None
        parts = []
        if self.analysis and path.analysis and path.analysis.strip():
            parts.append(path.analysis.strip())
        if run is not None and self.code and run.code.strip():
            parts.append(f"```python\n{run.code.strip()}\n```")
        if run is not None and self.output and run.feedback.strip():
            parts.append(code_output(run.feedback).strip())
        if run is not None and self.conclusion:
            _, found, behind = path.text.rpartition(code_output(run.feedback))
            if found and behind.partition(VERIFY_CLOSE)[0].strip():
                parts.append(behind.partition(VERIFY_CLOSE)[0].strip())
        return (STEP_SEPARATOR if self.code or self.output else " ").join(parts)


def confidence(step: StepResult) -> float:
    """How probable it is that most of infinitely many paths would call a step wrong.

    For votes that are independent given the step and a uniform prior on their share: the posterior
    Beta(yes + 1, no + 1) below one half, which for whole numbers is a tail of a binomial distribution.
    """
    scores = [path.score for path in step.paths if path.score is not None]
    yes = sum(score >= 0.5 for score in scores)
    votes = len(scores) + 1
    return float(sum(math.comb(votes, count) for count in range(yes + 1, votes + 1)) / 2.0**votes)


class VerifierCritic:
    """A verifier as a critic.

    All attempts of a trajectory are checked with one seed: a step that is kept is drawn as before, and where
    the verifier's backend remembers (``open_critic``) it is not written again.

    Args:
        verifier: An open one.
        evidence: What goes into a critique.
        by: What makes an attempt's score of its steps' scores.
        options: See ``CheckOptions``. By default no path is left out, because scores are compared, and steps
            behind the first wrong one are not checked where ``by`` is ``min``.

    Raises:
        InputError: No verification could use one of these.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        evidence: Evidence | None = None,
        by: Aggregate = "min",
        options: CheckOptions | None = None,
    ) -> None:
        if not isinstance(verifier, Verifier):
            raise InputError(f"verifier must be an open Verifier, not a {type(verifier).__name__}")
        require_usable(evidence, by, options)
        self._verifier = verifier
        self._evidence = evidence or Evidence()
        self._by: Aggregate = by
        chosen = CheckOptions(adaptive=False, stop_at_first_error=by == "min")
        chosen.update(options or {})
        self._budget = chosen.pop("budget", None) or Budget()
        chosen.pop("seed", None)
        self._options = chosen

    @property
    def name(self) -> str:
        """The verifier's model."""
        return self._verifier.name

    @property
    def verifier(self) -> Verifier:
        """Who checks."""
        return self._verifier

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        """Check a solution step by step."""
        budget = Budget(
            _least(self._budget.samples, asked.samples),
            _least(self._budget.tokens, asked.tokens),
            self._budget.seconds,
        )
        options = CheckOptions(**self._options, seed=asked.seed, budget=budget)
        with counting() as remembered:
            report = await self._checked(solution, options, asked.hear)
        judged = self.again(solution, report)
        return Judgement(
            judged.score, judged.verdict, judged.doubts, report, spent=_spent(report, remembered)
        )

    async def _checked(
        self, solution: Solution, options: CheckOptions, hear: Callable[[Event], None] | None
    ) -> Report:
        if hear is None:
            return await self._verifier.check(solution, **options)
        async with aclosing(self._verifier.stream(solution, **options)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.report
                hear(event)
        raise RuntimeError("the verifier's events ended without a report")

    def again(self, solution: Solution, report: Report) -> Judgement:
        """What a report says: every step labelled ``incorrect`` is a doubt."""
        doubts = tuple(
            Doubt(step.index, step.score, confidence(step), self._evidence.reason(step))
            for step in report.steps
            if step.label == "incorrect"
        )
        judged = report.verdict != "incomplete"
        return Judgement(report.scores.by(self._by) if judged else None, report.verdict, doubts, report)


def require_usable(evidence: Evidence | None, by: Aggregate, options: CheckOptions | None) -> None:
    """Refuse what every verification of a critic would fail on.

    Raises:
        InputError: One of these cannot be used; names it.
    """
    if evidence is not None and not isinstance(evidence, Evidence):
        raise InputError(
            f"evidence must be an Evidence, such as Evidence.of('analysis,conclusion'), not {shown(evidence)}"
        )
    one_of(get_args(Aggregate), by, "by")
    if options is not None and not isinstance(options, dict):
        raise InputError(f"options must be a dictionary of CheckOptions, not a {type(options).__name__}")
    Plan.of(options or CheckOptions(), Reasoning.ANALYSIS, auto_adaptive=False)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _spent(report: Report, remembered: Remembered) -> Spent:
    paths = [path for step in report.steps for path in step.all_paths]
    return Spent(
        verifications=max(0, len(paths) - remembered.turns),
        critic_tokens=max(0, report.usage.generated_tokens - remembered.tokens),
        critic_seconds=report.usage.seconds,
    )


VERDICT = re.compile(r"verdict\W{0,4}(correct|(?:step|paragraph)\W{0,3}(\d+))", re.IGNORECASE)


@dataclass
class SelfCritic:
    """The policy as its own critic: the baseline without a verifier (self-refine, arXiv 2303.17651).

    It is asked for a verdict on its own solution. One that answers with another solution instead has said
    that the first step in which they differ is wrong, unless both end with the same answer.

    Args:
        policy: The policy.
        templates: What it is asked with.
        max_tokens: Of a review, at most; None leaves it to the policy.
        tries: How often it is asked again after an exception, itself included.
        patience: Seconds that one review may take.
    """

    policy: Policy
    templates: Templates = field(default_factory=Templates)
    max_tokens: int | None = None
    tries: int = 3
    patience: float = 600.0

    @property
    def name(self) -> str:
        """The policy, as a critic."""
        return f"{name_of(self.policy)} itself"

    async def judge(self, solution: Solution, asked: Asked) -> Judgement:
        """Ask the policy what it thinks of the solution."""
        written = STEP_SEPARATOR.join(solution.steps)
        asking = (user(self.templates.solving(solution.problem or "")), assistant(written))
        limit = _least(self.max_tokens, asked.tokens)
        request = Request((*asking, user(self.templates.review)), seed=asked.seed, max_tokens=limit)
        said = await Speaker(self.policy, self.tries, self.patience).say(request)
        spent = Spent(
            critic_tokens=said.spent.policy_tokens,
            estimated=said.spent.estimated,
            critic_seconds=said.spent.policy_seconds,
        )
        if said.fault is not None or not said.text.strip():
            remark = said.fault.message if said.fault is not None else "the review is blank"
            return Judgement(None, "unparsed", remark=remark, spent=spent)
        verdict, doubts = _reviewed(solution.steps, said.text)
        score = {"correct": 1.0, "incorrect": 0.0}.get(verdict)
        return Judgement(score, verdict, doubts, remark=said.text[:LONGEST_REMARK], spent=spent)

    def again(self, solution: Solution, report: Report) -> Judgement:
        """It writes no reports."""
        raise InputError("a policy that judges itself writes no reports")


LONGEST_REMARK = 4000


def _reviewed(steps: Sequence[str], review: str) -> tuple[Verdict, tuple[Doubt, ...]]:
    found = VERDICT.search(review)
    if found is not None and found[2] is None:
        return "correct", ()
    if found is not None:
        step = min(max(int(found[2]), 1), len(steps)) - 1
        return "incorrect", (Doubt(step, None, 1.0, review[found.end() :].strip("`*. \n") or review.strip()),)
    theirs = final_answer(review)
    if theirs is None:
        return "unparsed", ()
    if theirs == final_answer(steps[-1]):
        return "correct", ()
    again = split_solution(review)
    differ = (at for at, step in enumerate(steps) if at >= len(again) or again[at] != step)
    step = next(differ, len(steps) - 1)
    reason = again[step] if step < len(again) else again[-1]
    return "incorrect", (Doubt(step, None, 1.0, reason),)


def critic_of(critic: Critic | Verifier) -> Critic:
    """A verifier as a critic with the default settings; a critic as it is.

    Raises:
        InputError: It is neither.
    """
    if isinstance(critic, Verifier):
        return VerifierCritic(critic)
    if not callable(getattr(critic, "judge", None)):
        raise InputError(f"a critic is a Verifier or has a method judge, not a {type(critic).__name__}")
    return critic


@contextmanager
def blaming(critic: Critic) -> Iterator[None]:
    """Have what a critic raises say whose it is.

    Raises:
        CriticError: It raised what is no error of this library.
    """
    try:
        yield
    except GenPRMError:
        raise
    except Exception as error:
        reason = f"the critic {name_of(critic)} failed: {type(error).__name__}: {error}"
        raise CriticError(reason[:500]) from error


async def judged_by(critic: Critic, solution: Solution, asked: Asked) -> Judgement:
    """What a critic says of a solution.

    Raises:
        CriticError: It raised, or returned no judgement.
        InputError: The solution cannot be judged.
        GenPRMError: What runs the critic failed.
    """
    with blaming(critic):
        judging: object = critic.judge(solution, asked)
        if not inspect.isawaitable(judging):
            raise CriticError(f"the method judge of the critic {name_of(critic)} must be async")
        judged: object = await judging
    if not isinstance(judged, Judgement):
        raise CriticError(f"the critic {name_of(critic)} must return a Judgement, not {shown(judged)}")
    return judged
