"""Best-of-N (figure 4), beside a vote without a verifier and a search over steps with the same policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from genprm_sdk.agents import BestOfN, StepSearch, Trajectory, open_critic, open_policy, plain_answer
from genprm_sdk.agents.trajectory import Attempt

from ..results import Claim, Picture, Result, Rows
from ..scoring import mean, mean_difference
from ..solving import POLICY, Solving, is_right
from .experiment import BUNDLED, Experiment, Work
from .scaling import doubled

__all__ = ["EXPERIMENT"]

Choice = Callable[[Sequence[Attempt]], str | None]
WIDTH, EXPAND = 2, 4


def ranked(attempts: Sequence[Attempt]) -> str | None:
    """The answer of the attempt with the best score, of equal ones the first."""
    judged = [each for each in attempts if each.answer is not None]
    return max(judged, key=lambda each: (each.score or 0.0, -each.index)).answer if judged else None


def voted(attempts: Sequence[Attempt]) -> str | None:
    return most(attempts, lambda each: 1.0)


def weighed(attempts: Sequence[Attempt]) -> str | None:
    return most(attempts, lambda each: each.score or 0.0)


def most(attempts: Sequence[Attempt], weight: Callable[[Attempt], float]) -> str | None:
    """The answer with the greatest weight, of equal ones the first."""
    weights: dict[str, float] = defaultdict(float)
    for each in attempts:
        if each.answer is not None:
            weights[plain_answer(each.answer)] += weight(each)
    return max(weights, key=weights.__getitem__) if weights else None


CHOICES: dict[str, Choice] = {
    "best of N": ranked,
    "weighed vote": weighed,
    "self-consistency": voted,
}


async def run(work: Work) -> Result:
    solving = Solving.of(work.scale.domains, work.scale.problems, work.folder / "solved", work.say)
    async with open_policy(POLICY) as policy:
        async with open_critic(BUNDLED) as critic:
            drawn = await solving.by("best of n", BestOfN(policy, critic, n=work.scale.attempts), policy)
        async with open_critic(BUNDLED) as critic:
            searched = await solving.by(
                "step search", StepSearch(policy, critic, width=WIDTH, expand=EXPAND), policy
            )
    counts = doubled(work.scale.attempts)
    right = {
        name: {count: chosen(choice, drawn, solving, count) for count in counts}
        for name, choice in CHOICES.items()
    }
    right["any of N"] = {count: any_right(drawn, solving, count) for count in counts}
    found = [float(is_right(each.answer, e)) for each, e in zip(searched, solving.exercises, strict=True)]
    tokens = {count: spent(drawn, count) for count in counts}
    of_search = sum(each.spent.tokens for each in searched) / len(searched)
    near = min(counts, key=lambda count: abs(tokens[count] - of_search))
    greatest = counts[-1]
    best, votes = right["best of N"], right["self-consistency"]
    return Result(
        how=(
            f"{work.scale.attempts} attempts of policy-mini at temperature 0.7 at each of "
            f"{work.scale.problems} fresh problems of each of {', '.join(work.scale.domains)}; fewer are the "
            f"first of the same. Ranked by the smallest step score of one path. Tokens are those of policy "
            f"and verifier together; a vote without the verifier needs none of the latter's."
        ),
        paper="Figure 4 ranks answers of larger policies on other sets; its values are not repeated here.",
        tables=(
            Rows(
                "Right answers in percent, by N",
                (
                    ("", *map(str, counts)),
                    *((name, *(str(mean(by[count])) for count in counts)) for name, by in right.items()),
                    ("tokens a problem", *(f"{tokens[count]:,.0f}" for count in counts)),
                ),
            ),
            Rows(
                f"Search over steps, {WIDTH} kept and {EXPAND} drawn from each",
                (("right", "tokens a problem"), (str(mean(found)), f"{of_search:,.0f}")),
            ),
        ),
        claims=(
            Claim(
                f"The best of {greatest} by the verifier beats self-consistency.",
                mean_difference(best[greatest], votes[greatest]),
            ),
            Claim(
                f"The best of {greatest} beats the best of {counts[0]}.",
                mean_difference(best[greatest], best[counts[0]]),
            ),
            Claim(
                f"Search over steps beats the best of {near}, which costs about as much.",
                mean_difference(found, best[near]),
            ),
        ),
        pictures=(
            Picture(
                "right answers in percent",
                "attempts",
                {
                    name: tuple((count, 100 * mean(values).value) for count, values in by.items())
                    for name, by in right.items()
                },
            ),
        ),
    )


def chosen(choice: Choice, drawn: Sequence[Trajectory], solving: Solving, count: int) -> list[float]:
    return [
        float(is_right(choice(each.attempts[:count]), exercise))
        for each, exercise in zip(drawn, solving.exercises, strict=True)
    ]


def any_right(drawn: Sequence[Trajectory], solving: Solving, count: int) -> list[float]:
    return [
        float(any(is_right(attempt.answer, exercise) for attempt in each.attempts[:count]))
        for each, exercise in zip(drawn, solving.exercises, strict=True)
    ]


def spent(drawn: Sequence[Trajectory], count: int) -> float:
    return sum(attempt.spent.tokens for each in drawn for attempt in each.attempts[:count]) / len(drawn)


EXPERIMENT = Experiment("best-of-n", "Best-of-N (figure 4)", run)
