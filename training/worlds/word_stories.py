"""The stories of the word problem world: sentence templates, and the calculations that they call for.

A story is made of fragments: sentence templates with named fields, each with the calculations that its
sentences call for. Fragments are drawn one after the other, each acting on the quantity that the story has
reached; the same templates are read backwards, to find a story in a problem's text. Knows nothing of
solutions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache

# -------------------------------------------------------------------------------------- people and things

NAMES = {
    "she": (
        "Mia", "Sara", "Lena", "Priya", "Nora", "Emma", "Ava", "Zoe", "Ruth", "Dina", "Jane", "Anna", "Kate",
        "Amy", "Elena", "Hannah", "Tara", "Molly", "Grace", "Fatima", "Julia", "Rosa", "Carmen", "Olivia",
    ),
    "he": (
        "Tom", "Omar", "Ben", "Jack", "Luis", "Noah", "Liam", "Ivan", "Carl", "Hugo", "Mark", "Paul", "James",
        "Peter", "Kevin", "David", "Samir", "Victor", "Andre", "Oscar", "Felipe", "George", "Ryan", "Walter",
    ),
}  # fmt: skip
PRONOUNS = {name: pronoun.capitalize() for pronoun, names in NAMES.items() for name in names}
ITEMS = {
    "apples": "apple", "marbles": "marble", "books": "book", "stickers": "sticker", "pencils": "pencil",
    "cookies": "cookie", "eggs": "egg", "flowers": "flower", "coins": "coin", "cards": "card",
    "oranges": "orange", "balloons": "balloon", "shells": "shell", "stamps": "stamp", "cupcakes": "cupcake",
    "candles": "candle", "toys": "toy", "buttons": "button", "beads": "bead", "bananas": "banana",
    "muffins": "muffin", "bracelets": "bracelet", "donuts": "donut", "lemons": "lemon", "tomatoes": "tomato",
    "peaches": "peach", "postcards": "postcard", "notebooks": "notebook", "roses": "rose", "pies": "pie",
    "candies": "candy", "pens": "pen", "crayons": "crayon", "photos": "photo", "magnets": "magnet",
}  # fmt: skip
CONTAINERS = {
    "bags": "bag", "boxes": "box", "baskets": "basket", "shelves": "shelf", "jars": "jar", "packs": "pack",
    "trays": "tray", "crates": "crate", "bins": "bin", "drawers": "drawer", "cartons": "carton",
}  # fmt: skip
PLACES = ("shop", "garage", "kitchen", "classroom", "attic", "store", "office", "warehouse", "bakery")
PRESENTS = ("book", "jacket", "game", "ticket", "lamp", "meal", "bike", "phone", "hat", "backpack")
GROUPS = ("students", "guests", "workers", "visitors", "campers", "players", "dancers", "tourists")
MULTIPLES = {
    "twice": 2, "double": 2, "2 times": 2, "two times": 2, "three times": 3, "3 times": 3, "four times": 4,
    "4 times": 4, "five times": 5, "5 times": 5, "6 times": 6,
}  # fmt: skip
PARTS = {
    "half": 2, "1/2": 2, "a third": 3, "one third": 3, "1/3": 3, "a quarter": 4, "one fourth": 4, "1/4": 4,
    "a fifth": 5, "1/5": 5, "a tenth": 10,
}  # fmt: skip
PERCENTS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80)
SMALL_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER_WORDS = dict(enumerate(SMALL_NUMBERS, start=2))

# ------------------------------------------------------------------------------------------ what is told


@dataclass(frozen=True)
class Sum:
    """A calculation of a fragment.

    Attributes:
        name: How later sums of the fragment call the result.
        form: The expression: fields, names of earlier sums, ``have`` for the story's quantity, numbers.
        label: What is worked out, as a noun phrase.
        unit: What the result counts; ``$`` for money.
        units: What each operand counts, for solutions that say so; empty where all count the same.
    """

    name: str
    form: str
    label: str
    unit: str
    units: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What a problem asks, how a solution says that, and the words of it that both must share."""

    text: str
    aim: str
    key: str


@dataclass(frozen=True)
class Fragment:
    """Sentences of a story, in several wordings, and the calculations they call for.

    Attributes:
        takes: The kind of quantity the story must have reached; empty for a beginning.
        gives: The kind of quantity it has reached then.
        texts: The wordings; each has every field of ``draws``.
        draws: ``field:how`` for every number, in the order in which they are drawn.
        sums: The calculations; the last one's result is the story's quantity from there on. Without any, the
            field ``n`` is.
        questions: What can be asked if the story ends here; empty for what can be asked of the kind.
        easy: Whether exercises may use it.
    """

    takes: str
    gives: str
    texts: tuple[str, ...]
    draws: str
    sums: tuple[Sum, ...] = ()
    questions: tuple[Question, ...] = ()
    easy: bool = True


QUESTIONS = {
    "things": (
        Question("How many {i} does {p} have now?", "how many {i} {p} has now", "{i} {p}"),
        Question("How many {i} does {p} have in the end?", "how many {i} {p} has in the end", "{i} {p}"),
        Question("What is the number of {i} at the end?", "the number of {i} at the end", "{i}"),
        Question("How many {i} are there now?", "how many {i} there are now", "{i}"),
    ),
    "savings": (
        Question("How much money does {p} have now?", "how much money {p} has now", "money {p}"),
        Question("How many dollars does {p} have now?", "how many dollars {p} has now", "dollars {p}"),
    ),
    "cost": (
        Question("How much does {p} have to pay?", "how much {p} has to pay", "{p} pay"),
        Question("What is the total cost in dollars?", "the total cost in dollars", "cost"),
    ),
    "people": (
        Question("How many {g} are there now?", "how many {g} there are now", "{g}"),
        Question("What is the number of {g} now?", "the number of {g} now", "{g}"),
    ),
    "minutes": (
        Question("How many minutes is that in total?", "how many minutes that is in total", "minutes"),
        Question("For how many minutes is {p} busy?", "for how many minutes {p} is busy", "minutes {p}"),
    ),
    "miles": (
        Question("How many miles is that in total?", "how many miles that is in total", "miles"),
        Question("How many miles does {p} travel?", "how many miles {p} travels", "miles {p}"),
    ),
    "years": (Question("How old is {f} then?", "how old {f} is then", "old {f}"),),
}

LEFT, TOTAL, NOW = "the number of {i} left", "the total number of {i}", "the new number of {i}"
MONEY_LEFT, PRICE = "the money left", "the total cost"
IN_EACH, EACH_PRICE, EACH_RATE = ("{cs}", "{i}/{c}"), ("{i}", "$/{one}"), ("{i}/hour", "hours")
ONE_SHARE = Question("How many {i} are in one share?", "how many {i} are in one share", "{i} share")

BEGINNINGS = (
    Fragment("", "things",
             ("{p} has {n} {i}.", "{p} starts with {n} {i}.", "There are {n} {i} in {p}'s {place}.",
              "{p} bought {n} {i} last week.", "{p} collected {n} {i} over the summer."),
             "n:count"),
    Fragment("", "things",
             ("{p} has {a} {cs} with {b} {i} in each.", "{p} bought {a} {cs} of {b} {i} each.",
              "There are {a} {cs} of {i} in {p}'s {place}. Each {c} holds {b} {i}.",
              "{p} filled {a} {cs} and put {b} {i} into every {c}."),
             "a:small b:small", (Sum("all", "a * b", TOTAL, "{i}", IN_EACH),)),
    Fragment("", "things",
             ("{p} has {a} {i} at home and {b} at school.",
              "{p} found {a} {i} on Saturday and {b} on Sunday.",
              "{p} has {a} red {i} and {b} blue ones."),
             "a:count b:count", (Sum("all", "a + b", TOTAL, "{i}"),)),
    Fragment("", "things",
             ("{p} sold {a} {i} on Monday, {b} on Tuesday and {c3} on Wednesday.",
              "{p} put {a} {i} on the first table, {b} on the second and {c3} on the third."),
             "a:count b:count c3:count", (Sum("all", "a + b + c3", TOTAL, "{i}"),)),
    Fragment("", "things",
             ("{p} has {a} large {cs} with {b} {i} each and {x} small {cs} with {y} {i} each.",
              "{p}'s {place} got {a} big {cs} of {b} {i} each, and {x} small {cs} of {y} {i} each."),
             "a:small b:small x:small y:small",
             (Sum("large", "a * b", "the number of {i} in the large {cs}", "{i}", IN_EACH),
              Sum("little", "x * y", "the number of {i} in the small {cs}", "{i}", IN_EACH),
              Sum("all", "large + little", TOTAL, "{i}"))),
    Fragment("", "things",
             ("{p} buys {a} dozen {i}.", "{p}'s {place} orders {a} dozen {i}."),
             "a:small", (Sum("all", "a * 12", TOTAL, "{i}"),), easy=False),
    Fragment("", "things",
             ("{p} makes {a} {i} every hour and works for {b} hours.",
              "{p} can pack {a} {i} per hour. One day {p} packs {i} for {b} hours."),
             "a:small b:small", (Sum("all", "a * b", TOTAL, "{i}", EACH_RATE),)),
    Fragment("", "things",
             ("{p} sells {a} {i} every day for {b} weeks.",
              "{p}'s machine makes {a} {i} a day. It runs {b} weeks."),
             "a:small b:few",
             (Sum("days", "b * 7", "the number of days", "days", ("weeks", "days/week")),
              Sum("all", "a * days", TOTAL, "{i}", ("{i}/day", "days"))), easy=False),
    Fragment("", "things",
             ("{f} has {a} {i}. {p} has {k} as many.", "{f} collected {a} {i} and {p} {k} as many."),
             "a:count k:multiple", (Sum("all", "a * k", "the number of {p}'s {i}", "{i}", ("{i}", "")),)),
    Fragment("", "things",
             ("{f} has {a} {i}. {p} has {n} more than {f}.",
              "{f} owns {a} {i}, and {p} owns {n} more than that."),
             "a:count n:count", (Sum("all", "a + n", "the number of {p}'s {i}", "{i}"),)),
    Fragment("", "things",
             ("{f} has {a} {i}. {p} has {n} fewer than {f}.",
              "{f} owns {a} {i}, and {p} owns {n} less than that."),
             "a:count n:below_a", (Sum("all", "a - n", "the number of {p}'s {i}", "{i}"),)),
    Fragment("", "things",
             ("{f} has {a} {i}. {p} has {k} as many {i} as {f}. They put them all together.",
              "{f} brings {a} {i} and {p} brings {k} as many. They share the pile."),
             "a:count k:multiple",
             (Sum("own", "a * k", "the number of {p}'s {i}", "{i}", ("{i}", "")),
              Sum("all", "a + own", TOTAL, "{i}"))),
    Fragment("", "things",
             ("{p} has {a} red {i} and {n} more blue {i} than red ones.",
              "In {p}'s {place} there are {a} old {i}, and {n} more new {i} than old ones."),
             "a:count n:count",
             (Sum("other", "a + n", "the number of the other {i}", "{i}"),
              Sum("all", "a + other", TOTAL, "{i}"))),
    Fragment("", "things",
             ("{p} and {f} have {n} {i} together, and {f} has {a} of them.",
              "Of the {n} {i} in the {place}, {a} belong to {f} and the others to {p}."),
             "a:count n:over_a", (Sum("own", "n - a", "the number of {p}'s {i}", "{i}"),)),
    Fragment("", "things",
             ("{p} paints {a} {i} in an hour and {f} paints {b}. Both work for {d} hours.",
              "{p} picks {a} {i} a minute, and {f} picks {b} a minute. They go on for {d} minutes."),
             "a:small b:small d:few",
             (Sum("rate", "a + b", "the number of {i} of both together", "{i}"),
              Sum("all", "rate * d", TOTAL, "{i}", ("{i}", "")))),
    Fragment("", "before",
             ("After {p} gave {n} {i} to {f}, {p} has {a} {i} left.",
              "{p} lost {n} {i} and now has {a} left."),
             "a:count n:count", (Sum("before", "a + n", "the number of {i} at first", "{i}"),),
             (Question("How many {i} did {p} have at first?", "how many {i} {p} had at first", "{i} {p}"),)),
    Fragment("", "pages",
             ("{p} reads {a} pages on every school day and {b} pages on each day of the weekend.",),
             "a:small b:small",
             (Sum("school", "a * 5", "the number of pages on school days", "pages", ("pages", "days")),
              Sum("weekend", "b * 2", "the number of pages on the weekend", "pages", ("pages", "days")),
              Sum("all", "school + weekend", "the total number of pages", "pages")),
             (Question("How many pages does {p} read in a week?", "how many pages {p} reads in a week",
                       "pages {p}"),), easy=False),
    Fragment("", "meters",
             ("{p}'s garden is {a} meters long and {b} meters wide.",
              "{p} wants to fence a field of {a} by {b} meters."),
             "a:count b:count",
             (Sum("sides", "a + b", "the length of both sides", "meters"),
              Sum("all", "sides * 2", "the length all around", "meters", ("meters", ""))),
             (Question("How many meters is it all around?", "how many meters it is all around", "meters"),)),
    Fragment("", "savings",
             ("{p} earns ${a} an hour for {b} hours and ${x} an hour for another {y} hours.",
              "{p} works {b} hours at ${a} an hour, and then {y} hours at ${x} an hour."),
             "a:price b:small x:price y:few",
             (Sum("first", "a * b", "the money for the first hours", "$", ("$", "hours")),
              Sum("second", "x * y", "the money for the other hours", "$", ("$", "hours")),
              Sum("all", "first + second", "the money earned", "$"))),
    Fragment("", "savings",
             ("{p} has ${n}.", "{p} got ${n} as a birthday present.", "{p} has saved ${n} so far."),
             "n:count"),
    Fragment("", "savings",
             ("{p} earns ${a} an hour and works for {b} hours.", "{p} saves ${a} every week for {b} weeks.",
              "{p} is paid ${a} for each lawn and mows {b} lawns.",
              "A neighbor pays {p} ${a} a day for walking the dog. {p} does this for {b} days."),
             "a:price b:small", (Sum("all", "a * b", "the money earned", "$", ("$", "")),)),
    Fragment("", "savings",
             ("{p} earns ${a} per hour and works {b} hours a day. One month {p} works {d} days.",
              "{p} works {b} hours every day and gets ${a} an hour. The job takes {d} days."),
             "a:price b:few d:small",
             (Sum("day", "a * b", "the money for one day", "$", ("$", "hours")),
              Sum("all", "day * d", "the money earned", "$", ("$", "days"))), easy=False),
    Fragment("", "savings",
             ("{f} has ${a}. {p} has {k} as much money as {f}.",), "a:count k:multiple",
             (Sum("all", "a * k", "{p}'s money", "$", ("$", "")),)),
    Fragment("", "cost",
             ("{p} buys {a} {i} at ${b} each.", "{p} orders {a} {i}. Each {one} costs ${b}.",
              "The price of one {one} is ${b}, and {p} takes {a} {i}."),
             "a:small b:price", (Sum("all", "a * b", PRICE, "$", EACH_PRICE),)),
    Fragment("", "cost",
             ("{p} buys {a} {i} at ${b} each and {x} {j} at ${y} each.",
              "{p} buys {a} {i} and {x} {j}. One of the {i} costs ${b} and one of the {j} costs ${y}.",
              "At a market the {i} are ${b} each and the {j} are ${y} each. {p} buys {a} {i} and {x} {j}."),
             "a:small b:price x:small y:price",
             (Sum("first", "a * b", "the cost of the {i}", "$", ("{i}", "$")),
              Sum("second", "x * y", "the cost of the {j}", "$", ("{j}", "$")),
              Sum("all", "first + second", PRICE, "$"))),
    Fragment("", "cost",
             ("{p} pays ${a} for a {present}, ${b} for food and ${c3} for the bus.",
              "A trip costs ${a} for the hotel, ${b} for the train and ${c3} for meals. {p} pays for all."),
             "a:count b:count c3:count", (Sum("all", "a + b + c3", PRICE, "$"),)),
    Fragment("", "cost",
             ("A {present} costs ${a}. Another one costs ${n} more. {p} buys both.",),
             "a:count n:count",
             (Sum("other", "a + n", "the price of the other {present}", "$"),
              Sum("all", "a + other", PRICE, "$"))),
    Fragment("", "people",
             ("There are {n} {g} in a hall.", "A camp has {n} {g}.", "{n} {g} come to a festival."),
             "n:count"),
    Fragment("", "people",
             ("There are {a} classes with {b} {g} in each.", "{a} buses bring {b} {g} each.",
              "A hall has {a} tables, and {b} {g} sit at each table."),
             "a:small b:small", (Sum("all", "a * b", "the total number of {g}", "{g}", ("", "{g}")),)),
    Fragment("", "minutes",
             ("{p} practices the piano {a} minutes a day for {b} days.",
              "{p} runs for {a} minutes every morning. {p} does so on {b} mornings."),
             "a:small b:small", (Sum("all", "a * b", "the total time", "minutes", ("minutes", "")),)),
    Fragment("", "minutes",
             ("{p} watches a film of {a} hours and {b} minutes.",
              "A drive takes {p} {a} hours and {b} minutes."),
             "a:few b:small",
             (Sum("long", "a * 60", "the hours in minutes", "minutes", ("hours", "minutes/hour")),
              Sum("all", "long + b", "the total time", "minutes")), easy=False),
    Fragment("", "miles",
             ("{p} drives {a} miles an hour for {b} hours.",
              "{p}'s van goes at {a} miles per hour, and {p} drives it for {b} hours.",
              "{p} drives {a} miles every day for {b} days."),
             "a:small b:small", (Sum("all", "a * b", "the distance", "miles", ("", "")),)),
    Fragment("", "years",
             ("{p} is {a} years old. {f} is {n} years older than {p}.",), "a:small n:small",
             (Sum("other", "a + n", "{f}'s age", "years"),),
             (Question("How old is {f}?", "how old {f} is", "old {f}"),)),
    Fragment("", "years",
             ("{p} is {a} years old. {h} is {n} years younger than {p}, and {f} is {k} as old as {h}.",),
             "a:teen n:few k:multiple",
             (Sum("middle", "a - n", "{h}'s age", "years"),
              Sum("other", "middle * k", "{f}'s age", "years", ("years", ""))),
             (Question("How old is {f}?", "how old {f} is", "old {f}"),)),
    Fragment("", "score",
             ("{p} scored {a}, {b} and {c3} points in three games.",
              "In three tests {p} got {a}, {b} and {c3} points."),
             "a:count b:count c3:count",
             (Sum("all", "a + b + c3", "the total of the points", "points"),
              Sum("mean", "all / 3", "the average", "points", ("points", ""))),
             (Question("What is {p}'s average number of points?", "{p}'s average number of points",
                       "{p} average"),), easy=False),
)  # fmt: skip

THINGS = (
    Fragment("things", "things",
             ("{p} gives {n} {i} to {f}.", "Then {p} gives {n} of them to {f}.", "{p} loses {n} {i}.",
              "{p} sells {n} {i}.", "Later {p} uses {n} of the {i}.", "After a week {n} {i} are broken.",
              "{f} takes {n} of them."),
             "n:below", (Sum("rest", "have - n", LEFT, "{i}"),)),
    Fragment("things", "things",
             ("{p} buys {n} more {i}.", "The next day {p} finds another {n} {i}.", "{f} gives {p} {n} more.",
              "Then {p} makes {n} more {i}.", "{f} comes with {n} more {i} and they put all together."),
             "n:more", (Sum("now", "have + n", NOW, "{i}"),)),
    Fragment("things", "things",
             ("A week later {p} has {k} as many.", "Then {p} trades all of them for {k} as many {i}."),
             "k:multiple", (Sum("now", "have * k", NOW, "{i}", ("{i}", "")),)),
    Fragment("things", "things",
             ("{p} keeps only {q} of the {i} and gives the rest away.", "All but {q} of the {i} get lost."),
             "q:part", (Sum("rest", "have / q", LEFT, "{i}", ("{i}", "")),)),
    Fragment("things", "things",
             ("{p} gives {q} of the {i} to {f}.", "{q} of the {i} are eaten.", "{p} sells {q} of them."),
             "q:part",
             (Sum("gone", "have / q", "the number of {i} gone", "{i}", ("{i}", "")),
              Sum("rest", "have - gone", LEFT, "{i}"))),
    Fragment("things", "things",
             ("{p} keeps {r}% of the {i} and sells the rest.", "Only {r}% of them remain after a month."),
             "r:percent", (Sum("rest", "have * r / 100", LEFT, "{i}", ("{i}", "", "")),), easy=False),
    Fragment("things", "things",
             ("{r}% of the {i} are broken and {p} throws them away.",
              "{p} sells {r}% of the {i} at a market."),
             "r:percent",
             (Sum("gone", "have * r / 100", "the number of {i} gone", "{i}", ("{i}", "", "")),
              Sum("rest", "have - gone", LEFT, "{i}")), easy=False),
    Fragment("things", "things",
             ("{p} gives {a}/{b} of the {i} to {f}.", "{p} uses {a}/{b} of them for a party."),
             "b:divisor a:below_b",
             (Sum("gone", "have * a / b", "the number of {i} gone", "{i}", ("{i}", "", "")),
              Sum("rest", "have - gone", LEFT, "{i}")), easy=False),
    Fragment("things", "things",
             ("{p} buys {a} {cs} with {b} more {i} in each.", "Then {a} {cs} of {b} {i} each are delivered."),
             "a:few b:small",
             (Sum("added", "a * b", "the number of {i} added", "{i}", IN_EACH),
              Sum("now", "have + added", NOW, "{i}"))),
    Fragment("things", "things",
             ("{p} gives {b} {i} to each of {a} friends.", "{p} gives {a} friends {b} {i} each."),
             "a:few b:small",
             (Sum("given", "a * b", "the number of {i} given away", "{i}", ("friends", "{i}")),
              Sum("rest", "have - given", LEFT, "{i}"))),
    Fragment("things", "things",
             ("{p} uses {a} {i} every day for {b} days.", "{a} {i} a day are eaten for {b} days."),
             "a:few b:small",
             (Sum("used", "a * b", "the number of {i} used", "{i}", ("{i}/day", "days")),
              Sum("rest", "have - used", LEFT, "{i}"))),
    Fragment("things", "things",
             ("{a} of them break and {p} buys {b} new ones.",
              "{p} loses {a} {i} but {f} gives {p} {b} others."),
             "a:below b:small",
             (Sum("kept", "have - a", LEFT, "{i}"), Sum("now", "kept + b", NOW, "{i}"))),
)  # fmt: skip

THINGS_ENDS = (
    Fragment("things", "shared",
             ("All {i} are shared equally among {d} friends.",
              "{p} puts the same number of {i} into {d} {cs}.",
              "{p} divides the {i} evenly between {d} people."),
             "d:divisor", (Sum("share", "have / d", "the number of {i} in one share", "{i}", ("{i}", "")),),
             (ONE_SHARE,)),
    Fragment("things", "packed",
             ("{p} packs the {i} into {cs} of {d}.", "Each {c} can hold {d} {i}."),
             "d:divisor",
             (Sum("packs", "have / d", "the number of {cs}", "{cs}", ("{i}", "{i}/{c}")),),
             (Question("How many {cs} does {p} need?", "how many {cs} {p} needs", "{cs} {p}"),)),
    Fragment("things", "compared",
             ("{f} has {k} as many {i} as {p} has now.",), "k:multiple",
             (Sum("other", "have * k", "the number of {f}'s {i}", "{i}", ("{i}", "")),),
             (Question("How many {i} does {f} have?", "how many {i} {f} has", "{i} {f}"),)),
    Fragment("things", "compared",
             ("{f} has {n} more {i} than {p} has now.",), "n:more",
             (Sum("other", "have + n", "the number of {f}'s {i}", "{i}"),
              Sum("both", "have + other", "the number of {i} of both", "{i}")),
             (Question("How many {i} do {p} and {f} have together?",
                       "how many {i} {p} and {f} have together", "{i} {p} {f}"),)),
    Fragment("things", "compared",
             ("{f} has {k} as many {i} as {p} has now.",), "k:multiple",
             (Sum("other", "have * k", "the number of {f}'s {i}", "{i}", ("{i}", "")),
              Sum("both", "have + other", "the number of {i} of both", "{i}")),
             (Question("How many {i} do {p} and {f} have together?",
                       "how many {i} {p} and {f} have together", "{i} {p} {f}"),), easy=False),
    Fragment("things", "compared",
             ("{f} has {n} more than {k} the number of {i} that {p} has.",), "k:multiple n:small",
             (Sum("multiple", "have * k", "the multiple of {p}'s {i}", "{i}", ("{i}", "")),
              Sum("other", "multiple + n", "the number of {f}'s {i}", "{i}")),
             (Question("How many {i} does {f} have?", "how many {i} {f} has", "{i} {f}"),), easy=False),
    Fragment("things", "compared",
             ("{f} has {q} as many {i} as {p} has now.",), "q:part",
             (Sum("other", "have / q", "the number of {f}'s {i}", "{i}", ("{i}", "")),),
             (Question("How many {i} does {f} have?", "how many {i} {f} has", "{i} {f}"),)),
    Fragment("things", "compared",
             ("{f} has {r}% more {i} than {p} has now.",), "r:percent",
             (Sum("extra", "have * r / 100", "the number of {i} more", "{i}", ("{i}", "", "")),
              Sum("other", "have + extra", "the number of {f}'s {i}", "{i}")),
             (Question("How many {i} does {f} have?", "how many {i} {f} has", "{i} {f}"),), easy=False),
    Fragment("things", "compared",
             ("{f} has only {n} {i}.", "{f}, a friend of {p}, has {n} {i}."), "n:below",
             (Sum("gap", "have - n", "the difference", "{i}"),),
             (Question("How many more {i} does {p} have than {f}?",
                       "how many more {i} {p} has than {f}", "{i} {p} {f}"),)),
    Fragment("things", "missing",
             ("{p} wants to have {n} {i} in all.", "For a party {p} needs {n} {i}."), "n:above",
             (Sum("gap", "n - have", "the number of {i} missing", "{i}"),),
             (Question("How many more {i} does {p} need?", "how many more {i} {p} needs", "{i} {p}"),)),
    Fragment("things", "rate",
             ("That took {d} days.", "{p} did all this in {d} hours."), "d:divisor",
             (Sum("mean", "have / d", "the average number of {i}", "{i}", ("{i}", "")),),
             (Question("How many {i} is that on average?", "how many {i} that is on average",
                       "{i} average"),), easy=False),
    Fragment("things", "cost",
             ("Each of them costs ${m}.", "{f} buys all of them for {p} at ${m} each."), "m:price",
             (Sum("all", "have * m", PRICE, "$", EACH_PRICE),)),
    Fragment("things", "savings",
             ("{p} sells all of them for ${m} each.", "Every {one} brings ${m} at the market."), "m:price",
             (Sum("income", "have * m", "the money earned", "$", EACH_PRICE),)),
    Fragment("things", "savings",
             ("{p} sells the {i} for ${m} each, but had spent ${n} on making them.",
              "{p} paid ${n} for the {i} and sells each {one} for ${m}."),
             "m:price n:below_have_m",
             (Sum("income", "have * m", "the income", "$", EACH_PRICE),
              Sum("profit", "income - n", "the profit", "$")),
             (Question("How much profit does {p} make?", "how much profit {p} makes", "profit {p}"),)),
)  # fmt: skip

MONEY = (
    Fragment("savings", "savings",
             ("{p} spends ${n} on a {present}.", "Then {p} pays ${n} for a {present}.",
              "{p} lends {f} ${n}."),
             "n:below", (Sum("rest", "have - n", MONEY_LEFT, "$"),)),
    Fragment("savings", "savings",
             ("{f} gives {p} ${n} more.", "{p} finds another ${n}.", "{p} earns ${n} more by helping {f}."),
             "n:more", (Sum("now", "have + n", "{p}'s money now", "$"),)),
    Fragment("savings", "savings",
             ("{p} spends {q} of the money on a {present}.", "{p} gives {q} of the money to {f}."),
             "q:part",
             (Sum("gone", "have / q", "the money spent", "$", ("$", "")),
              Sum("rest", "have - gone", MONEY_LEFT, "$"))),
    Fragment("savings", "savings",
             ("{p} puts {r}% of it into a bank.", "{p} has to pay {r}% of it as tax."),
             "r:percent",
             (Sum("gone", "have * r / 100", "the money paid", "$", ("$", "", "")),
              Sum("rest", "have - gone", MONEY_LEFT, "$")), easy=False),
    Fragment("savings", "savings",
             ("{p} buys {a} {j} at ${m} each.", "{p} spends it on {a} {j} that cost ${m} each."),
             "a:few m:price",
             (Sum("spent", "a * m", "the money spent", "$", ("{j}", "$")),
              Sum("rest", "have - spent", MONEY_LEFT, "$"))),
    Fragment("savings", "split",
             ("{p} divides the money equally among {d} children.",
              "{p} spends it in equal parts over {d} weeks."),
             "d:divisor", (Sum("share", "have / d", "the money in one part", "$", ("$", "")),),
             (Question("How many dollars is one part?", "how many dollars one part is", "dollars part"),)),
    Fragment("savings", "missing",
             ("{p} wants to buy a {present} for ${n}.",), "n:above",
             (Sum("gap", "n - have", "the money missing", "$"),),
             (Question("How many more dollars does {p} need?", "how many more dollars {p} needs",
                       "dollars {p}"),)),
    Fragment("cost", "cost",
             ("{p} has a coupon for ${n} off.", "The seller takes ${n} off the price."), "n:below",
             (Sum("now", "have - n", "the price to pay", "$"),)),
    Fragment("cost", "cost",
             ("Delivery costs another ${n}.", "{p} also pays ${n} for a {present}."), "n:count",
             (Sum("now", "have + n", "the new total", "$"),)),
    Fragment("cost", "cost",
             ("{p} gets a discount of {r}%.", "Everything is {r}% off that day."), "r:percent",
             (Sum("off", "have * r / 100", "the discount", "$", ("$", "", "")),
              Sum("now", "have - off", "the price to pay", "$")), easy=False),
    Fragment("cost", "cost",
             ("A tax of {r}% is added.", "{p} leaves a tip of {r}%."), "r:rate",
             (Sum("extra", "have * r / 100", "the amount added", "$", ("$", "", "")),
              Sum("now", "have + extra", "the new total", "$")), easy=False),
    Fragment("cost", "change",
             ("{p} pays with a ${n} bill.", "{p} hands over ${n}."), "n:note",
             (Sum("back", "n - have", "the change", "$"),),
             (Question("How much change does {p} get?", "how much change {p} gets", "change {p}"),)),
    Fragment("cost", "split",
             ("{p} and some friends, {d} people in all, share the cost equally.",
              "The cost is split evenly between {d} people."),
             "d:divisor", (Sum("share", "have / d", "the cost for each person", "$", ("$", "")),),
             (Question("How much does each person pay?", "how much each person pays", "person"),)),
    Fragment("cost", "savings",
             ("{p} had ${n} before.",), "n:above", (Sum("rest", "n - have", MONEY_LEFT, "$"),)),
)  # fmt: skip

OTHERS = (
    Fragment("people", "people",
             ("Then {n} {g} leave.", "{n} of the {g} go home early."), "n:below",
             (Sum("rest", "have - n", "the number of {g} left", "{g}"),)),
    Fragment("people", "people",
             ("Then {n} more {g} arrive.", "Another {n} {g} join them."), "n:count",
             (Sum("now", "have + n", "the new number of {g}", "{g}"),)),
    Fragment("people", "sorted",
             ("{r}% of them are girls and the others are boys.",), "r:percent",
             (Sum("girls", "have * r / 100", "the number of girls", "girls", ("{g}", "", "")),
              Sum("boys", "have - girls", "the number of boys", "boys")),
             (Question("How many boys are there?", "how many boys there are", "boys"),), easy=False),
    Fragment("people", "sorted",
             ("{q} of the {g} are girls and the others are boys.",), "q:part",
             (Sum("girls", "have / q", "the number of girls", "girls", ("{g}", "")),
              Sum("boys", "have - girls", "the number of boys", "boys")),
             (Question("How many boys are there?", "how many boys there are", "boys"),)),
    Fragment("people", "grouped",
             ("They form teams of {d}.", "They go home in vans, with {d} {g} in each van."), "d:divisor",
             (Sum("groups", "have / d", "the number of groups", "groups", ("{g}", "")),),
             (Question("How many groups are there?", "how many groups there are", "groups"),)),
    Fragment("people", "things",
             ("Each of them gets {a} {i}.", "{p} hands {a} {i} to every one of them."), "a:few",
             (Sum("all", "have * a", TOTAL, "{i}", ("{g}", "{i}")),),
             (Question("How many {i} does {p} need?", "how many {i} {p} needs", "{i} {p}"),)),
    Fragment("people", "cost",
             ("Every ticket costs ${m}, and {p} pays for all of them.",), "m:price",
             (Sum("all", "have * m", PRICE, "$", ("{g}", "$")),)),
    Fragment("minutes", "minutes",
             ("Then {p} reads for {n} minutes.", "After that {p} rests for {n} minutes."), "n:count",
             (Sum("now", "have + n", "the new total time", "minutes"),)),
    Fragment("minutes", "minutes",
             ("Homework takes {p} {k} as long, and comes on top.",), "k:multiple",
             (Sum("other", "have * k", "the time for homework", "minutes", ("minutes", "")),
              Sum("now", "have + other", "the new total time", "minutes"))),
    Fragment("minutes", "hours",
             ("{p} wants to know how many hours that is.",), "",
             (Sum("hours", "have / 60", "the time in hours", "hours", ("minutes", "")),),
             (Question("How many hours is that in total?", "how many hours that is in total", "hours"),),
             easy=False),
    Fragment("miles", "miles",
             ("Then {p} goes {n} miles more.", "The way home is {n} miles."), "n:count",
             (Sum("now", "have + n", "the total distance", "miles"),)),
    Fragment("miles", "miles",
             ("{p} then goes back the same way and does the whole tour {d} times.",), "d:few",
             (Sum("tour", "have * 2", "the length of one tour", "miles", ("miles", "")),
              Sum("all", "tour * d", "the total distance", "miles", ("miles", ""))), easy=False),
    Fragment("miles", "cost",
             ("The car needs a gallon for every {d} miles, and a gallon costs ${m}.",), "d:divisor m:price",
             (Sum("gallons", "have / d", "the number of gallons", "gallons", ("miles", "miles/gallon")),
              Sum("all", "gallons * m", "the cost of the gas", "$", ("gallons", "$")))),
    Fragment("miles", "speed",
             ("The way takes {d} hours in all.",), "d:divisor",
             (Sum("speed", "have / d", "the average speed", "miles", ("miles", "hours")),),
             (Question("How many miles per hour is that?", "how many miles per hour that is",
                       "miles hour"),)),
    Fragment("years", "years",
             ("All this is now, and {n} years will pass.",), "n:small",
             (Sum("later", "have + n", "{f}'s age later", "years"),)),
)  # fmt: skip

ASIDES = (
    "{f} is {z} years old.",
    "It is {z} o'clock.",
    "{p} lives in house number {z}.",
    "{f} has {z} cousins.",
    "The {place} opened {z} years ago.",
)
FRAGMENTS = (*BEGINNINGS, *THINGS, *THINGS_ENDS, *MONEY, *OTHERS)

# ------------------------------------------------------------------------------------ how numbers are drawn


@dataclass(frozen=True)
class Scale:
    """How large the numbers of a story are.

    Attributes:
        counts: Ranges of quantities, one of which is drawn.
        small: The range of numbers of containers, hours, things in a box.
        few: The range of what is smaller still.
        price: The range of prices.
        largest: No result is above.
        quarters: How often a price has cents: quarters of a dollar, which floats hold exactly.
        spelled: How often a small number of the problem is a word.
    """

    counts: tuple[tuple[int, int], ...]
    small: tuple[int, int]
    few: tuple[int, int]
    price: tuple[int, int]
    largest: int
    quarters: float = 0.0
    spelled: float = 0.0


FULL_SCALE = Scale(
    counts=((3, 60), (5, 99), (20, 300), (100, 900), (1000, 6000)),
    small=(2, 25),
    few=(2, 9),
    price=(2, 25),
    largest=60_000,
    quarters=0.15,
    spelled=0.1,
)
LENGTHS = (1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6)

EXERCISE_SCALE = Scale(counts=((3, 20), (5, 40)), small=(2, 9), few=(2, 5), price=(2, 9), largest=100)
EXERCISE_LENGTHS = (1, 2, 2, 3, 3, 4)

WHOLE_UNLESS = ("$", "hours")


def draw_number(
    how: str, values: Mapping[str, Fraction], scale: Scale, rng: random.Random
) -> Fraction | None:
    have = values.get("have", Fraction(0))
    match how:
        case "count":
            low, high = rng.choice(scale.counts)
            step = 10 if high >= 300 and rng.random() < 0.6 else 1
            return Fraction(rng.randint(low, high) // step * step)
        case "small" | "few":
            return Fraction(rng.randint(*(scale.small if how == "small" else scale.few)))
        case "teen":
            return Fraction(rng.randint(11, 40))
        case "price":
            price = Fraction(rng.randint(*scale.price))
            return price + rng.choice((1, 2, 3)) * Fraction(1, 4) if rng.random() < scale.quarters else price
        case "more":
            return Fraction(rng.randint(2, max(10, min(int(have), scale.largest // 2))))
        case "above" | "over_a":
            base = have if how == "above" else values["a"]
            return Fraction(int(base) + rng.randint(2, max(10, min(int(have), scale.largest // 2))))
        case "note":
            notes = [note for note in (5, 10, 20, 50, 100, 200, 500, 1000) if note > have]
            return Fraction(notes[0]) if notes else None
        case "multiple":
            return Fraction(rng.choice(list(MULTIPLES.values())))
        case "percent" | "rate":
            most = 100 if how == "percent" else 30
            fitting = [r for r in PERCENTS if r <= most and (have * r / 100).denominator == 1]
            return chosen([Fraction(r) for r in fitting], rng)
        case "part":
            return chosen([Fraction(q) for q in PARTS.values() if have % q == 0 and have > q], rng)
        case "divisor":
            return chosen([Fraction(d) for d in range(2, 13) if have % d == 0 and have > d], rng)
    top = {"below": have, "below_a": values.get("a"), "below_b": values.get("b")}.get(how)
    if how == "below_have_m":
        top = have * values["m"]
    assert top is not None
    return Fraction(rng.randint(2 if top > 3 else 1, int(top) - 1)) if top >= 2 else None


def chosen(values: list[Fraction], rng: random.Random) -> Fraction | None:
    return rng.choice(values) if values else None


def literal(value: Fraction, unit: str) -> str | None:
    """A number as texts and code show it, or None if it has no short decimal form or is not above 0."""
    if value <= 0 or value.denominator not in (1, 2, 4) or value >= 10_000_000:
        return None
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.2f}" if unit == "$" else str(float(value))


TOKEN = re.compile(r"\d+(?:\.\d+)?|[-+*/()]")


@lru_cache(maxsize=10_000)
def value_of(expression: str) -> Fraction:
    """What an expression of non-negative numbers, + - * / and brackets is worth."""
    tokens = TOKEN.findall(expression)
    at = 0

    def factor() -> Fraction:
        nonlocal at
        token = tokens[at]
        at += 1
        if token != "(":
            return Fraction(token)
        inner = total()
        at += 1
        return inner

    def product() -> Fraction:
        nonlocal at
        value = factor()
        while at < len(tokens) and tokens[at] in "*/":
            at += 1
            value = value * factor() if tokens[at - 1] == "*" else value / factor()
        return value

    def total() -> Fraction:
        nonlocal at
        value = product()
        while at < len(tokens) and tokens[at] in "+-":
            at += 1
            value = value + product() if tokens[at - 1] == "+" else value - product()
        return value

    return total()


# ------------------------------------------------------------------------- stories and what they call for


@dataclass(frozen=True)
class Scene:
    """A fragment told: its wording and every field of it, as a text and, where it is one, as a number."""

    fragment: Fragment
    template: str
    fields: Mapping[str, str]
    numbers: Mapping[str, Fraction]

    def told(self, changes: Mapping[str, str] | None = None) -> str:
        return sentence_case(self.template.format_map({**self.fields, **(changes or {})}))


@dataclass(frozen=True)
class Operand:
    """A number of the problem, or the result of an earlier calculation.

    Attributes:
        text: The number; empty for a result.
        calculation: The index of the calculation whose result is meant, or None.
        name: The field of the scene that holds the number, if one does.
        unit: What it counts.
    """

    text: str
    calculation: int | None
    name: str
    unit: str


@dataclass(frozen=True)
class Calculation:
    """One calculation that a story calls for.

    Attributes:
        operands: What is calculated with.
        operators: What stands between the operands.
        label: What is worked out.
        unit: What the result counts.
        scene: The index of the scene that calls for it.
        opens: Whether it is the first calculation of its scene.
    """

    operands: tuple[Operand, ...]
    operators: tuple[str, ...]
    label: str
    unit: str
    scene: int
    opens: bool

    def expression(self, operands: Iterable[str]) -> str:
        first, *rest = operands
        return first + "".join(
            f" {operator} {operand}" for operator, operand in zip(self.operators, rest, strict=True)
        )


@dataclass(frozen=True)
class Story:
    """A problem before it is written down."""

    scenes: tuple[Scene, ...]
    question: Question
    plan: tuple[Calculation, ...]
    cast: Mapping[str, str]


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower_start(text: str) -> str:
    return text[:1].lower() + text[1:]


def fields_of(template: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", template)


def planned(scenes: Sequence[Scene]) -> tuple[Calculation, ...]:
    """The calculations that a story calls for, in its order."""
    plan: list[Calculation] = []
    have: Operand | None = None
    for at, scene in enumerate(scenes):
        results: dict[str, int] = {}
        for sum_ in scene.fragment.sums:
            first, *rest = sum_.form.split(" ")
            names, operators = [first, *rest[1::2]], tuple(rest[::2])
            unit = sum_.unit.format_map(scene.fields)
            units = sum_.units or (sum_.unit,) * len(names)
            operands = []
            for name, shown_unit in zip(names, units, strict=True):
                told_unit = shown_unit.format_map(scene.fields)
                if name == "have":
                    assert have is not None
                    operands.append(replace(have, unit=told_unit))
                elif name in results:
                    operands.append(Operand("", results[name], "", told_unit))
                elif name.isdigit():
                    operands.append(Operand(name, None, "", told_unit))
                else:
                    text = literal(scene.numbers[name], "$")
                    assert text is not None
                    operands.append(Operand(text, None, name, told_unit))
            results[sum_.name] = len(plan)
            label = sum_.label.format_map(scene.fields)
            plan.append(Calculation(tuple(operands), operators, label, unit, at, len(results) == 1))
        if scene.fragment.sums:
            have = Operand("", len(plan) - 1, "", "")
        elif "n" in scene.numbers:
            have = Operand(literal(scene.numbers["n"], "$") or "", None, "", "")
    return tuple(plan)


Known = Mapping[int, str]


def operand_text(plan: Sequence[Calculation], operand: Operand, known: Known) -> str:
    if operand.calculation is None:
        return operand.text
    if operand.calculation in known:
        return known[operand.calculation]
    return f"({expected(plan, operand.calculation, known)})"


def expected(plan: Sequence[Calculation], index: int, known: Known) -> str:
    """The expression that the problem calls for, with earlier results as the solution stated them."""
    calculation = plan[index]
    return calculation.expression(operand_text(plan, operand, known) for operand in calculation.operands)


def draw_cast(rng: random.Random) -> dict[str, str]:
    p, f, h = rng.sample(list(PRONOUNS), 3)
    i, j = rng.sample(list(ITEMS), 2)
    cs = rng.choice(list(CONTAINERS))
    return {
        "p": p, "f": f, "h": h, "i": i, "one": ITEMS[i], "j": j, "cs": cs, "c": CONTAINERS[cs],
        "place": rng.choice(PLACES), "present": rng.choice(PRESENTS), "g": rng.choice(GROUPS),
    }  # fmt: skip


CONTINUATIONS = {
    kind: tuple(fragment for fragment in FRAGMENTS if fragment.takes == kind)
    for kind in {"", *(fragment.gives for fragment in FRAGMENTS)}
}


def draw_scene(
    fragment: Fragment, have: Fraction, cast: Mapping[str, str], scale: Scale, rng: random.Random
) -> tuple[Scene, Fraction] | None:
    """The fragment with numbers, and the quantity after it; None if no fitting numbers were found."""
    numbers: dict[str, Fraction] = {}
    for name, _, how in (draw.partition(":") for draw in fragment.draws.split()):
        value = draw_number(how, {**numbers, "have": have}, scale, rng)
        if value is None:
            return None
        numbers[name] = value
    values = {**numbers, "have": have}
    result = numbers.get("n", have)
    for sum_ in fragment.sums:
        form = " ".join(f"({values[word]})" if word in values else word for word in sum_.form.split(" "))
        result = value_of(form)
        values[sum_.name] = result
        if literal(result, sum_.unit) is None or result > scale.largest:
            return None
        if result.denominator != 1 and sum_.unit not in WHOLE_UNLESS:
            return None
    template = rng.choice(fragment.texts)
    present = {"present": rng.choice(PRESENTS)}
    return Scene(fragment, template, {**cast, **present, **number_texts(numbers, rng)}, numbers), result


def number_texts(numbers: Mapping[str, Fraction], rng: random.Random) -> dict[str, str]:
    texts = {}
    for name, value in numbers.items():
        words = MULTIPLES if name == "k" else PARTS if name == "q" else None
        if words is not None:
            texts[name] = rng.choice([word for word, meant in words.items() if meant == value])
        else:
            texts[name] = literal(value, "$") or ""
    return texts


def draw_story(lengths: Sequence[int], scale: Scale, easy: bool, rng: random.Random) -> Story:
    """A story that calls for about as many calculations as one of ``lengths``."""
    cast = draw_cast(rng)
    length = rng.choice(lengths)
    scenes: list[Scene] = []
    have, kind, count = Fraction(0), "", 0
    for _ in range(200):
        if count >= length:
            break
        fragment = rng.choice(CONTINUATIONS[kind])
        after = count + len(fragment.sums)
        dead_end = not CONTINUATIONS[fragment.gives]
        told = any(scene.fragment is fragment for scene in scenes)
        if told or (easy and not fragment.easy) or after > max(lengths) or (dead_end and after < length):
            continue
        drawn = draw_scene(fragment, have, cast, scale, rng)
        if drawn is not None:
            scenes.append(drawn[0])
            have, kind, count = drawn[1], fragment.gives, after
    if not count:
        return draw_story(lengths, scale, easy, rng)
    questions = scenes[-1].fragment.questions or QUESTIONS[kind]
    return Story(tuple(scenes), rng.choice(questions), planned(scenes), cast)


def problem_text(story: Story, scale: Scale, rng: random.Random) -> str:
    """The problem as its author may put it: with pronouns, number words, commas, a sentence off the point."""
    told = []
    for at, scene in enumerate(story.scenes):
        changes = {name: written(scene, name, scale, rng) for name in scene.numbers}
        only_subject = scene.template.startswith("{p} ") and scene.template.count("{p}") == 1
        if at and only_subject and rng.random() < 0.35:
            changes["p"] = PRONOUNS[scene.fields["p"]]
        told.append(scene.told(changes))
    question = story.question.text.format_map(story.cast)
    if len(told) > 1 and rng.random() < 0.15 and can_be_condition(told[-1]) and question.endswith("?"):
        question = f"If {told.pop().rstrip('.')}, {lower_start(question)}"
    if rng.random() < 0.08:
        aside = rng.choice(ASIDES).format_map({**story.cast, "z": rng.randint(3, 12)})
        told.insert(rng.randint(1, len(told)), aside)
    return " ".join([*told, question])


def can_be_condition(sentence: str) -> bool:
    return sentence.split(" ")[0].rstrip(",") in {*PRONOUNS, "He", "She"} and ". " not in sentence


def written(scene: Scene, name: str, scale: Scale, rng: random.Random) -> str:
    text, value = scene.fields[name], scene.numbers[name]
    if not text.isdigit():
        return text
    if value >= 1000:
        return f"{int(value):,}" if rng.random() < 0.5 else text
    bare = not re.search(rf"\$\{{{name}\}}|\{{{name}\}}[%/]|/\{{{name}\}}", scene.template)
    return (
        NUMBER_WORDS[int(value)] if bare and value in NUMBER_WORDS and rng.random() < scale.spelled else text
    )


# -------------------------------------------------------------------------------------- stories, read back

NUMBER = r"[1-9]\d{0,6}"
CAST_PATTERNS = {"p": "[A-Z][a-z]+", "f": "[A-Z][a-z]+", "h": "[A-Z][a-z]+"}


@cache
def pattern_of(template: str) -> re.Pattern[str]:
    """A template as a pattern with a group for every field."""
    seen: set[str] = set()
    parts = []
    for part in re.split(r"(\{\w+\})", template):
        name = part.strip("{}")
        if not part.startswith("{"):
            parts.append(re.escape(part))
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            seen.add(name)
            parts.append(f"(?P<{name}>{field_pattern(name)})")
    return re.compile("".join(parts))


def field_pattern(name: str) -> str:
    if name in ("k", "q"):
        words = sorted(MULTIPLES if name == "k" else PARTS, key=len, reverse=True)
        return f"(?i:{'|'.join(words)})"
    if name in CAST_PATTERNS:
        return CAST_PATTERNS[name]
    return "[a-z]+" if name in ("i", "one", "j", "cs", "c", "place", "present", "g") else NUMBER


def number_of(name: str, text: str) -> Fraction:
    words = {"k": MULTIPLES, "q": PARTS}.get(name)
    return Fraction(words[text.lower()] if words else text)


def container_of(groups: Mapping[str, str]) -> dict[str, str]:
    """Singular and plural of the container that a template's groups name."""
    for plural, singular in CONTAINERS.items():
        if groups.get("cs", plural) == plural and groups.get("c", singular) == singular:
            return {"cs": plural, "c": singular}
    return {}


def read_scenes(text: str, kind: str, cast: Mapping[str, str]) -> list[Scene] | None:
    """The scenes whose sentences, one after the other, the text is; a question ends it."""
    if any(pattern_of(question.text).fullmatch(text) for question in ALL_QUESTIONS):
        return []
    for fragment in CONTINUATIONS.get(kind, ()):
        for template in fragment.texts:
            found = pattern_of(template).match(text)
            if found is None or not text[found.end() :].startswith(" "):
                continue
            fields = {**cast, **found.groupdict()}
            if fields.get("i") in ITEMS:
                fields["one"] = ITEMS[fields["i"]]
            if "c" in found.groupdict() or "cs" in found.groupdict():
                fields = {**fields, **container_of(found.groupdict())}
            rest = read_scenes(text[found.end() + 1 :], fragment.gives, fields)
            if rest is not None:
                names = [name for name, _, _ in (draw.partition(":") for draw in fragment.draws.split())]
                numbers = {name: number_of(name, fields[name]) for name in names}
                return [Scene(fragment, template, fields, numbers), *rest]
    return None


ALL_QUESTIONS = tuple(
    {
        question.text: question
        for questions in (*QUESTIONS.values(), *(fragment.questions for fragment in FRAGMENTS))
        for question in questions
    }.values()
)
