"""How much a check may spend and when it may stop: options of one call, checked before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeGuard

from .arguments import instance_of, shown, whole_number
from .errors import InputError
from .modes import Reasoning, member_of

__all__ = ["MOST_SAMPLES", "Adaptive", "Budget", "Cascade", "CheckOptions", "Plan", "adaptive_of"]


@dataclass(frozen=True)
class Adaptive:
    """When the paths of a step that were not run yet are left out.

    Paths run in the order of their numbers, as many at a time as the soonest possible decision needs, so one
    seed gives one answer, however fast each path is.

    Attributes:
        error: None stops only when the missing paths cannot change the step's label. A number, below 0.5,
            stops earlier: when the posterior probability that most of infinitely many paths would vote
            otherwise is at most this, for votes that are independent given the step and a uniform prior on
            their share (Beta posterior; the stopping rule of adaptive consistency, arXiv 2305.11860).
    """

    error: float | None = None

    def __post_init__(self) -> None:
        if self.error is not None and not (_is_number(self.error) and 0 < self.error < 0.5):
            raise InputError(f"Adaptive.error must be a number between 0 and 0.5, not {shown(self.error)}")


@dataclass(frozen=True)
class Cascade:
    """Cheap reasoning first, deeper only where the cheaper answer is unsure.

    Attributes:
        stages: At least two, the cheapest first.
        unsure: A step goes on to the next stage while its score lies strictly between these.
    """

    stages: Sequence[Reasoning | str] = (Reasoning.DIRECT, Reasoning.ANALYSIS, Reasoning.ANALYSIS_CODE)
    unsure: tuple[float, float] = (0.1, 0.9)

    def __post_init__(self) -> None:
        given: Any = self.stages
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise InputError(f"Cascade.stages must be a list of kinds of reasoning, not {shown(given)}")
        stages = tuple(member_of(Reasoning, stage, "Cascade.stages") for stage in given)
        if len(stages) < 2 or len(set(stages)) < len(stages):
            raise InputError("Cascade.stages must be two or more different kinds of reasoning")
        object.__setattr__(self, "stages", stages)
        if not _is_around_half(self.unsure):
            raise InputError(
                f"Cascade.unsure must be two numbers from 0 to 1, around 0.5, not {shown(self.unsure)}"
            )
        object.__setattr__(self, "unsure", tuple(self.unsure))

    def is_sure(self, score: float | None) -> bool:
        """Whether a stage's score needs no deeper look."""
        return score is not None and not self.unsure[0] < score < self.unsure[1]


@dataclass(frozen=True)
class Budget:
    """What a check may spend; the report holds what it came to, and says that it was cut.

    Attributes:
        samples: Verifications, over all steps and paths.
        tokens: Written tokens. Looked at between verifications: one that has begun is finished.
        seconds: Wall-clock time; verifications that are under way at its end are cancelled.
    """

    samples: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("samples", "tokens"):
            if getattr(self, name) is not None:
                whole_number(getattr(self, name), f"Budget.{name}")
        seconds = self.seconds
        if seconds is not None and not (_is_number(seconds) and 0 < seconds <= sys.float_info.max):
            raise InputError(f"Budget.seconds must be a finite number above 0, not {shown(seconds)}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_around_half(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    low, high = value
    return _is_number(low) and _is_number(high) and 0 <= low <= 0.5 <= high <= 1


class CheckOptions(TypedDict, total=False):
    """Options that ``check``, ``stream``, ``score``, ``rank`` and ``check_many`` share.

    Attributes:
        samples: Verification paths a step (N of Maj@N); their scores are averaged. By default 1.
        seed: Decides what is drawn; a whole number of at most 64 bits. By default 0.
        reasoning: What is written before a verdict; by default the verifier's.
        adaptive: When paths are left out. ``"auto"``, the default: where the missing ones cannot change a
            label and the history is shared or of the steps alone (``score`` and ``rank``, whose result is the
            mean itself, leave none out). True: where they cannot change a label. An ``Adaptive`` says more.
            With a history of its own a path that was left out once stays out.
        cascade: Kinds of reasoning to try in turn, in place of ``reasoning``. Whether a stage is sure is read
            off the paths that it ran.
        stop_at_first_error: Whether steps behind the first wrong one are left unchecked.
        budget: What may be spent.
    """

    samples: int
    seed: int
    reasoning: Reasoning | str
    adaptive: Adaptive | bool | Literal["auto"]
    cascade: Cascade | None
    stop_at_first_error: bool
    budget: Budget | None


@dataclass(frozen=True)
class Plan:
    """``CheckOptions``, complete and valid.

    Attributes:
        stages: What is written, one stage or a cascade's.
        adaptive: None leaves no path out.
    """

    samples: int
    seed: int
    stages: tuple[Reasoning, ...]
    cascade: Cascade | None
    adaptive: Adaptive | None
    stop_at_first_error: bool
    budget: Budget

    @classmethod
    def of(cls, options: CheckOptions, reasoning: Reasoning, *, auto_adaptive: bool) -> Plan:
        """Fill in what is left out.

        Args:
            options: What the caller said.
            reasoning: The verifier's own.
            auto_adaptive: What ``adaptive="auto"`` amounts to.

        Raises:
            InputError: An option is unknown or cannot be used; names it.
        """
        unknown = sorted(set(options) - CheckOptions.__annotations__.keys())
        if unknown:
            known = ", ".join(CheckOptions.__annotations__)
            raise InputError(f"there is no option {unknown[0]!r}; there are {known}")
        samples, seed = options.get("samples", 1), options.get("seed", 0)
        if type(samples) is not int or not 1 <= samples <= MOST_SAMPLES:
            raise InputError(f"samples must be a whole number from 1 to {MOST_SAMPLES}, not {shown(samples)}")
        if type(seed) is not int or seed.bit_length() > 64:
            raise InputError(f"seed must be a whole number of at most 64 bits, not {shown(seed)}")
        stop = options.get("stop_at_first_error", False)
        if type(stop) is not bool:
            raise InputError(f"stop_at_first_error must be true or false, not {shown(stop)}")
        cascade = instance_of(Cascade, options.get("cascade"), "cascade")
        budget = instance_of(Budget, options.get("budget"), "budget")
        if cascade is not None and "reasoning" in options:
            raise InputError("give reasoning or cascade, not both")
        asked = options.get("reasoning", reasoning)
        stages: tuple[Reasoning, ...] = (member_of(Reasoning, asked, "reasoning"),)
        if cascade is not None:
            stages = tuple(Reasoning(stage) for stage in cascade.stages)
        return cls(
            samples=samples,
            seed=seed,
            stages=stages,
            cascade=cascade,
            adaptive=_adaptive(options.get("adaptive", "auto"), auto_adaptive),
            stop_at_first_error=stop,
            budget=budget or Budget(),
        )


MOST_SAMPLES = 256


def adaptive_of(text: str) -> Adaptive | bool | Literal["auto"]:
    """What a word of the command line means: ``auto``, ``off``, ``exact`` or an error bound such as ``0.1``.

    Raises:
        InputError: It is none of these.
    """
    named: dict[str, Adaptive | bool | Literal["auto"]] = {"auto": "auto", "off": False, "exact": Adaptive()}
    if text in named:
        return named[text]
    try:
        bound = float(text)
    except ValueError:
        raise InputError(f"adaptive must be auto, off, exact or a number, not {text!r:.80}") from None
    return Adaptive(error=bound)


def _adaptive(value: Adaptive | bool | str, auto: bool) -> Adaptive | None:
    if isinstance(value, Adaptive):
        return value
    if isinstance(value, str) and value == "auto":
        value = auto
    if not isinstance(value, bool):
        raise InputError(f"adaptive must be 'auto', true, false or an Adaptive, not {shown(value)}")
    return Adaptive() if value else None
