"""Logical deduction: three to seven objects in a fixed order, found from statements about them.

Solutions take up one statement a step and write the row of objects known so far. A row is right iff all
that it says is fixed by the row before it and the statements cited since, and it leaves out no object of
these whose place they fix: an object put where it merely may be is a mistake. Who is left over for the last
place may be said or not. A cited statement must be one of the problem's as it stands there, also where a
row uses one cited earlier. Conclusions (``must be``, the answer) may use all statements; where an earlier
mistake contradicts these, the row alone counts.

In code a place is a number, counted from the end if negative. Each context has one direction in which places
count up (first to last, left to right, cheapest to most expensive); ``<`` means nearer to its start. The
options of a problem go through the objects in the order of the list, as in the collections. The solver's
style asks openly instead, for the object at a place: its answer is the object's name, not a letter.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import permutations

from .base import (
    Example,
    Exercise,
    Rationale,
    World,
    WorldStep,
    boxed_answer,
    concluded,
    numbered,
    planted_steps,
)

__all__ = ["LogicalDeduction"]

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
COUNTS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
LETTERS = "ABCDEFG"

PEOPLE = (
    "Ana", "Ben", "Cal", "Dee", "Eva", "Finn", "Gus", "Hal", "Ida", "Jay", "Kim", "Lou", "Max", "Ned", "Ora",
    "Pam", "Quinn", "Rob", "Sue", "Tim", "Una", "Val", "Wes", "Zoe", "Amy", "Bob", "Eli", "Mel", "Joe", "Dan",
    "Ada", "Eve", "Mya", "Leo", "Mia", "Ray", "Sam", "Tom", "Ivy", "Ian", "Meg", "Ted", "Liz", "Roy", "Fay",
    "Abe", "Ron", "Nia", "Kai", "Tia",
)  # fmt: skip
COLOURS = (
    "red", "blue", "green", "yellow", "orange", "purple", "white", "black", "brown", "gray", "pink", "silver",
    "golden", "violet", "beige", "teal", "crimson", "maroon", "turquoise", "cream",
)  # fmt: skip
BIRDS = (
    "robin", "owl", "crow", "hawk", "raven", "falcon", "quail", "cardinal", "hummingbird", "blue jay",
    "finch", "sparrow", "eagle", "dove", "heron", "magpie", "starling", "wren", "parrot",
    "woodpecker", "kingfisher",
)  # fmt: skip
FRUITS = (
    "apples", "pears", "plums", "peaches", "mangoes", "kiwis", "oranges", "loquats", "watermelons",
    "cantaloupes", "cherries", "lemons", "grapes", "papayas", "figs", "apricots", "bananas", "limes", "dates",
)  # fmt: skip
GOODS = (
    "carrots", "potatoes", "onions", "radishes", "beans", "peppers", "tomatoes", "pancakes", "muffins",
    "bagels", "cookies", "pretzels", "lamps", "chairs", "ropes", "bells", "candles", "brushes", "baskets",
)  # fmt: skip
VEHICLES = (
    "truck", "bus", "sedan", "limousine", "convertible", "hatchback", "minivan", "tractor", "motorcycle",
    "motorcyle", "station wagon", "van", "pickup", "coupe", "scooter", "jeep", "taxi", "fire engine", "tram",
)  # fmt: skip
ANIMALS = (
    "fox", "bear", "deer", "goat", "sheep", "horse", "rabbit", "badger", "otter", "wolf", "lynx", "moose",
    "camel", "donkey", "zebra", "tiger", "polar bear", "monkey", "llama", "hedgehog",
)  # fmt: skip
BUILDINGS = (
    "church", "bank", "school", "library", "museum", "hotel", "theater", "town hall", "mill", "castle",
    "hospital", "post office", "tower", "station", "bakery", "chapel", "palace", "barn",
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """How places and comparisons are said.

    Attributes:
        verb: Between object and place.
        nearer: Comparisons that put the first object nearer to the start; the first is how problems say it.
        farther: Comparisons that put it nearer to the end.
        ends: The words for the two ends, e.g. ``leftmost`` and ``rightmost``.
        counted: How a place counted from either end is said, with ``{o}`` for the ordinal.
        rows: How a row's direction is said, beginning at the start.
        backwards: The same, beginning at the end.
    """

    verb: str
    nearer: tuple[str, ...]
    farther: tuple[str, ...]
    ends: tuple[str, str]
    counted: tuple[str, str]
    rows: tuple[str, ...]
    backwards: tuple[str, ...] = ()

    def place(self, place: int) -> str:
        """A place in words, without verb."""
        if abs(place) == 1:
            return self.ends[0 if place > 0 else 1]
        return self.counted[0 if place > 0 else 1].format(o=ORDINALS[abs(place) - 1])


def degree(start: str, end: str, nearer: tuple[str, ...], farther: tuple[str, ...]) -> Family:
    """A family of superlatives: ``the second-oldest``, ``older than``."""
    return Family(
        "is", nearer, farther, (f"the {start}", f"the {end}"), (f"the {{o}}-{start}", f"the {{o}}-{end}"),
        (f"from {start} to {end}",), (f"from {end} to {start}",),
    )  # fmt: skip


def sides(start: str, end: str, nearer: str, farther: str, ends: tuple[str, str]) -> Family:
    """A family of places counted from two sides: ``the second from the left``, ``to the left of``."""
    return Family(
        "is", (nearer,), (farther,), ends, (f"the {{o}} from the {start}", f"the {{o}} from the {end}"),
        (f"from {start} to {end}",),
    )  # fmt: skip


def finish(nearer: str, farther: str) -> Family:
    return Family(
        "finished", (nearer,), (farther,), ("first", "last"), ("{o}", "{o}-to-last"), ("from first to last",)
    )


FINISH = finish("above", "below")
RACE = finish("ahead of", "behind")
LEFT_RIGHT = sides("left", "right", "to the left of", "to the right of", ("the leftmost", "the rightmost"))
TOP_BOTTOM = sides("top", "bottom", "above", "below", ("the topmost", "the bottommost"))
PRICE = replace(
    degree(
        "cheapest", "most expensive", ("less expensive than", "cheaper than"), ("more expensive than",)
    ),
    backwards=("from most to least expensive", "from most expensive to least expensive"),
)  # fmt: skip
AGE = degree("oldest", "newest", ("older than",), ("newer than",))
HEIGHT = degree("shortest", "tallest", ("shorter than",), ("taller than",))
WEIGHT = degree("lightest", "heaviest", ("lighter than",), ("heavier than",))
SPEED = degree("slowest", "fastest", ("slower than",), ("faster than",))
SIZE = degree("smallest", "largest", ("smaller than",), ("larger than",))
YOUTH = degree("oldest", "youngest", ("older than",), ("younger than",))


@dataclass(frozen=True)
class Scene:
    """What is ordered.

    Attributes:
        intro: The sentence that lists the objects, with ``{c}`` for their number.
        kind: What one of them is called.
        objects: What there is to choose from.
        family: How places and comparisons are said.
        article: ``a`` for things listed with an article, ``the`` for plurals, nothing for people.
        weight: How often it is drawn.
    """

    intro: str
    kind: str
    objects: tuple[str, ...]
    family: Family
    article: str = "a"
    weight: int = 1

    @property
    def verb(self) -> str:
        return "are" if self.article == "the" else self.family.verb

    def listed(self, name: str) -> str:
        if self.article != "a":
            return name
        return f"an {name}" if name[0] in "aeiou" else f"a {name}"

    def the(self, name: str) -> str:
        return f"the {name}" if self.article else name


def coloured(intro: str, noun: str, family: Family, weight: int = 1) -> Scene:
    return Scene(intro, noun, tuple(f"{colour} {noun}" for colour in COLOURS), family, weight=weight)


SCENES = (
    Scene("In a golf tournament, there were {c} golfers", "golfer", PEOPLE, FINISH, "", 7),
    Scene("In a chess tournament, there were {c} players", "player", PEOPLE, FINISH, "", 2),
    Scene("In a race, there were {c} runners", "runner", PEOPLE, RACE, "", 2),
    Scene("In a regatta, there were {c} sailors", "sailor", PEOPLE, RACE, ""),
    Scene("On a branch, there are {c} birds", "bird", BIRDS, LEFT_RIGHT, "a", 7),
    Scene("On a fence, there are {c} animals", "animal", ANIMALS, LEFT_RIGHT, "a", 2),
    Scene("Along a street, there are {c} buildings", "building", BUILDINGS, LEFT_RIGHT),
    Scene("On a bench, there are {c} students", "student", PEOPLE, LEFT_RIGHT, ""),
    coloured("On a shelf, there are {c} books", "book", LEFT_RIGHT, 7),
    coloured("On a table, there are {c} cups", "cup", LEFT_RIGHT, 2),
    coloured("On a wall, there are {c} hats", "hat", LEFT_RIGHT),
    coloured("In a stack, there are {c} boxes", "box", TOP_BOTTOM),
    coloured("In a pile, there are {c} plates", "plate", TOP_BOTTOM),
    coloured("In a bag, there are {c} stones", "stone", WEIGHT),
    Scene("A fruit stand sells {c} fruits", "fruit", FRUITS, PRICE, "the", 7),
    Scene("A market sells {c} goods", "good", GOODS, PRICE, "the", 2),
    coloured("A shop sells {c} lamps", "lamp", PRICE),
    Scene("In an antique car show, there are {c} vehicles", "vehicle", VEHICLES, AGE, "a", 7),
    Scene("In an old town, there are {c} buildings", "building", BUILDINGS, AGE, "a", 2),
    Scene("In a family, there are {c} cousins", "cousin", PEOPLE, YOUTH, ""),
    Scene("In a class, there are {c} students", "student", PEOPLE, HEIGHT, ""),
    Scene("On a farm, there are {c} animals", "animal", ANIMALS, WEIGHT),
    Scene("In a zoo, there are {c} animals", "animal", ANIMALS, SPEED),
    Scene("In a garage, there are {c} vehicles", "vehicle", VEHICLES, SPEED),
    Scene("In a forest, there are {c} birds", "bird", BIRDS, SIZE),
)
WEIGHTS = tuple(scene.weight for scene in SCENES)


@dataclass(frozen=True)
class Clue:
    """A statement: an object's place, or which of two objects is nearer to the start.

    Attributes:
        name: The object spoken of.
        place: Its place, counted from the end if negative; 0 in a comparison.
        sign: ``<`` if it is nearer to the start than ``other``, else ``>``.
        other: The object it is compared with.
    """

    name: str
    place: int = 0
    sign: str = ""
    other: str = ""

    @property
    def code(self) -> str:
        if self.place:
            return f'("{self.name}", {self.place})'
        return f'("{self.name}", "{self.sign}", "{self.other}")'

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if self.place else (self.name, self.other)

    def turned(self) -> Clue:
        """The same comparison, told of the other object."""
        return Clue(self.other, 0, ">" if self.sign == "<" else "<", self.name)


@dataclass(frozen=True)
class Tables:
    """All orders of objects as bits: which of them put an object at a place, or before another."""

    everything: int
    at: tuple[tuple[int, ...], ...]
    before: tuple[tuple[int, ...], ...]


@cache
def tables(size: int) -> Tables:
    orders = list(permutations(range(size)))

    def bits(flags: Iterable[bool]) -> int:
        return int("".join("01"[flag] for flag in flags), 2)

    spots = [[order.index(item) for order in orders] for item in range(size)]
    at = tuple(
        tuple(bits(spot == place for spot in spots[item]) for place in range(size)) for item in range(size)
    )
    before = tuple(
        tuple(
            bits(one < two for one, two in zip(spots[item], spots[other], strict=True))
            for other in range(size)
        )
        for item in range(size)
    )
    return Tables((1 << len(orders)) - 1, at, before)


Entries = tuple[tuple[int, str], ...]
"""What a row says: places, all counted the same way, and what stands there."""


Places = list[str | None]
"""A row in the direction in which it is written: what stands at each place, None where it is open."""


@dataclass(frozen=True)
class Puzzle:
    """A problem: the objects as listed, the statements and the place asked for."""

    scene: Scene
    names: tuple[str, ...]
    clues: tuple[Clue, ...]
    asked: int

    @property
    def size(self) -> int:
        return len(self.names)

    def spot(self, place: int) -> int:
        return place % (self.size + 1)

    def holding(self, clue: Clue) -> int:
        """The orders in which a statement holds, as bits."""
        known = tables(self.size)
        if clue.place:
            spot = self.spot(clue.place)
            return known.at[self.names.index(clue.name)][spot - 1] if clue.name in self.names and spot else 0
        pair = self.names.index(clue.name), self.names.index(clue.other)
        return known.before[pair[0]][pair[1]] if clue.sign == "<" else known.before[pair[1]][pair[0]]

    def left(self, row: Entries, cited: Iterable[Clue]) -> int:
        """The orders that agree with a row and statements."""
        orders = tables(self.size).everything
        for place, name in row:
            orders &= self.holding(Clue(name, place))
        for clue in cited:
            orders &= self.holding(clue)
        return orders

    def possible(self, orders: int, place: int) -> list[str]:
        spot = self.spot(place)
        at = tables(self.size).at
        return [name for item, name in enumerate(self.names) if spot and orders & at[item][spot - 1]]

    def fixed(self, orders: int) -> dict[int, str]:
        """The places, counted from the start, where all orders agree."""
        at = tables(self.size).at
        return {
            place + 1: name
            for place in range(self.size)
            for item, name in enumerate(self.names)
            if orders and not orders & ~at[item][place]
        }

    def letter(self, name: str) -> str:
        return LETTERS[self.names.index(name)]

    @property
    def setup(self) -> str:
        clues = ", ".join(clue.code for clue in self.clues)
        data = f'names = "{", ".join(self.names)}".split(", ")\nclues = [{clues}]\nasked = {self.asked}\n'
        return data + MACHINERY


MACHINERY = """\
from itertools import permutations
n = len(names)
orders = [[""] + list(p) for p in permutations(names)]
def holds(o, c):
    if len(c) == 2:
        return o[c[1] % (n + 1)] == c[0]
    return (o.index(c[0]) < o.index(c[2])) == (c[1] == "<")
def keep(row, cited):
    given = cited + [(x, k) for k, x in row.items()]
    return [o for o in orders if all(holds(o, c) for c in given)]
def check(old, cited, new):
    fits = keep(old, cited)
    sure = {k: fits[0][k] for k in range(1, n + 1) if len({o[k] for o in fits}) == 1}
    said = {k % (n + 1): x for k, x in new.items()}
    told = list(old.values()) + [x for c in cited for x in c]
    odd = [k for k in range(n + 1) if sure.get(k) != said.get(k) and (k in said or sure[k] in told)]
    v = f"{odd[0]} {sure.get(odd[0])}" if odd else "as said"
    if not fits or not set(cited) <= set(clues):
        v = "nothing"
    print(v, v == "as said")
def claim(old, cited, x, k, letter=None):
    v = sorted({o[k % (n + 1)] for o in keep(old, cited) or keep(old, [])})
    answers = (k - asked) % (n + 1) == 0 and letter in ("", "ABCDEFG"[names.index(x)])
    good = v == [x] and set(cited) <= set(clues) and (answers or letter is None)
    print(v[0] if len(v) == 1 else None, good)
"""


def coded(row: Entries) -> str:
    return "{" + ", ".join(f'{place}: "{name}"' for place, name in row) + "}"


def listed(clues: Iterable[Clue]) -> str:
    return "[" + ", ".join(clue.code for clue in clues) + "]"


@dataclass
class Judge:
    """Judges the steps of a solution one after the other and keeps what they leave behind.

    Attributes:
        puzzle: The problem.
        row: What the last row says, and what was concluded since.
        cited: The statements that steps of their own have cited since the last row.
    """

    puzzle: Puzzle
    row: Entries = ()
    cited: list[Clue] = field(default_factory=list)

    def given(self, clues: Iterable[Clue]) -> bool:
        return all(clue in self.puzzle.clues for clue in clues)

    def plan(self, count: int) -> Rationale:
        size = self.puzzle.size
        return concluded(
            "The paragraph plans. The number of objects must be right.",
            f"print(n, n == {count})", size, size == count,
        )  # fmt: skip

    def cite(self, clue: Clue) -> Rationale:
        self.cited.append(clue)
        return concluded(
            "The paragraph cites a statement. The problem must give it.",
            f'print("given", {clue.code} in clues)', "given", self.given([clue]),
        )  # fmt: skip

    def case(self, clue: Clue, said: Clue, wanted: bool) -> Rationale:
        found: list[bool] = []
        if self.given([clue]):
            orders, holding = self.puzzle.left((), [clue]), self.puzzle.holding(said)
            found = [truth for truth in (False, True) if orders & (holding if truth else ~holding)]
        code = (
            f"c = {clue.code}\n"
            f"v = sorted({{holds(o, {said.code}) for o in orders if c in clues and holds(o, c)}})\n"
            f"print(v, v == [{wanted}])"
        )
        analysis = f"The paragraph draws from a statement. It must {'always' if wanted else 'never'} hold."
        return concluded(analysis, code, found, found == [wanted])

    def check(self, clues: Sequence[Clue], row: Entries) -> Rationale:
        cited = [*self.cited, *clues]
        code = f"check({coded(self.row)}, {listed(cited)}, {coded(row)})"
        expected, right = self.fits(cited, row)
        self.row, self.cited = row, []
        return concluded(
            "The paragraph writes the row. It must hold just what is fixed.", code, expected, right
        )

    def fits(self, cited: Sequence[Clue], row: Entries) -> tuple[str, bool]:
        """What a row should say first that it does not, and whether it says all it should."""
        left = self.puzzle.left(self.row, cited)
        if not left or not self.given(cited):
            return "nothing", False
        sure = self.puzzle.fixed(left)
        said = {self.puzzle.spot(place): name for place, name in row}
        told = {name for _, name in self.row} | {name for clue in cited for name in clue.names}
        for place in range(self.puzzle.size + 1):
            if sure.get(place) != said.get(place) and (place in said or sure[place] in told):
                return f"{place} {sure.get(place)}", False
        return "as said", True

    def found(self, place: int, clues: Iterable[Clue]) -> str | None:
        """Who stands at a place by the row and statements, or by the row alone if these contradict it."""
        left = self.puzzle.left(self.row, clues) or self.puzzle.left(self.row, ())
        names = self.puzzle.possible(left, place)
        return names[0] if len(names) == 1 else None

    def claim(
        self, name: str, place: int, letter: str | None = None, clues: Sequence[Clue] | None = None
    ) -> Rationale:
        """A conclusion about a place, or an answer: one with a letter, or an open one if that is empty.

        Without statements of its own it draws on all, and what follows needs no more than itself.
        """
        puzzle = self.puzzle
        cited = puzzle.clues if clues is None else clues
        found = self.found(place, cited)
        here = letter is None or (
            puzzle.spot(place) == puzzle.spot(puzzle.asked) and letter in ("", puzzle.letter(name))
        )
        code = f'claim({coded(self.row)}, {"clues" if clues is None else listed(cited)}, "{name}", {place}'
        code += ")" if letter is None else f', "{letter}")'
        kind = "concludes" if letter is None else "answers"
        if letter is None:
            before = {} if clues is None else dict(self.row)
            self.row = tuple({**before, place: name}.items())
        return concluded(
            f"The paragraph {kind}. The place must be fixed and the name right.",
            code, found, found == name and here and self.given(cited),
        )  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """How one solution writes its rows.

    Attributes:
        scene: What is ordered.
        direction: How the row's direction is said.
        sign: 1 if the row begins at the start, else -1.
        opened: What is said of an open place.
        grouping: How open places in a row are joined: ``each``, ``grouped``, ``range`` or ``mixed``.
        bare: Whether the objects go without ``the``.
    """

    scene: Scene
    direction: str
    sign: int
    opened: str
    grouping: str
    bare: bool

    def name(self, name: str) -> str:
        return name if self.bare else self.scene.the(name)

    def entries(self, places: Places) -> Entries:
        return tuple((self.sign * at, name) for at, name in enumerate(places, start=1) if name)

    def places(self, fixed: dict[int, str], size: int) -> Places:
        found = [fixed.get(place) for place in range(1, size + 1)]
        return found if self.sign > 0 else found[::-1]


def drawn_wording(scene: Scene, rng: random.Random) -> Wording:
    backwards = bool(scene.family.backwards) and rng.random() < 0.45
    direction = rng.choice(scene.family.backwards if backwards else scene.family.rows)
    article = "an" if scene.kind[0] in "aeiou" else "a"
    opened = rng.choices(
        (
            f"can be any {scene.kind}",
            f"is any {scene.kind}",
            f"is {article} unknown {scene.kind}".replace("a un", "an un"),
        ),
        (8, 1, 1),
    )[0]
    return Wording(
        scene, direction, -1 if backwards else 1, opened,
        rng.choices(("each", "grouped", "range", "through", "mixed"), (2, 5, 1, 1, 4))[0],
        scene.article == "the" and rng.random() < 0.6,
    )  # fmt: skip


def enumerated(words: Sequence[str], link: str = "and") -> str:
    if len(words) < 3:
        return f" {link} ".join(words)
    return ", ".join(words[:-1]) + f", {link} {words[-1]}"


def runs(places: Places) -> list[tuple[int, int]]:
    """The stretches of open places, and each other place, as (first index, end)."""
    found: list[tuple[int, int]] = []
    for at, name in enumerate(places):
        if found and name is None and places[at - 1] is None:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found


def open_text(wording: Wording, first: int, end: int, last_run: bool) -> str:
    """What is said of a stretch of open places."""
    words = ORDINALS[first:end]
    many = wording.opened if wording.opened.startswith("can") else f"can be any {wording.scene.kind}"
    if len(words) == 1:
        return f"{words[0]} {wording.opened}"
    if wording.grouping == "each" or (wording.grouping == "mixed" and not last_run):
        return ", then ".join(f"{word} {wording.opened}" for word in words)
    if len(words) > 2 and wording.grouping in ("range", "through"):
        return f"{words[0]} {'to' if wording.grouping == 'range' else 'through'} {words[-1]} {many}"
    return f"{enumerated(words)} {many}"


def row_text(places: Places, wording: Wording) -> str:
    """The row as ``first can be any book, then second is the green book``."""
    parts: list[str] = []
    stretches = runs(places)
    for at, (first, end) in enumerate(stretches):
        name = places[first]
        if name is None:
            parts.append(open_text(wording, first, end, at == len(stretches) - 1))
        elif name.startswith(EXCEPT):
            parts.append(f"{ORDINALS[first]} can be any {wording.scene.kind} {name}")
        elif EITHER in name:
            either = EITHER.join(wording.name(one) for one in name.split(EITHER))
            parts.append(f"{ORDINALS[first]} can be {either}")
        else:
            parts.append(f"{ORDINALS[first]} is {wording.name(name)}")
    return ", then ".join(parts)


EXCEPT, EITHER = "except ", " or "


def clue_text(scene: Scene, clue: Clue) -> str:
    """A statement as a sentence without its end."""
    family, subject = scene.family, scene.the(clue.name)
    if clue.place:
        return f"{subject} {scene.verb} {family.place(clue.place)}"
    relation = (family.nearer if clue.sign == "<" else family.farther)[0]
    return f"{subject} {scene.verb} {relation} {scene.the(clue.other)}"


def sentence(text: str, end: str = ".") -> str:
    return text[0].upper() + text[1:] + end


HEADS = (
    "The following statements each describe a set of {c} objects arranged in a fixed order. "
    "The statements are logically consistent.",
    "The statements below describe {c} objects in a fixed order.",
    "Here are statements about {c} objects arranged in a fixed order. They do not contradict each other.",
)
QUESTIONS = (
    "Q: Given the above statements, which of the following is correct?",
    "Q: Which of the following is correct?",
    "Question: Which option is correct?",
)


def given_lines(puzzle: Puzzle, rng: random.Random) -> list[str]:
    """What a problem says before it asks."""
    scene, count = puzzle.scene, COUNTS[puzzle.size]
    things = [scene.listed(name) for name in puzzle.names]
    return [
        rng.choices(HEADS, (8, 1, 1))[0].format(c=count),
        f"- {scene.intro.format(c=count)}: {', '.join(things[:-1])}, and {things[-1]}.",
        *(f"- {sentence(clue_text(scene, clue))}" for clue in puzzle.clues),
    ]


def problem_text(puzzle: Puzzle, rng: random.Random) -> str:
    """A problem with options."""
    options = [clue_text(puzzle.scene, Clue(name, puzzle.asked)) for name in puzzle.names]
    lines = [
        *given_lines(puzzle, rng),
        rng.choices(QUESTIONS, (8, 1, 1))[0],
        "Options:",
        *(f"({letter}) {sentence(option)}" for letter, option in zip(LETTERS, options, strict=False)),
    ]
    return "\n".join(lines)


def open_problem_text(puzzle: Puzzle, rng: random.Random) -> str:
    """A problem without options."""
    return "\n".join([*given_lines(puzzle, rng), open_question(puzzle.scene, puzzle.asked)])


def open_question(scene: Scene, place: int) -> str:
    return f"Q: Which of them {scene.verb} {scene.family.place(place)}?"


def drawn_place(place: int, size: int, rng: random.Random) -> int:
    """A place as a statement counts it: from the nearer end mostly."""
    from_end = place - size - 1
    if place == -from_end:
        return place if rng.random() < 0.6 else from_end
    nearer, other = sorted((place, from_end), key=abs)
    return other if abs(other) <= 4 and abs(nearer) > 1 and rng.random() < 0.15 else nearer


def compared(one: str, two: str, order: Sequence[str], rng: random.Random) -> Clue:
    clue = Clue(one, 0, "<" if order.index(one) < order.index(two) else ">", two)
    return clue if rng.random() < 0.5 else clue.turned()


def drawn_puzzle(size: int, rng: random.Random) -> Puzzle:
    """A problem whose statements allow one order and of which none can be spared."""
    scene = rng.choices(SCENES, WEIGHTS)[0]
    names = tuple(rng.sample(scene.objects, size))
    order = rng.sample(names, size)
    puzzle = Puzzle(scene, names, (), drawn_place(rng.randint(1, size), size, rng))
    share = rng.choice((0.1, 0.3, 0.5, 0.7)) if size > 3 else 0.3
    left, clues = tables(size).everything, list[Clue]()
    while left & (left - 1):
        if rng.random() < share:
            place = rng.randrange(size)
            clue = Clue(order[place], drawn_place(place + 1, size, rng))
        elif rng.random() < 0.7:
            place = rng.randrange(size - 1)
            clue = compared(order[place], order[place + 1], order, rng)
        else:
            one, two = rng.sample(order, 2)
            clue = compared(one, two, order, rng)
        after = left & puzzle.holding(clue)
        if after != left:
            left = after
            clues.append(clue)
    for clue in list(clues):
        others = [other for other in clues if other is not clue]
        if puzzle.left((), others) == left:
            clues = others
    rng.shuffle(clues)
    return replace(puzzle, clues=tuple(clues))


@dataclass
class Draft:
    """A row about to be written, for a mistake to change.

    Attributes:
        puzzle: The problem.
        old: The row before.
        places: The right row.
        clues: The statements cited.
        sign: 1 if the row begins at the start, else -1.
    """

    puzzle: Puzzle
    old: Places
    places: Places
    clues: list[Clue]
    sign: int

    @property
    def free(self) -> list[int]:
        return [at for at, name in enumerate(self.places) if name is None]

    @property
    def absent(self) -> list[str]:
        return [name for name in self.puzzle.names if name not in self.places]


Spoiling = Callable[[Draft, random.Random], bool]
"""Spoils a draft; False if it cannot."""


def guess_comparison(draft: Draft, rng: random.Random) -> bool:
    """Put the objects of a comparison where they merely may be, or where they cannot be."""
    clue = draft.clues[-1]
    if clue.place:
        return False
    first, second = (
        (clue.name, clue.other) if (clue.sign == "<") == (draft.sign > 0) else (clue.other, clue.name)
    )
    if rng.random() < 0.12:
        first, second = second, first
    places, size = draft.places, draft.puzzle.size
    if first in places and second in places:
        return move(draft, rng)
    if first in places or second in places:
        known, new, step = (first, second, 1) if first in places else (second, first, -1)
        spot = places.index(known)
        beyond = [at for at in draft.free if (at - spot) * step > 0]
        if not beyond or rng.random() < 0.1:
            at = rng.randrange(size)
        else:
            at = min(beyond, key=lambda at: abs(at - spot)) if rng.random() < 0.65 else rng.choice(beyond)
        if places[at] == known:
            return shift(draft, known, rng)
        places[at] = new
        return True
    if len(draft.free) < 2:
        return False
    lower = rng.randrange(len(draft.free) - 1) if rng.random() < 0.6 else 0
    upper = lower + 1 if rng.random() < 0.75 else rng.randrange(lower + 1, len(draft.free))
    one, two = draft.free[lower], draft.free[upper]
    which = rng.random()
    if which < 0.8:
        places[one] = first
    if which > 0.2:
        places[two] = second
    return True


def shift(draft: Draft, name: str, rng: random.Random) -> bool:
    """Put an object that has a place elsewhere."""
    at = draft.places.index(name)
    free = draft.free
    if not free:
        return False
    draft.places[at] = None
    draft.places[rng.choice(free)] = name
    return True


def move(draft: Draft, rng: random.Random) -> bool:
    there = [name for name in draft.places if name]
    return bool(there) and shift(draft, rng.choice(there), rng)


def miscount(draft: Draft, rng: random.Random) -> bool:
    """Put an object whose place is stated at another: counted from the wrong end, one off, or at the end."""
    stated = [clue for clue in draft.clues if clue.place and clue.name in draft.places]
    if not stated:
        return False
    clue = rng.choice(stated)
    places, size = draft.places, draft.puzzle.size
    right = places.index(clue.name)
    ends = size - 1 if right * 2 >= size else 0
    wrong = rng.choice(
        (size - 1 - right, size - 1 - right, ends, ends, right - 1, right + 1, rng.randrange(size))
    )
    if wrong == right or not 0 <= wrong < size:
        return False
    places[right] = draft.old[right] if right < len(draft.old) else None
    if places[wrong] is not None and rng.random() < 0.5:
        return False
    places[wrong] = clue.name
    return True


def drop(draft: Draft, rng: random.Random) -> bool:
    there = [at for at, name in enumerate(draft.places) if name]
    if not there:
        return False
    new = [at for at in there if draft.old[at] != draft.places[at]]
    draft.places[rng.choice(new if new and rng.random() < 0.6 else there)] = None
    return True


def other_object(draft: Draft, rng: random.Random) -> bool:
    """Name another object at a place, or swap two."""
    there = [at for at, name in enumerate(draft.places) if name]
    if len(there) > 1 and rng.random() < 0.4:
        one, two = rng.sample(there, 2)
        draft.places[one], draft.places[two] = draft.places[two], draft.places[one]
        return True
    if not there or not draft.absent:
        return False
    draft.places[rng.choice(there)] = rng.choice(draft.absent)
    return True


def double(draft: Draft, rng: random.Random) -> bool:
    """Name an object twice, or one more place than there is."""
    there = [at for at, name in enumerate(draft.places) if name]
    if rng.random() < 0.3 and draft.puzzle.size < len(ORDINALS):
        draft.places.append(rng.choice(draft.clues).name if draft.clues else rng.choice(draft.puzzle.names))
        return True
    if not there or not draft.free:
        return False
    at = rng.choice(there)
    near = [spot for spot in draft.free if abs(spot - at) == 1]
    draft.places[rng.choice(near or draft.free)] = draft.places[at]
    return True


def run_ahead(draft: Draft, rng: random.Random) -> bool:
    """Place an object that nothing has been said about yet."""
    if not draft.free or not draft.absent:
        return False
    name = rng.choice(draft.absent)
    stated = [clue for clue in draft.puzzle.clues if clue.place and clue.name in draft.absent]
    at = rng.choice(draft.free)
    if stated and rng.random() < 0.5:
        clue = rng.choice(stated)
        place = draft.puzzle.spot(clue.place * draft.sign) - 1
        name, at = (clue.name, place) if place in draft.free else (name, at)
    draft.places[at] = name
    return True


def restrict(draft: Draft, rng: random.Random) -> bool:
    """Say of an open place who may, or may not, be there, without reason."""
    clue = draft.clues[-1] if draft.clues else Clue(rng.choice(draft.puzzle.names), 1)
    fixed = {draft.sign * at: name for at, name in enumerate(draft.places, start=1) if name}
    left = draft.puzzle.left(tuple(fixed.items()), draft.clues)
    at = rng.choice(draft.free) if draft.free else -1
    may_be = draft.puzzle.possible(left, draft.sign * (at + 1)) if at >= 0 else []
    if len(may_be) < 3:
        return False
    if rng.random() < 0.4 and clue.names[-1] in may_be:
        draft.places[at] = EXCEPT + clue.names[-1]
    else:
        draft.places[at] = EITHER.join(rng.sample(may_be, 2))
    return True


def miscopied(puzzle: Puzzle, clue: Clue, rng: random.Random) -> Clue:
    """A statement turned round, or with its place counted from the wrong end or one off."""
    if not clue.place:
        if rng.random() < 0.5:
            return replace(clue, name=clue.other, other=clue.name)
        return replace(clue, sign="<" if clue.sign == ">" else ">")
    near = [clue.place - 1, clue.place + 1, -clue.place, -clue.place]
    wrong = [at for at in near if 0 < abs(at) <= puzzle.size and puzzle.spot(at) != puzzle.spot(clue.place)]
    return replace(clue, place=rng.choice(wrong))


SPOILINGS: tuple[tuple[str, Spoiling, int, int], ...] = (
    ("wrong_inference", guess_comparison, 20, 0),
    ("slip", miscount, 0, 16),
    ("wrong_inference", run_ahead, 1, 4),
    ("wrong_inference", restrict, 3, 1),
    ("dropped", drop, 1, 2),
    ("wrong_operand", other_object, 1, 2),
    ("doubled", double, 1, 2),
)
"""Kinds of mistakes in a row, and how often each is made of a comparison and of a stated place."""

RESTRICTION = [spoiling for _, spoiling, _, _ in SPOILINGS].index(restrict)


def spoil(draft: Draft, worded: bool, rng: random.Random) -> tuple[Places, str]:
    """A wrong row and the kind of its mistake; restrictions only where rows are written in words."""
    comparison = bool(draft.clues) and not draft.clues[-1].place
    weights = [weight if comparison else other for _, _, weight, other in SPOILINGS]
    if not worded:
        weights[RESTRICTION] = 0
    for _ in range(8):
        kind, spoiling, _, _ = rng.choices(SPOILINGS, weights)[0]
        attempt = replace(draft, places=list(draft.places))
        if spoiling(attempt, rng) and attempt.places != draft.places:
            return attempt.places, kind
    return draft.places, "slip"


@dataclass
class Writer:
    """Writes a solution step by step; every step is judged as it is written.

    Attributes:
        judge: Judges the steps, and knows the row so far.
        wording: How rows are written.
        rng: The source of chance.
        planted: The indices of the steps that get a mistake.
        style: How steps are put.
    """

    judge: Judge
    wording: Wording
    rng: random.Random
    planted: set[int]
    style: str
    steps: list[WorldStep] = field(default_factory=list)

    @property
    def puzzle(self) -> Puzzle:
        return self.judge.puzzle

    @property
    def mistaken(self) -> bool:
        """Whether the step to come gets a mistake: one does not stay alone for sure."""
        if len(self.steps) in self.planted:
            return True
        return any(not step.correct for step in self.steps) and self.rng.random() < 0.3

    def add(self, text: str, verification: Rationale, mistake: str | None) -> None:
        right = verification.output.endswith("True")
        self.steps.append(
            WorldStep(text, right, verification, None if right else mistake or "wrong_inference")
        )

    def places(self) -> Places:
        """The row so far in the wording's direction, without what is no object."""
        size = self.puzzle.size
        found: Places = [None] * size
        for place, name in self.judge.row:
            if self.puzzle.spot(place) and name in self.puzzle.names:
                found[self.puzzle.spot(place * self.wording.sign) - 1] = name
        return found

    def plan(self) -> None:
        scene, size = self.wording.scene, self.puzzle.size
        mistaken = self.mistaken and self.rng.random() < 0.4
        count = self.rng.choice([one for one in COUNTS if one != size]) if mistaken else size
        kinds = f"{scene.kind}s".replace("xs", "xes")
        word = "positions" if self.rng.random() < 0.95 else "places"
        text = PLANS[self.style].format(c=COUNTS[count], k=kinds, w=word)
        self.add(text, self.judge.plan(count), "copied_wrongly")

    def row(self, clues: list[Clue]) -> None:
        """Cite statements and write the row that follows."""
        mistake, rng, puzzle = None, self.rng, self.puzzle
        if self.mistaken:
            mistake = "copied_wrongly" if clues and rng.random() < 0.1 else "spoiled"
        if mistake == "copied_wrongly":
            clues = [*clues[:-1], miscopied(puzzle, clues[-1], rng)]
        cited = [*self.judge.cited, *clues]
        old = self.places()
        left = puzzle.left(self.judge.row, cited)
        fixed = puzzle.fixed(left)
        if rng.random() < 0.5 and self.style != "solver":
            told = {*old, *(name for clue in cited for name in clue.names)}
            fixed = {place: name for place, name in fixed.items() if name in told}
        places = self.wording.places(fixed, puzzle.size) if left else self.forced(old, cited)
        if mistake == "spoiled":
            draft = Draft(puzzle, old, places, cited, self.wording.sign)
            places, mistake = spoil(draft, self.style in ("rows", "split"), rng)
        text = " ".join([self.cited(clues), self.shown(places)]).strip()
        self.add(text, self.judge.check(clues, self.wording.entries(places)), mistake)

    def forced(self, old: Places, cited: list[Clue]) -> Places:
        """What a solver writes who does not see that his row contradicts a statement."""
        draft = Draft(self.puzzle, old, list(old), cited, self.wording.sign)
        stated = [clue for clue in cited if clue.place]
        if stated and self.rng.random() < 0.7:
            draft.places[self.puzzle.spot(stated[-1].place * self.wording.sign) - 1] = stated[-1].name
        elif cited and self.rng.random() < 0.6:
            guess_comparison(draft, self.rng)
        return draft.places

    def cited(self, clues: Iterable[Clue]) -> str:
        before, after = {"slots": ("We know that ", "."), "chart": ("Statement: ", ".")}.get(
            self.style, ("", ".")
        )
        texts = [clue_text(self.wording.scene, clue) for clue in clues]
        return " ".join(before + text + after if before else sentence(text) for text in texts)

    def shown(self, places: Places) -> str:
        wording = self.wording
        pairs = list(zip(ORDINALS, places, strict=False))
        if self.style == "solver":
            return f"So {', '.join(f'{word} is {name or UNKNOWN}' for word, name in pairs)}."
        if self.style == "slots":
            shown = [f"{word} - {wording.name(name) if name else 'unknown'}" for word, name in pairs]
            return f"That gives, {wording.direction}: {', '.join(shown)}."
        if self.style == "chart":
            shown = [f"{word} = {name or '(open)'}" for word, name in pairs]
            return f"Order {wording.direction}: {' | '.join(shown)}."
        return f"So {wording.direction}: {row_text(places, wording)}."

    def cite(self, clue: Clue) -> None:
        mistake = None
        if self.mistaken and self.rng.random() < 0.4:
            clue, mistake = miscopied(self.puzzle, clue, self.rng), "copied_wrongly"
        self.add(self.cited([clue]), self.judge.cite(clue), mistake)

    def place_beside(self, clue: Clue) -> bool:
        """Conclude where the other object of a comparison is; False if neither or both have a place."""
        puzzle, scene, rng = self.puzzle, self.wording.scene, self.rng
        placed = {name: place for place, name in self.judge.row if name in clue.names}
        if clue.place or len(placed) != 1:
            return False
        (known, spot), name = *placed.items(), next(one for one in clue.names if one not in placed)
        fixed = puzzle.fixed(puzzle.left(self.judge.row, [clue]))
        at = next((place for place, one in fixed.items() if one == name), None)
        mistake = None
        if at is None or self.mistaken:
            if not self.mistaken:
                return False
            step = 1 if (clue.sign == "<") == (clue.name == known) else -1
            at, mistake = puzzle.spot(spot) + step * rng.choice((1, 1, 2)), "wrong_inference"
            if not 1 <= at <= puzzle.size:
                return False
        if self.places()[puzzle.spot(at * self.wording.sign) - 1]:
            return False
        place = drawn_place(at, puzzle.size, rng)
        known_at = scene.family.place(drawn_place(puzzle.spot(spot), puzzle.size, rng))
        text = (
            f"{sentence(clue_text(scene, clue))} We previously concluded that {scene.the(known)} "
            f"{scene.verb} {known_at}, so {scene.the(name)} must {self.be} {scene.family.place(place)}."
        )
        self.add(text, self.judge.claim(name, place, clues=[clue]), mistake)
        return True

    @property
    def be(self) -> str:
        return "have finished" if self.wording.scene.verb == "finished" else "be"

    def conclude(self) -> None:
        """Say who is at the place asked for, without the letter."""
        place = self.puzzle.asked
        name, mistake = self.concluded("wrong_inference")
        self.add(sentence(self.conclusion(name, place)), self.judge.claim(name, place), mistake)

    def concluded(self, kind: str) -> tuple[str, str | None]:
        found = self.judge.found(self.puzzle.asked, self.puzzle.clues)
        if self.mistaken or found is None:
            others = [name for name in self.puzzle.names if name != found]
            absent = [name for name in others if name not in self.places()]
            return self.rng.choice(absent if absent and self.rng.random() < 0.7 else others), kind
        return found, None

    def conclusion(self, name: str, place: int) -> str:
        scene = self.wording.scene
        spot, who, kind = scene.family.place(place), scene.the(name), scene.kind
        bare = spot.removeprefix("the ")
        texts = [
            f"by process of elimination, {who} must be {spot}",
            f"the only {kind} that can be {spot} is {who}",
        ]
        if bare != spot or scene.family.verb == "is":
            texts.append(f"the only {kind} that can be {bare} is {who}")
        if name not in self.places():
            left = self.rng.choice(("remaining", "remaining", "left"))
            word = f"remaining {kind}" if left == "remaining" else f"{kind} left"
            texts.append(
                f"the only {word} is {who}, so {'they' if scene.article == 'the' else 'it'} must be {spot}"
            )
        return self.rng.choice(texts)

    def answer(self) -> None:
        puzzle, rng = self.puzzle, self.rng
        place, said = puzzle.asked, dict(self.judge.row).get(puzzle.asked)
        if said in puzzle.names and self.steps and self.judge.row[-1] == (place, said) and self.concluding:
            name, mistake, start = said, None, ""
        else:
            name, mistake = self.concluded("wrong_final_answer")
            start = self.answering(name, place)
        letter = puzzle.letter(name)
        if (self.mistaken and mistake is None) and rng.random() < 0.5:
            letter, mistake = rng.choice(LETTERS[: puzzle.size].replace(letter, "")), "wrong_final_answer"
        end = {
            "slots": "Therefore option (%s) is correct.",
            "chart": "Answer: (%s)",
        }.get(self.style, "So the answer is (%s)") % letter
        self.add(f"{start} {end}".strip(), self.judge.claim(name, place, letter), mistake)

    def answer_openly(self) -> None:
        """Name the object at the place asked for; by mistake another, or the one at another place."""
        place = self.puzzle.spot(self.puzzle.asked)
        elsewhere = [(at, one) for at, one in enumerate(self.places(), start=1) if one and at != place]
        mistake: str | None = "wrong_final_answer"
        if elsewhere and self.mistaken and self.rng.random() < 0.5:
            place, name = self.rng.choice(elsewhere)
        else:
            name, mistake = self.concluded("wrong_final_answer")
        text = f"{sentence(ORDINALS[place - 1], '')} is {name}. The answer is \\boxed{{{name}}}."
        self.add(text, self.judge.claim(name, place, ""), mistake)

    @property
    def concluding(self) -> bool:
        """Whether the step before was a conclusion of its own."""
        return self.steps[-1].rationale.code.startswith("claim")

    def answering(self, name: str, place: int) -> str:
        scene = self.wording.scene
        plain = clue_text(scene, Clue(name, place))
        if self.style in ("slots", "chart"):
            return sentence(plain)
        if self.rng.random() < 0.3 or name not in self.places():
            return sentence(self.conclusion(name, place))
        bare = scene.family.place(place).removeprefix("the ")
        texts = [plain, plain, f"the {bare} {scene.kind} is {scene.the(name)}"]
        if scene.family.verb == "finished":
            texts[2] = f"the person who finished {bare} is {name}"
        start = "according to this ordering, " if self.rng.random() < 0.8 else ""
        return sentence(start + self.rng.choice(texts))

    def draw_on(self, clue: Clue) -> None:
        """Say what a statement means for the place asked for, or say it the other way round."""
        puzzle, scene, rng = self.puzzle, self.wording.scene, self.rng
        family, asked = scene.family, puzzle.asked
        mistaken = self.mistaken
        turning = rng.random() < 0.5
        stated = clue_text(scene, clue)
        if clue.place and turning:
            place = clue.place - puzzle.size - 1 if clue.place > 0 else clue.place + puzzle.size + 1
            if mistaken:
                place = rng.randint(1, puzzle.size) * (1 if place > 0 else -1)
            it = "they are" if scene.article == "the" else "it is"
            it = f"{clue.name} finished" if family.verb == "finished" else it
            said, wanted, then = Clue(clue.name, place), True, f"so {it} {family.place(place)}"
        elif clue.place or not turning:
            name = clue.names[rng.randrange(len(clue.names))]
            edge = 1 if (name == clue.other) == (clue.sign == "<") else -1
            place = asked if clue.place or mistaken else edge
            if (
                not mistaken
                and not clue.place
                and rng.random() < 0.3
                and puzzle.spot(asked) == puzzle.spot(edge)
            ):
                place = asked
            who = ("they" if scene.article == "the" else "it") if clue.place else scene.the(name)
            be = (
                f"be {family.place(place)}" if family.verb == "is" else f"have finished {family.place(place)}"
            )
            said, wanted, then = Clue(name, place), False, f"so {who} cannot {be}"
        else:
            said, wanted = clue.turned(), True
            if mistaken:
                said = replace(said, sign=clue.sign)
            then = f"so {clue_text(scene, said)}"
        verification = self.judge.case(clue, said, wanted)
        self.add(f"{sentence(stated, ',')} {then}.", verification, "wrong_inference")


UNKNOWN = "?"
LONG_PLAN = (
    "To answer the question, I need to identify the {w} of all {c} {k}. I should first find and look through "
    "any statements about absolute {w} of {k}. Then, if there are remaining gaps, I can look through "
    "statements about relative {w} and find the final order by process of elimination."
)
PLANS = {
    "rows": LONG_PLAN,
    "split": LONG_PLAN,
    "reasoned": LONG_PLAN,
    "slots": "There are {c} {k} to put in order. I will take up the statements one at a time.",
    "chart": "Plan: order the {c} {k}, statement by statement.",
}


def arranged(puzzle: Puzzle, rng: random.Random) -> list[Clue]:
    """The statements in the order in which a solver takes them up: stated places first, then what helps."""
    stated = [clue for clue in puzzle.clues if clue.place]
    others = [clue for clue in puzzle.clues if not clue.place]
    if rng.random() < 0.7:
        rng.shuffle(stated)
    if rng.random() < 0.3:
        rng.shuffle(others)
    if rng.random() < 0.1:
        both = stated + others
        rng.shuffle(both)
        return both
    row: Entries = tuple((clue.place, clue.name) for clue in stated)
    ordered: list[Clue] = []
    while others:
        known = {name for _, name in row} | {name for clue in ordered for name in clue.names}
        fixing = [c for c in others if len(puzzle.fixed(puzzle.left(row, [c]))) > len(row)]
        near = [clue for clue in others if known & set(clue.names)]
        clue = (fixing or (near if near and rng.random() < 0.6 else others))[0]
        if fixing:
            row = tuple(puzzle.fixed(puzzle.left(row, [clue])).items())
        ordered.append(clue)
        others.remove(clue)
    return stated + ordered


def bundled(clues: list[Clue], rng: random.Random) -> list[list[Clue]]:
    """The statements in bundles of those that one step takes up."""
    bundles: list[list[Clue]] = []
    while clues:
        size = rng.choices((1, 2, 3), (88, 10, 2))[0]
        bundles.append(clues[:size])
        clues = clues[size:]
    return bundles


SIZES = {3: 12, 4: 4, 5: 30, 6: 4, 7: 50}


class LogicalDeduction(World):
    """The logical-deduction world: rows of objects in five styles and the solver's; a sixth is held out."""

    EXERCISE_SIZES = (3, 3, 3, 4)
    EXERCISE_STATED = 0.75
    """How often an exercise's next statement tells a place rather than compares."""

    name = "logical_deduction"
    styles = ("rows", "split", "reasoned", "slots", "solver", "chart")
    held_out_style = "chart"
    weights = (47, 7, 8, 18, 20)

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw a problem with a solution in one style; mistakes are planted in some of its steps."""
        if style is None:
            style = rng.choices(self.styles[:-1], self.weights)[0]
        if style == "solver":
            return self._solved(rng)
        size = rng.choices(list(SIZES), list(SIZES.values()))[0]
        puzzle = drawn_puzzle(size, rng)
        clues = arranged(puzzle, rng)
        count = len(clues) + 2 + (len(clues) if style == "split" else 0)
        writer = Writer(
            Judge(puzzle),
            drawn_wording(puzzle.scene, rng),
            rng,
            planted_steps(rng, count, first_weight=0.25),
            style,
        )
        text = problem_text(puzzle, rng)
        writer.plan()
        if style == "reasoned":
            for clue in clues:
                writer.draw_on(clue)
            writer.conclude()
        elif style == "split":
            self._split(writer, clues)
        else:
            for bundle in bundled(clues, rng):
                if style != "rows" or rng.random() > 0.15 or not writer.place_beside(bundle[0]):
                    writer.row(bundle)
            self._closed(writer)
        writer.answer()
        return Example(self.name, text, tuple(writer.steps), puzzle.setup)

    def _split(self, writer: Writer, clues: list[Clue]) -> None:
        together = writer.rng.random() < 0.2
        for clue in clues:
            writer.cite(clue)
            if not together:
                writer.row([])
        if together:
            writer.row([])
        self._closed(writer)

    def _closed(self, writer: Writer) -> None:
        """Take statements up again where they fix more now; conclude from all of them where that fails."""
        puzzle, rng = writer.puzzle, writer.rng
        for clue in puzzle.clues:
            if rng.random() < 0.5 or None not in writer.places():
                continue
            left = puzzle.left(writer.judge.row, [clue])
            if len(puzzle.fixed(left)) > len(writer.judge.row):
                writer.row([clue])
        if puzzle.asked not in dict(writer.judge.row) and rng.random() < 0.5:
            writer.conclude()

    def _solved(self, rng: random.Random) -> Example:
        """An exercise solved in the solver's style, with mistakes."""
        puzzle, bundles = self._exercise(rng)
        writer = Writer(
            Judge(puzzle), plain_wording(puzzle.scene), rng, planted_steps(rng, len(bundles) + 1), "solver"
        )
        text = open_problem_text(puzzle, rng)
        for bundle in bundles:
            writer.row(bundle)
        writer.answer_openly()
        texts = numbered(step.text for step in writer.steps)
        steps = [replace(step, text=text) for step, text in zip(writer.steps, texts, strict=True)]
        return Example(self.name, text, tuple(steps), puzzle.setup)

    def _exercise(self, rng: random.Random) -> tuple[Puzzle, list[list[Clue]]]:
        """A problem that can be solved statement by statement, and how."""
        size = rng.choice(self.EXERCISE_SIZES)
        scene = rng.choices(SCENES, WEIGHTS)[0]
        names = tuple(rng.sample(scene.objects, size))
        order = rng.sample(names, size)
        puzzle = Puzzle(scene, names, (), drawn_place(rng.randint(1, size), size, rng))
        bundles: list[list[Clue]] = []
        row: dict[int, str] = {}
        while len(row) < size:
            bundle = self._helpful(puzzle, row, order, rng)
            row = puzzle.fixed(puzzle.left(tuple(row.items()), bundle))
            bundles.append(bundle)
        clues = [clue for bundle in bundles for clue in bundle]
        rng.shuffle(clues)
        return replace(puzzle, clues=tuple(clues)), bundles

    def _helpful(
        self, puzzle: Puzzle, row: dict[int, str], order: list[str], rng: random.Random
    ) -> list[Clue]:
        """Statements that fix at least one more place."""
        size = puzzle.size
        if not row and size == 3 and rng.random() < 0.4:
            return [compared(order[0], order[1], order, rng), compared(order[1], order[2], order, rng)]
        if rng.random() >= self.EXERCISE_STATED:
            for _ in range(4):
                one, two = rng.sample(order, 2)
                clue = compared(one, two, order, rng)
                if len(puzzle.fixed(puzzle.left(tuple(row.items()), [clue]))) > len(row):
                    return [clue]
        place = rng.choice([at for at in range(1, size + 1) if at not in row])
        return [Clue(order[place - 1], drawn_place(place, size, rng))]

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw a problem that a step-by-step solver can solve, with its right solution."""
        puzzle, bundles = self._exercise(rng)
        writer = Writer(Judge(puzzle), plain_wording(puzzle.scene), rng, set(), "solver")
        text = open_problem_text(puzzle, rng)
        for bundle in bundles:
            writer.row(bundle)
        writer.answer_openly()
        steps = numbered(step.text for step in writer.steps)
        return Exercise(self.name, text, steps, boxed_answer(steps[-1]) or "")

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Label a solver's solution; None if the problem or a step is not written as exercises are."""
        puzzle = read_problem(problem)
        if puzzle is None or not steps:
            return None
        judge = Judge(puzzle)
        read: list[WorldStep] = []
        for step in steps:
            verification = read_step(judge, step)
            if verification is None:
                return None
            right = verification.output.endswith("True")
            mistake = None if right else "wrong_final_answer" if boxed_answer(step) else "wrong_inference"
            read.append(WorldStep(step, right, verification, mistake))
        return Example(self.name, problem, tuple(read), puzzle.setup)


def plain_wording(scene: Scene) -> Wording:
    return Wording(scene, "", 1, "", "each", bare=True)


STEP = re.compile(r"Step \d+: (.*)")
SPOT = re.compile(rf"({'|'.join(ORDINALS)}) is (.+)")
ANSWER = re.compile(rf"({'|'.join(ORDINALS).title()}) is (.+)\. The answer is \\boxed\{{\2\}}\.")


def sentences(scene: Scene, names: Sequence[str]) -> dict[str, Clue]:
    """Every statement there can be about the objects, by its sentence."""
    places = [place for at in range(1, len(names) + 1) for place in (at, -at)]
    clues = [Clue(name, place) for name in names for place in places]
    clues += [Clue(one, 0, sign, two) for one, two in permutations(names, 2) for sign in "<>"]
    return {sentence(clue_text(scene, clue)): clue for clue in clues}


def read_problem(problem: str) -> Puzzle | None:
    """The puzzle that a problem poses, openly or with options; None if it is not written as ours are."""
    lines = problem.split("\n")
    statements = [line[2:] for line in lines if line.startswith("- ")]
    options = [line[4:] for line in lines if re.match(r"\([A-G]\) ", line)]
    for scene in SCENES if statements else ():
        puzzle = read_as(scene, statements, options, lines[-1])
        if puzzle is not None:
            return puzzle
    return None


def read_as(scene: Scene, statements: list[str], options: list[str], last: str) -> Puzzle | None:
    """The puzzle of a scene that statements pose, with options or by the problem's last line."""
    intro, _, listing = statements[0].partition(": ")
    shown = listing.removesuffix(".").replace(", and ", ", ").split(", ")
    if scene.intro.format(c=COUNTS.get(len(shown))) != intro:
        return None
    by_listing = {scene.listed(name): name for name in scene.objects}
    names = tuple(by_listing.get(item, "") for item in shown)
    if not all(names):
        return None
    known = sentences(scene, names)
    clues = [known.get(statement) for statement in statements[1:]]
    asked = asked_in(options, known) if options else asked_openly(scene, len(names), last)
    if asked is None or None in clues or len(options) not in (0, len(names)):
        return None
    return Puzzle(scene, names, tuple(clue for clue in clues if clue), asked)


def asked_in(options: list[str], known: dict[str, Clue]) -> int | None:
    """The place that options ask for."""
    option = known.get(options[0])
    return option.place if option else None


def asked_openly(scene: Scene, size: int, question: str) -> int | None:
    """The place that an open question asks for."""
    places = [place for at in range(1, size + 1) for place in (at, -at)]
    return {open_question(scene, place): place for place in places}.get(question)


def read_step(judge: Judge, step: str) -> Rationale | None:
    """Judge a step as the solver writes it; None if it is not written so."""
    numbered_step = STEP.fullmatch(step)
    if numbered_step is None:
        return None
    text = numbered_step[1]
    answer = ANSWER.fullmatch(text)
    if answer:
        place, name = ORDINALS.index(answer[1].lower()) + 1, answer[2]
        there = place <= judge.puzzle.size and name in judge.puzzle.names
        return judge.claim(name, place, "") if there else None
    known = sentences(judge.puzzle.scene, judge.puzzle.names)
    before, so, row = text.rpartition("So ")
    clues = [known.get(found) for found in re.findall(r"\S[^.]*\.", before)]
    spots = [SPOT.fullmatch(part) for part in row.removesuffix(".").split(", ")]
    if not so or not row.endswith(".") or None in clues:
        return None
    entries = {}
    for place, spot in enumerate(spots, start=1):
        if spot is None or ORDINALS.index(spot[1]) + 1 != place:
            return None
        if spot[2] not in (UNKNOWN, *judge.puzzle.names):
            return None
        if spot[2] != UNKNOWN:
            entries[place] = spot[2]
    if len(spots) > judge.puzzle.size + 1:
        return None
    return judge.check([clue for clue in clues if clue], tuple(entries.items()))


WORLD = LogicalDeduction()
