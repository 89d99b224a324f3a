"""What a trajectory says in words: what its views share."""

from __future__ import annotations

from ..report.findings import counted
from .spending import Spent, Stopped
from .trajectory import Attempt, Trajectory, Turn, Verdict

__all__ = ["STOPPED", "attempt_words", "challenge_words", "notes", "outcome", "shown_verdict", "spent_words"]

STOPPED: dict[Stopped, str] = {
    "verified": "the critic found no mistake",
    "unchallenged": "no step was doubted enough to be challenged",
    "finished": "all attempts were made",
    "circle": "it went in a circle",
    "turns": "the turns were spent",
    "samples": "the budget of verifications was spent",
    "tokens": "the budget of tokens was spent",
    "seconds": "the time was up",
    "policy": "the policy failed",
    "error": "an error ended it",
}


def outcome(trajectory: Trajectory) -> str:
    """The result and why it ended there."""
    best = trajectory.solution
    if best is None:
        said = "no usable attempt"
    else:
        answer = "no final answer" if best.answer is None else f"answer {best.answer}"
        said = f"{answer}, by attempt {best.index}"
    return said if trajectory.stopped is None else f"{said}; {STOPPED[trajectory.stopped]}"


def shown_verdict(attempt: Attempt) -> Verdict:
    """The verdict whose mark and colour an attempt bears."""
    return "unparsed" if attempt.fault is not None or attempt.verdict is None else attempt.verdict


def attempt_words(attempt: Attempt) -> str:
    """What came of an attempt, in a word or two."""
    if attempt.fault is not None:
        return f"not used ({attempt.fault.kind.replace('_', ' ')})"
    if attempt.verdict is None:
        return "not judged"
    words = {"correct": "no mistake found", "unparsed": "not readable", "incomplete": "not judged to its end"}
    wrong = None if attempt.report is None else attempt.report.first_error
    return words.get(attempt.verdict, "a mistake" if wrong is None else f"first mistake: step {wrong}")


def challenge_words(turn: Turn) -> str | None:
    """What is held against the attempt before, or None."""
    if turn.challenge is None:
        return None
    score = "" if turn.challenge.score is None else f", score {turn.challenge.score:.2f}"
    return f"{turn.challenge.critic} challenges step {turn.challenge.step}{score}"


def notes(attempt: Attempt, turn: Turn | None) -> list[str]:
    """What else is to be known of an attempt."""
    said = []
    if attempt.fault is not None:
        said.append(f"Not used: {attempt.fault.message}.")
    if attempt.kept:
        said.append(f"{counted(attempt.kept, 'step')} kept of attempt {attempt.parent}.")
    if attempt.repeats is not None:
        said.append(f"It says the same as attempt {attempt.repeats}.")
    elif turn is not None and turn.ignored:
        said.append("The challenged step stayed as it was.")
    return said


def spent_words(spent: Spent, seconds: float) -> str:
    """What all of it cost."""
    about = "about " if spent.estimated else ""
    return (
        f"{counted(spent.calls, 'answer')}, {about}{spent.policy_tokens:,} tokens of the policy and "
        f"{spent.critic_tokens:,} of the critic, {counted(spent.verifications, 'verification')}, "
        f"{seconds:.1f} s"
    )
