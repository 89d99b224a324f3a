"""How far rules can agree with the human labels of real word sorting traces.

Parses the traces of BIG-Bench-Mistake with regular expressions and applies the world's own idea of a
wrong step; the product never uses it.
"""

from __future__ import annotations

import re
from itertools import groupby, pairwise

__all__ = ["first_mistake"]

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")

Groups = list[list[str]]


def code_of(letter: str) -> int:
    return ord(letter) - 96


def groups_in(text: str) -> tuple[Groups, list[int | None]]:
    """The groups of a list and the numbers in front of them."""
    groups: Groups = []
    numbers: list[int | None] = []
    for part in text.rstrip(".").split(" < "):
        number = re.match(r"\((\d+)\) ", part)
        words = re.findall(r'"([^"]*)"', part) or part.split()
        groups.append(words)
        numbers.append(int(number[1]) if number else None)
    return groups, numbers


def letters_right(text: str, at: int) -> bool:
    claims = re.findall(r'"([^"]+)": "([^"]*)" \((\d+)\)', text)
    return all(word[at : at + 1] == letter and code_of(letter) == int(n) for word, letter, n in claims)


def groups_right(groups: Groups, numbers: list[int | None], words: list[str], at: int) -> bool:
    """Whether words are grouped by their letter ``at`` under its number."""

    def key(word: str) -> int:
        return code_of(word[at : at + 1] or "`")

    right = [(n, sorted(group)) for n, group in groupby(sorted(words, key=key), key)]
    return right == [(n, sorted(group)) for n, group in zip(numbers, groups, strict=True)]


def in_order(groups: Groups, words: list[str]) -> bool:
    flat = [word for group in groups for word in group]
    ordered = all(max(left) <= min(right) for left, right in pairwise(groups))
    return sorted(flat) == sorted(words) and ordered


def holds(groups: Groups, part: Groups) -> bool:
    """Whether the part's groups stand in the list as they are."""
    return any(
        [sorted(g) for g in groups[at : at + len(part)]] == [sorted(g) for g in part]
        for at in range(len(groups))
    )


def first_mistake(problem: str, steps: list[str]) -> int | None:
    """The index of the first wrong step by these rules, or None.

    Args:
        problem: The words as the task gives them.
        steps: The trace.
    """
    words = problem.split()
    open_group: list[str] | None = None
    subpart, at = words, 0
    for index, step in enumerate(steps):
        if "The answer is" in step:
            if step.rpartition("The answer is ")[2].split() != sorted(words):
                return index
        elif "letter: " in step:
            asked = re.search(r"\[(.*?)\]", step.partition("letter: ")[0])
            ordinal = re.search(r"The (\w+) letter: ", step)
            if ordinal is None or not letters_right(step, at := ORDINALS.index(ordinal[1])):
                return index
            subpart = re.findall(r'"([^"]*)"', asked[1]) if asked else words
            said = re.findall(r'"([^"]*)": "', step)
            if sorted(said) != sorted(subpart) or (asked and subpart != open_group):
                return index
            if asked and len({word[:at] for word in subpart}) > 1:
                return index
        else:
            part, _, whole = step.removeprefix("We now have: ").partition(" for the subpart.")
            groups, numbers = groups_in(part)
            if not groups_right(groups, numbers, subpart, at):
                return index
            if "Hence, we have " in whole:
                whole_groups, _ = groups_in(whole.partition("Hence, we have ")[2])
                if not in_order(whole_groups, words) or not holds(whole_groups, groups):
                    return index
                groups = whole_groups
            open_group = next((group for group in groups if len(group) > 1), None)
    return None
