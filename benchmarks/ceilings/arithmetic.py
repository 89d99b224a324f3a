"""How far plain reading gets on human-labelled traces of multistep arithmetic.

A step is wrong if two things that it calls equal are not, or if it starts from something else than what the
problem and the steps before it, right or wrong, say. Lost brackets are put back at the ends.
"""

from __future__ import annotations

import ast
import re

__all__ = ["first_mistake"]

SPLIT = re.compile(r'"(?P<form>.+?)", where (?P<definitions>.+)')
DEFINITION = re.compile(r"\b([A-Z]) = (.+?)(?=,? and [A-Z] = |, [A-Z] = |\.?$)")
PART = re.compile(r"\b(?P<letter>[A-Z]) = (?P<chain>[^A-Z]+)")
FINAL = re.compile(r"equation is (?P<chain>.+)\. So the answer is (?P<answer>\S+)")


def balanced(text: str) -> str:
    depth = lowest = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        lowest = min(lowest, depth)
    return "(" * -lowest + text + ")" * (depth - lowest)


def value(text: str, letters: dict[str, int]) -> int | None:
    """What an expression is worth, or None if it cannot be read."""
    try:
        return _value(ast.parse(balanced(text.strip(" .")), mode="eval").body, letters)
    except (SyntaxError, LookupError, TypeError):
        return None


def _value(node: ast.expr, letters: dict[str, int]) -> int:
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name):
            return letters[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, letters)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, letters) + _value(right, letters)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left, letters) - _value(right, letters)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left, letters) * _value(right, letters)
    raise TypeError(ast.dump(node))


def first_mistake(problem: str, steps: list[str]) -> int | None:
    """The index of the first step with an equality that does not hold, or None.

    Args:
        problem: The expression with an equals sign behind it.
        steps: A split into lettered parts, one step a part, and the final equation.
    """
    split = SPLIT.search(steps[0])
    if split is None:
        return 0
    definitions = dict(DEFINITION.findall(split["definitions"]))
    defined = {
        letter: worth for letter, text in definitions.items() if (worth := value(text, {})) is not None
    }
    stated: dict[str, int] = {}
    if value(split["form"], defined) != value(problem.rpartition("=")[0], {}):
        return 0
    for index, step in enumerate(steps[1:], start=1):
        part, final = PART.search(step), FINAL.search(step)
        if final is not None:
            expected = value(split["form"], stated)
            texts = [*final["chain"].split(" = "), final["answer"]]
        elif part is not None:
            expected = defined.get(part["letter"])
            texts = part["chain"].split(" = ")
        else:
            continue
        links = [value(text, stated) for text in texts]
        if expected is None or any(link != expected for link in links):
            return index
        if final is None and part is not None:
            stated[part["letter"]] = expected
    return None
