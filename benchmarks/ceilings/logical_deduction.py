"""A rule-based checker of logical-deduction traces: how far rules can agree with the human labels.

A step that writes the order so far is right iff it says what the row before it and the statements cited
since entail, and leaves out no object of these. Other claims must be entailed too, and the answer right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
ORDINAL = "|".join(ORDINALS)
POLES = {
    "first": 1, "last": -1, "leftmost": 1, "rightmost": -1, "left": 1, "right": -1, "cheapest": 1,
    "most expensive": -1, "least expensive": 1, "oldest": 1, "newest": -1,
}  # fmt: skip
COMPARATIVES = {
    "above": -1, "below": 1, "to the left of": -1, "to the right of": 1, "older than": -1, "newer than": 1,
    "less expensive than": -1, "cheaper than": -1, "more expensive than": 1,
}  # fmt: skip
POLE = "|".join(sorted(POLES, key=len, reverse=True))
COMPARATIVE = "|".join(sorted(COMPARATIVES, key=len, reverse=True))
PLACE = rf"(?:(?:the )?(?:({ORDINAL})(?:-to-| from the |-))?({POLE})|({ORDINAL}))\b"
DIRECTIONS = ("from first to last", "from left to right", "from cheapest", "from oldest", "from least")

Clue = tuple[str, int] | tuple[str, int, str]
"""An object with its position, negative from the end, or two objects and which way the first one lies."""


def position(match: re.Match[str], start: int) -> int:
    ordinal, pole, plain = match.group(start), match.group(start + 1), match.group(start + 2)
    if plain:
        return ORDINALS.index(plain) + 1
    return POLES[pole] * (ORDINALS.index(ordinal) + 1 if ordinal else 1)


@dataclass
class Puzzle:
    """The objects and the statements of a problem, and where the options ask."""

    objects: tuple[str, ...]
    clues: tuple[Clue, ...] = ()
    asked: int = 1
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = "(" + "|".join(sorted(map(re.escape, self.objects), key=len, reverse=True)) + ")"

    def clue(self, sentence: str) -> Clue | None:
        found = re.search(
            rf"\b{self.name} (?:finished|is|are) (?:the )?({COMPARATIVE}) (?:the )?{self.name}", sentence
        )
        if found:
            return found.group(1), COMPARATIVES[found.group(2)], found.group(3)
        found = re.search(rf"\b{self.name} (?:finished|is|are) {PLACE}", sentence)
        return (found.group(1), position(found, 2)) if found else None


def read_problem(problem: str) -> Puzzle:
    lines = problem.split("\n")
    listed = lines[1].split(": ")[1].rstrip(".")
    objects = tuple(re.sub(r"^(and )?(an? )?", "", item) for item in listed.split(", "))
    puzzle = Puzzle(objects)
    statements = [line for line in lines[2:] if line.startswith("- ")]
    puzzle.clues = tuple(clue for clue in map(puzzle.clue, statements) if clue)
    option = puzzle.clue(next(line for line in lines if line.startswith("(A)")))
    puzzle.asked = option[1] if option else 1
    return puzzle


def holds(order: tuple[str, ...], clue: Clue) -> bool:
    if len(clue) == 2:
        index = clue[1] - 1 if clue[1] > 0 else clue[1]
        return -len(order) <= index < len(order) and order[index] == clue[0]
    return (order.index(clue[0]) - order.index(clue[2])) * clue[1] > 0


@lru_cache(maxsize=4096)
def orders(objects: tuple[str, ...], clues: tuple[Clue, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(order for order in permutations(objects) if all(holds(order, clue) for clue in clues))


def possible(objects: tuple[str, ...], clues: tuple[Clue, ...]) -> dict[int, set[str]]:
    return {at: set(names) for at, names in enumerate(zip(*orders(objects, clues), strict=True), start=1)}


def spots(text: str) -> list[int]:
    """The positions that a phrase such as ``second, third, or fourth`` or ``third to fifth`` names."""
    span = re.search(rf"({ORDINAL}) (?:to|through) ({ORDINAL})", text)
    if span:
        return list(range(ORDINALS.index(span.group(1)) + 1, ORDINALS.index(span.group(2)) + 2))
    return [ORDINALS.index(word) + 1 for word in re.findall(ORDINAL, text)]


@dataclass
class Row:
    """What a step says of the order: objects in places, and whether the rest of it is right and fits."""

    placed: dict[int, str]
    sound: bool


def read_row(puzzle: Puzzle, text: str, clues: tuple[Clue, ...]) -> Row | None:
    found = re.search(r"So (from [\w ]+): (.*)", text)
    if not found:
        return None
    forward = found.group(1).startswith(DIRECTIONS)
    size = len(puzzle.objects)
    may_be = possible(puzzle.objects, clues)
    placed: dict[int, str] = {}
    sound, free = bool(may_be), []
    for part in re.split(r", then |\. ", found.group(2).rstrip(".")):
        said = re.match(r"(.*?) (?:is|are|can be|must be) (.*)", part)
        if not said:
            continue
        places = [at if forward else size + 1 - at for at in spots(said.group(1))]
        names = set(re.findall(puzzle.name, said.group(2)))
        if "except" in said.group(2):
            sound &= not any(names & may_be.get(at, set()) for at in places)
        elif len(names) == 1 and len(places) == 1:
            sound &= placed.get(places[0], min(names)) == min(names) and 1 <= places[0] <= size
            placed[places[0]] = min(names)
        elif len(names) > 1:
            sound &= all(may_be.get(at, set()) <= names for at in places)
        elif names:
            sound &= not any(names & may_be.get(at, set()) for at in range(1, size + 1) if at not in places)
        else:
            free += places
    return Row(placed, sound and not set(free) & set(placed))


def follows(puzzle: Puzzle, placed: dict[int, str], row: dict[int, str], cited: list[Clue]) -> bool:
    """Whether all that is placed is entailed, and none of the objects spoken of left out."""
    known = tuple((name, at) for at, name in row.items()) + tuple(cited)
    outcomes = possible(puzzle.objects, known)
    entailed = {at: min(names) for at, names in outcomes.items() if len(names) == 1}
    told = {*row.values(), *(part for clue in cited for part in clue if isinstance(part, str))}
    return placed.items() <= entailed.items() and all(
        at in placed for at, name in entailed.items() if name in told
    )


def read_clues(puzzle: Puzzle, text: str) -> list[Clue]:
    sentences = re.split(r"(?<=\.) |, so ", re.split(r"So from ", text)[0])
    return [
        clue
        for sentence in sentences
        if not re.search("must|cannot|only|According|answer", sentence) and (clue := puzzle.clue(sentence))
    ]


def claims_hold(puzzle: Puzzle, text: str, known: tuple[Clue, ...]) -> bool:
    """Whether what a step says must or cannot be is so, wherever it can be read."""
    outcomes = orders(puzzle.objects, known)
    renamed = re.search(rf"{puzzle.name} (?:is|are) [\w -]+, so (?:it is|they are) {PLACE}", text)
    if renamed and not all(
        holds(order, (renamed.group(1), position(renamed, 2))) for order in orders(puzzle.objects, known)
    ):
        return False
    either = re.search(rf"{PLACE} \w+ must be either (.*)", text)
    if either:
        at = position(either, 1)
        names = set(re.findall(puzzle.name, either.group(4)))
        return all(any(holds(order, (name, at)) for name in names) for order in orders(puzzle.objects, known))
    for found in re.finditer(rf"{puzzle.name} (must be|cannot be) (?:the )?{PLACE}", text):
        said = (found.group(1), position(found, 3))
        at_it = [holds(order, said) for order in outcomes]
        if not outcomes or not (all(at_it) if found.group(2) == "must be" else not any(at_it)):
            return False
    return True


def first_mistake(problem: str, steps: list[str]) -> int | None:
    """The index of the first step that does not follow from the problem and the steps before it."""
    puzzle = read_problem(problem)
    row: dict[int, str] = {}
    pending: list[Clue] = []
    (solution,) = orders(puzzle.objects, puzzle.clues)
    for index, step in enumerate(steps):
        cited = read_clues(puzzle, step)
        if not all(holds(solution, clue) for clue in cited):
            return index
        pending += cited
        known = tuple((name, at) for at, name in row.items()) + tuple(pending)
        said = read_row(puzzle, step, known)
        if said:
            if not said.sound or not follows(puzzle, said.placed, row, pending):
                return index
            row, pending = said.placed, []
        elif not claims_hold(puzzle, step, known):
            return index
        letter = re.search(r"answer is \((\w+)\)", step)
        if letter:
            at = puzzle.asked - 1 if puzzle.asked > 0 else puzzle.asked
            right = "ABCDEFG"[puzzle.objects.index(solution[at])]
            if letter.group(1) != right:
                return index
    return None
