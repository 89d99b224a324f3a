"""Dyck languages: brackets that are read one by one onto a stack; the answer closes what is left open.

A solution reads one bracket a step and shows the stack after it; then it says that the end is reached, turns
the stack around and closes it. A step that reads is right if it reads the bracket whose turn it is, *counted
in steps*, and shows what the stack of the step before becomes; a closing bracket takes off the top whatever
it is. So after a wrong stack the steps that follow from it are right again, while after a lost or doubled
bracket all steps are wrong until the solution is in time again; it soon is, as those steps would otherwise
drown the rest. A stack must be written with blanks, and a list that ends in a comma lacks something.

The rationale's code holds the problem once and then, for each step, the list that the step before shows and
what this step says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, log

from .base import Example, Exercise, Rationale, World, WorldStep, concluded, numbered, planted_steps

__all__ = ["Dyck"]

OPENING = "([{<"
CLOSING = ")]}>"
CLOSE = str.maketrans(OPENING, CLOSING)
BRACKETS = OPENING + CLOSING
EMPTY = "empty"

SETUP = """\
s = "{tokens}".split()
def step(i, b):
    if i >= len(s):
        return "end ; " + b
    b = b.replace("empty", "").split()
    b = b + [s[i]] if s[i] in "([{{<" else b[:-1]
    return s[i] + " ; " + (" ".join(b) or "empty")
"""


def due(tokens: Sequence[str], at: int, before: str) -> str:
    """What the step at a place must say: the set-up's ``step``, which the tests compare it with."""
    if at >= len(tokens):
        return f"end ; {before}"
    return f"{tokens[at]} ; {shown(stacked(listed(before), tokens[at]))}"


def listed(text: str) -> list[str]:
    return [] if text == EMPTY else text.split()


def shown(stack: Sequence[str]) -> str:
    return " ".join(stack) or EMPTY


def stacked(stack: list[str], token: str) -> list[str]:
    return [*stack, token] if token in OPENING else stack[:-1]


def turned(text: str) -> str:
    return " ".join(text.split()[::-1])


def closed(text: str) -> str:
    return text.translate(CLOSE)


# ------------------------------------------------------------------------------------------- what steps say


@dataclass(frozen=True)
class Claim:
    """What a step says.

    Attributes:
        kind: ``plan``, ``first``, ``start``, ``token``, ``end``, ``pop``, ``close`` or ``pop_close``.
        said: The parts that are checked, in the order of the text.
        mistake: The planted mistake's kind, or None.
    """

    kind: str
    said: tuple[str, ...] = ()
    mistake: str | None = None

    @property
    def list_shown(self) -> str:
        """The list that the next step goes on from; a comma at its end gets lost."""
        return self.said[-1].removesuffix(",") if self.kind in ("token", "end", "pop", "start") else EMPTY


ANALYSES = {
    "plan": "The paragraph tells the way. There must be brackets to read.",
    "first": "The paragraph names the first bracket. It must be that of the problem.",
    "start": "The paragraph shows the stack before the first bracket. It must be empty.",
    "token": "The paragraph reads a bracket. Bracket and stack must follow.",
    "end": "The paragraph says that all is read. No bracket may be left and the stack must be the same.",
    "pop": "The paragraph takes the stack from its top. The order must be turned around.",
    "close": "The paragraph closes the brackets. Each must get its partner.",
    "pop_close": "The paragraph turns the stack around and closes it. Order and partners must be right.",
}
PARTNERS = f'translate(str.maketrans("{OPENING}", "{CLOSING}"))'


def rationale_of(claim: Claim, previous: Claim, tokens: Sequence[str], number: int, first: int) -> Rationale:
    """How a step is verified: reading if the end is not said to be reached, as that may not be skipped.

    Args:
        claim: What the step says.
        previous: What the step before said.
        tokens: The problem's brackets.
        number: The step's number, from 1.
        first: The number of the step that reads the first bracket.
    """
    before = previous.list_shown
    if claim.kind == "plan":
        return concluded(ANALYSES[claim.kind], "print(len(s), len(s) > 0)", str(len(tokens)), True)
    if claim.kind == "first":
        return compared(claim.kind, "v = s[0]", tokens[0], claim.said)
    if claim.kind == "start":
        return compared(claim.kind, 'v = "empty"', EMPTY, claim.said)
    ended = previous.kind in ("end", "pop")
    if claim.kind in ("token", "end") or not ended:
        word, stack = claim.said if claim.kind == "token" else (claim.kind, claim.said[0])
        line = f'v = step({number} - {first}, "{before}")'
        return compared(claim.kind, line, due(tokens, number - first, before), (f"{word} ; {stack}",))
    turning = f'" ".join("{before}".split()[::-1])'
    if claim.kind == "pop":
        return compared(claim.kind, f"v = {turning}", turned(before), claim.said)
    if claim.kind == "pop_close":
        lines = f'p = {turning}\nv = p + " ; " + p.{PARTNERS}'
        expected = f"{turned(before)} ; {closed(turned(before))}"
        return compared(claim.kind, lines, expected, (" ; ".join(claim.said),))
    if previous.kind == "pop":
        return compared(claim.kind, f'v = "{before}".{PARTNERS}', closed(before), claim.said)
    return compared("pop_close", f"v = {turning}.{PARTNERS}", closed(turned(before)), claim.said)


def compared(kind: str, lines: str, expected: str, said: Sequence[str]) -> Rationale:
    chain = " == ".join(["v", *(f'"{part}"' for part in said)])
    right = all(part == expected for part in said)
    return concluded(ANALYSES[kind], f"{lines}\nprint(v, {chain})", expected, right)


# -------------------------------------------------------------------------------------------------- styles


def quoted(joint: str) -> Callable[[str], str]:
    """Writes a list with each item in quotes; an unfinished list ends in its comma."""

    def write(text: str) -> str:
        items = [f'"{item}"' for item in text.removesuffix(",").split()]
        end = "," if text.endswith(",") else ""
        return joint.join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items) + end

    return write


def plain(text: str) -> str:
    return text


@dataclass(frozen=True)
class Style:
    """How steps are phrased.

    Attributes:
        leads: The steps before the first bracket is read: kind and phrasing.
        token: A step that reads a bracket ``{0}`` and shows the stack ``{1}``.
        end: The step that says that all is read.
        pop: The step that turns the stack around; None if the answer follows at once.
        close: The last step, with the brackets that are needed ``{0}`` and the answer ``{1}``.
        answer: The last step if there is nothing but the answer ``{0}`` to say.
        pop_close: Turning and closing in one step, for a stack of one bracket.
        writings: Ways to write the lists in ``pop`` and ``close``.
        stack: How ``end`` shows a stack that is not empty.
        is_numbered: Whether ``Step 1: `` stands in front.
    """

    leads: tuple[tuple[str, str], ...]
    token: str
    end: str
    pop: str | None
    close: str
    answer: str
    pop_close: str | None = None
    writings: tuple[Callable[[str], str], ...] = (plain,)
    stack: tuple[str, ...] = ("{0}",)
    is_numbered: bool = False


STYLES = {
    "traced": Style(
        leads=(
            ("plan", "We should process each input one by one and keep track of the stack configuration."),
            ("start", "stack: {0}"),
        ),
        token="{0} ; stack: {1}",
        end="Now, we have reached the end. The final stack is {0}.",
        pop="We will need to pop out {0} one by one in that order.",
        close="So, we need {0}. So the answer is {1}",
        answer="So the answer is {0}",
        pop_close="We will need to pop out {0}. So the answer is {1}",
        writings=(quoted(", "), quoted(", "), quoted(" and "), plain),
        stack=('"{0}"', '"{0}"', '"{0} "'),
    ),
    "solver": Style(
        leads=(),
        token="{0} ; stack: {1}",
        end="end ; stack: {0}",
        pop="pop {0}",
        close="So close with {0}. The answer is \\boxed{{{1}}}.",
        answer="So the answer is \\boxed{{{0}}}.",
        is_numbered=True,
    ),
    "told": Style(
        leads=(("first", "We read the brackets from the left. The first one is {0} ."),),
        token="Read {0} . The stack is now {1} .",
        end="All brackets are read. The stack left over is {0} .",
        pop="From its top it is {0} .",
        close="These are closed by {0} . So the answer is {1}",
        answer="So the answer is {0}",
    ),
    "terse": Style(
        leads=(),
        token="{0} gives {1}",
        end="end with {0}",
        pop=None,
        close="close with {0} and the answer is {1}",
        answer="the answer is {0}",
    ),
    "narrated": Style(
        leads=(("start", "We keep the open brackets on a stack, which is {0} at first."),),
        token="The next bracket is {0} and the stack becomes {1}",
        end="There are no more brackets and the stack holds {0}",
        pop="We take them off in the order {0}",
        close="They need {0} and so the final answer is {1}",
        answer="So the final answer is {0}",
    ),
}
STYLE_WEIGHTS = {"traced": 60, "solver": 20, "told": 12, "terse": 8}


def phrased(claim: Claim, style: Style, rng: random.Random) -> str:
    if claim.kind in ("plan", "first", "start"):
        return dict(style.leads)[claim.kind].format(*claim.said)
    if claim.kind == "token":
        return style.token.format(*claim.said)
    if claim.kind == "end":
        stack = "{0}" if claim.said[0] == EMPTY else rng.choice(style.stack)
        return style.end.format(stack.format(*claim.said))
    write = rng.choice(style.writings)
    if claim.kind == "pop":
        return str(style.pop).format(write(claim.said[0]))
    if claim.kind == "pop_close":
        return str(style.pop_close).format(style.writings[0](claim.said[0]), claim.said[1])
    if len(claim.said) == 1:
        return style.answer.format(*claim.said)
    return style.close.format(write(claim.said[0]), claim.said[1])


# ------------------------------------------------------------------------------------------------ solutions


DEEPEST = 24
"""Brackets open at a time; the code's output must stay short."""


def random_tokens(size: int, rng: random.Random) -> list[str]:
    """Brackets in which nothing is closed wrongly and one to four remain open at the end."""
    left_open = rng.choice(
        [depth for depth in (1, 1, 2, 2, 3, 3, 4) if depth <= size and (size - depth) % 2 == 0]
    )
    nesting = rng.uniform(0.5, 0.8)
    tokens: list[str] = []
    stack: list[str] = []
    for remaining in range(size, 0, -1):
        must_close = len(stack) - left_open == remaining
        must_open = not stack or left_open - len(stack) == remaining
        opens = len(stack) < DEEPEST and rng.random() < (
            nesting if tokens and tokens[-1] in OPENING else 0.45
        )
        token = rng.choice(OPENING) if must_open or (opens and not must_close) else closed(stack[-1])
        tokens.append(token)
        stack = stacked(stack, token)
    return tokens


@dataclass(frozen=True)
class Slip:
    """A wrong step that reads: what it says, the mistake, and by how many brackets it is ahead afterwards."""

    token: str
    stack: list[str]
    mistake: str
    ahead: int = 0


def slip_of(tokens: list[str], at: int, stack: list[str], rng: random.Random) -> Slip:
    """A wrong way to read bracket ``at`` on a stack."""
    token = tokens[at]
    right = stacked(stack, token)
    while True:
        slip = drawn_slip(tokens, at, stack, rng)
        if (slip.token, slip.stack) != (token, right):
            return slip


def drawn_slip(tokens: list[str], at: int, stack: list[str], rng: random.Random) -> Slip:
    token = tokens[at]
    right = stacked(stack, token)
    other = rng.choice(BRACKETS)
    place = rng.random()
    if place < 0.1 and at + 1 < len(tokens):
        return Slip(tokens[at + 1], stacked(stack, tokens[at + 1]), "dropped", ahead=1)
    if place < 0.16 and at > 0:
        return Slip(tokens[at - 1], stacked(stack, tokens[at - 1]), "doubled", ahead=-1)
    if place < 0.22:
        return Slip(other, stacked(stack, other), "wrong_operand")
    if place < 0.28 and stack:
        partner = closed(stack[-1][-1])
        return Slip(partner, stack[:-1], "wrong_inference")
    if place < 0.3:
        return Slip(other, right, "wrong_operand")
    if place < 0.42:
        return Slip(token, miscopied(right, rng), "copied_wrongly")
    if token in OPENING:
        return rng.choices(
            (
                Slip(token, [*stack[:-1], token], "dropped"),
                Slip(token, stack, "dropped"),
                Slip(token, [*stack, token, token], "doubled"),
                Slip(token, stack[:-1], "wrong_operation"),
                Slip(token, [*stack, rng.choice(OPENING)], "slip"),
            ),
            (5, 2, 1, 1, 1),
        )[0]
    return rng.choices(
        (
            Slip(token, stack[:-2], "dropped"),
            Slip(token, stack[:-3], "dropped"),
            Slip(token, [], "dropped"),
            Slip(token, stack, "wrong_operation"),
            Slip(token, [*stack, token], "wrong_operation"),
        ),
        (6, 1, 1, 2, 1),
    )[0]


def miscopied(stack: list[str], rng: random.Random) -> list[str]:
    """A list with one bracket lost, doubled, changed, swapped with its neighbour or glued to it."""
    if not stack:
        return [rng.choice(OPENING)]
    at = rng.randrange(len(stack))
    changed = rng.choice(OPENING if stack[at] in OPENING else CLOSING)
    options = [
        [*stack[:at], *stack[at + 1 :]],
        [*stack[: at + 1], *stack[at:]],
        [*stack[:at], changed, *stack[at + 1 :]],
    ]
    if at + 1 < len(stack):
        options += [
            [*stack[:at], stack[at + 1], stack[at], *stack[at + 2 :]],
            [*stack[:at], stack[at] + stack[at + 1], *stack[at + 2 :]],
        ]
    return rng.choice(options)


def solved(tokens: list[str], style: Style, rng: random.Random, with_mistakes: bool = True) -> list[Claim]:
    """What the steps of a solution say."""
    wrong = wrong_places(len(tokens), rng) if with_mistakes else set()
    leads = [lead_claim(kind, tokens, "lead" in wrong, rng) for kind, _ in style.leads]
    stop = len(tokens)
    if "early" in wrong:
        stop -= rng.choice((1, 1, 2))
    if "late" in wrong:
        stop = len(tokens) + rng.choice((1, 1, 2))
    stack = leads[-1].list_shown if leads else EMPTY
    claims = [*leads, *reading(tokens, listed(stack), wrong, stop, rng)]
    return [*claims, *ending(claims[-1].list_shown, wrong, style, rng)]


def wrong_places(count: int, rng: random.Random) -> set[int | str]:
    """Which brackets are read wrongly, by index, and what else goes wrong."""
    others = ("early", "late", "late", "end", "pop", "pop", "close", "close", "lead")
    places: list[int | str] = [*range(count), *others * (1 + count // 30)]
    return {places[index] for index in planted_steps(rng, len(places))}


def lead_claim(kind: str, tokens: list[str], is_wrong: bool, rng: random.Random) -> Claim:
    if kind == "plan":
        return Claim(kind)
    said = tokens[0] if kind == "first" else EMPTY
    if not is_wrong:
        return Claim(kind, (said,))
    return Claim(kind, (rng.choice([token for token in OPENING if token != said]),), "copied_wrongly")


def reading(
    tokens: list[str], stack: list[str], wrong: set[int | str], stop: int, rng: random.Random
) -> list[Claim]:
    """The steps that read brackets.

    Args:
        tokens: The problem's brackets.
        stack: The stack at first.
        wrong: The places where something goes wrong.
        stop: Where the solution believes that it has reached the end: before, at or behind it.
        rng: The source of chance.
    """
    claims: list[Claim] = []
    ahead, in_time_at, astray = 0, 0, ""
    mistake: str | None
    for at in range(stop):
        if at >= in_time_at:
            ahead = 0
        if at >= len(tokens):
            token = closed(stack[-1][-1]) if stack else rng.choice(CLOSING)
            stack, mistake = stack[: rng.choice((-1, -1, -2))], "doubled"
        elif at + ahead >= len(tokens):
            break
        elif at in wrong and not ahead:
            slip = slip_of(tokens, at, stack, rng)
            token, stack, mistake = slip.token, slip.stack, slip.mistake
            ahead, in_time_at, astray = slip.ahead, at + rng.choice((1, 1, 2, 3, 4)), mistake
        else:
            token = tokens[at + ahead]
            stack, mistake = stacked(stack, token), astray if ahead else None
        claims.append(Claim("token", (token, shown(stack)), mistake))
    return claims


def ending(stack: str, wrong: set[int | str], style: Style, rng: random.Random) -> list[Claim]:
    """The steps behind the last bracket that is read; now and then one of them is left out."""
    final = stack
    leaves_out = rng.random() < 0.2
    if "end" in wrong and not leaves_out:
        final = EMPTY if stack != EMPTY and rng.random() < 0.25 else other_list(stack, rng)
    end = Claim("end", (final,), None if final == stack else "copied_wrongly")
    if final == EMPTY:
        answer = shown(rng.choices(CLOSING, k=rng.choice((0, 1, 1, 2))))
        return [end, Claim("close", (answer,), None if answer == EMPTY else "wrong_final_answer")]
    pops, pop_mistake = wrong_pops(final, rng) if "pop" in wrong and style.pop else (turned(final), None)
    pop = Claim("pop", (pops,), pop_mistake)
    needed = answer = closed(pop.list_shown)
    close_mistake = None
    if "close" in wrong:
        needed, answer, close_mistake = wrong_close(needed, rng)
    if style.pop_close and len(final.split()) == 1 and rng.random() < 0.4:
        return [end, Claim("pop_close", (pops, answer), pop_mistake or close_mistake)]
    close = Claim("close", (needed, answer), close_mistake)
    if style.pop is None:
        return [end, close]
    if "end" in wrong and leaves_out:
        return [replace(pop, mistake="dropped"), close]
    return [end, pop, close]


def other_list(text: str, rng: random.Random) -> str:
    other = text
    while other in (text, EMPTY):
        other = shown(miscopied(listed(text), rng))
    return other


def wrong_pops(stack: str, rng: random.Random) -> tuple[str, str]:
    right = turned(stack)
    options = [(other_list(right, rng), "copied_wrongly"), (other_list(right, rng), "slip")]
    if len(right.split()) > 1:
        options += [(f"{right},", "dropped"), (right.split(" ", 1)[1], "dropped"), (stack, "wrong_inference")]
    options += [(f"{right} {right.split()[0]}", "doubled")]
    return rng.choice([(text, mistake) for text, mistake in options if text != right])


def wrong_close(needed: str, rng: random.Random) -> tuple[str, str, str]:
    """The brackets needed, the answer and the mistake."""
    wrong = other_list(needed, rng)
    back = turned(needed)
    opened = needed.translate(str.maketrans(CLOSING, OPENING))
    return rng.choice(
        (
            (needed, wrong, "wrong_final_answer"),
            (needed, wrong, "wrong_final_answer"),
            (wrong, wrong, "slip"),
            (wrong, needed, "slip"),
            (opened, opened, "wrong_operation"),
            (back, back, "wrong_inference") if back != needed else (wrong, wrong, "slip"),
        )
    )


LIST = r"(?:empty|[()\[\]{}<>]+(?: [()\[\]{}<>]+)*)"
SOLVER_STEPS = (
    ("token", re.compile(rf"Step \d+: ([()\[\]{{}}<>]) ; stack: ({LIST})")),
    ("end", re.compile(rf"Step \d+: end ; stack: ({LIST})")),
    ("pop", re.compile(rf"Step \d+: pop ({LIST},?)")),
    ("close", re.compile(rf"Step \d+: So close with ({LIST})\. The answer is \\boxed\{{({LIST})\}}\.")),
    ("close", re.compile(rf"Step \d+: So the answer is \\boxed\{{({LIST})\}}\.")),
)


def read_claim(text: str) -> Claim | None:
    """What a step in the solver style says, whatever its number, or None if that cannot be read."""
    for kind, pattern in SOLVER_STEPS:
        if (match := pattern.fullmatch(text)) is not None:
            return Claim(kind, match.groups())
    return None


PROBLEMS = (
    "{s}",
    "{s}",
    "{s}",
    "{s}",
    "{s}",
    "{s}",
    "Complete the sequence so that all brackets are closed: {s}",
    "Close the brackets that are still open: {s}",
    "Which brackets are missing at the end? {s}",
)


class Dyck(World):
    """Brackets of four kinds, to be completed."""

    name = "dyck"
    styles = tuple(STYLES)
    held_out_style = "narrated"

    SIZES = (3, 100)
    EXERCISE_SIZES = tuple(range(46, 59))
    PRACTICE_SIZES = tuple(range(10, 47))

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw a problem with its solution; half of the problems have up to 17 brackets."""
        style = style or rng.choices(tuple(STYLE_WEIGHTS), tuple(STYLE_WEIGHTS.values()))[0]
        tokens = random_tokens(round(exp(rng.uniform(*map(log, self.SIZES)))), rng)
        problem = rng.choice(PROBLEMS).format(s=" ".join(tokens))
        claims = solved(tokens, STYLES[style], rng)
        texts = [phrased(claim, STYLES[style], rng) for claim in claims]
        return self._labelled(
            problem, tokens, claims, numbered(texts) if STYLES[style].is_numbered else texts
        )

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw a problem with a right solution, one bracket a step."""
        return self._exercise(rng, self.EXERCISE_SIZES)

    def practice(self, rng: random.Random) -> Exercise:
        """Draw a shorter exercise."""
        return self._exercise(rng, self.PRACTICE_SIZES)

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Label a solver's solution; None for a step of another form or behind the answer."""
        tokens = re.findall(r"[()\[\]{}<>]", problem)
        claims = [read_claim(step) for step in steps]
        readable = [claim for claim in claims if claim is not None]
        if not tokens or not readable or len(readable) < len(claims):
            return None
        if any(claim.kind == "close" for claim in readable[:-1]):
            return None
        return self._labelled(problem, tokens, readable, steps)

    def _exercise(self, rng: random.Random, sizes: Sequence[int]) -> Exercise:
        tokens = random_tokens(rng.choice(sizes), rng)
        claims = solved(tokens, STYLES["solver"], rng, with_mistakes=False)
        steps = numbered(phrased(claim, STYLES["solver"], rng) for claim in claims)
        return Exercise(
            self.name, rng.choice(PROBLEMS).format(s=" ".join(tokens)), steps, claims[-1].said[-1]
        )

    def _labelled(
        self, problem: str, tokens: Sequence[str], claims: Sequence[Claim], texts: Sequence[str]
    ) -> Example:
        kinds = [claim.kind for claim in claims]
        first = next(
            (n for n, kind in enumerate(kinds, start=1) if kind not in ("plan", "first", "start")), 1
        )
        steps = []
        for number, (text, (previous, claim)) in enumerate(
            zip(texts, pairwise([Claim("start", (EMPTY,)), *claims]), strict=True), start=1
        ):
            rationale = rationale_of(claim, previous, tokens, number, first)
            correct = rationale.output.endswith("True")
            steps.append(
                WorldStep(text, correct, rationale, None if correct else claim.mistake or "wrong_inference")
            )
        return Example(self.name, problem, tuple(steps), SETUP.format(tokens=" ".join(tokens)))


WORLD = Dyck()
