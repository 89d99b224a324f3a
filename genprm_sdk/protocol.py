"""One verification turn of the GenPRM method as a state machine, and how turns stand in a conversation.

``verification_turn`` is a generator: it yields what has to be done next (append, generate, execute, read),
is sent what came of it, and returns the finished turn. It knows the words, the order, the budgets and the
degradation; it knows no model, no tokens, no sandbox. ``Layout`` knows where problem, steps and finished
turns stand in a prompt. Source: arXiv 2504.00891, section 3, and its reference implementation.

A verdict and a code block are looked for only in text that the model generated where it was asked for them:
nothing in a problem, a step or a program's output can forge one, also where the model quotes it in its code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

from . import wording
from .arguments import shown
from .errors import InputError
from .prompt import ChatFrame, Segment, content, control
from .types import CodeRun, Verdict

__all__ = [
    "Action",
    "Append",
    "Degradation",
    "Execute",
    "Generate",
    "Generated",
    "Layout",
    "PromptStyle",
    "ReadVerdict",
    "Rewind",
    "TurnResult",
    "TurnSettings",
    "score_of",
    "verification_turn",
]

PromptStyle = Literal["chat", "reference"]
"""``chat``: the template's assistant header stands before a generated turn. ``reference``: it does not, and a
finished turn is re-encoded behind it, as the released inference code does."""

Degradation = Literal["rounds", "tokens"]


@dataclass(frozen=True)
class TurnSettings:
    """What a verification turn consists of.

    Attributes:
        analysis: Whether an analysis is written.
        code: Whether code is written.
        execute: Whether the code is executed; otherwise the model goes on without an output.
        analysis_tokens: Budget of the analysis, in tokens.
        turn_tokens: Budget of the whole turn after the analysis, in tokens: everything in it counts.
        rounds: Generations after the analysis; in the last one only a verdict counts.
        verdict_tokens: Budget of a verdict that is asked for.
        score_temperature: Divides the log-odds of Yes over No. 1 reads the model's own probability; the
            reference's serving, which sampled at 0.6 and read after it, amounts to 0.6.
    """

    analysis: bool = True
    code: bool = True
    execute: bool = True
    analysis_tokens: int = 2048
    turn_tokens: int = 2048
    rounds: int = 3
    verdict_tokens: int = 20
    score_temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in ("analysis_tokens", "turn_tokens", "rounds", "verdict_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        temperature: object = self.score_temperature
        if not (isinstance(temperature, int | float) and temperature > 0):
            raise InputError(f"score_temperature must be a number above 0, not {shown(temperature)}")


@dataclass(frozen=True)
class Append:
    """Append forced text to the turn. Answer: the turn's length in tokens (int)."""

    text: str


@dataclass(frozen=True)
class Generate:
    """Let the model write. Answer: ``Generated``.

    Attributes:
        stop: Strings that end the part; the one that was hit belongs to the text.
        pause: Strings at which to pause in the middle of the part.
        max_tokens: Budget.
    """

    stop: tuple[str, ...]
    pause: tuple[str, ...]
    max_tokens: int


@dataclass(frozen=True)
class Generated:
    """What the model wrote.

    Attributes:
        text: Including the string that stopped or paused it.
        ended_by: That string, or None if the budget ran out or the model ended its turn.
        turn_tokens: Length of the turn so far, in tokens.
    """

    text: str
    ended_by: str | None
    turn_tokens: int


@dataclass(frozen=True)
class Execute:
    """Run a code block, or None where none was found. Answer: ``CodeRun``."""

    code: str | None


@dataclass(frozen=True)
class ReadVerdict:
    """Read the probabilities of the two verdicts as the next text. Answer: ``(p_yes, p_no)``."""


@dataclass(frozen=True)
class Rewind:
    """Start the turn anew with this text, which is all that is kept of it. Answer: its length in tokens."""

    text: str


Action = Append | Generate | Execute | ReadVerdict | Rewind
Answer = int | Generated | CodeRun | tuple[float, float]


@dataclass(frozen=True)
class TurnResult:
    """A finished turn.

    Attributes:
        text: The assistant's whole turn.
        analysis: The analysis without its forced opening and its closing tag, or None.
        code_runs: The blocks in the order they were written.
        verdict: What was written, or None if unreadable.
        score: Normalised probability of Yes, or None if the verdict is unreadable.
        degraded: Why the code part was given up, or None.
        verdict_mass: P(Yes) + P(No) where they were last read, or None.
    """

    text: str
    analysis: str | None
    code_runs: tuple[CodeRun, ...]
    verdict: Verdict | None
    score: float | None
    degraded: Degradation | None
    verdict_mass: float | None = None


def score_of(p_yes: float, p_no: float, temperature: float = 1.0) -> float | None:
    """P(Yes) / (P(Yes) + P(No)) after dividing the log-odds by ``temperature``; None if both are 0.

    At temperature 1 this is the reward of the reference implementation (arXiv 2504.00891, section 3.3).
    """
    if p_yes <= 0.0 and p_no <= 0.0:
        return None
    if p_yes <= 0.0 or p_no <= 0.0:
        return 1.0 if p_yes > 0.0 else 0.0
    log_odds = (math.log(p_yes) - math.log(p_no)) / temperature
    return 1.0 / (1.0 + math.exp(-log_odds)) if log_odds > -700 else 0.0


_VERDICT = re.compile(r"\s*\{(Yes|No)\}")
_LATER_BLOCK = re.compile(r"```python\n(.*?)\n```\n", re.DOTALL)
_FENCE = re.compile(r"```(?:python\n|(?<=^```)(?!\w))", re.MULTILINE)
"""What opens a code block, wherever it stands, or at the beginning of a line closes one."""


class _Turn:
    """The text of a turn as it grows, and the last verdict that was read in it."""

    def __init__(self, settings: TurnSettings) -> None:
        self.settings = settings
        self.text = ""
        self.tokens = 0
        self.generated_from = 0
        self.read: tuple[int, tuple[float, float]] | None = None

    def append(self, text: str) -> Generator[Action, Answer, None]:
        answer = yield Append(text)
        assert isinstance(answer, int)
        self.text += text
        self.tokens = answer

    def rewind(self, text: str) -> Generator[Action, Answer, None]:
        answer = yield Rewind(text)
        assert isinstance(answer, int)
        self.text, self.tokens, self.read = text, answer, None

    def generate(
        self, stop: tuple[str, ...], max_tokens: int, read_verdicts: bool, opened: bool = False
    ) -> Generator[Action, Answer, str | None]:
        """Generate one part, reading a verdict wherever the model comes to write one; what ended it.

        With ``read_verdicts``, no verdict is read and no ``</output>`` ends the part inside a code block;
        ``opened`` says that the part begins inside of one.
        """
        self.generated_from = len(self.text)
        limit = self.tokens + max_tokens
        pause = (wording.VERDICT_MARK,) if read_verdicts else ()
        while True:
            answer = yield Generate(stop, pause, limit - self.tokens)
            assert isinstance(answer, Generated)
            self.text += answer.text
            self.tokens = answer.turn_tokens
            written = self.text[self.generated_from :]
            in_code, start = _last_fence(written, opened) if read_verdicts else (False, 0)
            if answer.ended_by not in pause:
                if not (in_code and answer.ended_by == wording.OUTPUT_CLOSE):
                    return answer.ended_by
            elif not in_code and "<output>" in written[start:]:
                yield from self.read_verdict()
            if self.tokens >= limit:
                return None

    def read_verdict(self) -> Generator[Action, Answer, None]:
        answer = yield ReadVerdict()
        assert isinstance(answer, tuple)
        self.read = (len(self.text), answer)

    @property
    def verdict(self) -> tuple[Verdict, float] | None:
        """The word behind the last place where the probabilities were read, and its score."""
        if self.read is None:
            return None
        at, (p_yes, p_no) = self.read
        found = _VERDICT.match(self.text, at)
        score = score_of(p_yes, p_no, self.settings.score_temperature)
        if found is None or score is None:
            return None
        return ("yes" if found[1] == "Yes" else "no"), score


def _last_fence(generated: str, opened: bool) -> tuple[bool, int]:
    """Whether ``generated`` ends inside a code block, and where that block, or the text behind it, begins.

    ``opened`` says that it begins inside of one. What opens a block is code where one is open.
    """
    in_code, start = opened, 0
    for fence in _FENCE.finditer(generated):
        opens = fence[0] == wording.CODE_FENCE_OPEN
        if opens != in_code:
            in_code, start = opens, fence.end()
    return in_code, start


def _code_in(generated: str, opened: bool) -> str | None:
    """The code block that ends ``generated``; ``opened`` says that its fence was forced before."""
    body = generated.removesuffix(wording.CODE_FENCE_CLOSE)
    in_code, start = _last_fence(body, opened)
    return body[start:] if in_code else None


def _blocks_in(generated: str) -> list[str]:
    """All closed code blocks of a text that starts inside one."""
    first, fence, rest = generated.partition(wording.CODE_FENCE_CLOSE)
    return [first, *_LATER_BLOCK.findall(rest)] if fence else []


def verification_turn(step: int, settings: TurnSettings) -> Generator[Action, Answer, TurnResult]:
    """Verify one step.

    Args:
        step: The step's index, 0-based.
        settings: Parts and budgets.

    Yields:
        The next action; send its answer back.

    Returns:
        The finished turn.
    """
    turn = _Turn(settings)
    runs: list[CodeRun] = []
    analysis: str | None = None
    degraded: Degradation | None = None
    if settings.analysis:
        opening = wording.analysis_opening(step)
        yield from turn.append(opening)
        ended_by = yield from turn.generate((wording.ANALYSIS_CLOSE,), settings.analysis_tokens, False)
        analysis = turn.text.removeprefix(opening).removesuffix(wording.ANALYSIS_CLOSE).strip()
        if ended_by is None:
            degraded = "tokens"
            yield from turn.append("\n" + wording.ANALYSIS_CLOSE)
    kept = turn.text
    if settings.code and degraded is None:
        yield from turn.append(wording.VERIFY_OPENING)
        degraded = yield from _code_part(turn, runs)
        if degraded is None:
            return _result(turn, analysis, runs, None)
        if settings.analysis:
            yield from turn.rewind(kept)
        else:
            newline = "" if turn.text.endswith("\n") else "\n"
            yield from turn.append(newline + wording.VERIFY_CLOSE)
    yield from turn.append(wording.VERDICT_OPENING)
    yield from turn.read_verdict()
    yield from turn.generate((wording.OUTPUT_CLOSE,), settings.verdict_tokens, False)
    return _result(turn, analysis, runs, degraded)


def _code_part(turn: _Turn, runs: list[CodeRun]) -> Generator[Action, Answer, Degradation | None]:
    """Rounds of code and output until the model gives its verdict; why it has to be asked, or None."""
    settings = turn.settings
    if not settings.execute:
        if settings.turn_tokens <= turn.tokens:
            return "tokens"
        ended_by = yield from turn.generate(
            (wording.OUTPUT_CLOSE,), settings.turn_tokens - turn.tokens, True, opened=True
        )
        runs += [
            CodeRun(code=code, status="not_executed", state_kept=False)
            for code in _blocks_in(turn.text[turn.generated_from :])
        ]
        return None if ended_by is not None else "tokens"
    for number in range(settings.rounds):
        if settings.turn_tokens <= turn.tokens:
            return "tokens"
        opened = number == 0
        ended_by = yield from turn.generate(
            (wording.CODE_FENCE_CLOSE, wording.OUTPUT_CLOSE),
            settings.turn_tokens - turn.tokens,
            True,
            opened,
        )
        if ended_by is None:
            return "tokens"
        if ended_by == wording.OUTPUT_CLOSE:
            return None
        if number + 1 < settings.rounds:
            run = yield Execute(_code_in(turn.text[turn.generated_from :], opened))
            assert isinstance(run, CodeRun)
            runs.append(run)
            yield from turn.append(wording.code_output(run.feedback))
    return "rounds"


def _result(
    turn: _Turn, analysis: str | None, runs: list[CodeRun], degraded: Degradation | None
) -> TurnResult:
    verdict, score = turn.verdict or (None, None)
    mass = None if turn.read is None else min(1.0, sum(turn.read[1]))
    return TurnResult(turn.text, analysis, tuple(runs), verdict, score, degraded, mass)


@dataclass(frozen=True)
class Layout:
    """Where problem, steps and finished turns stand in a prompt.

    Without a problem, the first user message is the first step alone: nothing stands in for the missing text.

    Attributes:
        frame: The model's chat template.
        style: Whether a generated turn stands behind the assistant's header.
        direct: Whether the model is asked for a verdict without reasoning.
        question: Whether the problem is introduced by ``Question:``, as in the reference's examples; its
            benchmark runs do without.
    """

    frame: ChatFrame
    style: PromptStyle = "chat"
    direct: bool = False
    question: bool = False

    @property
    def joins_turn(self) -> bool:
        """Whether a step and the turn that verifies it are one text, tokenised as a whole.

        The reference appends a turn to the rendered prompt and tokenises both together, so that a step's last
        sign and the turn's first can be one token.
        """
        return self.style == "reference"

    def opening(self, problem: str | None, first_step: str) -> list[Segment]:
        """The prompt up to the end of the first step."""
        system = wording.DIRECT_SYSTEM if self.direct else wording.REVIEW_SYSTEM
        if problem is None:
            user = first_step
        elif self.question:
            user = f"Question: {problem}\n\n{first_step}"
        else:
            user = f"{problem}\n{first_step}"
        return [
            control(self.frame.opening),
            content(system),
            control(self.frame.system_to_user),
            content(user),
        ]

    def asking(self) -> list[Segment]:
        """What stands between the end of a step and the turn that verifies it."""
        return [control(self.frame.generation if self.style == "chat" else self.frame.bare)]

    def next_step(self, step: str) -> list[Segment]:
        """The next step behind the one before it, where no rationale is shown."""
        return [content(wording.STEP_SEPARATOR + step)]

    def after_turn(self, turn: str, step: str) -> list[Segment]:
        """The next step behind a finished turn, at the end of the user message before that turn."""
        return [
            control(self.frame.user_to_assistant),
            content(turn),
            control(self.frame.assistant_to_user),
            content(step),
        ]

    def after_generated_turn(self, step: str) -> list[Segment]:
        """The next step directly behind a generated turn (``chat`` style, append-only)."""
        return [control(self.frame.assistant_to_user), content(step)]
