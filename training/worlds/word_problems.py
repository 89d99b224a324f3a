"""Grade-school word problems: a quantity that a short story changes, one calculation a step.

A story is a list of events; each event says its sentence in the problem, the calculation it calls for and
how a solver may put it. The rationale's code holds the calculation that the *problem* calls for and, beside
it, what the step says.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from .base import Example, Rationale, WorldStep, equality_rationale, planted_steps

__all__ = ["WordProblems"]

NAMES = (
    "Mia", "Tom", "Sara", "Omar", "Lena", "Ben", "Priya", "Jack", "Nora", "Luis", "Emma", "Noah", "Ava",
    "Liam", "Zoe", "Ivan", "Ruth", "Carl", "Dina", "Hugo", "Jane", "Mark", "Anna", "Paul", "James", "Kate",
    "Peter", "Amy",
)  # fmt: skip
ITEMS = (
    "apples", "marbles", "books", "stickers", "pencils", "cookies", "eggs", "flowers", "coins", "cards",
    "oranges", "balloons", "shells", "stamps", "cupcakes", "tickets", "toys", "buttons", "candles", "beads",
    "fish", "bananas",
)  # fmt: skip
CONTAINERS = ("bags", "boxes", "baskets", "shelves", "jars", "packs", "trays", "rows", "crates", "bins")
MULTIPLES = {
    2: ("twice", "2 times", "double"),
    3: ("three times", "3 times"),
    4: ("4 times", "four times"),
    5: ("5 times",),
}
PARTS = {2: ("half", "1/2"), 3: ("a third", "1/3"), 4: ("a quarter", "1/4"), 5: ("a fifth", "1/5")}
PERCENTS = (10, 20, 25, 50, 75)


@dataclass(frozen=True)
class Cast:
    """Who and what a story is about."""

    name: str
    friend: str
    items: str
    container: str


@dataclass(frozen=True)
class Calculation:
    """One calculation a story calls for.

    Attributes:
        sentence: What the problem says.
        left: The left operand.
        operator: One of ``+ - * /``, or ``%`` for "right percent of left".
        right: The right operand.
        reason: Why this is the calculation, for the analysis.
        claim: What the solver says it works out, without the numbers' result.
        unit: What the result counts.
        question: The question that this calculation must be asked with, if it ends the story.
    """

    sentence: str
    left: int
    operator: str
    right: int
    reason: str
    claim: str
    unit: str
    question: str | None = None

    @property
    def expression(self) -> str:
        return expression(self.left, self.operator, self.right)

    @property
    def result(self) -> int:
        return compute(self.left, self.operator, self.right)


def expression(left: int, operator: str, right: int) -> str:
    return f"{left} * {right} / 100" if operator == "%" else f"{left} {operator} {right}"


def compute(left: int, operator: str, right: int) -> int:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    return left * right // 100 if operator == "%" else left // right


Event = Callable[[Cast, int, random.Random], Calculation | None]


def gives(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    if have < 4:
        return None
    n = rng.randint(2, have - 1)
    verb, done = rng.choice(
        (
            ("gives", "giving"),
            ("loses", "losing"),
            ("sells", "selling"),
            ("uses", "using"),
            ("eats", "eating"),
        )
    )
    tail = f" to {cast.friend}" if verb == "gives" else ""
    sentence = rng.choice(
        ("{p} {v} {n} {i}{t}.", "Then {p} {v} {n} {i}{t}.", "Later {p} {v} {n} of them{t}.")
    )
    return Calculation(
        sentence.format(p=cast.name, v=verb, n=n, i=cast.items, t=tail),
        have, "-", n,
        f"{done.capitalize()} {n} leaves {have} - {n}.",
        rng.choice(
            (f"after {done} {n}, {cast.name} has",
             f"{cast.name} {verb} {n} {cast.items}{tail}",
             "there remain")
        ),
        cast.items,
    )  # fmt: skip


def gains(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    n = rng.randint(2, max(10, have))
    verb, done = rng.choice(
        (("buys", "buying"), ("finds", "finding"), ("gets", "getting"), ("makes", "making"))
    )
    sentence = rng.choice(
        ("{p} {v} {n} more {i}.", "Then {p} {v} {n} more.", "The next day {p} {v} another {n} {i}.")
    )
    return Calculation(
        sentence.format(p=cast.name, v=verb, n=n, i=cast.items),
        have, "+", n,
        f"{done.capitalize()} {n} more gives {have} + {n}.",
        rng.choice(
            (f"after {done} {n} more, {cast.name} has", f"{cast.name} {verb} {n} more", "now there are")
        ),
        cast.items,
    )  # fmt: skip


def multiplies(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    if have > 500:
        return None
    k = rng.choice((2, 2, 3, 4, 5))
    word = rng.choice(MULTIPLES[k])
    sentence = rng.choice(
        (f"A week later {cast.name} has {word} as many.",
         f"Then {cast.name} trades all of them for {word} as many {cast.items}.")
    )  # fmt: skip
    return Calculation(
        sentence, have, "*", k,
        f"{word.capitalize()} as many is {have} * {k}.",
        rng.choice((f"{cast.name} then has {word} as many", f"{word} as many is", f"{cast.name} now has")),
        cast.items,
    )  # fmt: skip


def compares(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    if have > 500:
        return None
    k = rng.choice((2, 2, 3, 4, 5))
    word = rng.choice(MULTIPLES[k])
    return Calculation(
        f"{cast.friend} has {word} as many {cast.items} as {cast.name} has now.",
        have, "*", k,
        f"{word.capitalize()} as many is {have} * {k}.",
        rng.choice((f"{cast.friend} has {word} as many", f"{cast.friend}'s number is", f"{cast.friend} has")),
        cast.items,
        f"How many {cast.items} does {cast.friend} have?",
    )  # fmt: skip


def takes_part(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    ks = [k for k in PARTS if have % k == 0 and have > k]
    if not ks:
        return None
    k = rng.choice(ks)
    word = rng.choice(PARTS[k])
    sentence = rng.choice(
        (f"{cast.name} keeps only {word} of the {cast.items} and gives the rest away.",
         f"{cast.name} keeps {word} of them and {cast.friend} takes the others.",
         f"All but {word} of the {cast.items} get lost.")
    )  # fmt: skip
    return Calculation(
        sentence, have, "/", k,
        f"{word.capitalize()} of {have} is {have} / {k}.",
        rng.choice((f"{word} of {have} is", f"{word} of the {cast.items} is", "that part is")),
        cast.items,
    )  # fmt: skip


def takes_percent(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    ps = [p for p in PERCENTS if have * p % 100 == 0]
    if not ps:
        return None
    p = rng.choice(ps)
    sentence = rng.choice(
        (f"{cast.name} keeps {p}% of the {cast.items} and sells the rest.",
         f"Only {p}% of them remain after a month.")
    )  # fmt: skip
    return Calculation(
        sentence, have, "%", p,
        f"{p}% of {have} is {have} * {p} / 100.",
        rng.choice((f"{p}% of {have} is", f"{p}% of the {cast.items} is")),
        cast.items,
    )  # fmt: skip


def shares(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    ks = [k for k in range(2, 13) if have % k == 0 and have > k]
    if not ks:
        return None
    k = rng.choice(ks)
    sentence = rng.choice(
        (f"All {cast.items} are shared equally among {k} friends.",
         f"{cast.name} packs the {cast.items} evenly into {k} {cast.container}.")
    )  # fmt: skip
    return Calculation(
        sentence, have, "/", k,
        f"Sharing {have} equally by {k} is {have} / {k}.",
        rng.choice(("each one gets", "each share is", f"dividing by {k} gives")),
        cast.items,
        f"How many {cast.items} is one share?",
    )  # fmt: skip


def priced(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    if have > 900:
        return None
    p = rng.randint(2, 15)
    sentence = rng.choice((f"Each of them costs ${p}.", f"The {cast.items} sell for ${p} each."))
    return Calculation(
        sentence, have, "*", p,
        f"{have} at ${p} each is {have} * {p}.",
        rng.choice((f"at ${p} each, the total is", "the total cost is", f"{have} {cast.items} bring")),
        "dollars",
        rng.choice(("How many dollars is that in total?", "What is the total in dollars?")),
    )  # fmt: skip


def together(cast: Cast, have: int, rng: random.Random) -> Calculation | None:
    n = rng.randint(2, 60)
    sentence = f"{cast.friend} comes with {n} more {cast.items} and they put all together."
    return Calculation(
        sentence, have, "+", n,
        f"Together they have {have} + {n}.",
        rng.choice(("together they have", "in total there are", "altogether that makes")),
        cast.items,
    )  # fmt: skip


MIDDLE: tuple[Event, ...] = (gives, gives, gains, gains, together, takes_part, takes_percent, multiplies)
LAST: tuple[Event, ...] = (*MIDDLE, shares, shares, priced, priced, compares)


def opening(cast: Cast, rng: random.Random) -> tuple[str, Calculation | None, int]:
    """The first sentence, the calculation it calls for if any, and the quantity the story starts with."""
    if rng.random() < 0.4:
        have = rng.choice((rng.randint(5, 60), rng.randint(2, 30) * 10, rng.randint(60, 400)))
        sentence = rng.choice(
            ("{p} has {n} {i}.", "{p} starts with {n} {i}.", "There are {n} {i} in {p}'s room.")
        )
        return sentence.format(p=cast.name, n=have, i=cast.items), None, have
    if rng.random() < 0.7:
        a, b = rng.randint(2, 20), rng.randint(2, 20)
        sentence = rng.choice(
            (f"{cast.name} has {a} {cast.container} with {b} {cast.items} in each.",
             f"There are {a} {cast.container} of {b} {cast.items} each.")
        )  # fmt: skip
        made = Calculation(
            sentence, a, "*", b,
            f"{a} {cast.container} of {b} is {a} * {b}.",
            rng.choice((f"{cast.name} starts with", f"the {cast.container} hold", "at first there are")),
            cast.items,
        )  # fmt: skip
        return sentence, made, made.result
    a, b = rng.randint(3, 90), rng.randint(3, 90)
    sentence = f"{cast.name} has {a} {cast.items} at home and {b} at school."
    made = Calculation(
        sentence, a, "+", b,
        f"At home and at school is {a} + {b}.",
        rng.choice((f"{cast.name} has in total", f"in all {cast.name} has", "the total is")),
        cast.items,
    )  # fmt: skip
    return sentence, made, made.result


def changed_number(value: int, rng: random.Random) -> int:
    digits = list(str(value))
    digits[rng.randrange(len(digits))] = str(rng.randint(1, 9))
    other = rng.choice(
        (value + 1, value - 1, value + 10, max(1, value - 10), int("".join(digits)), value * 2)
    )
    return other if other != value and other > 0 else value + 2


@dataclass(frozen=True)
class Said:
    """What a step says: its calculation, its result, the result said once more, and the planted mistake."""

    expression: str
    result: int
    again: int
    mistake: str | None


def say(calculation: Calculation, mistaken: bool, rng: random.Random) -> Said:
    left, operator, right = calculation.left, calculation.operator, calculation.right
    right_value = calculation.result
    if not mistaken:
        return Said(calculation.expression, right_value, right_value, None)
    kind = rng.choices(("slip", "wrong_operand", "wrong_operation", "copied_wrongly"), (4, 3, 3, 1))[0]
    if kind == "wrong_operand":
        for _ in range(8):
            l2, r2 = (
                (left, changed_number(right, rng))
                if rng.random() < 0.7
                else (changed_number(left, rng), right)
            )
            exact = operator not in "/%" or (l2 % r2 == 0 if operator == "/" else l2 * r2 % 100 == 0)
            value = compute(l2, operator, r2)
            if exact and value != right_value and value > 0:
                return Said(expression(l2, operator, r2), value, value, kind)
    if kind == "wrong_operation":
        others = [o for o in "+-*/" if o != operator and (o != "/" or left % right == 0)]
        other = rng.choice(others)
        value = compute(left, other, right)
        if value != right_value and 0 < value < 20 * right_value + 100:
            return Said(expression(left, other, right), value, value, kind)
    wrong = changed_number(right_value, rng)
    if kind == "copied_wrongly":
        return Said(calculation.expression, right_value, wrong, kind)
    return Said(calculation.expression, wrong, wrong, "slip")


LEADS = ("", "", "First, ", "Next, ", "Then, ", "So ", "Now ", "After that, ", "Step {t}: ")
CLAIMS = (
    "{lead}{claim} {e} = {r} {u}.",
    "{lead}{claim}: {e} = {r}.",
    "{lead}{claim}: {e} = {r} {u}.",
    "{lead}{claim}. {e} = {r}",
    "{lead}{claim} \\( {e} = {r} \\) {u}.",
    "{lead}{claim}: \\[ {e} = {r} \\]",
    "{e} = {r}",
    "{lead}we calculate {e} = {r} {u}.",
)
TWICE = (
    "{lead}{claim}: {e} = {r}. So that is {s} {u}.",
    "{lead}{claim} {e} = {r} {u}. This makes {s} {u}.",
    "{lead}{claim}: \\[ {e} = {r} \\] That is {s} {u}.",
)
BARE = ("{lead}{claim} {r} {u}.", "{lead}that makes {r} {u}.")
ANSWERS = (
    "The answer is {r}.",
    "So the answer is {r}",
    "Therefore, the answer is \\boxed{{{r}}}.",
    "So the final answer is {r} {u}.",
    "Therefore, there are {r} {u}. The answer is {r}.",
    "The answer is: $\\boxed{{{r}}}$",
)
INTROS = (
    "Let's solve this step by step.",
    "To find the answer, we follow the story of the {i}.",
    "We need to find out how many {i} there are at the end.",
    "Let's break the problem down.",
)


def shown_number(value: int, rng: random.Random) -> str:
    return f"{value:,}" if value >= 1000 and rng.random() < 0.5 else str(value)


def shown_expression(text: str, rng: random.Random) -> str:
    times = rng.choice(("*", "*", "x", "×", "\\times"))
    divided = rng.choice(("/", "/", "÷", "\\div"))
    return text.replace("*", times).replace("/", divided)


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def calculation_step(calculation: Calculation, said: Said, index: int, rng: random.Random) -> WorldStep:
    templates: tuple[str, ...] = TWICE if said.mistake == "copied_wrongly" or rng.random() < 0.2 else CLAIMS
    chain = [said.expression, str(said.result)]
    if templates is CLAIMS and rng.random() < 0.08:
        templates = BARE
        chain = [str(said.result)]
    elif templates is TWICE:
        chain.append(str(said.again))
    text = rng.choice(templates).format(
        lead=rng.choice(LEADS).format(t=index + 1),
        claim=calculation.claim,
        e=shown_expression(said.expression, rng),
        r=shown_number(said.result, rng),
        s=shown_number(said.again, rng),
        u=calculation.unit,
    )
    rationale = equality_rationale(calculation.reason, [(calculation.expression, chain)])
    return WorldStep(sentence_case(text), said.mistake is None, rationale, said.mistake)


def both_in_one(first: WorldStep, second: WorldStep) -> WorldStep:
    """Two calculations in one step, right only if both are."""
    one, two = first.rationale, second.rationale
    false = next((rationale for rationale in (one, two) if "False" in rationale.output), one)
    rationale = Rationale(
        f"{one.analysis} {two.analysis}",
        f"{one.code}\n{two.code}",
        f"{one.output}\n{two.output}",
        false.conclusion,
    )
    text = (
        f"{first.text} {second.text}" if first.text.endswith((".", "]")) else f"{first.text}. {second.text}"
    )
    return WorldStep(text, first.correct and second.correct, rationale, first.mistake or second.mistake)


def answer_step(have: int, unit: str, mistaken: bool, rng: random.Random) -> WorldStep:
    answer = changed_number(have, rng) if mistaken else have
    template = rng.choice(ANSWERS)
    text = template.format(r=answer, u=unit)
    chain = [str(answer)] * template.count("{r}")
    rationale = equality_rationale(
        f"The value before is {have}. The answer must equal it.", [(str(have), chain)]
    )
    return WorldStep(text, not mistaken, rationale, "wrong_final_answer" if mistaken else None)


def introduction(cast: Cast, rng: random.Random) -> WorldStep:
    rationale = Rationale(
        "The paragraph states no value.",
        "claims = []\nprint(claims, all(claims))",
        "[] True",
        "The code prints True.",
    )
    return WorldStep(rng.choice(INTROS).format(i=cast.items), True, rationale)


QUESTIONS = (
    "How many {i} are there in the end?",
    "How many {i} does {p} have now?",
    "What is the number of {i} at the end?",
    "How many {i} does that make?",
)


class WordProblems:
    """Short stories about quantities, one to five calculations each."""

    name = "word_problems"

    def example(self, rng: random.Random) -> Example:
        """Draw one story and a solution that follows it event by event."""
        name, friend = rng.sample(NAMES, 2)
        cast = Cast(name, friend, rng.choice(ITEMS), rng.choice(CONTAINERS))
        sentence, first, have = opening(cast, rng)
        sentences = [sentence]
        count = rng.choice((1, 2, 2, 3, 3, 4))
        wrong_steps = planted_steps(rng, count + (first is not None) + 1)
        steps = [introduction(cast, rng)] if rng.random() < 0.12 else []
        skipped = len(steps)
        unit, question = cast.items, rng.choice(QUESTIONS).format(i=cast.items, p=name)
        if first is not None:
            said = say(first, 0 in wrong_steps, rng)
            steps.append(calculation_step(first, said, len(steps), rng))
            have = said.again
        for index in range(count):
            calculation = self._next(cast, have, index + 1 == count, rng)
            sentences.append(calculation.sentence)
            said = say(calculation, len(steps) - skipped in wrong_steps, rng)
            step = calculation_step(calculation, said, len(steps), rng)
            if len(steps) > skipped and rng.random() < 0.15:
                steps[-1] = both_in_one(steps[-1], step)
            else:
                steps.append(step)
            have, unit = said.again, calculation.unit
            question = calculation.question or question
        if rng.random() < 0.8:
            steps.append(answer_step(have, unit, len(steps) - skipped in wrong_steps, rng))
        return Example(self.name, " ".join([*sentences, question]), tuple(steps))

    def _next(self, cast: Cast, have: int, last: bool, rng: random.Random) -> Calculation:
        while True:
            calculation = rng.choice(LAST if last else MIDDLE)(cast, have, rng)
            if calculation is not None and 0 < calculation.result < max(20_000, 2 * have):
                return calculation
