"""Grade-school word problems: a story in a few sentences and the one to six calculations it calls for.

The problem is drawn first and completely; then a solution of it, which may go wrong and then goes on from
what it said. A step is wrong if a number it states is not worth what the problem calls for there, where
earlier results count as the steps before stated them. The rationale's code holds the calculation that the
*problem* calls for and, beside it, what the step says; a result that no step before has stated stands in it
as the calculation it would be. The stories lie in ``word_stories``, the wordings in ``word_solutions``; here
are the solver's own style and how a solution in it is judged from its texts alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from .base import Example, Exercise, World, numbered, planted_steps
from .word_solutions import (
    STYLES,
    Nonsense,
    Part,
    Solver,
    answer_analysis,
    calculation_analysis,
    changed_number,
    solved,
    step_of,
)
from .word_stories import (
    EXERCISE_LENGTHS,
    EXERCISE_SCALE,
    FULL_SCALE,
    LENGTHS,
    MULTIPLES,
    NUMBER,
    PARTS,
    Calculation,
    Scene,
    Story,
    draw_story,
    expected,
    planned,
    problem_text,
    read_scenes,
    sentence_case,
    value_of,
)

__all__ = ["WordProblems"]

SOLVER_WEIGHT = 0.2

VALUE = rf"(?:0|{NUMBER})"
CALCULATION_STEP = re.compile(rf"Step \d+: (.+): ({VALUE}(?: [-+*/] {VALUE})*) = ({VALUE})\.")
ANSWER_STEP = re.compile(rf"Step \d+: The answer is \\boxed\{{({VALUE})\}}\.")


def claims_of(story_scenes: Sequence[Scene], plan: Sequence[Calculation]) -> list[str]:
    """What the solver's steps begin with: the problem's sentence, or what else is worked out from it."""
    return [
        story_scenes[calculation.scene].told().rstrip(".")
        if calculation.opens
        else sentence_case(calculation.label)
        for calculation in plan
    ]


def solver_steps(story: Story, solver: Solver, wrong: set[int]) -> tuple[str, ...]:
    claims = claims_of(story.scenes, story.plan)
    steps = []
    for index, calculation in enumerate(story.plan):
        if index in solver.skipped:
            continue
        said = solver.say(index, index in wrong)
        solver.known[index] = said.again
        claim = claims[index]
        if said.changes and calculation.opens:
            claim = story.scenes[calculation.scene].told(said.changes).rstrip(".")
        steps.append(f"{claim}: {said.expression} = {said.again}.")
    answer = solver.own_answer()
    if len(story.plan) in wrong:
        answer = changed_number(answer, story.plan[-1].unit, solver.rng)
    return numbered([*steps, f"The answer is \\boxed{{{answer}}}."])


def plain_problem(story: Story) -> str:
    return " ".join([*(scene.told() for scene in story.scenes), story.question.text.format_map(story.cast)])


MASK = re.compile(
    "|".join(sorted((re.escape(word) for word in (*MULTIPLES, *PARTS)), key=len, reverse=True)) + r"|\d+"
)


def changed_numbers(right: str, claim: str) -> set[str]:
    """The numbers of a claim that differ from those of the sentence it repeats."""
    pairs = zip(MASK.findall(right), MASK.findall(claim), strict=True)
    values = {**MULTIPLES, **PARTS}
    return {str(values.get(stated, stated)) for told, stated in pairs if stated != told}


def claimed(
    claim: str, expression: str, claims: Sequence[str], plan: Sequence[Calculation], known: dict[int, str]
) -> int | None:
    """Which calculation a step is about, or None if it does not say so.

    A step that repeats the problem's sentence with another number is about that sentence still, if it also
    calculates with the number; else it contradicts itself and nobody could tell what it means. Of several
    calculations with one label, the one that belongs to the step before is meant, or the next one.
    """
    fitting = [at for at, other in enumerate(claims) if other == claim]
    if not fitting:
        calculated = set(re.findall(r"\d+", expression))
        fitting = [
            at
            for at, other in enumerate(claims)
            if MASK.sub("#", other) == MASK.sub("#", claim) and changed_numbers(other, claim) <= calculated
        ]
    pending = [at for at in fitting if at not in known]
    scene = plan[next(reversed(known))].scene if known else 0
    belonging = [at for at in pending if plan[at].scene == scene]
    return next(iter([*belonging, *pending, *fitting[-1:]]), None)


def kind_of_mistake(expression: str, result: str, wanted: str) -> str:
    if value_of(expression) != value_of(result):
        return "slip"
    numbers, others = (sorted(re.findall(r"\d+", text)) for text in (expression, wanted))
    return "wrong_operation" if numbers == others else "wrong_operand"


def judged_step(
    text: str, plan: Sequence[Calculation], claims: Sequence[str], known: dict[int, str]
) -> Part | None:
    """One step of the solver's, judged; ``known`` learns what it states. None if it is unreadable."""
    if found := ANSWER_STEP.fullmatch(text):
        wanted = known.get(len(plan) - 1) or expected(plan, len(plan) - 1, known)
        right = value_of(found[1]) == value_of(wanted)
        mistake = None if right else "wrong_final_answer"
        return Part(text, answer_analysis(wanted), ((wanted, [found[1]]),), mistake)
    found = CALCULATION_STEP.fullmatch(text)
    index = claimed(found[1], found[2], claims, plan, known) if found else None
    if found is None or index is None:
        return None
    expression, result = found[2], found[3]
    wanted = expected(plan, index, known)
    right = value_of(expression) == value_of(result) == value_of(wanted)
    mistake = None if right else kind_of_mistake(expression, result, wanted)
    known.pop(index, None)  # what was stated last stands last
    known[index] = result
    return Part(text, calculation_analysis(plan[index], wanted), ((wanted, [expression, result]),), mistake)


class WordProblems(World):
    """Short stories about quantities, one to six calculations each."""

    name = "word_problems"
    styles = ("solver", *STYLES)
    held_out_style = "bulleted"

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw a story and a solution of it."""
        if style is None:
            weights = [SOLVER_WEIGHT, *(known.weight for known in STYLES.values())]
            style = rng.choices(self.styles, weights)[0]
        if style == "solver":
            return self._solver_example(rng)
        story = draw_story(LENGTHS, FULL_SCALE, False, rng)
        problem = problem_text(story, FULL_SCALE, rng)
        return Example(self.name, problem, tuple(solved(story, style, rng)))

    def _solver_example(self, rng: random.Random) -> Example:
        story = draw_story(EXERCISE_LENGTHS, EXERCISE_SCALE, True, rng)
        count = len(story.plan)
        for attempt in range(10):
            skips = count > 1 and rng.random() < 0.06
            skipped = frozenset({rng.randrange(count)}) if skips and attempt < 9 else frozenset[int]()
            wrong = planted_steps(rng, count + 1) if not skipped and attempt < 9 else set()
            try:
                steps = solver_steps(story, Solver(story, rng, skipped=skipped), wrong)
            except Nonsense:
                continue
            example = self.read(plain_problem(story), steps)
            if example is not None:
                return example
        raise AssertionError("a right solution can always be read")

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw a story with small numbers and its solution, a calculation a step."""
        story = draw_story(EXERCISE_LENGTHS, EXERCISE_SCALE, True, rng)
        solver = Solver(story, rng)
        steps = solver_steps(story, solver, set())
        return Exercise(self.name, plain_problem(story), steps, solver.known[len(story.plan) - 1])

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Judge a solution by the calculations that the problem's sentences call for.

        A step belongs to the calculation whose sentence or label it repeats, whether that is its turn or not.
        """
        scenes = read_scenes(problem, "", {})
        if not scenes or not steps:
            return None
        plan = planned(scenes)
        claims = claims_of(scenes, plan)
        known: dict[int, str] = {}
        judged_steps = []
        for text in steps:
            try:
                part = judged_step(text, plan, claims, known)
            except ZeroDivisionError:
                return None
            if part is None:
                return None
            judged_steps.append(step_of([part]))
        return Example(self.name, problem, tuple(judged_steps))


WORLD = WordProblems()
