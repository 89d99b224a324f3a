"""Multistep arithmetic: nested integer expressions, evaluated in chains of equalities.

Solutions name sub-expressions by letters and work them out one a step, rewrite the whole expression step
by step, or (a solver's) carry out one operation a step. A chain is produced by a rewriting engine (group,
evaluate, drop brackets, simplify signs); a mistake is a rewriting that changes the value. So a step is
correct if everything it calls equal is equal, be it by chance: the code compares values, not forms.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .base import Example, Exercise, World, WorldStep, equality_rationale, numbered, planted_steps

__all__ = ["Arithmetic"]

OPERATORS = ("+", "-", "*")

EXERCISE_SIZES = (2, 3, 3, 4, 4, 5)
LARGEST_OPERANDS = (5, 9, 9, 9, 20)
LARGEST_RESULT = 999
"""What a solver gets: numbers of operands, the operands' bounds, and the bound of every result on the way."""

PATIENCE = 1000
"""Tries at one wrong change before two are made: no single one alters the value of ``(0 * 0)``."""


@dataclass(frozen=True)
class Number:
    """An integer; ``bracketed`` when it is written as ``(-5)``."""

    value: int
    bracketed: bool = False


@dataclass(frozen=True)
class Run:
    """Operands joined by operators on one level; ``bracketed`` when brackets stand around it."""

    items: tuple[Node, ...]
    operators: tuple[str, ...]
    bracketed: bool = True


@dataclass(frozen=True)
class Letter:
    """The name of a part, e.g. ``A``."""

    name: str


Node = Number | Run | Letter


def render(node: Node) -> str:
    if isinstance(node, Letter):
        return node.name
    if isinstance(node, Number):
        return f"({node.value})" if node.bracketed else str(node.value)
    parts = [render(node.items[0])]
    for operator, item in zip(node.operators, node.items[1:], strict=True):
        parts += [operator, render(item)]
    text = " ".join(parts)
    return f"({text})" if node.bracketed else text


def evaluate(node: Node) -> int:
    if isinstance(node, Letter):
        raise TypeError(f"{node.name} has no value of its own")
    if isinstance(node, Number):
        return node.value
    terms = [evaluate(node.items[0])]
    signs = [1]
    for operator, item in zip(node.operators, node.items[1:], strict=True):
        value = evaluate(item)
        if operator == "*":
            terms[-1] *= value
        else:
            terms.append(value)
            signs.append(1 if operator == "+" else -1)
    return sum(sign * term for sign, term in zip(signs, terms, strict=True))


def apply(operator: str, left: int, right: int) -> int:
    return left + right if operator == "+" else left - right if operator == "-" else left * right


def splice(run: Run, at: int, node: Node) -> Node:
    """Replace operands ``at`` and ``at + 1`` by one node."""
    items = (*run.items[:at], node, *run.items[at + 2 :])
    operators = (*run.operators[:at], *run.operators[at + 1 :])
    if len(items) == 1:
        only = items[0]
        return replace(only, bracketed=run.bracketed) if isinstance(only, Number) else only
    return Run(items, operators, run.bracketed)


def may_evaluate_first(run: Run, at: int) -> bool:
    """Whether operator ``at`` may be evaluated before its neighbours without changing the value."""
    before = run.operators[at - 1] if at else None
    after = run.operators[at + 1] if at + 1 < len(run.operators) else None
    if run.operators[at] == "*":
        return True
    return after != "*" and before in (None, "+")


def number_pairs(run: Run) -> list[int]:
    return [
        at
        for at in range(len(run.operators))
        if isinstance(run.items[at], Number) and isinstance(run.items[at + 1], Number)
    ]


def written(value: int, rng: random.Random) -> Number:
    return Number(value, bracketed=rng.random() < (0.5 if value < 0 else 0.15))


Rewriting = Callable[[Run, random.Random], Node | None]


def evaluate_one(run: Run, rng: random.Random) -> Node | None:
    places = [at for at in number_pairs(run) if may_evaluate_first(run, at)]
    if not places:
        return None
    products = [at for at in places if run.operators[at] == "*"]
    at = rng.choice(products) if products and rng.random() < 0.75 else places[0]
    left, right = run.items[at], run.items[at + 1]
    return splice(run, at, written(apply(run.operators[at], evaluate(left), evaluate(right)), rng))


def group_one(run: Run, rng: random.Random) -> Node | None:
    places = [at for at in number_pairs(run) if may_evaluate_first(run, at)]
    if not places or len(run.items) < 3:
        return None
    at = rng.choice(places)
    pair = Run(run.items[at : at + 2], (run.operators[at],), bracketed=True)
    return splice(run, at, pair)


def drop_brackets(run: Run, rng: random.Random) -> Node | None:
    places = [i for i, item in enumerate(run.items) if isinstance(item, Number) and item.bracketed]
    if not places:
        return None
    chosen = set(places) if rng.random() < 0.5 else {rng.choice(places)}
    items = tuple(
        replace(item, bracketed=False) if i in chosen and isinstance(item, Number) else item
        for i, item in enumerate(run.items)
    )
    return replace(run, items=items)


def simplify_sign(run: Run, rng: random.Random) -> Node | None:
    places = []
    for at, operator in enumerate(run.operators):
        item = run.items[at + 1]
        if operator in "+-" and isinstance(item, Number) and item.value < 0:
            places.append(at)
    if not places:
        return None
    chosen = set(places) if rng.random() < 0.5 else {rng.choice(places)}
    return flip_signs(run, chosen)


def flip_signs(run: Run, places: set[int]) -> Run:
    operators, items = list(run.operators), list(run.items)
    for at in places:
        operators[at] = "-" if operators[at] == "+" else "+"
        items[at + 1] = Number(-evaluate(items[at + 1]))
    return Run(tuple(items), tuple(operators), run.bracketed)


def evaluate_products(run: Run, rng: random.Random) -> Node | None:
    node: Node = run
    changed = False
    while isinstance(node, Run):
        places = [at for at in number_pairs(node) if node.operators[at] == "*"]
        if not places:
            break
        at = places[0]
        value = evaluate(node.items[at]) * evaluate(node.items[at + 1])
        node = splice(node, at, written(value, rng))
        changed = True
    return node if changed else None


SOUND: tuple[Rewriting, ...] = (
    evaluate_one,
    evaluate_one,
    group_one,
    drop_brackets,
    simplify_sign,
    evaluate_products,
)


def slip_of(value: int, rng: random.Random) -> int:
    """A wrong value that looks like a slip: a sign, a neighbour, a tens error, a changed or swapped digit."""
    digits = str(abs(value))
    sign = -1 if value < 0 else 1
    at = rng.randrange(len(digits))
    changed = digits[:at] + str(rng.randint(1, 9)) + digits[at + 1 :]
    options = [
        -value,
        -value,
        value + rng.choice((-2, -1, 1, 2)),
        value + rng.choice((-10, 10, -9, 9, 100, -100)),
        value + rng.randint(-20, 20),
        sign * int(changed),
        sign * int(digits[::-1]),
    ]
    return rng.choice(options)


def wrong_slip(run: Run, rng: random.Random) -> Node | None:
    places = number_pairs(run)
    if not places:
        return None
    at = rng.choice(places)
    right = apply(run.operators[at], evaluate(run.items[at]), evaluate(run.items[at + 1]))
    return splice(run, at, written(slip_of(right, rng), rng))


def wrong_operation(run: Run, rng: random.Random) -> Node | None:
    places = number_pairs(run)
    if not places:
        return None
    at = rng.choice(places)
    other = rng.choice([operator for operator in OPERATORS if operator != run.operators[at]])
    return splice(run, at, written(apply(other, evaluate(run.items[at]), evaluate(run.items[at + 1])), rng))


def wrong_order(run: Run, rng: random.Random) -> Node | None:
    places = [at for at in number_pairs(run) if not may_evaluate_first(run, at)]
    if not places:
        return None
    at = rng.choice(places)
    if rng.random() < 0.4:
        return splice(run, at, Run(run.items[at : at + 2], (run.operators[at],), bracketed=True))
    value = apply(run.operators[at], evaluate(run.items[at]), evaluate(run.items[at + 1]))
    return splice(run, at, written(value, rng))


def wrong_sign(run: Run, rng: random.Random) -> Node | None:
    places = [at for at, operator in enumerate(run.operators) if operator in "+-"]
    numbers = [at for at in places if isinstance(run.items[at + 1], Number)]
    if not numbers:
        return None
    at = rng.choice(numbers)
    item = run.items[at + 1]
    if rng.random() < 0.5:
        operators = list(run.operators)
        operators[at] = "-" if operators[at] == "+" else "+"
        items = list(run.items)
        if rng.random() < 0.5:
            items[at + 1] = Number(abs(evaluate(item)))
        return Run(tuple(items), tuple(operators), run.bracketed)
    items = list(run.items)
    items[at + 1] = Number(-evaluate(item))
    return replace(run, items=tuple(items))


def wrong_operand(run: Run, rng: random.Random) -> Node | None:
    numbers = [i for i, item in enumerate(run.items) if isinstance(item, Number)]
    if not numbers:
        return None
    at = rng.choice(numbers)
    items = list(run.items)
    items[at] = Number(slip_of(evaluate(items[at]), rng))
    return replace(run, items=tuple(items))


def dropped(run: Run, rng: random.Random) -> Node | None:
    if len(run.items) < 3:
        return None
    at = rng.randrange(1, len(run.items))
    return Run(
        (*run.items[:at], *run.items[at + 1 :]),
        (*run.operators[: at - 1], *run.operators[at:]),
        run.bracketed,
    )


def doubled(run: Run, rng: random.Random) -> Node | None:
    at = rng.randrange(1, len(run.items))
    return Run(
        (*run.items[: at + 1], *run.items[at:]),
        (*run.operators[:at], *run.operators[at - 1 :]),
        run.bracketed,
    )


MISTAKES: dict[str, tuple[Rewriting, int]] = {
    "slip": (wrong_slip, 5),
    "wrong_operation": (wrong_operation, 2),
    "wrong_inference": (wrong_order, 3),
    "sign": (wrong_sign, 3),
    "wrong_operand": (wrong_operand, 2),
    "dropped": (dropped, 1),
    "doubled": (doubled, 1),
}


def somewhere(node: Run, rewriting: Rewriting, rng: random.Random) -> Node | None:
    """Apply a rewriting at a random level of the tree, inner levels first more often than not."""
    nested = [i for i, item in enumerate(node.items) if isinstance(item, Run)]
    rng.shuffle(nested)
    if nested and rng.random() < 0.85:
        for at in nested:
            inner = node.items[at]
            if not isinstance(inner, Run):
                continue
            changed = somewhere(inner, rewriting, rng)
            if changed is not None:
                items = list(node.items)
                items[at] = changed
                return replace(node, items=tuple(items))
    return rewriting(node, rng)


def sound_move(node: Run, rng: random.Random) -> Node | None:
    for _ in range(6):
        moved: Node | None = node
        for _ in range(1 if rng.random() < 0.6 else 2):
            changed = somewhere(moved, rng.choice(SOUND), rng) if isinstance(moved, Run) else moved
            moved = changed if changed is not None else moved
        if moved is not None and render(moved) != render(node):
            return moved
    return None


def wrong_move(node: Run, rng: random.Random) -> tuple[Node, str]:
    kinds = list(MISTAKES)
    weights = [MISTAKES[kind][1] for kind in kinds]
    for _ in range(20):
        kind = rng.choices(kinds, weights)[0]
        changed = somewhere(node, MISTAKES[kind][0], rng)
        if changed is not None and evaluate(changed) != evaluate(node):
            return changed, kind
    return Number(evaluate(node) + rng.choice((-1, 1, 10))), "slip"


@dataclass(frozen=True)
class Chain:
    """An expression worked out in equalities: every part as text, the value claimed, the mistake if any."""

    parts: tuple[str, ...]
    value: int
    mistake: str | None


def work_out(node: Run, rng: random.Random, mistaken: bool) -> Chain:
    """Rewrite an expression until it is a number, with exactly one wrong link if ``mistaken``."""
    parts = [node]
    patience = rng.choice((0, 1, 1, 2, 2, 3, 3, 4))
    states: list[Node] = list(parts)
    while len(states) <= patience:
        last = states[-1]
        if not isinstance(last, Run):
            break
        moved = sound_move(last, rng)
        if moved is None:
            break
        states.append(moved)
    mistake = None
    if mistaken:
        at = rng.randrange(len(states))
        state = states[at]
        if isinstance(state, Run) and rng.random() < 0.75:
            wrong, mistake = wrong_move(state, rng)
            states = [*states[: at + 1], wrong]
            while isinstance(states[-1], Run) and rng.random() < 0.5:
                moved = sound_move(states[-1], rng)
                if moved is None:
                    break
                states.append(moved)
    right = evaluate(node)
    value = evaluate(states[-1])
    if mistaken and mistake is None:
        value, mistake = right, "slip"
        while value == right:
            value = slip_of(right, rng)
    elif mistaken and rng.random() < 0.1:
        value = right
    if isinstance(states[-1], Run) or evaluate(states[-1]) != value:
        states.append(Number(value, bracketed=rng.random() < 0.35))
    texts = [render(state) for state in states]
    if len(texts) > 2 and rng.random() < 0.15:
        texts.insert(1, texts[0])
    return Chain(tuple(texts), value, mistake)


def random_run(rng: random.Random, length: int, largest: int) -> Run:
    items = tuple(Number(rng.randint(-largest, largest)) for _ in range(length))
    return Run(items, tuple(rng.choice(OPERATORS) for _ in range(length - 1)))


def joined_by_chance(rng: random.Random, left: Node, right: Node) -> Run:
    return Run((left, right), (rng.choice(OPERATORS),))


def random_problem(rng: random.Random) -> tuple[Run, str]:
    """An expression and the way its solver will cut it: ``halves``, ``quarters`` or ``three``."""
    largest = rng.choices((9, 20, 99), (88, 8, 4))[0]
    shape = rng.random()
    if shape < 0.35:
        left, right = (random_run(rng, rng.choice((2, 3, 4, 4)), largest) for _ in range(2))
        return joined_by_chance(rng, left, right), "halves"

    def of_pairs(length: int) -> Run:
        other = rng.choice((length, length, 2, length))
        return joined_by_chance(rng, random_run(rng, length, largest), random_run(rng, other, largest))

    if shape < 0.85:
        leaf = rng.choice((2, 3, 3, 4, 4))
        problem = joined_by_chance(rng, of_pairs(leaf), of_pairs(leaf))
        return problem, rng.choices(("quarters", "halves", "three"), (8, 2, 1))[0]
    left, right = (joined_by_chance(rng, of_pairs(2), of_pairs(2)) for _ in range(2))
    return joined_by_chance(rng, left, right), rng.choice(("quarters", "halves", "three"))


@dataclass(frozen=True)
class Parts:
    """A problem cut into named parts and the form that joins them again."""

    definitions: dict[str, Run]
    form: Run


def as_run(node: Node) -> Run:
    if not isinstance(node, Run):
        raise TypeError("a problem's halves are expressions, not numbers")
    return node


def flattened(form: Run) -> Run:
    """The form without its inner brackets, whether or not that is the same value."""
    items: list[Node] = []
    operators: list[str] = []
    for at, item in enumerate(form.items):
        if at:
            operators.append(form.operators[at - 1])
        if isinstance(item, Run):
            items += item.items
            operators += item.operators
        else:
            items.append(item)
    return Run(tuple(items), tuple(operators), bracketed=False)


def filled(form: Node, values: dict[str, int], rng: random.Random) -> Node:
    """The form with numbers in place of letters, written as a solver would."""
    if isinstance(form, Letter):
        return written(values[form.name], rng)
    if isinstance(form, Run):
        return replace(form, items=tuple(filled(item, values, rng) for item in form.items))
    return form


def cut(problem: Run, way: str, rng: random.Random) -> Parts:
    left, right = (as_run(item) for item in problem.items)
    names = "ABCD" if rng.random() < 0.85 else rng.choice(("PQRS", "WXYZ", "abcd", "EFGH"))
    letter = [Letter(name) for name in names]
    top = problem.operators
    if way == "halves":
        nodes: list[Node] = [left, right]
        form = Run((letter[0], letter[1]), top, bracketed=rng.random() < 0.6)
    elif way == "quarters":
        nodes = [*left.items, *right.items]
        inner = (Run(tuple(letter[:2]), left.operators), Run(tuple(letter[2:]), right.operators))
        form = Run(inner, top, bracketed=False)
    elif rng.random() < 0.5:
        nodes = [*left.items, right]
        form = Run((Run(tuple(letter[:2]), left.operators), letter[2]), top, bracketed=False)
    else:
        nodes = [left, *right.items]
        form = Run((letter[0], Run(tuple(letter[1:3]), right.operators)), top, bracketed=False)
    definitions = {name: as_run(node) for name, node in zip(names, nodes, strict=False)}
    values = {name: evaluate(node) for name, node in definitions.items()}
    flat = flattened(form)
    if rng.random() < 0.4 and evaluate(filled(flat, values, rng)) == evaluate(problem):
        form = flat
    return Parts(definitions, form)


def cut_wrongly(problem: Run, parts: Parts, rng: random.Random) -> tuple[Parts, str] | None:
    """The same parts with one copied wrongly, or joined wrongly; None if no such change alters the value."""
    values = {name: evaluate(node) for name, node in parts.definitions.items()}
    for _ in range(10):
        if rng.random() < 0.6:
            name = rng.choice(list(parts.definitions))
            copy, _ = miscopied(parts.definitions[name], rng)
            wrong = Parts({**parts.definitions, name: copy}, parts.form)
            kind = "copied_wrongly"
        else:
            form = flattened(parts.form)
            if form == parts.form or rng.random() < 0.5:
                operators = list(form.operators)
                operators[rng.randrange(len(operators))] = rng.choice(OPERATORS)
                form = replace(parts.form, operators=tuple(operators[: len(parts.form.operators)]))
            wrong, kind = Parts(parts.definitions, form), "wrong_inference"
        values = {name: evaluate(node) for name, node in wrong.definitions.items()}
        if evaluate(filled(wrong.form, values, rng)) != evaluate(problem):
            return wrong, kind
    return None


def miscopied(node: Run, rng: random.Random) -> tuple[Run, str]:
    """An expression of another value that differs in one place, or in more where one is not enough."""
    copy = node
    attempt = 0
    while True:
        attempt += 1
        rewriting = rng.choice((wrong_operand, wrong_operand, dropped, doubled, wrong_sign))
        changed = somewhere(copy, rewriting, rng)
        if isinstance(changed, Run) and evaluate(changed) != evaluate(node):
            return changed, "copied_wrongly"
        if attempt % PATIENCE == 0 and isinstance(changed, Run):
            copy = changed


def joined(items: list[str], rng: random.Random) -> str:
    style = rng.random()
    if style < 0.4:
        return " and ".join(items)
    if style < 0.8:
        return ", ".join(items[:-1]) + (", and " if len(items) > 2 else " and ") + items[-1]
    return ", ".join(items)


def misbracketed(text: str, rng: random.Random) -> str:
    """Lose or add a bracket at an end, where ``balanced`` repairs it."""
    options = [f"({text}", f"{text})"]
    options += [text[1:]] if text.startswith("(") else []
    options += [text[:-1]] if text.endswith(")") else []
    return rng.choice(options)


def unbalanced(text: str, rng: random.Random) -> str:
    """Lose or add an outer bracket, as solvers do; the rationale's code repairs it."""
    return misbracketed(text, rng) if text.startswith("(") and text.endswith(")") else text


def chain_text(parts: list[str], rng: random.Random) -> str:
    """Expressions joined by equals signs; now and then one lacks a bracket."""
    shown = [unbalanced(part, rng) if rng.random() < 0.01 else part for part in parts]
    return " = ".join(shown)


@dataclass(frozen=True)
class Wording:
    """How a style puts things; each time one of the templates is drawn."""

    problems: tuple[str, ...]
    splits: tuple[str, ...]
    parts: tuple[str, ...]
    finals: tuple[str, ...]


VARIED = Wording(
    problems=(
        "{e} =",
        "{e} =",
        "{e} =",
        "{e} =",
        "What is {e}?",
        "Calculate {e}.",
        "Evaluate {e}.",
        "Compute the value of {e}.",
        "Work out {e}",
    ),
    splits=(
        'This equation can be written as "{form}", where {defs}.',
        "We can write this as {form}, where {defs}.",
        'Let us write the expression as "{form}" with {defs}.',
        "Split it into parts: {form}, where {defs}.",
        "Rewrite the expression as {form} where {defs}.",
    ),
    parts=(
        "Let's calculate {l} = {chain}.",
        "First, {l} = {chain}.",
        "Next, {l} = {chain}.",
        "Now compute {l} = {chain}.",
        "{l} = {chain}.",
        "{l} = {chain}",
        "For {l}: {chain}.",
    ),
    finals=(
        "Then, the final equation is {form} = {chain}. So the answer is {answer}",
        "Finally, {form} = {chain}. The answer is {answer}.",
        "Putting it together: {form} = {chain}. The final answer is {answer}.",
        "So {form} = {chain}. Answer: {answer}",
        "{form} = {chain}. So the answer is {answer}.",
    ),
)
BY_PARTS = {
    "parts": Wording(VARIED.problems[:1], VARIED.splits[:1], VARIED.parts[:1], VARIED.finals[:1]),
    "varied": VARIED,
    "substituted": Wording(
        problems=("Find the value of {e}.", "Simplify: {e}"),
        splits=("Substituting {defs} turns it into {form}.", "With {defs} the task becomes {form}."),
        parts=("The value of {l} is {chain}.", "Working on {l} gives {chain}."),
        finals=("Putting the values back in, {form} = {chain}, hence the result is {answer}.",),
    ),
}
REWRITES = ("{a} = {b}", "This is {a} = {b}.", "Simplify: {a} = {b}.", "Next, {a} = {b}.", "So {a} = {b}.")

SOLVER_PROBLEM = "{e} ="
SOLVER_STEP = re.compile(
    r"Step \d+: (?P<equation>[^.]+)\. (?:Now (?P<after>[^.]+)|The answer is \\boxed\{(?P<answer>-?\d+)\})\."
)
READABLE = re.compile(r"(?:[-+*() ]|\d{1,6}(?!\d)){1,120}")
SYNTAX = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.USub)

Place = tuple[int, ...]
"""Where an operation stands: the items that lead to its level, then the operator."""


@dataclass(frozen=True)
class Move:
    """A solver's step: an operation, the result it states, and the expression it says is left."""

    operation: Run
    result: int
    after: Node


def exercise_problem(rng: random.Random) -> Run:
    while True:
        size, largest = rng.choice(EXERCISE_SIZES), rng.choice(LARGEST_OPERANDS)
        problem = replace(grouped_by_chance(rng, size, largest), bracketed=False)
        if all(abs(move.result) <= LARGEST_RESULT for move in right_moves(problem)):
            return problem


def grouped_by_chance(rng: random.Random, size: int, largest: int) -> Run:
    """An expression of so many operands, flat or with groups in brackets."""
    if size == 2 or rng.random() < 0.3:
        return random_run(rng, size, largest)
    groups = [1] * rng.randint(2, size - 1)
    for _ in range(size - len(groups)):
        groups[rng.randrange(len(groups))] += 1
    items = [
        grouped_by_chance(rng, group, largest) if group > 1 else Number(rng.randint(-largest, largest))
        for group in groups
    ]
    return Run(tuple(items), tuple(rng.choice(OPERATORS) for _ in items[1:]))


def number_places(run: Run) -> list[Place]:
    """Every operation between two numbers, inner levels first, from left to right."""
    inner = [
        (at, *place)
        for at, item in enumerate(run.items)
        if isinstance(item, Run)
        for place in number_places(item)
    ]
    return [*inner, *((at,) for at in number_pairs(run))]


def level(run: Run, place: Place) -> Run:
    for at in place[:-1]:
        run = as_run(run.items[at])
    return run


def next_place(run: Run) -> Place:
    """The operation a solver carries out next: in the first innermost brackets, products before the rest."""
    for at, item in enumerate(run.items):
        if isinstance(item, Run):
            return (at, *next_place(item))
    return (run.operators.index("*") if "*" in run.operators else 0,)


def chosen_place(run: Run, rng: random.Random) -> Place:
    """Mostly the next operation, now and then another one that may be carried out."""
    if rng.random() < 0.9:
        return next_place(run)
    places = number_places(run)
    return rng.choice([place for place in places if may_evaluate_first(level(run, place), place[-1])])


def with_result(run: Run, place: Place, value: int) -> Node:
    """The expression with the operation at a place replaced by a number, without brackets around it."""
    at = place[0]
    if len(place) == 1:
        return Number(value) if len(run.items) == 2 else splice(run, at, Number(value))
    inner = with_result(as_run(run.items[at]), place[1:], value)
    return replace(run, items=(*run.items[:at], inner, *run.items[at + 1 :]))


def operation_at(run: Run, place: Place) -> Run:
    within, at = level(run, place), place[-1]
    return Run(within.items[at : at + 2], (within.operators[at],), bracketed=False)


def right_move(run: Run, place: Place) -> Move:
    operation = operation_at(run, place)
    result = evaluate(operation)
    return Move(operation, result, with_result(run, place, result))


def right_moves(problem: Run) -> list[Move]:
    """How a solver evaluates an expression."""
    moves = []
    node: Node = problem
    while isinstance(node, Run):
        moves.append(right_move(node, next_place(node)))
        node = moves[-1].after
    return moves


def holds(before: Run, move: Move) -> bool:
    return evaluate(move.operation) == move.result and evaluate(before) == evaluate(move.after)


def lost_brackets(run: Run, rng: random.Random) -> Node | None:
    if not any(isinstance(item, Run) for item in run.items):
        return None
    return replace(flattened(run), bracketed=run.bracketed)


def slipped(run: Run, place: Place, rng: random.Random) -> Move:
    operation = operation_at(run, place)
    result = slip_of(evaluate(operation), rng)
    return Move(operation, result, with_result(run, place, result))


def operated_wrongly(run: Run, place: Place, rng: random.Random) -> Move:
    operation = operation_at(run, place)
    result = evaluate(replace(operation, operators=(rng.choice(OPERATORS),)))
    return Move(operation, result, with_result(run, place, result))


def out_of_order(run: Run, place: Place, rng: random.Random) -> Move | None:
    places = [place for place in number_places(run) if not may_evaluate_first(level(run, place), place[-1])]
    return right_move(run, rng.choice(places)) if places else None


def with_wrong_operand(run: Run, place: Place, rng: random.Random) -> Move:
    operation = as_run(wrong_operand(operation_at(run, place), rng) or run)
    result = evaluate(operation)
    return Move(operation, result, with_result(run, place, result))


def rewritten_wrongly(*rewritings: Rewriting) -> Callable[[Run, Place, random.Random], Move | None]:
    """The right operation, but the expression that is left has been changed elsewhere."""

    def move(run: Run, place: Place, rng: random.Random) -> Move | None:
        right = right_move(run, place)
        if not isinstance(right.after, Run):
            return None
        after = somewhere(right.after, rng.choice(rewritings), rng)
        return None if after is None else replace(right, after=after)

    return move


def answered_wrongly(run: Run, place: Place, rng: random.Random) -> Move | None:
    right = right_move(run, place)
    return None if isinstance(right.after, Run) else replace(right, after=Number(slip_of(right.result, rng)))


SOLVER_MISTAKES: dict[str, tuple[Callable[[Run, Place, random.Random], Move | None], int]] = {
    "slip": (slipped, 6),
    "wrong_operation": (operated_wrongly, 2),
    "wrong_inference": (out_of_order, 2),
    "wrong_operand": (with_wrong_operand, 2),
    "copied_wrongly": (rewritten_wrongly(wrong_operand, lost_brackets), 3),
    "sign": (rewritten_wrongly(wrong_sign), 1),
    "dropped": (rewritten_wrongly(dropped), 1),
    "doubled": (rewritten_wrongly(doubled), 1),
    "wrong_final_answer": (answered_wrongly, 3),
}


def wrong_solver_move(run: Run, rng: random.Random) -> tuple[Move, str]:
    kinds = list(SOLVER_MISTAKES)
    weights = [SOLVER_MISTAKES[kind][1] for kind in kinds]
    while True:
        kind = rng.choices(kinds, weights)[0]
        move = SOLVER_MISTAKES[kind][0](run, chosen_place(run, rng), rng)
        if move is not None and not holds(run, move):
            return move, kind


def move_text(move: Move, after: str) -> str:
    ending = f"Now {after}" if isinstance(move.after, Run) else f"The answer is \\boxed{{{after}}}"
    return f"{render(move.operation)} = {move.result}. {ending}."


def balanced(text: str) -> str:
    """The text with the brackets it lacks put at its ends."""
    depth = lowest = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        lowest = min(lowest, depth)
    return "(" * -lowest + text + ")" * (depth - lowest)


def readable(text: str) -> str | None:
    """An expression as code can hold it, or None if it is none."""
    if not READABLE.fullmatch(text):
        return None
    expression = balanced(text.strip())
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, RecursionError, MemoryError):
        return None
    return expression if all(isinstance(node, SYNTAX) for node in ast.walk(tree)) else None


@dataclass(frozen=True)
class ReadMove:
    """What a solver's step says: expressions it calls equal, and what is left; ``final`` if as its answer."""

    equation: tuple[str, ...]
    after: str
    final: bool


def read_move(text: str) -> ReadMove | None:
    found = SOLVER_STEP.fullmatch(text)
    if found is None:
        return None
    final = found["answer"] is not None
    links = [readable(link) for link in found["equation"].split(" = ")]
    after = readable(found["answer"] if final else found["after"])
    equation = tuple(link for link in links if link is not None)
    if after is None or not len(links) == len(equation) >= 2:
        return None
    return ReadMove(equation, after, final)


def judged_move(text: str, before: str, said: ReadMove) -> WorldStep:
    if said.final:
        analysis = "The paragraph works out the last operation. The answer must equal the form before."
    else:
        analysis = "The paragraph works out one operation. The new form must equal the one before."
    rationale = equality_rationale(
        analysis,
        [(said.equation[0], list(said.equation[1:])), (before, [said.after])],
    )
    return WorldStep(text, "False" not in rationale.output, rationale)


class Arithmetic(World):
    """Nested integer expressions with + - *."""

    name = "arithmetic"
    styles = ("parts", "varied", "rewritten", "solver", "substituted")
    held_out_style = "substituted"
    shares = (0.42, 0.28, 0.1, 0.2)

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw one problem with its solution: by named parts (most often), by rewriting, or a solver's."""
        style = style or rng.choices(self.styles[:4], self.shares)[0]
        if style == "solver":
            return self._solved(rng)
        example = self._rewritten(rng) if style == "rewritten" else self._by_parts(BY_PARTS[style], rng)
        return with_other_sign(example, rng.choice((" x ", " × "))) if rng.random() < 0.06 else example

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw an expression with its evaluation, one operation a step."""
        problem = exercise_problem(rng)
        moves = right_moves(problem)
        steps = numbered(move_text(move, render(move.after)) for move in moves)
        return Exercise(self.name, SOLVER_PROBLEM.format(e=render(problem)), steps, render(moves[-1].after))

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Label a solution that carries out one operation a step, or None if a step is unreadable."""
        before = readable(problem.removesuffix(" ="))
        judged = []
        for text in steps:
            said = read_move(text)
            if before is None or said is None:
                return None
            judged.append(judged_move(text, before, said))
            before = said.after
        return Example(self.name, problem, tuple(judged)) if judged else None

    def _solved(self, rng: random.Random) -> Example:
        problem = exercise_problem(rng)
        wrong_steps = planted_steps(rng, len(right_moves(problem)))
        node: Node = problem
        texts: list[str] = []
        mistakes: list[str | None] = []
        while isinstance(node, Run):
            move, mistake = right_move(node, chosen_place(node, rng)), None
            if len(texts) in wrong_steps:
                move, mistake = wrong_solver_move(node, rng)
            node = move.after
            shown = render(node)
            if isinstance(node, Run) and rng.random() < 0.03:
                shown = misbracketed(shown, rng)
            texts.append(move_text(move, shown))
            mistakes.append(mistake)
        example = self.read(SOLVER_PROBLEM.format(e=render(problem)), numbered(texts))
        if example is None:
            raise ValueError(f"a solver's step that cannot be read: {texts}")
        steps = zip(example.steps, mistakes, strict=True)
        return replace(example, steps=tuple(replace(step, mistake=mistake) for step, mistake in steps))

    def _by_parts(self, wording: Wording, rng: random.Random) -> Example:
        problem, way = random_problem(rng)
        parts = cut(problem, way, rng)
        wrong_steps = planted_steps(rng, len(parts.definitions) + 2, first_weight=0.35)
        mistake = None
        if 0 in wrong_steps and (wrong := cut_wrongly(problem, parts, rng)) is not None:
            parts, mistake = wrong
        steps = [split_step(problem, parts, mistake, wording, rng)]
        values: dict[str, int] = {}
        for index, (letter, node) in enumerate(parts.definitions.items(), start=1):
            step, values[letter] = part_step(letter, node, index in wrong_steps, wording, rng)
            steps.append(step)
        steps.append(final_step(parts.form, values, len(steps) in wrong_steps, wording, rng))
        text = rng.choice(wording.problems).format(e=render(problem))
        return Example(self.name, text, tuple(steps))

    def _rewritten(self, rng: random.Random) -> Example:
        problem, _ = random_problem(rng)
        node: Node = problem
        states: list[tuple[Node, str | None]] = []
        wrong_steps = planted_steps(rng, 4)
        while isinstance(node, Run) and len(states) < 8:
            if len(states) in wrong_steps:
                node, mistake = wrong_move(node, rng)
            else:
                node, mistake = sound_move(node, rng) or Number(evaluate(node)), None
            states.append((node, mistake))
        if isinstance(node, Run):
            states.append((Number(evaluate(node)), None))
        before = render(problem)
        steps = []
        for state, mistake in states:
            after = render(state)
            rationale = equality_rationale(
                "The paragraph rewrites the expression. The new form must equal the one before.",
                [(before, [before, after])],
            )
            text = rng.choice(REWRITES).format(a=before, b=after)
            steps.append(WorldStep(text, mistake is None, rationale, mistake))
            before = after
        return Example(self.name, rng.choice(VARIED.problems).format(e=render(problem)), tuple(steps))


def with_other_sign(example: Example, times: str) -> Example:
    """The same example with another multiplication sign in its texts; code keeps Python's."""
    steps = tuple(replace(step, text=step.text.replace(" * ", times)) for step in example.steps)
    return replace(example, problem=example.problem.replace(" * ", times), steps=steps)


def split_step(
    problem: Run, parts: Parts, mistake: str | None, wording: Wording, rng: random.Random
) -> WorldStep:
    named = {letter: render(node) for letter, node in parts.definitions.items()}
    shown = [f"{letter} = {unbalanced(e, rng) if rng.random() < 0.02 else e}" for letter, e in named.items()]
    form = render(parts.form)
    text = rng.choice(wording.splits).format(form=form, defs=joined(shown, rng))
    rationale = equality_rationale(
        "The paragraph names the parts. Joined, they must equal the problem.",
        [(render(problem), [form])],
        setup="".join(f"{letter} = {expression}\n" for letter, expression in named.items()),
    )
    return WorldStep(text, mistake is None, rationale, mistake)


def part_step(
    letter: str, node: Run, mistaken: bool, wording: Wording, rng: random.Random
) -> tuple[WorldStep, int]:
    mistake = None
    start = node
    if mistaken and rng.random() < 0.12:
        start, mistake = miscopied(node, rng)
    chain = work_out(start, rng, mistaken and mistake is None)
    text = rng.choice(wording.parts).format(l=letter, chain=chain_text(list(chain.parts), rng))
    rationale = equality_rationale(
        f"The paragraph works out {letter}. Every part must equal its definition.",
        [(render(node), list(chain.parts))],
    )
    mistake = mistake or chain.mistake
    return WorldStep(text, mistake is None, rationale, mistake), chain.value


def final_step(
    form: Run, values: dict[str, int], mistaken: bool, wording: Wording, rng: random.Random
) -> WorldStep:
    node = as_run(filled(form, values, rng))
    mistake = None
    start = node
    kind = rng.random()
    if mistaken and kind < 0.25:
        start, mistake = miscopied(node, rng)
    chain = work_out(start, rng, mistaken and mistake is None and kind < 0.85)
    answer = chain.value
    if mistaken and mistake is None and chain.mistake is None:
        while answer == chain.value:
            answer = slip_of(chain.value, rng)
        mistake = "wrong_final_answer"
    shown_form = render(form)
    text = rng.choice(wording.finals).format(
        form=shown_form, chain=chain_text(list(chain.parts), rng), answer=answer
    )
    rationale = equality_rationale(
        "The paragraph joins the values. Every part must equal the joined form.",
        [(shown_form, [*chain.parts, str(answer)])],
        setup="".join(f"{letter} = {value}\n" for letter, value in values.items()),
    )
    mistake = mistake or chain.mistake
    return WorldStep(text, mistake is None, rationale, mistake)


WORLD = Arithmetic()
