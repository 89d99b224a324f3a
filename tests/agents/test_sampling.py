"""Best-of-N, votes and step search with scripted policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from genprm_sdk import Budget
from genprm_sdk.agents import (
    Agent,
    AgentBudget,
    AgentError,
    BestOfN,
    Message,
    Policy,
    RefinementAgent,
    Reply,
    SelfConsistency,
    SelfRefinement,
    StepSearch,
    Trajectory,
)
from genprm_sdk.errors import InputError

from .scripted import PROBLEM, RIGHT, WORSE, WRONG, Marking, Scripted

pytestmark = pytest.mark.anyio
OTHER = "Step 1: a.\n\nStep 2: WRONG, \\boxed{5.0}."


async def test_the_best_scoring_attempt_is_taken() -> None:
    critic = Marking()
    trajectory = await BestOfN(Scripted([WRONG, WORSE, RIGHT]), critic, n=5).solve(PROBLEM)
    assert (trajectory.stopped, trajectory.answer, len(trajectory.attempts)) == ("finished", "4", 5)
    assert [attempt.repeats for attempt in trajectory.attempts] == [None, None, None, 2, 2]
    assert len(critic.judged) == 3
    assert trajectory.weights == {}


async def test_scores_of_equal_answers_are_added_up() -> None:
    said = [RIGHT, WRONG, OTHER, OTHER + " ", WRONG + "\n\nStep 4: again."]
    trajectory = await BestOfN(Scripted(said), Marking(), n=5, select="vote").solve(PROBLEM)
    assert trajectory.weights == {"4": pytest.approx(0.9), "5": pytest.approx(1.2)}
    assert (trajectory.answer, trajectory.best) == ("5", 1)


async def test_without_a_verifier_the_most_frequent_answer_is_taken() -> None:
    trajectory = await SelfConsistency(Scripted([WORSE, RIGHT, "", WRONG, RIGHT + " "]), n=5).solve(PROBLEM)
    assert (trajectory.critic, trajectory.answer, trajectory.best) == (None, "4", 1)
    assert trajectory.weights == {"6": 1.0, "4": 2.0, "5": 1.0}
    fault = trajectory.attempts[2].fault
    assert fault is not None
    assert fault.kind == "empty"


async def test_a_vote_is_held_also_when_the_budget_is_spent() -> None:
    agent = SelfConsistency(Scripted([WORSE, RIGHT, RIGHT, WRONG]), n=99, concurrency=1)
    trajectory = await agent.solve(PROBLEM, budget=Budget(tokens=50))
    assert (trajectory.stopped, trajectory.answer) == ("tokens", "4")
    assert trajectory.spent.tokens < 70
    resumed = await agent.resume(trajectory, budget=Budget(tokens=30))
    assert len(resumed.attempts) > len(trajectory.attempts)


async def test_samples_are_a_budget_too() -> None:
    trajectory = await BestOfN(Scripted([WRONG, RIGHT, WORSE]), Marking(), n=8).solve(
        PROBLEM, budget=Budget(samples=5)
    )
    assert (trajectory.stopped, trajectory.answer) == ("samples", "4")


class Stepping:
    """Writes one step at a time from a tree of what may follow what, in turns."""

    def __init__(self, tree: dict[str, Sequence[str]]) -> None:
        self.name = "stepping"
        self._tree = tree
        self.drawn: dict[str, int] = {}
        self.stops: set[tuple[str, ...]] = set()

    async def __call__(self, messages: Sequence[Message], /, *, stop: Sequence[str]) -> Reply:
        return await self.continue_from(messages, "", stop=stop)

    async def continue_from(
        self, messages: Sequence[Message], prefix: str, /, *, stop: Sequence[str]
    ) -> Reply:
        self.stops.add(tuple(stop))
        last = prefix.strip().split("\n\n")[-1]
        count = self.drawn[last] = self.drawn.get(last, -1) + 1
        choices = self._tree[last]
        step = choices[count % len(choices)]
        return Reply(step, finish="end" if "boxed" in step else "stop", prompt_tokens=1, generated_tokens=2)


TREE = {
    "": ["a WRONG", "a WRONG WRONG", "b", "b"],
    "a WRONG": ["\\boxed{1} WRONG"],
    "b": ["c WRONG", "d", "d", "d"],
    "d": ["\\boxed{4}", "\\boxed{5} WRONG", "e", "\\boxed{4}"],
    "c WRONG": ["\\boxed{6}"],
    "e": ["\\boxed{7}"],
}


async def test_the_search_goes_on_from_the_best_beginnings() -> None:
    policy, critic = Stepping(TREE), Marking()
    trajectory = await StepSearch(policy, critic, width=1, expand=4).solve(PROBLEM)
    assert (trajectory.stopped, trajectory.answer) == ("finished", "4")
    best = trajectory.solution
    assert best is not None
    assert best.steps == ("b", "d", "\\boxed{4}")
    assert (best.complete, best.kept) == (True, 2)
    assert policy.stops == {("\n\n",)}
    assert [len(turn.attempts) for turn in trajectory.turns] == [4, 4, 4]
    assert len({solution.steps for solution in critic.judged}) == len(critic.judged), "each judged once"


async def test_the_diverse_search_keeps_its_trees_apart() -> None:
    tree = {**TREE, "": ["a WRONG", "b"]}
    together = await StepSearch(Stepping(tree), Marking(), width=2, expand=2).solve(PROBLEM)
    apart = await StepSearch(Stepping(tree), Marking(), width=2, expand=2, diverse=True).solve(PROBLEM)

    def finished(trajectory: Trajectory) -> set[str | None]:
        return {attempt.answer for attempt in trajectory.attempts if attempt.complete}

    assert "1" in finished(apart)
    assert apart.answer == together.answer == "4"


async def test_a_chat_policy_is_searched_with_what_it_writes_behind_the_step_dropped() -> None:
    trajectory = await StepSearch(Scripted([RIGHT]), Marking(), width=1, expand=1).solve(PROBLEM)
    assert [attempt.steps for attempt in trajectory.attempts] == [
        ("Step 1: 2 + 2 = 4.",),
        tuple(RIGHT.split("\n\n")),
    ]
    assert (trajectory.stopped, trajectory.answer) == ("finished", "4")


async def test_a_search_that_is_cut_returns_its_best_beginning_and_goes_on() -> None:
    agent = StepSearch(Stepping(TREE), Marking(), width=1, expand=4)
    cut = await agent.solve(PROBLEM, budget=AgentBudget(turns=1))
    assert (cut.stopped, cut.answer) == ("turns", None)
    assert cut.solution is not None
    assert cut.solution.steps == ("b", "d")
    resumed = await agent.resume(cut)
    assert (resumed.stopped, resumed.answer) == ("finished", "4")
    assert resumed.attempts[: len(cut.attempts)] == cut.attempts


@pytest.mark.parametrize("cut", [Budget(tokens=1), Budget(tokens=3), Budget(tokens=9), Budget(samples=2)])
@pytest.mark.parametrize("diverse", [False, True])
async def test_a_level_that_is_cut_is_completed(cut: Budget, diverse: bool) -> None:
    def agent() -> StepSearch:
        return StepSearch(Stepping(TREE), Marking(), width=2, expand=2, diverse=diverse, concurrency=1)

    whole = await agent().solve(PROBLEM)
    stepping = agent()
    begun = await stepping.solve(PROBLEM, budget=cut)
    assert begun.stopped in ("tokens", "samples")
    resumed = await stepping.resume(Trajectory.model_validate_json(begun.model_dump_json()))
    assert (resumed.stopped, resumed.answer) == ("finished", "4")
    assert [(each.text, each.score) for each in resumed.attempts] == [
        (each.text, each.score) for each in whole.attempts
    ]


async def test_a_level_that_never_came_is_asked_for_when_the_search_is_resumed() -> None:
    waiting = [60.0, 0.0]

    async def slow(messages: object, /) -> str:
        await asyncio.sleep(waiting[0])
        return RIGHT

    agent = StepSearch(slow, Marking(), width=1, expand=2)
    begun = await agent.solve(PROBLEM, budget=Budget(seconds=0.05))
    assert (begun.stopped, begun.attempts) == ("seconds", ())
    waiting.pop(0)
    resumed = await agent.resume(begun)
    assert (resumed.stopped, resumed.answer) == ("finished", "4")


async def test_a_search_is_finished_only_where_something_whole_was_found() -> None:
    policy = Scripted([Reply("cut", finish="length"), "", RIGHT])
    agent = StepSearch(policy, Marking(), width=1, expand=1)
    trajectory = await agent.solve(PROBLEM, budget=AgentBudget(turns=1))
    assert (trajectory.stopped, trajectory.best, len(trajectory.turns)) == ("turns", None, 2)
    resumed = await agent.resume(trajectory)
    assert (resumed.stopped, resumed.answer) == ("finished", "4")


@pytest.mark.parametrize(
    "make",
    [
        lambda policy: BestOfN(policy, Marking(), n=2, tries=1),
        lambda policy: SelfConsistency(policy, n=2, tries=1),
        lambda policy: StepSearch(policy, Marking(), width=1, expand=2, tries=1),
        lambda policy: RefinementAgent(policy, Marking(), turns=0, tries=1),
        lambda policy: SelfRefinement(policy, turns=0, tries=1),
    ],
)
async def test_what_an_outage_left_can_be_resumed(make: Callable[[Policy], Agent]) -> None:
    with pytest.raises(AgentError, match="down") as caught:
        await make(Scripted([ConnectionError("down")])).solve(PROBLEM)
    left = Trajectory.model_validate_json(caught.value.trajectory.model_dump_json())
    resumed = await make(Scripted([RIGHT])).resume(left)
    assert resumed.answer == "4"
    assert all(attempt.fault is None for attempt in resumed.attempts)
    assert Trajectory.model_validate_json(resumed.model_dump_json()) == resumed


@pytest.mark.parametrize("turns", [0, 1])
async def test_the_first_level_is_not_counted(turns: int) -> None:
    agent = StepSearch(Stepping(TREE), Marking(), width=1, expand=4)
    trajectory = await agent.solve(PROBLEM, budget=AgentBudget(turns=turns))
    assert len(trajectory.turns) == turns + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: BestOfN(Scripted([RIGHT]), Marking(), n=0),
        lambda: BestOfN(Scripted([RIGHT]), Marking(), select="any"),  # type: ignore[arg-type]
        lambda: SelfConsistency(Scripted([RIGHT]), n=True),
        lambda: StepSearch(Scripted([RIGHT]), Marking(), width=99, expand=99),
        lambda: StepSearch(Scripted([RIGHT]), Marking(), expand=0),
        lambda: SelfConsistency(Scripted([RIGHT]), concurrency=0),
        lambda: AgentBudget(turns=-1),
    ],
)
def test_settings_that_cannot_be_used_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(InputError):
        make()


async def test_all_agents_survive_a_policy_that_writes_nothing() -> None:
    agents: list[Agent] = [
        BestOfN(Scripted([""]), Marking(), n=3, select="vote"),
        SelfConsistency(Scripted([""]), n=3),
        StepSearch(Scripted([""]), Marking()),
    ]
    for agent in agents:
        trajectory = await agent.solve(PROBLEM)
        assert trajectory.best is None
        assert trajectory.stopped == ("turns" if isinstance(agent, StepSearch) else "finished")
        assert len(trajectory.turns) <= 2
        assert "no usable attempt" in trajectory.to_html()
