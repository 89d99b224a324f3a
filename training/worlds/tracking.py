"""Tracking shuffled objects: people hold one thing each, pairs of them swap, and somebody is asked about.

A problem offers options or, in the solver's style, asks for the thing itself. A solution states who holds
what at the start and after every swap, at least of the two who swap, then answers. A step is right
if everybody it names holds what the state stated *before it* and the swap that is due give him: the first
paragraph after the start makes the first swap of the problem, and so on. Who is not named holds what follows
for him. So a solver who goes on properly from a wrong state is right again. The answer must be what the
person asked about holds then, or its option, and no swap may be left over.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from .base import Example, Exercise, Rationale, World, WorldStep, boxed_answer, judged, planted_steps

__all__ = ["Tracking"]

State = dict[str, str]
Swap = tuple[str, str]

# ------------------------------------------------------------------------------------------------- vocabulary

NAMES = (
    ("Alice", "Alice", "Anna", "Adam", "Amir", "Astrid", "Abel"),
    ("Bob", "Bob", "Ben", "Bella", "Boris", "Bianca", "Bruno"),
    ("Claire", "Claire", "Carl", "Chloe", "Carmen", "Cyrus", "Cleo"),
    ("Dave", "Dave", "Dina", "Diego", "Daphne", "Doris", "Dylan"),
    ("Eve", "Eve", "Elena", "Erik", "Emma", "Ezra", "Edith"),
    ("Fred", "Fred", "Fatima", "Felix", "Flora", "Finn", "Freya"),
    ("Gertrude", "Gertrude", "George", "Gina", "Gustav", "Grace", "Gwen"),
    ("Hugo", "Hanna", "Harold", "Hilda"),
    ("Ivan", "Iris", "Igor", "Ines"),
    ("Jack", "June", "Jonas", "Judith"),
    ("Kate", "Kurt", "Kira", "Kenji"),
    ("Lena", "Luis", "Lars", "Lucy"),
    ("Mia", "Mark", "Marta", "Milo"),
    ("Nora", "Nils", "Nadia", "Noah"),
    ("Omar", "Olga", "Otto", "Opal"),
    ("Priya", "Paul", "Petra", "Pablo"),
    ("Quinn", "Quentin"),
    ("Ruth", "Ravi", "Rosa", "Roy"),
    ("Sara", "Simon", "Sofia", "Stan"),
    ("Tom", "Tina", "Theo", "Tara"),
    ("Uma", "Ursula", "Uwe"),
    ("Vera", "Victor", "Viola"),
    ("Walt", "Wanda", "Wendy"),
    ("Yusuf", "Yara", "Yvonne"),
    ("Zoe", "Zane", "Zelda"),
)
PARTNERS = (
    "Rodrigo", "Jamie", "Lola", "Melissa", "Patrick", "Sam", "Karl", "Helga", "Tobias", "Marina", "Pedro",
    "Selma", "Oscar", "Ludwig", "Renata", "Sven", "Mona", "Tariq", "Ophelia", "Philip", "Ronja", "Kofi",
    "Maeve", "Santiago", "Izumi", "Terese", "Leopold", "Nikita", "Roland", "Susan", "Vito", "Xenia",
)  # fmt: skip
COLOURS = (
    "red", "blue", "green", "yellow", "black", "white", "pink", "orange", "purple", "brown", "gray",
    "golden", "silver", "turquoise", "beige", "crimson", "violet", "scarlet", "teal", "ivory", "navy",
    "amber", "bronze",
)  # fmt: skip
QUALITIES = (
    "old", "tall", "tiny", "broken", "striped", "wooden", "shiny", "heavy", "rusty", "round", "square",
    "soft", "bright", "dusty", "narrow", "plastic", "cracked", "polished", "carved", "painted", "woolen",
    "copper",
)  # fmt: skip
TITLES = (
    "Jane Eyre", "Dracula", "Middlemarch", "War and Peace", "The Time Machine", "Fahrenheit 451",
    "Treasure Island", "Slaughterhouse-Five", "The Trial", "Walden", "Wuthering Heights", "The Iliad",
    "Don Quixote", "Emma", "Dune", "A Tale of Two Cities", "The Secret Garden", "Robinson Crusoe",
    "The Call of the Wild", "Les Miserables", "Great Expectations", "Brave New World",
    "The Master and Margarita", "Candide", "Faust", "Kim", "Persuasion", "The Jungle Book",
    "The Invisible Man", "Heart of Darkness", "The Metamorphosis", "Anna Karenina", "Hamlet", "Catch-22",
    "Moby Dick", "The Odyssey", "Frankenstein", "Ulysses", "Station-12", "The Hobbit", "Beloved",
)  # fmt: skip
TITLE_WORDS = (
    "River", "Garden", "Winter", "Harbor", "Mirror", "Shadow", "Lantern", "Island", "Letter", "Stone",
    "Orchard", "Clock", "Storm", "Bridge", "Sparrow", "Tower", "Castle", "Forest", "Moon", "Crown",
    "Desert", "Falcon",
)  # fmt: skip
SPORTS = (
    ("goalkeeper", "striker", "left back", "right back", "left winger", "right winger", "center midfielder",
     "left midfielder", "right midfielder", "sweeper", "benchwarmer", "fullback", "cheerleader", "referee"),
    ("point guard", "shooting guard", "small forward", "power forward", "center", "sixth man", "coach"),
    ("pitcher", "catcher", "shortstop", "first base", "second base", "third base", "left field", "batter"),
)  # fmt: skip
PARTS = (
    ("drums", "lead guitar", "bass guitar", "keyboard", "tambourine", "first violin", "second violin",
     "cello", "flute", "trumpet", "double bass", "piano"),
    ("king", "wizard", "court jester", "evil queen", "narrator", "old knight", "young knight", "ghost"),
)  # fmt: skip
THINGS = (
    "key", "ring", "lamp", "vase", "mask", "scarf", "hat", "cup", "drum", "kite", "coin", "candle",
    "basket", "mirror", "pencil", "umbrella", "whistle", "blanket", "teapot", "compass", "bottle", "statue",
    "violin",
)  # fmt: skip
FOODS = (
    "apple pie", "peach", "cheese sandwich", "ham sandwich", "noodle soup", "tomato soup", "rice", "salad",
    "plum", "banana bread", "garlic bread", "pancake", "olives", "mango", "lemon cake", "carrot cake",
    "pizza", "burrito",
)  # fmt: skip
SYLLABLES = (
    "ba",
    "ko",
    "ri",
    "lum",
    "ta",
    "ven",
    "zo",
    "mir",
    "du",
    "fel",
    "gra",
    "nis",
    "po",
    "shu",
    "wex",
    "ol",
)


def invented(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.choice((2, 2, 3))))


# --------------------------------------------------------------------------------------------------- objects

Objects = Callable[[random.Random, int], list[str]]


def coloured(*nouns: str) -> Objects:
    """Things of one noun told apart by their colour, now and then of two nouns."""

    def draw(rng: random.Random, count: int) -> list[str]:
        chosen = rng.sample(nouns, min(len(nouns), rng.choice((1, 1, 2))))
        first = QUALITIES if rng.random() < 0.15 else COLOURS
        return [f"{word} {rng.choice(chosen)}" for word in rng.sample(first, count)]

    return draw


def listed(*groups: Sequence[str]) -> Objects:
    return lambda rng, count: rng.sample(
        rng.choice([group for group in groups if len(group) >= count]), count
    )


def titles(rng: random.Random, count: int) -> list[str]:
    def made_up() -> str:
        one, other = rng.sample(TITLE_WORDS, 2)
        return rng.choice(
            (f"The {one} {other}", f"The {one} of the {other}", f"{one} and {other}", f"The {one}")
        )

    real = rng.sample(TITLES, count)
    return [made_up() if rng.random() < 0.3 else title for title in real]


def things(rng: random.Random, count: int) -> list[str]:
    def one(noun: str) -> str:
        kind = rng.random()
        if kind < 0.3:
            return noun
        if kind < 0.75:
            return f"{rng.choice((*QUALITIES, *COLOURS))} {noun}"
        return f"{rng.choice(QUALITIES)} {rng.choice(COLOURS)} {noun}"

    return [one(noun) for noun in rng.sample(THINGS, count)]


def partners(rng: random.Random, count: int) -> list[str]:
    return [
        invented(rng).capitalize() if rng.random() < 0.15 else name for name in rng.sample(PARTNERS, count)
    ]


def nonsense(rng: random.Random, count: int) -> list[str]:
    noun = rng.choice(("stone", "card", "charm", ""))
    return [f"{invented(rng)} {noun}".strip() for _ in range(count)]


# -------------------------------------------------------------------------------------------------- contexts


@dataclass(frozen=True)
class Context:
    """What is swapped, and how a problem speaks of it.

    Attributes:
        scenes: What follows the list of people.
        times: What begins and ends.
        opening: What follows ``At the start of the game, ``.
        holds: How a person's first thing is told.
        middle: What follows ``As the game goes on, ``.
        swap: The verb of a swap and its object.
        asks: How a person's last thing is asked for.
        draw: Draws the things.
        shortened: How often a solver writes only a word of a thing's name.
    """

    scenes: tuple[str, ...]
    times: tuple[str, ...]
    opening: tuple[str, ...]
    holds: str
    middle: tuple[str, ...]
    swap: str
    asks: str
    draw: Objects
    shortened: float


CONTEXTS = (
    Context(
        ("are playing a game", "are playing a game in the park", "play a game after school"),
        ("game", "round", "match"),
        ("they are each holding a ball", "each of them holds a ball", "everybody takes a ball"),
        "{p} has a {o}",
        ("pairs of players trade balls", "pairs of players swap what they hold"),
        "swap balls",
        "has the",
        coloured("ball", "ball", "ball", "marble"),
        0.95,
    ),
    Context(
        ("are holding a white elephant gift exchange", "meet for a gift exchange", "are at a birthday party"),
        ("event", "party", "evening"),
        ("they are each holding a present of a different color", "each of them brings a present"),
        "{p} has a {o}",
        ("pairs of people swap gifts", "pairs of guests exchange presents"),
        "swap their gifts",
        "has the",
        coloured("present", "ball", "box", "present"),
        0.95,
    ),
    Context(
        ("are dancers at a square dance", "are dancers at a ball", "take part in a dance lesson"),
        ("dance", "song", "lesson"),
        ("they each have a partner", "each of them has a partner", "everybody finds a partner"),
        "{p} is dancing with {o}",
        ("the dancers often trade partners", "pairs of dancers switch partners"),
        "switch partners",
        "is dancing with",
        partners,
        0.0,
    ),
    Context(
        ("are on the same team in a soccer match", "are on the same team", "play for the same club"),
        ("match", "game", "season"),
        ("they are each assigned to a position", "each of them is given a position"),
        "{p} is playing {o}",
        ("pairs of players occasionally swap positions", "some of them trade places"),
        "trade positions",
        "is playing",
        listed(*SPORTS, SPORTS[0], SPORTS[0]),
        0.05,
    ),
    Context(
        ("play together on a stage", "are in the same school show"),
        ("show", "rehearsal", "concert"),
        ("they are each given a part", "everybody chooses a part"),
        "{p} is playing {o}",
        ("pairs of them trade parts", "some of them swap parts"),
        "trade parts",
        "is playing",
        listed(*PARTS),
        0.05,
    ),
    Context(
        (
            "are friends and avid readers who occasionally trade books",
            "are in the same book club",
            "love to read",
        ),
        ("semester", "year", "month"),
        ("they each buy one new book", "each of them borrows a book", "everybody picks a novel"),
        "{p} gets {o}",
        ("they start trading around the new books", "they lend each other the books"),
        "swap books",
        "has",
        titles,
        0.35,
    ),
    Context(
        ("are clearing out the attic", "run a flea market stall", "are at a swap meet"),
        ("day", "afternoon", "morning"),
        ("they each take one thing", "each of them has one thing"),
        "{p} has the {o}",
        ("pairs of them exchange what they have", "they trade things"),
        "exchange things",
        "has the",
        things,
        0.3,
    ),
    Context(
        ("are having lunch together", "share a table in the canteen"),
        ("meal", "lunch", "break"),
        ("they each order something", "each of them has a dish"),
        "{p} gets the {o}",
        ("pairs of them trade dishes", "they exchange their plates"),
        "trade dishes",
        "has the",
        listed(FOODS),
        0.2,
    ),
    Context(
        ("are collectors", "are traders from far away", "play a trading game"),
        ("fair", "meeting", "trade"),
        ("they each own one piece", "each of them owns one piece"),
        "{p} owns {o}",
        ("pairs of them swap pieces", "they exchange their pieces"),
        "swap pieces",
        "owns",
        nonsense,
        0.3,
    ),
    Context(
        ("are at the riding school", "spend the week at a stable"),
        ("week", "course", "holiday"),
        ("each of them cares for an animal", "they each choose an animal"),
        "{p} rides the {o}",
        ("pairs of riders switch animals", "they swap animals"),
        "switch animals",
        "rides the",
        coloured("horse", "pony", "donkey", "horse"),
        0.7,
    ),
)
CONTEXT_WEIGHTS = (6, 4, 4, 3, 1, 4, 2, 1, 2, 1)
MIDDLES = ("As the {t} progresses, {m}.", "As the {t} proceeds, {m}.", "Throughout the {t}, {m}.")
THENS = (*["Then"] * 8, "Next", "After that")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")

# --------------------------------------------------------------------------------------------------- puzzles


@dataclass(frozen=True)
class Puzzle:
    """What a problem says; it has no options if it is asked openly."""

    start: State
    swaps: tuple[Swap, ...]
    asked: str
    options: dict[str, str]

    @property
    def answers(self) -> dict[str, str]:
        """What can be answered, and the thing that each answer means."""
        return self.options or {thing: thing for thing in self.start.values()}


def full(short: str, names: Iterable[str]) -> str:
    return next((name for name in names if short in name), short)


def told_apart(names: Sequence[str]) -> bool:
    """Whether the first name that contains a name is the name itself."""
    return all(full(name, names) == name for name in names) and len(set(names)) == len(names)


def draw_apart(draw: Callable[[], list[str]]) -> list[str]:
    while not told_apart(names := draw()):
        pass
    return names


def draw_people(rng: random.Random, count: int) -> list[str]:
    if rng.random() < 0.6:
        groups = NAMES[:count]
    else:
        groups = tuple(rng.sample(NAMES, count))
    strange = rng.random() < 0.15
    return [invented(rng).capitalize() if strange else rng.choice(group) for group in groups]


def draw_swaps(rng: random.Random, people: Sequence[str], count: int) -> tuple[Swap, ...]:
    swaps: list[Swap] = []
    while len(swaps) < count:
        one, other = rng.sample(people, 2)
        if not swaps or {one, other} != set(swaps[-1]) or rng.random() < 0.1:
            swaps.append((one, other))
    return tuple(swaps)


def in_words(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])}, and {items[-1]}"


def draw_puzzle(rng: random.Random, context: Context, people_count: int, swap_count: int) -> Puzzle:
    people = draw_apart(lambda: draw_people(rng, people_count))
    objects = draw_apart(lambda: context.draw(rng, people_count))
    chosen = rng.sample(objects, people_count) if rng.random() < 0.15 else objects
    options = {chr(ord("A") + index): thing for index, thing in enumerate(chosen)}
    swaps = draw_swaps(rng, people, swap_count)
    return Puzzle(dict(zip(people, objects, strict=True)), swaps, rng.choice(people), options)


OPTIONS = "\nOptions:"
OPEN = "\nComplete the last sentence."


def problem_text(puzzle: Puzzle, context: Context, time: str, rng: random.Random) -> str:
    holdings = in_words([context.holds.format(p=person, o=thing) for person, thing in puzzle.start.items()])
    middle = rng.choice(MIDDLES).format(t=time, m=rng.choice(context.middle))
    then = rng.choice(THENS)
    leads = ["First", *[then] * (len(puzzle.swaps) - 2), "Finally"]
    swaps = " ".join(
        f"{lead}, {one} and {other} {context.swap}."
        for lead, (one, other) in zip(leads, puzzle.swaps, strict=False)
    )
    options = "".join(f"\n({letter}) {thing}." for letter, thing in puzzle.options.items())
    ending = f"{OPTIONS}{options}" if options else OPEN
    return (
        f"{in_words(list(puzzle.start))} {rng.choice(context.scenes)}. At the start of the {time}, "
        f"{rng.choice(context.opening)}: {holdings}.\n{middle} {swaps} "
        f"At the end of the {time}, {puzzle.asked} {context.asks}{ending}"
    )


OPTION = re.compile(r"^\((\w)\) (.+)\.$", re.MULTILINE)
PAIR = re.compile(r"(?:First|Then|Next|After that|Finally), (\w+) and (\w+) ")
THING = re.compile(r"\w(?:[\w' -]*\w)?")
VERBS = sorted({context.holds.format(p="", o="").strip() for context in CONTEXTS}, key=len, reverse=True)
HOLDING = re.compile(rf"(?:and )?(\w+) (?:{'|'.join(VERBS)}) ({THING.pattern})")


def read_holding(clause: str, options: dict[str, str]) -> tuple[str, str] | None:
    """Who holds what by ``and Bob has a red ball``; without options the verb tells where the thing begins."""
    if not options:
        held = HOLDING.fullmatch(clause)
        return (held[1], held[2]) if held else None
    thing = next((thing for thing in options.values() if clause.endswith(f" {thing}")), None)
    return (clause.removeprefix("and ").split()[0], thing) if thing else None


def read_problem(problem: str) -> Puzzle | None:
    """What one of the problem texts above says, or None."""
    story, _, choices = problem.removesuffix(OPEN).partition(OPTIONS)
    options = dict(OPTION.findall(choices))
    if bool(options) == problem.endswith(OPEN):  # neither kind of problem, or both
        return None
    start: State = {}
    for clause in story.partition(": ")[2].partition(".\n")[0].split(", "):
        held = read_holding(clause, options)
        if held is None:
            return None
        start[held[0]] = held[1]
    asked = [word for word in story.rpartition(", ")[2].split() if word in start]
    return Puzzle(start, tuple(PAIR.findall(story)), asked[0], options) if asked else None


# ---------------------------------------------------------------------------------------------- verification

HELPERS = """
def full(short, names):
    return next((name for name in names if short in name), short)
def replay(told, n):
    state = dict(start)
    for i, claim in enumerate(told, n + 1 - len(told)):
        due = dict(state)
        for x, y in swaps[i : i + 1]:
            due[x], due[y] = due[y], due[x]
        state = {**due, **{full(p, start): full(o, start.values()) for p, o in claim.items()}}
    return due, [p for p in state if state[p] != due.get(p)]
"""

START_ANALYSIS = "The start: everybody must hold what the problem gives them."
SWAP_ANALYSIS = "A swap: two people exchange what they held before and the others keep theirs."
ANSWER_ANALYSIS = "The answer: it must be the option of what the person asked about holds after all swaps."
OPEN_ANSWER_ANALYSIS = "The answer: it must be what the person asked about holds after all swaps."


def quoted(state: State) -> str:
    return "{" + ", ".join(f'"{name}": "{thing}"' for name, thing in state.items()) + "}"


def setup_code(puzzle: Puzzle) -> str:
    swaps = ", ".join(f'("{one}", "{other}")' for one, other in puzzle.swaps)
    return f"start = {quoted(puzzle.start)}\nswaps = [{swaps}]{HELPERS}"


@dataclass(frozen=True)
class Said:
    """A step's text and what it says.

    Attributes:
        text: The step as the solver wrote it.
        claim: Who holds what, in the step's own spelling and order.
        answer: The letter of the option it chooses, or the thing if there are no options, or None.
        mistake: The planted mistake's kind, or None.
    """

    text: str
    claim: State
    answer: str | None = None
    mistake: str | None = None


class Verifier:
    """Judges the steps of one solution, each against the states stated before it.

    Attributes:
        state: Who holds what after the steps so far, as they stated it.
        setup: The set-up of the example.
    """

    def __init__(self, puzzle: Puzzle, first: int) -> None:
        """``first`` is the number, from 1, of the paragraph that makes the first swap."""
        self.puzzle = puzzle
        self.setup = setup_code(puzzle)
        self.state = puzzle.start
        self._first = first
        self._paragraph = 0
        self._told: list[State] = []

    def due(self) -> State:
        """Who must hold what after the next step."""
        index = self._paragraph + 1 - self._first
        state = dict(self.state)
        if 0 <= index < len(self.puzzle.swaps):
            one, other = self.puzzle.swaps[index]
            state[one], state[other] = state[other], state[one]
        return state

    def meant(self, claim: State) -> State:
        """A claim in the problem's spelling."""
        people, things = list(self.puzzle.start), list(self.puzzle.start.values())
        return {full(person, people): full(thing, things) for person, thing in claim.items()}

    def judge(self, said: Said) -> Rationale:
        """Verify the next step."""
        due = self.due()
        self._paragraph += 1
        rationale = judged(self._analysis(said), self._code(said), self.setup)
        stated = self.meant(said.claim)
        self.state = {**due, **stated}
        if len(stated) == len(self.puzzle.start):
            self._told = []
        self._told.append(said.claim)
        return rationale

    def _analysis(self, said: Said) -> str:
        if said.answer is not None:
            return ANSWER_ANALYSIS if self.puzzle.options else OPEN_ANSWER_ANALYSIS
        return START_ANALYSIS if self._paragraph < self._first else SWAP_ANALYSIS

    def _code(self, said: Said) -> str:
        told = ", ".join(quoted(claim) for claim in [*self._told, said.claim])
        replay = f"told = [{told}]\nn = {self._paragraph} - {self._first}\ndue, wrong = replay(told, n)\n"
        if said.answer is None:
            return f'{replay}p = [*wrong, *due][0]\nprint(f"{{p}}: {{due.get(p)}}", not wrong)'
        asking = f'{replay}p = "{self.puzzle.asked}"\n'
        if not self.puzzle.options:
            return f'{asking}print(due[p], due[p] == "{said.answer}" and not wrong and not swaps[n + 1 :])'
        return (
            f"{asking}options = {quoted(self.puzzle.options)}\n"
            "a = [o for o in options if options[o] == due[p]]\n"
            f'print(due[p], *a, a == ["{said.answer}"] and not wrong and not swaps[n + 1 :])'
        )


# -------------------------------------------------------------------------------------------------- mistakes

KINDS = ("slip", "wrong_operand", "wrong_inference", "dropped", "doubled", "copied_wrongly")
KIND_WEIGHTS = (8, 8, 5, 2, 1, 2)


@dataclass(frozen=True)
class Mistaken:
    """A wrong state, the mistake's kind, and the pair that the step says has swapped."""

    state: State
    kind: str
    pair: Swap | None


def exchanged(state: State, one: str, other: str) -> State:
    return {**state, one: state[other], other: state[one]}


def miscopied(state: State, rng: random.Random) -> Mistaken:
    """A start in which somebody has another one's thing."""
    one, other = rng.sample(list(state), 2)
    wrong = exchanged(state, one, other) if rng.random() < 0.5 else {**state, one: state[other]}
    return Mistaken(wrong, "copied_wrongly", None)


def missed(due: State, before: State, pair: Swap, following: Swap | None, rng: random.Random) -> Mistaken:
    """What a solver may say instead of ``due`` when ``pair`` swaps."""
    kind = rng.choices(KINDS, KIND_WEIGHTS)[0]
    one, other = rng.sample(pair, 2)
    third = rng.choice([person for person in due if person not in pair])
    if kind == "wrong_operand":
        state = exchanged(before, one, third)
        return Mistaken(state, kind, (one, third) if rng.random() < 0.3 else pair)
    if kind == "wrong_inference":
        return Mistaken(exchanged(due, other, third), kind, pair)
    if kind == "dropped":
        return Mistaken(before, kind, pair)
    if kind == "doubled" and following:
        return Mistaken(exchanged(due, *following), kind, pair)
    if kind == "copied_wrongly":
        return Mistaken({**due, third: due[one]}, kind, pair)
    kept = rng.random() < 0.3
    return Mistaken({**due, one: before[one] if kept else due[third]}, "slip", pair)


# ----------------------------------------------------------------------------------------------- phrasings


@dataclass(frozen=True)
class Manner:
    """How one solver writes.

    Attributes:
        start: Before the first state; None if he begins with the first swap.
        swap: Before a state after a swap; knows ``{x}``, ``{y}``, ``{verb}``, ``{k}``, ``{nth}`` and what the
            two give away, ``{gives_x}`` and ``{gives_y}``.
        holding: How one person's thing is stated.
        between: What stands between two of them; None for commas and a last ``and``.
        end: What stands after the last.
        final: The last step, or what follows the last state if ``fused``.
        fused: Whether the answer stands in the last swap's step.
        named: Which people are stated: ``all``, ``changed``, those changed ``so far``, or ``some`` besides.
        initials: Whether people are called by their first letters.
        shortened: Whether things are called by one word.
        changed_first: Whether those who swapped are stated first.
        turned: How often a pair is named the other way round.
        numbered: Whether the steps begin with their numbers.
    """

    start: str | None
    swap: str
    holding: str
    between: str | None
    end: str
    final: str
    fused: bool = False
    named: str = "all"
    initials: bool = False
    shortened: bool = False
    changed_first: bool = False
    turned: float = 0.0
    numbered: bool = False


def trace_manner(context: Context, people: Sequence[str], rng: random.Random) -> Manner:
    """A terse trace: one state a line, now with the swap before it, now without."""
    apart = len({person[0] for person in people}) == len(people)
    initials = apart and rng.random() < (0.12 if len(people) < 5 else 0.35)
    bare = rng.random() < (0.8 if initials else 0.05)
    fused = rng.random() < (0.45 if bare else 0.1)
    full_states = rng.random() < (0.65 if bare else 0.9)
    named = "all" if full_states else rng.choice(("changed", "so far", "some"))
    shortened = rng.random() < context.shortened
    verb = "swap" if shortened and rng.random() < 0.5 else "{verb}"
    start: str | None = "" if initials or bare else "At the start: "
    if not bare and rng.random() < 0.1:  # where no pair is named, nobody could tell that the start is missing
        start = None
    if fused:
        final = " So the answer is ({a})"
    elif rng.random() < (0.6 if initials else 0.05):
        final = "So the answer is ({a})"
    else:
        final = "At the end of the {t}, {p} {asks} {o}. So the answer is ({a})"
    return Manner(
        start,
        swap="" if bare else f"{{x}} and {{y}} {verb}: ",
        holding="{p}: {o}",
        between=", ",
        end="" if initials and rng.random() < 0.8 else ".",
        final=final,
        fused=fused,
        named=named,
        initials=initials,
        shortened=shortened,
        changed_first=rng.random() < (0.4 if bare else 0.05),
        turned=0.1,
    )


def solver_manner(context: Context, people: Sequence[str], rng: random.Random) -> Manner:
    return Manner(
        "At the start: ",
        "{x} ({gives_x}) and {y} ({gives_y}) swap: ",
        "{p}: {o}",
        ", ",
        ".",
        "At the end: {p}: {o}. The answer is \\boxed{{{a}}}.",
        named="changed",
        changed_first=True,
        numbered=True,
    )


def prose_manner(context: Context, people: Sequence[str], rng: random.Random) -> Manner:
    return Manner(
        rng.choice(("At first, ", "In the beginning, ", "We start with this: ")),
        rng.choice(("After the {nth} swap, ", "{x} and {y} {verb}. Now ", "Then {x} and {y} {verb}, so ")),
        rng.choice(("{p} has {o}", "{p} holds {o}")),
        None,
        ".",
        rng.choice(
            ("In the end {p} has {o}, which is option ({a}).", "So {p} has {o}. The answer is ({a}).")
        ),
    )


def arrows_manner(context: Context, people: Sequence[str], rng: random.Random) -> Manner:
    return Manner(
        "Start: ",
        rng.choice(("Swap {k}: ", "Swap {k} ({x}, {y}): ", "{x} <-> {y}: ")),
        rng.choice(("{p} -> {o}", "{p} - {o}")),
        rng.choice((", ", "; ")),
        rng.choice((".", "")),
        rng.choice(("Answer: ({a})", "{p} -> {o}. Answer: ({a})")),
        shortened=rng.random() < context.shortened,
    )


def changes_manner(context: Context, people: Sequence[str], rng: random.Random) -> Manner:
    return Manner(
        rng.choice((None, "At the start, ")),
        rng.choice(("{x} and {y} {verb}: ", "Swap {k}: ")),
        rng.choice(("{p} has {o}", "{p}: {o}")),
        rng.choice((None, ", ")),
        ".",
        rng.choice(("At the end, {p} has {o}. So the answer is ({a}).", "So the answer is ({a}).")),
        named="changed",
        shortened=rng.random() < context.shortened,
    )


def table_manner(context: Context, people: Sequence[str], rng: random.Random) -> Manner:
    return Manner(
        "Initially | ",
        "{nth} swap, {x} with {y} | ",
        "{p} = {o}",
        " | ",
        "",
        "Finally | {p} = {o} | answer ({a})",
        shortened=rng.random() < context.shortened,
    )


MANNERS = {
    "trace": trace_manner,
    "solver": solver_manner,
    "prose": prose_manner,
    "arrows": arrows_manner,
    "changes": changes_manner,
    "table": table_manner,
}
STYLE_WEIGHTS = {"trace": 60, "solver": 20, "prose": 7, "arrows": 6, "changes": 7}


def short_forms(things: Sequence[str]) -> State:
    """A word of each name that is no part of the others, the first that serves; else the name."""

    def short(thing: str) -> str:
        words = [word for word in re.findall(r"\w+", thing) if word.lower() not in ("the", "of", "a", "and")]
        return next((word for word in words if sum(word in other for other in things) == 1), thing)

    return {thing: short(thing) for thing in things}


class Writer:
    """Puts states and answers of one solution into words."""

    def __init__(
        self, puzzle: Puzzle, context: Context, manner: Manner, time: str, rng: random.Random
    ) -> None:
        self._puzzle, self._context, self._manner, self._time = puzzle, context, manner, time
        self._rng = rng
        things = list(puzzle.start.values())
        self._things = short_forms(things) if manner.shortened else dict(zip(things, things, strict=True))

    def _person(self, person: str) -> str:
        return person[0] if self._manner.initials else person

    def _whom(self, state: State, before: State, index: int, pair: Swap | None) -> list[str]:
        """Those whom a step states, in its order."""
        if pair is None or self._manner.named == "all":
            chosen = list(state)
        else:
            since = 0 if self._manner.named == "so far" else index
            swapped = {person for swap in (*self._puzzle.swaps[since : index + 1], pair) for person in swap}
            if self._manner.named == "some":
                swapped.update(self._rng.sample(list(state), self._rng.randrange(len(state))))
            chosen = [person for person in state if person in swapped or state[person] != before[person]]
        if pair and self._manner.changed_first:
            chosen.sort(key=lambda person: pair.index(person) if person in pair else 2)
        return chosen

    def state(
        self, state: State, before: State, index: int, pair: Swap | None, mistake: str | None = None
    ) -> Said:
        """A step that states who holds what after ``pair`` made the ``index``-th swap, or at the start."""
        claim = {
            self._person(person): self._things[state[person]]
            for person in self._whom(state, before, index, pair)
        }
        lead = self._manner.start or ""
        if pair:
            (one, gets_one), (other, gets_other) = (
                (self._person(person), self._things[state[person]]) for person in pair
            )
            lead = self._manner.swap.format(
                x=one,
                y=other,
                gives_x=gets_other,
                gives_y=gets_one,
                verb=self._context.swap,
                k=index + 1,
                nth=ORDINALS[index],
            )
        items = [self._manner.holding.format(p=person, o=thing) for person, thing in claim.items()]
        between = self._manner.between
        if between is not None:
            body = between.join(items)
        else:
            body = in_words(items) if len(items) > 2 else " and ".join(items)
        return Said(sentence_case(f"{lead}{body}{self._manner.end}"), claim, mistake=mistake)

    def final(self, person: str, thing: str, answer: str, mistake: str | None) -> Said:
        """The last step, which states one person's thing and answers."""
        template = self._manner.final
        states_it = "{p}" in template
        in_full = "{asks}" in template
        words = template.format(
            t=self._time,
            p=person,
            o=thing if in_full else self._things[thing],
            asks=self._context.asks,
            a=answer,
        )
        claim = {person: thing if in_full else self._things[thing]} if states_it else {}
        return Said(sentence_case(words), claim, answer, mistake)

    def fused(self, said: Said, letter: str, mistake: str | None) -> Said:
        """A state with the answer behind it."""
        return Said(said.text + self._manner.final.format(a=letter), said.claim, letter, mistake)


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


# ------------------------------------------------------------------------------------------------- solutions


def answer_of(thing: str, answers: dict[str, str]) -> str:
    return next(answer for answer, meant in answers.items() if meant == thing)


def wrong_answer(right: str, answers: dict[str, str], rng: random.Random) -> str:
    return rng.choice([answer for answer in answers if answer != right])


class Solution:
    """Writes one solution with mistakes at the planted steps, judging as it goes."""

    def __init__(self, puzzle: Puzzle, writer: Writer, manner: Manner, rng: random.Random) -> None:
        self._puzzle, self._writer, self._manner, self._rng = puzzle, writer, manner, rng
        self._first = 1 if manner.start is None else 2
        self.verifier = Verifier(puzzle, self._first)
        self.count = self._first - 1 + len(puzzle.swaps) + (not manner.fused)

    def write(self, planted: set[int]) -> tuple[WorldStep, ...]:
        """The steps, with a mistake at each of the ``planted`` places, counted from 0."""
        steps = []
        for place in range(self.count):
            index = place + 1 - self._first
            write = self._final if index == len(self._puzzle.swaps) else self._state
            said = write(index, place in planted)
            if self._manner.numbered:
                said = replace(said, text=f"Step {place + 1}: {said.text}")
            rationale = self.verifier.judge(said)
            steps.append(WorldStep(said.text, said.mistake is None, rationale, said.mistake))
        return tuple(steps)

    def _pair(self, index: int) -> Swap | None:
        if index < 0:
            return None
        one, other = self._puzzle.swaps[index]
        return (other, one) if self._rng.random() < self._manner.turned else (one, other)

    def _state(self, index: int, wrong: bool) -> Said:
        fused = self._manner.fused and index == len(self._puzzle.swaps) - 1
        misanswered = fused and wrong and self._rng.random() < 0.4
        said = self._wrong_state(index) if wrong and not misanswered else None
        before, due = self.verifier.state, self.verifier.due()
        said = said or self._writer.state(due, before, index, self._pair(index))
        if not fused:
            return said
        after = {**due, **self.verifier.meant(said.claim)}
        letter = answer_of(after[self._puzzle.asked], self._puzzle.options)
        if not misanswered:
            return self._writer.fused(said, letter, said.mistake)
        chosen = wrong_answer(letter, self._puzzle.options, self._rng)
        return self._writer.fused(said, chosen, "wrong_final_answer")

    def _wrong_state(self, index: int) -> Said | None:
        """A wrong step whose words show the mistake, or None where that is hard to find."""
        swaps, before, due = self._puzzle.swaps, self.verifier.state, self.verifier.due()
        pair = self._pair(index)
        following = swaps[index + 1] if index < len(swaps) - 1 else None
        for _ in range(20):
            wrong = missed(due, before, pair, following, self._rng) if pair else miscopied(due, self._rng)
            said = self._writer.state(wrong.state, before, index, wrong.pair, wrong.kind)
            if any(due[person] != thing for person, thing in self.verifier.meant(said.claim).items()):
                return said
        return None

    def _final(self, index: int, wrong: bool) -> Said:
        answers, state, asked = self._puzzle.answers, self.verifier.state, self._puzzle.asked
        right = answer_of(state[asked], answers)
        if not wrong:
            return self._writer.final(asked, state[asked], right, None)
        chosen = wrong_answer(right, answers, self._rng)
        owners = [person for person, thing in state.items() if thing == answers[chosen]]
        slip = self._rng.random()
        if slip < 0.4:  # the answer alone is wrong
            return self._writer.final(asked, state[asked], chosen, "wrong_final_answer")
        if slip < 0.6 and owners:  # somebody else was asked about
            return self._writer.final(owners[0], answers[chosen], chosen, "wrong_final_answer")
        return self._writer.final(asked, answers[chosen], chosen, "wrong_final_answer")


# --------------------------------------------------------------------------------------------------- reading

NUMBER = r"Step \d+: "
GIVER = rf"(\w+) \(({THING.pattern})\)"
START_STEP = re.compile(rf"{NUMBER}At the start: (.+)\.")
SWAP_STEP = re.compile(rf"{NUMBER}{GIVER} and {GIVER} swap: (.+)\.")
BOXED = rf"\\boxed\{{(?:\(([A-Z])\)|({THING.pattern}))\}}"
FINAL_STEP = re.compile(rf"{NUMBER}At the end: (.+)\. The answer is {BOXED}\.")


def read_claim(text: str, people: Iterable[str]) -> State | None:
    """Who holds what in ``Alice: red ball, Bob: blue ball``; None if it is garbled."""
    claim: State = {}
    for item in text.split(", "):
        person, colon, thing = item.partition(": ")
        if not colon or person not in people or person in claim or not THING.fullmatch(thing):
            return None
        claim[person] = thing
    return claim


def read_swap(text: str, people: Iterable[str]) -> State | None:
    """Who holds what after a swap step; None if what the two give is not what they get."""
    if not (found := SWAP_STEP.fullmatch(text)):
        return None
    one, gives_one, other, gives_other, body = found.groups()
    claim = read_claim(body, people) or {}
    agrees = one != other and (claim.get(one), claim.get(other)) == (gives_other, gives_one)
    return claim if agrees else None


def read_step(text: str, people: Iterable[str]) -> Said | None:
    """What a step in the ``solver`` style says, or None."""
    if final := FINAL_STEP.fullmatch(text):
        claim = read_claim(final[1], people)
        return Said(text, claim, final[2] or final[3]) if claim and len(claim) == 1 else None
    started = START_STEP.fullmatch(text)
    claim = read_claim(started[1], people) if started else read_swap(text, people)
    return None if claim is None else Said(text, claim)


# ----------------------------------------------------------------------------------------------------- world


class Tracking(World):
    """Three to seven people and two to eight swaps; the solver writes what the two who swap held and hold."""

    name = "tracking"
    styles = tuple(MANNERS)
    held_out_style = "table"

    PEOPLE = (3, 4, 5, 6, 7)
    PEOPLE_WEIGHTS = (58, 6, 28, 2, 6)
    EXERCISE_PEOPLE = (4, 5)
    EXERCISE_SWAPS = (4, 5, 6)
    PRACTICE_PEOPLE = (3, 3, 4, 5)
    PRACTICE_SWAPS = (2, 3, 4, 5, 6)

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw a problem and a solution of it in one style."""
        style = style or rng.choices(list(STYLE_WEIGHTS), list(STYLE_WEIGHTS.values()))[0]
        people = rng.choices(self.PEOPLE, self.PEOPLE_WEIGHTS)[0]
        swaps = people if rng.random() < 0.75 else rng.randint(2, min(8, people + 2))
        if style == "solver" and rng.random() < 0.5:
            people, swaps = rng.choice(self.EXERCISE_PEOPLE), rng.choice(self.EXERCISE_SWAPS)
        problem, solution = self._draw(rng, style, people, swaps)
        steps = solution.write(planted_steps(rng, solution.count, first_weight=0.3))
        return Example(self.name, problem, steps, solution.verifier.setup)

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw a problem with the steps that solve it."""
        return self._exercise(rng, self.EXERCISE_PEOPLE, self.EXERCISE_SWAPS)

    def practice(self, rng: random.Random) -> Exercise:
        """Draw an exercise, most of them shorter."""
        return self._exercise(rng, self.PRACTICE_PEOPLE, self.PRACTICE_SWAPS)

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Judge a solution in the ``solver`` style."""
        puzzle = read_problem(problem)
        if puzzle is None or not steps:
            return None
        verifier, judged_steps = Verifier(puzzle, first=2), []
        for text in steps:
            said = read_step(text, puzzle.start)
            if said is None:
                return None
            rationale = verifier.judge(said)
            correct = rationale.output.endswith("True")
            mistake = None if correct else "slip" if said.answer is None else "wrong_final_answer"
            judged_steps.append(WorldStep(text, correct, rationale, mistake))
        return Example(self.name, problem, tuple(judged_steps), verifier.setup)

    def _exercise(self, rng: random.Random, people: Sequence[int], swaps: Sequence[int]) -> Exercise:
        problem, solution = self._draw(rng, "solver", rng.choice(people), rng.choice(swaps))
        steps = tuple(step.text for step in solution.write(set()))
        return Exercise(self.name, problem, steps, boxed_answer(steps[-1]) or "")

    def _draw(self, rng: random.Random, style: str, people: int, swaps: int) -> tuple[str, Solution]:
        context = rng.choices(CONTEXTS, CONTEXT_WEIGHTS)[0]
        puzzle = draw_puzzle(rng, context, people, swaps)
        if style == "solver":
            puzzle = replace(puzzle, options={})
        manner = MANNERS[style](context, list(puzzle.start), rng)
        time = rng.choice(context.times)
        writer = Writer(puzzle, context, manner, time, rng)
        return problem_text(puzzle, context, time, rng), Solution(puzzle, writer, manner, rng)


WORLD = Tracking()
