"""Solutions of a problem, drawn until there are right and wrong ones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from genprm_sdk.errors import ContextLengthError
from genprm_sdk.types import Frozen

from .answers import Answers
from .policy import FIRST_STEP, Policy, all_of, seed_of, split_numbered
from .records import Drop, Problem, Rollout, Rollouts

__all__ = ["NO_ANSWER", "RolloutSettings", "roll_out"]

Count = Annotated[int, Field(ge=1)]

NO_ANSWER = "no draw comes to an answer"
"""Why a problem is dropped that the policy never brings to an end."""


class RolloutSettings(Frozen):
    """How long is drawn.

    Attributes:
        correct: Different right solutions that are kept.
        incorrect: Different wrong ones.
        draws: At most (the paper's 2048).
        wave: Draws between two looks at what is there.
        unanswered: A problem is given up when so many draws came to no answer, and none to one.
    """

    correct: Count = 2
    incorrect: Count = 2
    draws: Count = 2048
    wave: Count = 8
    unanswered: Count = 64


async def roll_out(
    problem: Problem, policy: Policy, answers: Answers, settings: RolloutSettings, seed: int
) -> Rollouts | Drop:
    """Draw solutions of one problem; it is dropped where they are all right, or all wrong.

    A solution is kept if it comes to its own end, counts its steps, and puts an answer in a box.

    Args:
        problem: What is solved.
        policy: What solves it.
        answers: Reads answers.
        settings: How long is drawn.
        seed: Decides what is drawn, with the problem's text and the draw's number.
    """
    kept: list[Rollout] = []
    seen: set[tuple[str, ...]] = set()
    outcomes = ""
    unanswered = tokens = 0
    wanted = {True: settings.correct, False: settings.incorrect}

    async def one(number: int) -> tuple[int, str, bool | None]:
        generation = await policy.draw(base, FIRST_STEP, seed_of(seed, "rollout", problem.text, number))
        text = FIRST_STEP + generation.text
        right = await answers.right(problem, text) if generation.finish == "end" else None
        return generation.tokens, text, right

    try:
        base = await policy.open(problem.text)
    except ContextLengthError as error:
        return Drop(reason="the problem does not fit into the policy's context", detail=str(error))
    try:
        while any(wanted.values()) and len(outcomes) < settings.draws:
            first = len(outcomes)
            wave = range(first, min(first + settings.wave, settings.draws))
            for number, (cost, text, right) in zip(wave, await all_of(map(one, wave)), strict=True):
                tokens += cost
                outcomes += "1" if right else "0"
                unanswered += right is None
                parts = None if right is None else split_numbered(text)
                if right is None or parts is None or parts[0] in seen or not wanted[right]:
                    continue
                wanted[right] -= 1
                seen.add(parts[0])
                kept.append(Rollout(steps=parts[0], separator=parts[1], correct=right, number=number))
            if unanswered == len(outcomes) >= settings.unanswered:
                break
    finally:
        await base.close()
    detail = f"{outcomes.count('1')} of {len(outcomes)} draws are right, {unanswered} come to no answer"
    if unanswered == len(outcomes):
        return Drop(reason=NO_ANSWER, detail=detail)
    if {rollout.correct for rollout in kept} != {True, False}:
        kind = "right" if not any(not rollout.correct for rollout in kept) else "wrong"
        return Drop(
            reason=f"all solutions that can be used are {kind}" if kept else "no solution counts its steps",
            detail=detail,
        )
    return Rollouts(
        problem=problem, rollouts=tuple(kept), outcomes=outcomes, unanswered=unanswered, tokens=tokens
    )
