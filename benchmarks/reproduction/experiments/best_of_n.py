"""Best-of-N (figure 4), beside a vote without a verifier and a search over steps with the same policy."""

from __future__ import annotations

from collections.abc import Sequence

from genprm_sdk.agents import BestOfN, StepSearch, Trajectory, open_critic, open_policy
from genprm_sdk.agents.accuracy import Choice, any_is_right, best_is_right, majority_is_right
from genprm_sdk.agents.evaluating import AttemptOutcome
from genprm_sdk.evaluation.scaling import doublings

from ..results import Claim, Picture, Result, Rows
from ..scoring import mean, mean_difference
from ..solving import POLICY, Solving
from .experiment import BUNDLED, Experiment, Work

__all__ = ["EXPERIMENT"]

WIDTH, EXPAND = 2, 4


def weighed_is_right(attempts: Sequence[AttemptOutcome]) -> bool:
    """The answer whose attempts have the greatest scores together, the first of equal ones, is right."""
    weights: dict[int, float] = {}
    for each in attempts:
        if each.group is not None:
            weights[each.group] = weights.get(each.group, 0.0) + (each.score or 0.0)
    winner = max(weights, key=weights.__getitem__, default=None)
    return any(each.right for each in attempts if each.group == winner)


CHOICES: dict[str, Choice] = {
    "best of N": best_is_right,
    "weighed vote": weighed_is_right,
    "self-consistency": majority_is_right,
    "any of N": any_is_right,
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
    counts = doublings(work.scale.attempts)
    outcomes = await solving.outcomes(drawn)
    right = {
        name: {count: [float(choice(each.attempts[:count])) for each in outcomes] for count in counts}
        for name, choice in CHOICES.items()
    }
    found = [float(each.right) for each in await solving.outcomes(searched)]
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


def spent(drawn: Sequence[Trajectory], count: int) -> float:
    return sum(attempt.spent.tokens for each in drawn for attempt in each.attempts[:count]) / len(drawn)


EXPERIMENT = Experiment("best-of-n", "Best-of-N (figure 4)", run)
