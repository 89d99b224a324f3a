"""Solutions of the word problem world: what a solver says, right or wrong, and how it is worded.

A solver goes through a story's calculations and remembers every result as it stated it. What is wrong is
decided before it is worded; a piece of wording then notes, beside its text, what the problem calls for and
what the text says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from .base import WorldStep, equality_rationale, judged, planted_steps
from .word_stories import (
    PRONOUNS,
    Calculation,
    Operand,
    Scene,
    Story,
    expected,
    fields_of,
    literal,
    lower_start,
    operand_text,
    sentence_case,
    value_of,
)

# ---------------------------------------------------------------------------------- solutions, what is said


@dataclass(frozen=True)
class Said:
    """What a solver says for one calculation.

    Attributes:
        operands: The numbers calculated with, as text; a bracketed one is a calculation not said before.
        units: What each counts.
        operators: What stands between them.
        result: The stated result.
        again: The result, said once more.
        mistake: The planted mistake's kind, or None.
        changes: Fields of the scene that the solver read wrongly.
    """

    operands: tuple[str, ...]
    units: tuple[str, ...]
    operators: tuple[str, ...]
    result: str
    again: str
    mistake: str | None = None
    changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        return spaced(self.operands, self.operators)


def spaced(operands: Sequence[str], operators: Sequence[str]) -> str:
    return operands[0] + "".join(
        f" {operator} {operand}" for operator, operand in zip(operators, operands[1:], strict=True)
    )


class Nonsense(Exception):
    """The solver's wrong numbers led to one that no solver would go on with."""


CALCULATION_MISTAKES = {
    "slip": 32,
    "wrong_operand": 30,
    "wrong_operation": 22,
    "copied_wrongly": 7,
    "dropped": 5,
    "doubled": 4,
}


@dataclass
class Solver:
    """A solution on its way: what it has stated, and what it has left out without knowing.

    Attributes:
        story: The problem.
        known: Results as stated, by the calculation's index.
        skipped: Calculations that the solver overlooks.
    """

    story: Story
    rng: random.Random
    known: dict[int, str] = field(default_factory=dict)
    skipped: frozenset[int] = frozenset()

    def seen(self, operand: Operand) -> str:
        """The operand as this solver sees it: in place of what it overlooked, the quantity before."""
        at = operand.calculation
        if at is not None and at in self.skipped and at not in self.known:
            return self.seen(self.story.plan[at].operands[0])
        return operand_text(self.story.plan, operand, self.known)

    def expected(self, index: int) -> str:
        """What the problem calls for at a calculation."""
        return expected(self.story.plan, index, self.known)

    def wanted_answer(self) -> str:
        """What the answer must be: the last result as stated, or the calculations up to it."""
        last = len(self.story.plan) - 1
        return self.known.get(last) or self.expected(last)

    def own_answer(self) -> str:
        """What this solver takes for the answer."""
        last = len(self.story.plan) - 1
        value = value_of(self.seen(Operand("", last, "", "")))
        answer = literal(value, self.story.plan[last].unit)
        if answer is None:
            raise Nonsense
        return answer

    def say(self, index: int, mistaken: bool) -> Said:
        calculation = self.story.plan[index]
        operands = tuple(self.seen(operand) for operand in calculation.operands)
        units = tuple(operand.unit for operand in calculation.operands)
        right = Said(operands, units, calculation.operators, "", "")
        value = literal(value_of(right.expression), calculation.unit)
        if value is None:
            raise Nonsense
        right = replace(right, result=value, again=value)
        if value_of(self.expected(index)) != value_of(value):
            right = replace(right, mistake="dropped")
        elif mistaken:
            return self.mistaken(right, calculation)
        return right

    def mistaken(self, right: Said, calculation: Calculation) -> Said:
        """What is said instead; every kind that does not fit here gives way to another."""
        kinds, weights = list(CALCULATION_MISTAKES), list(CALCULATION_MISTAKES.values())
        for _ in range(30):
            kind = self.rng.choices(kinds, weights)[0]
            said = self.changed(right, calculation, kind)
            if said is None:
                continue
            if kind in ("slip", "copied_wrongly"):
                return replace(said, mistake=kind)
            value = value_of(said.expression)
            result = literal(value, calculation.unit)
            if result is not None and value != value_of(right.result) and value < 50 * value_of(right.result):
                return replace(said, result=result, again=result, mistake=kind)
        raise Nonsense

    def changed(self, right: Said, calculation: Calculation, kind: str) -> Said | None:
        rng, operators = self.rng, list(right.operators)
        at = rng.randrange(len(operators))
        match kind:
            case "slip":
                wrong = changed_number(right.result, calculation.unit, rng)
                return replace(right, result=wrong, again=wrong)
            case "copied_wrongly":
                return replace(right, again=changed_number(right.result, calculation.unit, rng))
            case "wrong_operand":
                return self.with_wrong_operand(right, calculation)
            case "wrong_operation":
                operators[at] = rng.choice([operator for operator in "+-*/" if operator != operators[at]])
                return replace(right, operators=tuple(operators))
            case "doubled" if set(operators) <= {"+", "-"}:
                return replace(
                    right,
                    operands=(*right.operands, right.operands[-1]),
                    units=(*right.units, right.units[-1]),
                    operators=(*operators, operators[-1]),
                )
            case "dropped" if len(operators) > 1:
                return replace(
                    right,
                    operands=(*right.operands[: at + 1], *right.operands[at + 2 :]),
                    units=(*right.units[: at + 1], *right.units[at + 2 :]),
                    operators=(*operators[:at], *operators[at + 1 :]),
                )
        return None

    def with_wrong_operand(self, right: Said, calculation: Calculation) -> Said | None:
        at = self.rng.randrange(len(right.operands))
        operand, text = calculation.operands[at], right.operands[at]
        if text.startswith("("):
            return None
        others = [other for other in self.numbers() if other != text]
        if others and self.rng.random() < 0.6:
            wrong = self.rng.choice(others)
        else:
            wrong = changed_number(text, operand.unit, self.rng)
        operands = (*right.operands[:at], wrong, *right.operands[at + 1 :])
        told = self.story.scenes[calculation.scene].fields.get(operand.name, "")
        return replace(right, operands=operands, changes={operand.name: wrong} if told == text else {})

    def numbers(self) -> list[str]:
        """Every number of the problem and every result so far."""
        told = [
            text
            for scene in self.story.scenes
            for text in scene.fields.values()
            if text.replace(".", "").isdigit()
        ]
        return [*told, *self.known.values()]


def changed_number(text: str, unit: str, rng: random.Random) -> str:
    """A number that a solver may write instead."""
    value = Fraction(text)
    whole = int(value)
    digits = list(str(whole))
    digits[rng.randrange(len(digits))] = str(rng.randint(1, 9))
    swapped = str(whole)[::-1] if whole < 100 else str(whole)[1::-1] + str(whole)[2:]
    others = [whole + 1, whole - 1, whole + 2, whole + 10, whole - 10, int("".join(digits)), 2 * whole]
    other = rng.choice([*others, int(swapped), *([10 * whole] if whole % 10 == 0 else [])])
    wrong = literal(other + (value - whole), unit)
    return wrong if wrong is not None and wrong != text else literal(value + 3, unit) or text


@dataclass(frozen=True)
class Part:
    """A piece of a step: its text and the comparisons that check it.

    Attributes:
        text: One or several sentences.
        analysis: The sentence of the analysis.
        claims: Expected expressions, each with what the text says it is worth.
        mistake: The planted mistake's kind, or None.
    """

    text: str
    analysis: str
    claims: tuple[tuple[str, list[str]], ...]
    mistake: str | None


def step_of(parts: Sequence[Part], lead: str = "") -> WorldStep:
    claims = [claim for part in parts for claim in part.claims]
    rationale = equality_rationale(" ".join(part.analysis for part in parts), claims)
    mistake = next((part.mistake for part in parts if part.mistake), None)
    texts = [lead + inside(parts[0].text) if lead else parts[0].text, *(part.text for part in parts[1:])]
    ended = [text if text.endswith((".", "]")) else f"{text}." for text in texts[:-1]]
    text = " ".join(sentence_case(text) for text in [*ended, texts[-1]])
    return WorldStep(text, mistake is None, rationale, mistake)


def calculation_analysis(calculation: Calculation, wanted: str) -> str:
    return f"{sentence_case(calculation.label)} must be {wanted}."


def answer_analysis(wanted: str) -> str:
    return f"The answer must be {wanted}."


# ------------------------------------------------------------------------------- solutions, how it is said


@dataclass(frozen=True)
class Style:
    """How solutions are worded.

    Attributes:
        weight: How often it is drawn.
        with_facts: Templates that repeat the problem's sentence.
        plain: Templates that do not.
        answers: Templates of the last step.
        leads: What a calculation may begin with.
        times: Signs of multiplication.
        divided: Signs of division; ``frac`` for a LaTeX fraction.
        units: How often numbers have their units.
        tight: Whether signs may stand without spaces.
    """

    weight: float
    with_facts: tuple[str, ...]
    plain: tuple[str, ...]
    answers: tuple[str, ...]
    leads: tuple[str, ...]
    times: tuple[str, ...] = ("*", "*", "x", "×")
    divided: tuple[str, ...] = ("/", "/", "÷")
    units: float = 0.3
    tight: bool = False


LEADS = ("Next, ", "Then, ", "Now, ", "After that, ", "{ordinal}, ", "{ordinal}, ")
ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth")
SAID_ANSWERS = (
    "The answer is {r}.",
    "So the answer is {u}.",
    "Therefore, {label} is {u}. The answer is: $\\boxed{{{r}}}$.",
    "So, {label} is {u}. The answer is: \\boxed{{{r}}}",
    "Therefore, the final answer is {u}.",
    "So, the final answer is: \\boxed{{{r}}}.",
    "Therefore, {label} is \\boxed{{{r}}}.",
)
LATEX_ANSWERS = (
    "Therefore, {label} is \\(\\boxed{{{r}}}\\).",
    "Thus, {label} is \\(\\boxed{{{r}}}\\).",
    "So, {label} is {u}. The answer is: \\(\\boxed{{{r}}}\\)",
    "Therefore, the answer is \\(\\boxed{{{r}}}\\).",
    "\\[ \\boxed{{{r}}} \\]",
)

STYLES = {
    "prose": Style(
        0.22,
        (
            "{facts} So {label} is {e} = {u}.",
            "{facts} This means {label} is {e} = {u}.",
            "since {fact}, {label} is {e} = {u}.",
            "{fact}, so {label} is {e} = {u}.",
            "{fact}, so we calculate {e} = {u}.",
            "{facts} To find {label}, we calculate {e} = {u}. So {label} is {s}.",
            "{fact}. That makes {u}.",
        ),
        (
            "{label} is {e} = {u}.",
            "to find {label}, we calculate {e} = {u}.",
            "we find {label}: {e} = {u}.",
            "{label} is {u}, because {e} = {r}.",
            "we can find {label} by calculating {e} = {u}. So {label} is {s}.",
            "{label} is {u}.",
            "{label} is {e}, which is {u}.",
        ),
        SAID_ANSWERS,
        ("", "", "", *LEADS, "So ", "So, "),
    ),
    "latex": Style(
        0.22,
        (
            "calculate {label}. {facts} Therefore, {label} is: \\[ {e} = {r} \\]",
            "determine {label}. {facts} \\[ {e} = {r} \\]",
            "we need to find {label}. {facts} So, \\[ {e} = {m} \\]",
            "{facts} Therefore, {label} is \\({e} = {m}\\).",
            "{facts} To find {label}, we calculate: \\[ {e} = {r} \\] So, {label} is {s}.",
        ),
        (
            "calculate {label}: \\[ {e} = {r} \\]",
            "we find {label}: \\[ {e} = {m} \\]",
            "{label} is: \\[ {e} = {r} \\]",
            "we calculate {label}: \\({e} = {r}\\).",
            "{label} is \\({e} = {m}\\).",
            "\\[ \\text{{{Label}}} = {e} = {r} \\]",
            "\\[ \\text{{{Label}}} = {e} \\] \\[ \\text{{{Label}}} = {r} \\]",
            "calculate {label}: \\[ {e} = {r} \\] So, {label} is {s}.",
        ),
        LATEX_ANSWERS,
        ("", "", *LEADS),
        times=("\\times", "\\times", "\\cdot"),
        divided=("frac", "frac", "\\div", "/"),
        units=0.35,
    ),
    "labelled": Style(
        0.18,
        (
            "{fact}: {Label} = {e} = {u}",
            "calculate {label}. {facts} {Label} = {e} = {u}.",
            "we need to find {label}. {facts} So, {e} = {u}.",
        ),
        (
            "{Label} = {e} = {u}",
            "{Label} = {e} {Label} = {u}",
            "{label}: {e} = {u}.",
            "let's calculate {label}: {e} = {u}.",
            "calculate {label}: {Label} = {e} = {u}. So {label} is {s}.",
        ),
        SAID_ANSWERS,
        ("", "", "", *LEADS, "{number}. ", "Step {number}: "),
        times=("*", "*", "×", "x"),
        units=0.5,
    ),
    "terse": Style(
        0.1,
        ("{fact}: {e} = {u}", "{fact}, {e} = {r}"),
        ("{e} = {r}", "{e} = {u}", "{Label}: {e} = {r}", "that is {e} = {u}", "there are {e} = {u}."),
        ("{r}", "#### {r}", "Answer: {r}", "The answer is {r}."),
        ("",),
        units=0.1,
        tight=True,
    ),
    "worded": Style(
        0.08,
        ("{facts} {e} is {u}.", "since {fact}, {label} is {e}, that is {u}."),
        ("{e} is {u}.", "{label} is {e}, that is {u}.", "we get {label} from {e}, which gives {u}."),
        ("So the answer is {r}.", "This gives the answer: {u}."),
        ("", "", *LEADS),
        times=("times", "multiplied by"),
        divided=("divided by",),
        units=0.1,
    ),
    "bulleted": Style(
        0.0,
        ("{label}: - {facts} - {Label}: {e} = {u}", "- {facts} - {Label} = {e} = {r}"),
        ("- {Label}: {e} = {u}", "{label}: - {e} = {r}", "* {Label} is {e} = {u}. * That is {s}."),
        ("- Answer: {u}", "- **Answer:** {r}", "* The answer is **{r}**."),
        ("", "", "{ordinal}, "),
        units=0.3,
    ),
}  # fmt: skip

AIMS = (
    "To find {aim}, we go through the problem step by step.",
    "We need to find {aim}.",
    "Let's find {aim}.",
    "First, we need to determine {aim}.",
    "To solve this problem, we need to find {aim}. Let's break it down step by step.",
    "To determine {aim}, we follow these steps.",
    "Let's break down the problem to find {aim}.",
)
GIVENS = (
    "From the problem, we know: {facts}",
    "{facts}",
    "We know the following: {facts}",
    "The problem says: {facts}",
    "Here is what is given: {facts}",
)
REPEATED = (
    "So, {label} is {u}.",
    "This means that {label} is {u}.",
    "So we know that {label} is {u}.",
    "Therefore, {label} is {u}.",
)
OTHER_KEYS = ("boxes", "days", "dollars", "people", "hours", "tickets")


@dataclass(frozen=True)
class Look:
    """How one solution writes its numbers and signs."""

    times: str
    divided: str
    units: bool
    latex: bool
    tight: bool
    commas: bool
    dollars: bool


def draw_look(name: str, rng: random.Random) -> Look:
    style = STYLES[name]
    return Look(
        times=rng.choice(style.times),
        divided=rng.choice(style.divided),
        units=rng.random() < style.units,
        latex=name == "latex",
        tight=style.tight and rng.random() < 0.6,
        commas=rng.random() < 0.5,
        dollars=rng.random() < 0.75,
    )


def shown(text: str, look: Look) -> str:
    """A number as this solution writes it."""
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if look.commas and len(whole) > 3 else text


def with_unit(text: str, unit: str, look: Look, formula: bool) -> str:
    number = shown(text, look)
    money, _, per = unit.partition("/")
    if money == "$":
        sign = "\\$" if look.latex else "$"
        return f"{sign}{number}" + (f"/{per}" if per and formula and not look.latex else "")
    if not unit:
        return number
    return f"{number} \\text{{ {unit}}}" if look.latex and formula else f"{number} {unit}"


def shown_expression(said: Said, look: Look) -> str:
    """The calculation in this solution's signs; the numbers stand in the order in which they are said."""
    operands = [
        in_signs(operand, look)
        if operand.startswith("(") or not look.units
        else with_unit(operand, unit, look, formula=True)
        for operand, unit in zip(said.operands, said.units, strict=True)
    ]
    if look.divided == "frac" and said.operators == ("/",):
        return f"\\frac{{{operands[0]}}}{{{operands[1]}}}"
    signs = [sign_of(operator, look) for operator in said.operators]
    text = spaced(operands, signs)
    return text.replace(" ", "") if look.tight and not look.units else text


def sign_of(operator: str, look: Look) -> str:
    if look.divided == "divided by":
        return {"+": "plus", "-": "minus", "*": look.times, "/": look.divided}[operator]
    if operator == "/":
        return "/" if look.divided == "frac" else look.divided
    return look.times if operator == "*" else operator


def in_signs(expression: str, look: Look) -> str:
    """A bracketed calculation in this solution's signs."""
    return re.sub(r" ([-+*/]) ", lambda found: f" {sign_of(found[1], look)} ", expression)


def rearranged(said: Said, rng: random.Random) -> Said:
    """The same calculation in another order, now and then."""
    if said.operators in (("+",), ("*",)) and rng.random() < 0.2:
        return replace(said, operands=said.operands[::-1], units=said.units[::-1])
    if said.operators != ("*", "/") or said.operands[2] != "100" or rng.random() < 0.3:
        return said
    have, percent, _ = said.operands
    unit = said.units[0]
    exact = percent in ("25", "50", "75")  # floats hold these hundredths, so that the code says what is true
    if exact and rng.random() < 0.5:
        share = "0.5" if percent == "50" else f"0.{percent}"
        return replace(said, operands=(share, have), units=("", unit), operators=("*",))
    if exact and rng.random() < 0.5:
        return replace(said, operands=(percent, "100", have), units=("", "", unit), operators=("/", "*"))
    return replace(said, operands=(percent, have, "100"), units=("", unit, ""))


def simplified(said: Said) -> Said | None:
    """The calculation with its bracketed calculations worked out, or None if it has none."""
    if not any(operand.startswith("(") for operand in said.operands):
        return None
    worked_out = [literal(value_of(text), "") if text.startswith("(") else text for text in said.operands]
    operands = tuple(text for text in worked_out if text is not None)
    return replace(said, operands=operands) if len(operands) == len(said.operands) else None


@dataclass
class Writer:
    """Writes the steps of one solution in one style."""

    solver: Solver
    style: Style
    look: Look
    rng: random.Random

    def calculation(self, index: int, mistaken: bool) -> Part:
        calculation = self.solver.story.plan[index]
        wanted = self.solver.expected(index)
        said = rearranged(self.solver.say(index, mistaken), self.rng)
        expressions = [said]
        middle = simplified(said)
        if middle is not None and self.rng.random() < 0.5:
            expressions.append(middle)
        template = self.template(calculation, said)
        facts = without_then(self.solver.story.scenes[calculation.scene].told(said.changes))
        label = calculation.label
        text = template.format(
            facts=facts,
            fact=inside(facts.rstrip(".")),
            label=label,
            Label=sentence_case(label.removeprefix("the ")),
            e=" = ".join(shown_expression(one, self.look) for one in expressions),
            r=shown(said.result, self.look),
            u=self.quantity(said.result, calculation.unit),
            m=with_unit(said.result, calculation.unit, self.look, formula=True),
            s=self.quantity(said.again, calculation.unit),
        )
        stated = {"e": [one.expression for one in expressions], "s": [said.again]}
        stated |= {name: [said.result] for name in "rum"}
        chain = [one for name in fields_of(template) for one in stated.get(name, [])]
        self.solver.known[index] = said.again
        return Part(text, calculation_analysis(calculation, wanted), ((wanted, chain),), said.mistake)

    def template(self, calculation: Calculation, said: Said) -> str:
        facts = self.solver.story.scenes[calculation.scene].told()
        templates = (
            self.style.with_facts if calculation.opens and self.rng.random() < 0.5 else self.style.plain
        )
        fitting = [
            template
            for template in templates
            if ("{s}" in template if said.again != said.result else "{e}" in template or is_plain(said))
            and ("{fact}" not in template or ". " not in facts)
        ]
        if not fitting:
            fitting = ["{label} is {e} = {u}. So {label} is {s}."]
        return self.rng.choice(fitting)

    def quantity(self, text: str, unit: str) -> str:
        if unit == "$" and not self.look.dollars:
            return f"{shown(text, self.look)} dollars"
        return with_unit(text, unit, self.look, formula=False)

    def repetition(self, index: int, mistaken: bool) -> Part:
        calculation, before = self.solver.story.plan[index], self.solver.known[index]
        said = changed_number(before, calculation.unit, self.rng) if mistaken else before
        text = self.rng.choice(REPEATED).format(
            label=calculation.label, u=self.quantity(said, calculation.unit)
        )
        self.solver.known[index] = said
        mistake = "copied_wrongly" if mistaken else None
        return Part(text, calculation_analysis(calculation, before), ((before, [said]),), mistake)

    def answer(self, mistaken: bool) -> Part:
        solver, last = self.solver, self.solver.story.plan[-1]
        wanted = solver.wanted_answer()
        said = boxed = solver.own_answer()
        template = self.rng.choice(self.style.answers)
        mistake = None if value_of(said) == value_of(wanted) else "wrong_final_answer"
        if mistaken and mistake is None:
            others = [text for text in solver.numbers() if text != said]
            use_other = bool(others) and self.rng.random() < 0.4
            boxed = self.rng.choice(others) if use_other else changed_number(said, last.unit, self.rng)
            if "{r}" not in template or self.rng.random() < 0.5:
                said = boxed
            mistake = "wrong_final_answer"
        text = template.format(label=last.label, u=self.quantity(said, last.unit), r=shown(boxed, self.look))
        stated = [{"u": said, "r": boxed}[name] for name in fields_of(template) if name in "ur"]
        return Part(text, answer_analysis(wanted), ((wanted, stated),), mistake)

    def lead(self, at: int, count: int) -> str:
        if at == count - 1 and count > 2 and self.rng.random() < 0.3:
            return "Finally, "
        lead = self.rng.choice(self.style.leads)
        if at == 0 and lead in LEADS:
            lead = "First, "
        return lead.format(number=at + 1, ordinal=ORDINALS[min(at, len(ORDINALS) - 1)])

    def introduction(self, mistaken: bool) -> WorldStep:
        question, cast = self.solver.story.question, self.solver.story.cast
        right = question.key.format_map(cast)
        aim = question.aim.format_map(cast)
        key = right
        if mistaken:
            old, new = self.other_word(right)
            key, aim = (re.sub(rf"\b{re.escape(old)}\b", new, text) for text in (right, aim))
        text = self.rng.choice(AIMS).format(aim=aim)
        rationale = judged("The question must be the problem's.", f'v = "{right}"\nprint(v, v == "{key}")')
        return WorldStep(text, not mistaken, rationale, "wrong_inference" if mistaken else None)

    def other_word(self, key: str) -> tuple[str, str]:
        cast = self.solver.story.cast
        words = key.split(" ")
        named = [name for name in ("p", "f") if cast[name] in words]
        if named and self.rng.random() < 0.5:
            return cast[named[0]], cast["h"]
        old = next((word for word in words if word not in PRONOUNS), words[0])
        others = [*OTHER_KEYS, cast["j"], cast["cs"]]
        return old, self.rng.choice([word for word in others if word not in words])

    def givens(self, mistaken: bool) -> WorldStep:
        scenes = [scene for scene in self.solver.story.scenes if digit_fields(scene)]
        scenes = scenes[: self.rng.choice((1, 1, 2, 3))]
        wrong_scene = self.rng.randrange(len(scenes)) if mistaken else -1
        told, right, stated = [], [], []
        for at, scene in enumerate(scenes):
            names = digit_fields(scene)
            changes = {}
            if at == wrong_scene:
                name = self.rng.choice(names)
                changes = {name: changed_number(scene.fields[name], "$", self.rng)}
            told.append(scene.told(changes))
            right += [scene.fields[name] for name in names]
            stated += [changes.get(name, scene.fields[name]) for name in names]
        text = self.rng.choice(GIVENS).format(facts=" ".join(told))
        code = f"v = [{', '.join(right)}]\nprint(v, v == [{', '.join(stated)}])"
        mistake = "copied_wrongly" if mistaken else None
        return WorldStep(text, not mistaken, judged("The numbers must be the problem's.", code), mistake)


def is_plain(said: Said) -> bool:
    return said.mistake in (None, "slip")


def inside(text: str) -> str:
    """A sentence as it stands behind the first words of another."""
    first = text.split(" ")[0].rstrip(",").removesuffix("'s")
    return text if first in PRONOUNS else lower_start(text)


def without_then(sentence: str) -> str:
    return sentence_case(sentence.removeprefix("Then ").removeprefix("Later "))


def digit_fields(scene: Scene) -> list[str]:
    """The numbers of a scene in the order of its text, or none if one of them may be a word."""
    names = [name for name in fields_of(scene.template) if name in scene.numbers]
    return [] if {"k", "q"} & set(names) else names


@dataclass(frozen=True)
class Outline:
    """Which steps a solution has: what each does, and the calculations it does it to."""

    steps: tuple[tuple[str, tuple[int, ...]], ...]
    answered_in_last: bool
    skipped: frozenset[int]


def draw_outline(story: Story, skips: bool, rng: random.Random) -> Outline:
    count = len(story.plan)
    skipped = frozenset({rng.randrange(count)}) if skips and count > 1 else frozenset[int]()
    steps: list[tuple[str, tuple[int, ...]]] = [("introduction", ())] if rng.random() < 0.25 else []
    if rng.random() < 0.12 and any(digit_fields(scene) for scene in story.scenes):
        steps.append(("givens", ()))
    at = 0
    while at < count:
        follows = at + 1 < count and at + 1 not in skipped and at not in skipped
        used = follows and at in {operand.calculation for operand in story.plan[at + 1].operands}
        way = rng.random()
        if used and way < 0.1:
            steps.append(("calculations", (at + 1,)))
            at += 2
        elif follows and 0.1 < way < 0.25:
            steps.append(("calculations", (at, at + 1)))
            at += 2
        else:
            steps += [("calculations", (at,))] if at not in skipped else []
            at += 1
        if at < count and at - 1 not in skipped and rng.random() < 0.1:
            steps.append(("repetition", (at - 1,)))
    in_last = steps[-1][0] == "calculations" and rng.random() < 0.2
    if not in_last and (skipped or rng.random() < 0.85):
        steps.append(("answer", ()))
    return Outline(tuple(steps), in_last, skipped)


def solved(story: Story, name: str, rng: random.Random) -> list[WorldStep]:
    """A solution in a style, with planted mistakes."""
    for attempt in range(10):
        outline = draw_outline(story, skips=attempt < 9 and rng.random() < 0.06, rng=rng)
        kind_of = [kind for kind, _ in outline.steps]
        wrong: set[int] = set()
        if not outline.skipped and attempt < 9:
            first_weight = 0.5 if kind_of[0] in ("introduction", "givens") else 1.0
            wrong = {
                rng.randrange(len(outline.steps)) if kind_of[at] == "answer" and rng.random() < 0.5 else at
                for at in planted_steps(rng, len(outline.steps), first_weight)
            }
        solver = Solver(story, rng, skipped=outline.skipped)
        writer = Writer(solver, STYLES[name], draw_look(name, rng), rng)
        try:
            return written_steps(writer, outline, wrong)
        except Nonsense:
            continue
    raise AssertionError("a solution without mistakes can always be written")


def written_steps(writer: Writer, outline: Outline, wrong: set[int]) -> list[WorldStep]:
    steps: list[WorldStep] = []
    for at, (kind, indices) in enumerate(outline.steps):
        mistaken, last = at in wrong, at == len(outline.steps) - 1
        if kind == "introduction":
            steps.append(writer.introduction(mistaken))
        elif kind == "givens":
            steps.append(writer.givens(mistaken))
        elif kind == "repetition":
            steps.append(step_of([writer.repetition(indices[0], mistaken)]))
        elif kind == "answer":
            steps.append(step_of([writer.answer(mistaken)]))
        else:
            answered = last and outline.answered_in_last
            planted = writer.rng.randrange(len(indices) + answered) if mistaken else -1
            parts = [writer.calculation(index, piece == planted) for piece, index in enumerate(indices)]
            if answered:
                parts.append(writer.answer(planted == len(indices)))
            steps.append(step_of(parts, writer.lead(at, len(outline.steps))))
    return steps
