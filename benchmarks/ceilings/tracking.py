"""Rules for real traces of tracking shuffled objects: the n-th paragraph after the start makes the n-th swap.

A step is wrong if somebody it names does not hold what the state before it, as the solver stated it, and the
swap of the problem give him. Who is not named keeps what follows.
"""

from __future__ import annotations

import re

__all__ = ["first_mistake"]

OPENING = re.compile(
    r"(?:: | and |, )([A-Z]\w*) (?:gets|has an?|is playing|is dancing with) (.+?)(?=, |\.\n)"
)
SWAP = re.compile(r"(?:First|Then|Finally), (\w+) and (\w+) (?:swap|switch|trade)")
OPTION = re.compile(r"\((\w)\) (.+?)\.?$", re.MULTILINE)
HOLDING = re.compile(r"([A-Z]\w*): ([\w' -]+)")
SENTENCE = re.compile(r"At the end of [^,]*, (\w+) (?:is playing|is dancing with|has the|has) (.+?)\.")
ANSWER = re.compile(r"answer is \((\w)\)")


def full(short: str, names: list[str]) -> str:
    return next((name for name in names if short in name), short)


def holdings(step: str) -> list[tuple[str, str]]:
    stated = HOLDING.findall(step.replace("At the start: ", "").replace(" So the answer", ""))
    return stated + SENTENCE.findall(step)


def first_mistake(problem: str, steps: list[str]) -> int | None:
    """The index of the first wrong step, or None."""
    story, _, choices = problem.partition("Options:")
    state = dict(OPENING.findall(story))
    people, objects = list(state), list(state.values())
    swaps: list[tuple[str, str]] = SWAP.findall(story)
    options = {name: letter for letter, name in OPTION.findall(choices)}
    asked = story.split("At the end of ")[-1].split(", ")[1].split()[0]
    first = {full(person, people): full(thing, objects) for person, thing in holdings(steps[0])}
    offset = 1 if first == state and " swap" not in steps[0] else 0
    for index, step in enumerate(steps):
        for one, other in swaps[index - offset : index - offset + 1] if index >= offset else ():
            state[one], state[other] = state[other], state[one]
        for person, thing in holdings(step):
            if state.get(full(person, people)) != full(thing, objects):
                return index
        answer = ANSWER.search(step)
        if answer and answer[1] != options.get(state[asked]):
            return index
    return None
