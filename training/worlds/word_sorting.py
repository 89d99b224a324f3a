"""Word sorting: lists of words put into alphabetical order, letter by letter or word by word.

Solutions name the first letters, group the words by them and then settle one open group after another by
its next letters, each time writing the whole list anew; or they insert one word after another into a sorted
list. Every step is judged by the words of the problem and, where it settles a group, by the group that the
step before it left open. A list is right only if it holds the problem's words in order: a step that carries
a lost or misplaced word on is wrong again.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from .base import Example, Exercise, Rationale, World, WorldStep, judged, numbered, planted_steps

__all__ = ["WordSorting"]

ALPHABET = " abcdefghijklmnopqrstuvwxyz"
"""A letter's number is its index; the end of a word counts as 0."""


def listed(text: str) -> list[str]:
    return text.split()


ORDINALS = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")

LONGEST_TRACE = 25
"""Steps after which a solution gives its answer, however many groups are open."""

COMMON = listed(
    """
    able about above accept across action actor after again agree almond amber anchor angle animal
    answer apple april arch army arrow artist aspen atlas autumn baker banana banker barn basket beach
    bear beaver bell bench berry bird blade blanket bottle bottom branch brave bread bridge bright
    brother bucket builder butter button cabin cable camel camera candle canvas carbon carpet castle
    cattle celery cement chair chalk change cherry chest child circle citizen clever climb clock cloud
    coast coffee color copper corner cotton council cousin cradle cricket crown curtain dairy damage
    dancer daughter decide degree desert detail diamond dinner doctor dolphin donkey double dragon
    drawer dream driver early earth east echo editor effort eight elbow elder empire engine enough
    equal evening example fabric factor falcon family farmer father feather fence fiddle field figure
    finger fisher flame floor flower forest fortune fountain frame friend frost future gallery garden
    garlic gate gentle ginger giraffe glass globe goat golden grain grape gravel green guitar hammer
    handle harbor hazel heart helmet hidden hill hobby honest hornet horse hotel hunter iceberg idea
    image index inner insect iron island ivory jacket january jelly jewel jigsaw journal journey judge
    jungle kettle keyboard kitchen kitten knight ladder lake lamp language lantern laundry leader
    leather lemon lesson letter library light linen liquid lizard lobster lumber machine magnet maple
    marble market master meadow medal melon member metal middle mirror modern monkey morning mother
    mountain music napkin narrow nation nature needle nephew never night noble nod noodle north notion
    novel nurse oak oasis object ocean office olive onion opera orange orchard organ otter oven owner
    oxygen paddle page painter palace panel paper parent parrot pastry patient pebble pencil people
    pepper picture pillow pilot planet plate pocket poet polite potato powder prairie present prince
    public pumpkin puppet quarter queen question quiet quilt rabbit radio railway rain raven reader
    record region remedy reptile rescue ribbon river robin rocket roof rubber saddle sailor salad
    salmon sample scholar science season second secret senator shadow sheep shelter shepherd silver
    simple singer sister sketch soldier spider spirit spoon spring square squirrel stable station
    statue steam stone storm straw stream street student sudden sugar summer sunset supper surface
    table tailor talent teacher temple tender theater thunder ticket tiger timber tomato tower traffic
    travel treasure tribe trumpet tulip tunnel turtle twelve uncle under unity upper urban useful
    valley vanish velvet vessel village vine violet vision voice wagon walnut water weather welcome
    whale wheat whisper willow window winter wisdom wolf wonder yard yeast yellow yonder young zebra
    zenith zero act add ant arm art ash bad bag bat bed bee big box boy bus cab can cap car cat cow
    cup cut day den dig dog dot dry ear egg elf end eye fan far fig fin fit fly fog fox gap gem get
    gum gun hat hen hid hop hot ice ink jam jar jet job joy key kid kit lap leg lid lip log low mad
    man map mat mix mud mug nap net new nut odd oil old one owl pan pat pea pen pet pie pig pin pot
    pup ram rat red rib rim rod row rug run sad saw sea set six sky son sun tab tag tan tap ten tie
    tin toe top toy tub two urn use van vet wax web wet wig win yes yet zip zoo
    """
)

SPOKEN = listed(
    """
    absolute afternoon analyze another answers any asked assistant ball balls base before black blue book
    books boxed boxes bracket brackets broken brown cake calculate check cited claim claims clues code
    coin coins cookies cracked crimson critique cupcakes cups delivery differ different dishes due each
    else empty equation error evaluate every everybody exchange expensive fifth final finally find finds
    finished first fits fixed flat follow following four fourth from fruits full fullback game gets ghost
    given gives golfer gray have heaviest held hold holding holds holiday identify input into items its
    join joins judgement just keep keeps kingfisher kite know lamps last left leftmost letters logically
    look looking makes many math most must name names newer next nothing now number numbers objects onions
    open options order ordering orders other others output paragraph paragraphs part partner partners
    parts pears pens pink play player polished position positions potential presents print prints printv
    purple put puts python range reads reason replay return review rewrite rewrites right rightmost said
    same sandwich sentence sequence seven seventh short shortest should simplify solution solve sort
    sorted split stack stamps start starts state statement statements step steps subpart sure swap swaps
    system take takes task teal teapot than that their theirs them then there therefore they thing things
    third this through together told topmost track tuesday turquoise umbrella unknown user val values vase
    verify violin what which white with within word words work workers works write writes wrong years your
    """
)
"""Words of the worlds' own language. Their tokens are rare in other words, and must be copied there too."""

CONTRACTIONS = listed(
    "can't didn't hadn't hasn't isn't she'll they've wasn't we'll we've weren't won't you're"
)

INITIALS = "aaabbbbccccccddddeeefffggghhhiiijkllllmmmmnnnooopppppqrrrsssssssttttuvvwwyz"
ONSETS = listed(
    """
    b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sl sm sn sp st str
    t th tr tw v w wh y z b c d l m n p r s t
    """
)
VOWELS = listed("a e i o u a e i o u a e i o ai ea ee ie oa oo ou y")
CODAS = ["", "", "", "", *listed("b ck ct d g l ll m n nd ng nt p r rd rn rt s sk ss st t x l m n r s t")]
ENDINGS = listed(
    """
    able age al ance ant ary ate ed en er ery est ful ia ian ic ing ion ish ism ist ity ium ive less ly
    ment ness or ose ous tion ure y e e o us
    """
)
PREFIXES = listed(
    "anti com con counter de dis ex for in inter mis non over para per pre pro re semi sub super trans un"
)

Pair = tuple[str, str, int]
"""A word, the letter said to be at the place looked at, and the number said to be that letter's."""

Groups = list[list[str]]


def syllable(rng: random.Random, initial: str = "") -> str:
    """A syllable, beginning with a letter if one is given."""
    if initial and initial in "aeiou":
        return initial + rng.choice(CODAS)
    onset = rng.choice([onset for onset in ONSETS if onset.startswith(initial)])
    return onset + rng.choice(VOWELS) + rng.choice(CODAS)


def pseudo_word(rng: random.Random, longest: int) -> str:
    """A word that looks English but mostly is none, so that words must be read and not recalled."""
    while True:
        parts = [rng.choice(PREFIXES)] if longest > 7 and rng.random() < 0.15 else []
        parts.append(syllable(rng, "" if parts else rng.choice(INITIALS)))
        if longest > 5:
            parts += [syllable(rng) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
            if rng.random() < 0.5:
                parts.append(rng.choice(ENDINGS))
        word = "".join(parts)
        if 2 <= len(word) <= longest:
            return word


def spoken_word(rng: random.Random, longest: int) -> str:
    """A word of the worlds' own language, mostly with something before or behind it."""
    while True:
        word = rng.choice(SPOKEN)
        draw = rng.random()
        if draw < 0.3:
            word = rng.choice((rng.choice(PREFIXES), syllable(rng))) + word
        elif draw < 0.6:
            word = word[: rng.randint(2, len(word))] + rng.choice((rng.choice(ENDINGS), syllable(rng)))
        elif draw < 0.75:
            word = word[: rng.randint(2, len(word))] + rng.choice(SPOKEN)
        if len(word) <= longest:
            return word


def relative(word: str, rng: random.Random, longest: int) -> str:
    """A word with the same beginning, now and then with the whole word as its beginning."""
    if len(word) < 5 and rng.random() < 0.2:
        return word + rng.choice(ENDINGS)
    shared = min(len(word), rng.choice((1, 1, 2, 2, 2, 3, 3, 4)))
    return word[:shared] + pseudo_word(rng, max(2, longest - shared))


def drawn_words(rng: random.Random, count: int, longest: int = 15) -> list[str]:
    """Different words, some of them alike at the beginning."""
    words: dict[str, None] = {}
    related = rng.choice((0.0, 0.1, 0.2))
    while len(words) < count:
        draw = rng.random()
        if words and draw < related:
            word = relative(rng.choice(list(words)), rng, longest)
        elif draw < 0.35:
            word = spoken_word(rng, longest)
        elif draw < 0.6 or longest < 6:
            word = rng.choice(COMMON) if rng.random() < 0.6 else pseudo_word(rng, longest)
        elif draw < 0.605:
            word = rng.choice(CONTRACTIONS)
        elif draw < 0.625:
            word = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 6)))
        else:
            word = pseudo_word(rng, longest)
        if len(word) <= longest:
            words[word] = None
    chosen = list(words)
    rng.shuffle(chosen)
    return chosen


def misspelt(word: str, rng: random.Random) -> str:
    """The word with a letter lost, doubled, changed or swapped, or with another ending."""
    at = rng.randrange(len(word))
    other = rng.choice("abcdefghijklmnoprstuvwy")
    options = [
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + other + word[at + 1 :],
        word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
        word + rng.choice(("s", "y", "er")),
    ]
    return rng.choice([option for option in options if len(option) > 1 and option != word])


def number_of(letter: str) -> int:
    return ALPHABET.find(letter)


def letter_at(word: str, place: int) -> str:
    """The letter at a place counted from 1, empty behind the end."""
    return word[place - 1 : place]


# --- Rationales --------------------------------------------------------------------------------------

SETUP = """\
words = "{words}".split()
abc = "{alphabet}"
def flat(t):
    return [w for x in t.split(" <") for w in sorted(x.split(" ?"))]
def letters(g, n):
    g = [w for w in g if w[:n - 1] == g[0][:n - 1]]
    return sorted(f"{{w}} :{{w[n - 1:n]}}{{abc.find(w[n - 1:n])}}" for w in g)
def numbers(g, n):
    return [f"{{w}} {{abc.find(w[n - 1:n])}}" for w in g]
def claims(p):
    return [f"{{w}} {{x.split(':')[0]}}" for x in p.split(" <") for w in flat(x.split(":")[-1])]
def part(p, l):
    p = " <".join(x.split(":")[-1] for x in p.split(" <"))
    return "part" if f" <{{p}} <" in f" <{{l}} <" else l
def differ(v, c):
    return next((x[:50] for x, y in zip(v, [*c, ""]) if x != y), "nothing")
"""
"""What all checks share; they write a list as ``a <b ?c <d``, where ``?`` joins the words of an open group.

A part has numbers: ``1:a <2:b ?c <4:d``. ``flat`` takes a list apart, open groups in order; ``letters`` and
``numbers`` say what must be claimed of the ``n``-th letters and ``claims`` what is; ``part`` tells whether
the list has the part; ``differ`` is the first thing expected and not found.
"""

COMPARED = "print(differ(v, c), v == c)"


@dataclass(frozen=True)
class Checks:
    """The rationales of one problem's solutions.

    Attributes:
        setup: The set-up of the problem.
        names: What it defines, run once for all rationales.
    """

    setup: str
    names: dict[str, object]

    @classmethod
    def of(cls, words: Sequence[str]) -> Checks:
        setup = SETUP.format(words=" ".join(words), alphabet=ALPHABET)
        names: dict[str, object] = {}
        exec(compile(setup, "<setup>", "exec"), names)  # noqa: S102
        return cls(setup, names)

    def letters(self, pairs: Sequence[Pair], place: int, group: Sequence[str] | None) -> Rationale:
        """Check the letters named for the words of a group, None being all words."""
        said = " /".join(f"{word} :{letter}{number}" for word, letter, number in pairs)
        code = f'{place_code(place, group)}c = sorted("{said}".split(" /"))\nv = letters(g, n)\n{COMPARED}'
        if group is None:
            analysis = "The paragraph names the first letter of every word and its number."
        else:
            analysis = "The paragraph names letters of a subpart, which must be the first one left open."
        return judged(analysis, code, names=self.names)

    def ranking(
        self,
        numbers: Sequence[int],
        part: Groups,
        whole: Groups | None,
        place: int,
        group: Sequence[str] | None,
    ) -> Rationale:
        """Check words under the numbers of their letters and, unless None, the list they are put into.

        Args:
            numbers: The numbers in front of the part's groups.
            part: The words ordered by their letters.
            whole: The list with the part in it.
            place: Which letters, counted from 1.
            group: The words that were to be ordered, None being all words.
        """
        said = " <".join(f"{n}:{group_text(words)}" for n, words in zip(numbers, part, strict=True))
        code = f'{place_code(place, group)}p = "{said}"\n'
        if whole is not None:
            code += f'l = "{list_text(whole)}"\nc = claims(p) + flat(l) + [part(p, l)]\n'
            code += f'v = numbers(g, n) + sorted(words) + ["part"]\n{COMPARED}'
            analysis = (
                "The paragraph orders the subpart and puts it into the list, "
                "which must hold every word in order."
            )
            return judged(analysis, code, names=self.names)
        code += f"c = claims(p)\nv = numbers(g, n)\n{COMPARED}"
        words = "all the words by their first" if group is None else "the subpart by its"
        analysis = f"The paragraph orders {words} letters: each word must be there under its number."
        return judged(analysis, code, names=self.names)

    def answer(self, answer: str) -> Rationale:
        """Check the answer, given with the blank in front of it if there is one."""
        code = f'c = "{answer}".split()\nv = sorted(words)\n{COMPARED}'
        return judged(
            "The paragraph gives the answer, which must hold every word in order.", code, names=self.names
        )

    def insertion(self, count: int, word: str, line: str) -> Rationale:
        code = (
            f'n = {count}\nw = " {word}".split()\nc = " {line}".split()\nv = sorted(words[:n])\n'
            "print(*v, c == v and w == words[n - 1:n])"
        )
        return judged(
            "The paragraph takes the next word, which must be put in its place.", code, names=self.names
        )


def group_text(group: Iterable[str]) -> str:
    return " ?".join(group)


def list_text(groups: Groups) -> str:
    """A list as the code holds it: no letter follows a blank, so words are the same tokens as in quotes."""
    return " <".join(group_text(group) for group in groups)


def place_code(place: int, group: Sequence[str] | None) -> str:
    words = "sorted(words)" if group is None else f'flat("{group_text(group)}")'
    return f"n = {place}\ng = {words}\n"


def is_right(rationale: Rationale) -> bool:
    return rationale.output.endswith("True")


# --- Phrasings -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phrasing:
    """The wordings of one style of traces.

    Attributes:
        problem: Around the words.
        pair: A word, its letter and the letter's number.
        pair_joint: What stands between two of them.
        first_letters: The step that names all first letters.
        first_ranking: The step that groups by them.
        letters: The step that takes a subpart and names its letters.
        part: The step that only orders the subpart.
        result: The step that orders the subpart and writes the whole list.
        answer: The last step.
        opening: The mark in front of an open group.
        joint: The mark between its words.
        closing: The mark behind it.
    """

    problem: str
    pair: str
    pair_joint: str
    first_letters: str
    first_ranking: str
    letters: str
    part: str
    result: str
    answer: str
    opening: str = "["
    joint: str = " ? "
    closing: str = "]"

    def group(self, group: Sequence[str]) -> str:
        words = self.joint.join(f'"{word}"' for word in group)
        return f"{self.opening}{words}{self.closing}" if len(group) > 1 else words

    def listed(self, groups: Groups, numbers: Sequence[int | None]) -> str:
        return " < ".join(
            self.group(group) if number is None else f"({number}) {self.group(group)}"
            for group, number in zip(groups, numbers, strict=True)
        )

    def pairs(self, pairs: Iterable[Pair]) -> str:
        return self.pair_joint.join(self.pair.format(word=w, letter=c, number=n) for w, c, n in pairs)


PHRASINGS = {
    "trace": Phrasing(
        problem="{words}",
        pair='"{word}": "{letter}" ({number}).',
        pair_joint=" ",
        first_letters="I should start by looking at the first letter of the words in the list. "
        "The first letter: {pairs}",
        first_ranking="We now have: {part}.",
        letters="Now let's sort this subpart {group} by looking at their {ordinal} letters. "
        "The {ordinal} letter: {pairs}",
        part="We now have: {part} for the subpart.",
        result="We now have: {part} for the subpart. Hence, we have {whole}.",
        answer="I have now sorted all the words. The answer is {words}",
    ),
    "prose": Phrasing(
        problem="Sort the following words alphabetically:\n{words}",
        pair='"{word}" has "{letter}" ({number})',
        pair_joint=", ",
        first_letters="First, note the initial letters and their places in the alphabet: {pairs}.",
        first_ranking="Ordered by these letters, the words are: {part}.",
        letters="The words {group} are still tied, so compare their {ordinal} letters: {pairs}.",
        part="Among these words, we get {part}.",
        result="Among these words, we get {part}. The whole list is then {whole}.",
        answer="No tie is left, so the words in alphabetical order are {words}",
        opening="{",
        joint=" , ",
        closing="}",
    ),
    "terse": Phrasing(
        problem="Put in order:\n{words}",
        pair='"{word}" -> "{letter}" ({number})',
        pair_joint="; ",
        first_letters="First letters. {pairs}.",
        first_ranking="By first letter: {part}.",
        letters="Open: {group}. Their {ordinal} letters. {pairs}.",
        part="So far: {part}.",
        result="So far: {part}. List: {whole}.",
        answer="Sorted: {words}",
        joint=" | ",
    ),
}


# --- Traces ----------------------------------------------------------------------------------------------

MISTAKES = {
    "first_letters": {"slip": 6, "dropped": 2, "doubled": 1, "copied_wrongly": 2},
    "first_ranking": {
        "dropped": 6,
        "doubled": 5,
        "wrong_operand": 3,
        "slip": 4,
        "copied_wrongly": 2,
        "wrong_inference": 2,
    },
    "letters": {"wrong_operand": 9, "slip": 8, "wrong_operation": 1, "dropped": 1, "copied_wrongly": 1},
    "result": {
        "wrong_inference": 6,
        "not_updated": 6,
        "slip": 3,
        "dropped": 3,
        "doubled": 1,
        "copied_wrongly": 3,
        "wrong_operation": 4,
    },
}
"""How often which kind of mistake is planted where.

A ``wrong_operand`` is a word put into another letter's group or a subpart taken before its turn; a
``wrong_operation`` looks at the wrong letters or settles a group that was not looked at; after
``not_updated`` the list stays as it was. A step that is wrong only because it carries an earlier mistake on
is ``carried``.
"""


def chosen_kind(where: str, rng: random.Random) -> str:
    kinds = MISTAKES[where]
    return rng.choices(list(kinds), list(kinds.values()))[0]


def grouped(pairs: Sequence[Pair]) -> list[tuple[int, list[str]]]:
    """Words under the numbers of their letters, in order."""
    ordered = sorted(pairs, key=lambda pair: pair[2])
    return [(n, [word for word, _, _ in group]) for n, group in groupby(ordered, key=lambda pair: pair[2])]


def right_pairs(words: Iterable[str], place: int) -> list[Pair]:
    return [
        (word, letter_at(word, place), number_of(letter_at(word, place))) for word in dict.fromkeys(words)
    ]


def slipped_pair(pair: Pair, place: int, rng: random.Random) -> Pair:
    """Another letter of the word (with its number), another number or another letter."""
    word, letter, number = pair
    draw = rng.random()
    if draw < 0.6:
        others = [c for c in (word[place : place + 2] + word[: place - 1]) if c != letter and c.isalpha()]
        other = rng.choice(others or ["e" if letter != "e" else "a"])
        return word, other, number_of(other)
    if draw < 0.85:
        return word, letter, changed_number(number, rng)
    other = rng.choice([c for c in ALPHABET[1:] if c != letter])
    return word, other, number if draw < 0.9 else number_of(other)


def changed_number(number: int, rng: random.Random) -> int:
    nearby = [n for n in (number - 2, number - 1, number + 1, number + 2) if 1 <= n <= 26]
    return rng.choice(nearby)


def corrupted_pairs(pairs: list[Pair], kind: str, place: int, rng: random.Random) -> list[Pair]:
    pairs = list(pairs)
    at = rng.randrange(len(pairs))
    if kind == "slip":
        pairs[at] = slipped_pair(pairs[at], place, rng)
    elif kind == "dropped":
        del pairs[at]
    elif kind == "doubled":
        pairs.insert(rng.randrange(len(pairs)), pairs[at])
    elif kind == "copied_wrongly":
        word = misspelt(pairs[at][0], rng)
        pairs[at] = (word, *pairs[at][1:])
    return pairs


def without_empty(groups: Groups) -> Groups:
    return [group for group in groups if group]


def corrupted_words(groups: Groups, kind: str, rng: random.Random) -> Groups:
    """The list with one word lost, written twice, misspelt or out of place; one word at least stays."""
    groups = [list(group) for group in groups]
    at = rng.randrange(len(groups))
    inside = rng.randrange(len(groups[at]))
    word = groups[at][inside]
    if kind == "dropped" and len(flat(groups)) > 1:
        del groups[at][inside]
    elif kind == "doubled":
        near = min(max(at + rng.choice((-2, -1, 1, 2)), 0), len(groups) - 1)
        groups[near].append(word)
    elif kind == "copied_wrongly":
        groups[at][inside] = misspelt(word, rng)
    elif kind == "wrong_operand":
        del groups[at][inside]
        groups[min(max(at + rng.choice((-1, 1)), 0), len(groups) - 1)].append(word)
    elif kind == "wrong_inference" and len(groups) > 1:
        at = min(at, len(groups) - 2)
        groups[at], groups[at + 1] = groups[at + 1], groups[at]
    return groups


def flat(groups: Groups) -> list[str]:
    return [word for group in groups for word in group]


@dataclass
class Trace:
    """A solution in the making: groups ordered by letters, the words within an open one not yet in order.

    Attributes:
        words: The problem's words.
        checks: Its rationales.
        phrasing: The style.
        rng: The source of chance.
        wrong_steps: Where mistakes are planted.
        keeps_numbers: Whether lists keep the numbers of the first letters.
        steps: The steps written so far.
        groups: The list as the solution has it.
        shown: The groups of the list that the last step ends with.
        places: Which letters an open group was last looked at by, for groups still open after it.
        skipped: Open groups that the solution has passed over.
        first_numbers: The number that each group got by the first letters, by the group's first word.
    """

    words: list[str]
    checks: Checks
    phrasing: Phrasing
    rng: random.Random
    wrong_steps: set[int]
    keeps_numbers: bool
    steps: list[WorldStep] = field(default_factory=list)
    groups: Groups = field(default_factory=list)
    shown: Groups = field(default_factory=list)
    places: dict[tuple[str, ...], int] = field(default_factory=dict)
    skipped: set[tuple[str, ...]] = field(default_factory=set)
    first_numbers: dict[str, int] = field(default_factory=dict)

    def mistake(self, where: str) -> str | None:
        return chosen_kind(where, self.rng) if len(self.steps) in self.wrong_steps else None

    def add(self, text: str, rationale: Rationale, mistake: str | None) -> None:
        correct = is_right(rationale)
        self.steps.append(WorldStep(text, correct, rationale, None if correct else mistake or "carried"))

    def written(self) -> list[WorldStep]:
        pairs = self.name_first_letters()
        self.rank_all(pairs)
        while (group := self.next_open()) is not None and len(self.steps) < LONGEST_TRACE - 2:
            at, place, pairs = self.name_letters(group)
            self.settle(at, place, pairs)
        self.give_answer()
        return self.steps

    def name_first_letters(self) -> list[Pair]:
        kind = self.mistake("first_letters")
        pairs = right_pairs(self.words, 1)
        if kind is not None:
            pairs = corrupted_pairs(pairs, kind, 1, self.rng)
        text = self.phrasing.first_letters.format(pairs=self.phrasing.pairs(pairs))
        self.add(text, self.checks.letters(pairs, 1, None), kind)
        return pairs

    def rank_all(self, pairs: Sequence[Pair]) -> None:
        kind = self.mistake("first_ranking")
        ranked = grouped(list(dict.fromkeys(pairs)))
        order = self.rng.random()
        if order < 0.5:
            ranked = [
                (number, sorted(group) if order < 0.2 else self.rng.sample(group, len(group)))
                for number, group in ranked
            ]
        numbers, groups = [n for n, _ in ranked], [group for _, group in ranked]
        if kind == "slip":
            at = self.rng.randrange(len(numbers))
            numbers[at] = changed_number(numbers[at], self.rng)
        elif kind is not None:
            groups = corrupted_words(groups, kind, self.rng)
            numbers = [number for number, group in zip(numbers, groups, strict=True) if group]
            groups = without_empty(groups)
        text = self.phrasing.first_ranking.format(part=self.phrasing.listed(groups, numbers))
        self.add(text, self.checks.ranking(numbers, groups, None, 1, None), kind)
        self.groups = self.shown = groups
        self.first_numbers = {group[0]: number for number, group in zip(numbers, groups, strict=True)}

    def open_positions(self) -> list[int]:
        return [
            at for at, group in enumerate(self.groups) if len(group) > 1 and tuple(group) not in self.skipped
        ]

    def next_open(self) -> int | None:
        positions = self.open_positions()
        return positions[0] if positions else None

    def name_letters(self, at: int) -> tuple[int, int, list[Pair]]:
        """Take the open group at a position; returns the position taken, the place and the letters named."""
        kind = self.mistake("letters")
        if kind == "wrong_operand":
            later = self.open_positions()[1:]
            if later:
                self.skipped.add(tuple(self.groups[at]))
                at = later[0]
            else:
                kind = "slip"
        group = self.groups[at]
        place = self.places.get(tuple(group), 1) + 1
        if kind == "wrong_operation":
            place += 1 if place == 2 or self.rng.random() < 0.7 else -1
        place = min(place, len(ORDINALS))
        pairs = right_pairs(group, place)
        if kind is not None:
            pairs = corrupted_pairs(pairs, kind, place, self.rng)
        text = self.phrasing.letters.format(
            group=self.phrasing.group(group), ordinal=ORDINALS[place - 1], pairs=self.phrasing.pairs(pairs)
        )
        open_group = next((group for group in self.shown if len(group) > 1), [])
        self.add(text, self.checks.letters(pairs, place, open_group), kind)
        return at, place, pairs

    def settle(self, at: int, place: int, pairs: list[Pair]) -> None:
        """Order the group at a position by its letters and put it into the list."""
        kind = self.mistake("result")
        subpart = self.groups[at]
        ranked = grouped(list(dict.fromkeys(pairs)))
        numbers, part = [n for n, _ in ranked], [group for _, group in ranked]
        if kind == "slip":
            changed = self.rng.randrange(len(numbers))
            numbers[changed] = changed_number(numbers[changed], self.rng)
        elif kind == "wrong_inference":
            numbers, part = self.disordered(numbers, part)
        for group in part:
            if len(group) > 1:
                self.places[tuple(group)] = place
        whole = [*self.groups[:at], *part, *self.groups[at + 1 :]]
        inner_open = any(len(group) > 1 for group in part)
        stays = [group for group in part if len(group) > 1] == [subpart]
        if inner_open and not stays and kind in (None, "slip", "wrong_inference") and self.rng.random() < 0.1:
            self.groups, self.shown = whole, part
            text = self.phrasing.part.format(part=self.phrasing.listed(part, numbers))
            rationale = self.checks.ranking(numbers, part, None, place, subpart)
            self.add(text, rationale, kind)
            return
        if kind == "not_updated":
            whole = [*self.groups[:at], flat(part), *self.groups[at + 1 :]]
            self.skipped.add(tuple(flat(part)))
        elif kind == "wrong_operation":
            whole = self.settled_unseen(whole, at)
        elif kind in ("dropped", "doubled", "copied_wrongly"):
            whole = without_empty(corrupted_words(whole, kind, self.rng))
        self.groups = self.shown = whole
        text = self.phrasing.result.format(
            part=self.phrasing.listed(part, numbers),
            whole=self.phrasing.listed(whole, self.kept_numbers(whole)),
        )
        rationale = self.checks.ranking(numbers, part, whole, place, subpart)
        self.add(text, rationale, kind)

    def disordered(self, numbers: list[int], part: Groups) -> tuple[list[int], Groups]:
        """Two neighbours the wrong way round, or words left together or torn apart against their letters."""
        if len(part) == 1:
            words = self.rng.sample(part[0], len(part[0]))
            return numbers * len(words), [[word] for word in words]
        if self.rng.random() < 0.2:
            return numbers[:1], [flat(part)]
        at = self.rng.randrange(len(part) - 1)
        part[at], part[at + 1] = part[at + 1], part[at]
        if self.rng.random() < 0.7:
            numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
        return numbers, part

    def settled_unseen(self, whole: Groups, at: int) -> Groups:
        """The list with a later open group resolved as it stands, or two entries swapped."""
        later = [i for i, group in enumerate(whole) if i > at and len(group) > 1]
        if later and self.rng.random() < 0.7:
            chosen = self.rng.choice(later)
            return [*whole[:chosen], *[[word] for word in whole[chosen]], *whole[chosen + 1 :]]
        return corrupted_words(whole, "wrong_inference", self.rng)

    def kept_numbers(self, whole: Groups) -> list[int | None]:
        if not self.keeps_numbers:
            return [None] * len(whole)
        return [self.first_numbers.get(group[0]) for group in whole]

    def give_answer(self) -> None:
        planted = len(self.steps) in self.wrong_steps
        answer = flat(self.groups)
        if planted:
            kind = self.rng.choice(
                ("wrong_inference", "wrong_inference", "dropped", "doubled", "copied_wrongly")
            )
            answer = flat(corrupted_words([[word] for word in answer], kind, self.rng))
        text = self.phrasing.answer.format(words=" ".join(answer))
        mistake = "wrong_final_answer" if planted else None
        self.add(text, self.checks.answer(f" {' '.join(answer)}"), mistake)


def traced(words: list[str], style: str, rng: random.Random) -> Example:
    phrasing = PHRASINGS[style]
    wrong_steps = planted_steps(rng, trace_length(words))
    checks = Checks.of(words)
    trace = Trace(words, checks, phrasing, rng, wrong_steps, keeps_numbers=rng.random() < 0.06)
    return Example(
        WordSorting.name,
        phrasing.problem.format(words=" ".join(words)),
        tuple(trace.written()),
        checks.setup,
    )


def trace_length(words: Sequence[str]) -> int:
    """Steps of a right trace: two at first, two for each group that is open at some time, and the answer."""
    depth = max(map(len, words))
    opened = sum(
        len([word for word in words if word[:shared] == beginning]) > 1
        for shared in range(1, depth + 1)
        for beginning in {word[:shared] for word in words}
    )
    return min(3 + 2 * opened, LONGEST_TRACE)


# --- Insertion -------------------------------------------------------------------------------------------

INSERTION = "Take {word}: {line}."
BOXED_ANSWER = "The answer is \\boxed{{{line}}}."
READ_PROBLEM = re.compile(r"[a-z']+( [a-z']+)+")
READ_INSERTION = re.compile(r"Step (\d+): Take ([a-z']+): ([a-z']+(?: [a-z']+)*)\.")
READ_ANSWER = re.compile(r"Step (\d+): The answer is \\boxed\{([a-z']+(?: [a-z']+)*)\}\.")


def inserted(line: Sequence[str], word: str) -> list[str]:
    """The line with the word in front of the first that comes after it."""
    at = next((at for at, other in enumerate(line) if other > word), len(line))
    return [*line[:at], word, *line[at:]]


def insertion_steps(words: Sequence[str]) -> tuple[str, ...]:
    texts = [
        INSERTION.format(word=word, line=" ".join(sorted(words[: count + 1])))
        for count, word in enumerate(words)
    ]
    return numbered([*texts, BOXED_ANSWER.format(line=" ".join(sorted(words)))])


def mistaken_insertion(
    words: Sequence[str], at: int, line: Sequence[str], rng: random.Random
) -> tuple[str, list[str], str]:
    """The word taken, the list and the kind of mistake."""
    word = words[at]
    kind = rng.choices(
        ("wrong_inference", "wrong_operand", "dropped", "doubled", "copied_wrongly"), (10, 2, 3, 2, 2)
    )[0]
    places = [i for i in range(len(line) + 1) if [*line[:i], word, *line[i:]] != inserted(line, word)]
    if kind == "wrong_inference" and places:
        place = rng.choice(places)
        return word, [*line[:place], word, *line[place:]], kind
    if kind == "wrong_operand" and len(words) > at + 1:
        word = rng.choice(words[at + 1 :])
        return word, inserted(line, word), kind
    if kind == "dropped" and line:
        rest = list(line)
        del rest[rng.randrange(len(rest))]
        return word, inserted(rest, word), kind
    if kind == "doubled" and line:
        return word, inserted(inserted(line, word), rng.choice([word, *line])), kind
    full = inserted(line, word)
    wrong = rng.randrange(len(full))
    full[wrong] = misspelt(full[wrong], rng)
    return word, full, "copied_wrongly"


def mistaken_insertions(words: Sequence[str], rng: random.Random) -> tuple[tuple[str, ...], dict[int, str]]:
    """A solution with mistakes, and their kinds by the step's index."""
    wrong_steps = planted_steps(rng, len(words) + 1)
    kinds: dict[int, str] = {}
    texts: list[str] = []
    line: list[str] = []
    for at, word in enumerate(words):
        if at in wrong_steps:
            word, line, kinds[at] = mistaken_insertion(words, at, line, rng)
        else:
            line = inserted(line, word)
        texts.append(INSERTION.format(word=word, line=" ".join(line)))
    if len(words) in wrong_steps:
        kind = rng.choice(("wrong_inference", "dropped", "doubled", "copied_wrongly"))
        line = flat(corrupted_words([[word] for word in line], kind, rng))
        kinds[len(words)] = "wrong_final_answer"
    texts.append(BOXED_ANSWER.format(line=" ".join(line)))
    return numbered(texts), kinds


def read_step(text: str, number: int, checks: Checks) -> Rationale | None:
    """The rationale of one step of an insertion, or None if it is unreadable."""
    if (insertion := READ_INSERTION.fullmatch(text)) and int(insertion[1]) == number:
        return checks.insertion(number, insertion[2], insertion[3])
    if (answer := READ_ANSWER.fullmatch(text)) and int(answer[1]) == number:
        return checks.answer(answer[2])
    return None


def read_solution(problem: str, steps: Sequence[str], kinds: dict[int, str]) -> Example | None:
    if not READ_PROBLEM.fullmatch(problem) or not steps:
        return None
    checks = Checks.of(problem.split())
    labelled = []
    for index, text in enumerate(steps):
        rationale = read_step(text, index + 1, checks)
        if rationale is None:
            return None
        correct = is_right(rationale)
        mistake = None if correct else kinds.get(index, "carried")
        labelled.append(WorldStep(text, correct, rationale, mistake))
    return Example(WordSorting.name, problem, tuple(labelled), checks.setup)


class WordSorting(World):
    """Words put into alphabetical order."""

    name = "word_sorting"
    styles: tuple[str, ...] = ("trace", "solver", "prose", "terse")
    held_out_style = "terse"

    TRACE_SIZES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 15, 16, 17, 17, 18, 18, 19, 19, 20, 20)
    EXERCISE_SIZES = (2, 3, 3, 4, 4, 5)
    LONGEST_EXERCISE_WORD = 5

    def example(self, rng: random.Random, style: str | None = None) -> Example:
        """Draw words and a solution that sorts them.

        Args:
            rng: The source of chance.
            style: The phrasing style; None draws one of those that are not held out.
        """
        style = style or rng.choices(("trace", "solver", "prose"), (6, 2, 2))[0]
        if style != "solver":
            return traced(drawn_words(rng, rng.choice(self.TRACE_SIZES)), style, rng)
        words = self._exercise_words(rng)
        texts, kinds = mistaken_insertions(words, rng)
        example = read_solution(" ".join(words), texts, kinds)
        assert example is not None, texts
        return example

    def exercise(self, rng: random.Random) -> Exercise:
        """Draw a few short words and insert them one after another."""
        words = self._exercise_words(rng)
        answer = " ".join(sorted(words))
        return Exercise(self.name, " ".join(words), insertion_steps(words), answer)

    def read(self, problem: str, steps: Sequence[str]) -> Example | None:
        """Label a solver's solution, or None if it is no list of insertions and answers.

        Args:
            problem: The words.
            steps: The solution, numbered.
        """
        return read_solution(problem, steps, {})

    def _exercise_words(self, rng: random.Random) -> list[str]:
        return drawn_words(rng, rng.choice(self.EXERCISE_SIZES), self.LONGEST_EXERCISE_WORD)


WORLD = WordSorting()
