"""The first wrong step of a solution of a Dyck language task, by rules.

A token step must consume the token that follows the one of the step before and show the stack that the
stack shown before it becomes, with blanks; the closing steps must repeat, reverse and close that stack.
The annotators hold a list that ends in a comma for wrong.
"""

from __future__ import annotations

import re

CLOSING = dict(zip("([{<", ")]}>", strict=True))
TWICE = re.compile(r"(\S+) twice")
TOKEN_STEP = re.compile(r"^\s*(?P<token>\S)\s*; stack:(?P<stack>.*)$")


def first_mistake(problem: str, steps: list[str]) -> int | None:
    """The index of the first wrong step, or None."""
    tokens = brackets(problem)
    stack: list[str] = []
    consumed = 0
    for index, step in enumerate(steps):
        token_step = TOKEN_STEP.match(step)
        if token_step is None:
            if not is_right_closing(step, stack, rest=tokens[consumed:]):
                return index
            continue
        expected = pushed(stack, tokens[consumed]) if consumed < len(tokens) else None
        shown = [item for item in token_step["stack"].split() if item != "empty"]
        if expected is None or token_step["token"] != tokens[consumed] or shown != expected:
            return index
        stack = expected
        consumed += 1
    return None


def brackets(text: str) -> list[str]:
    return re.findall(r"[()\[\]{}<>]", text)


def pushed(stack: list[str], token: str) -> list[str] | None:
    """The stack after a token, or None for a token that closes nothing."""
    if token in CLOSING:
        return [*stack, token]
    return stack[:-1] if stack and CLOSING[stack[-1]] == token else None


def is_right_closing(step: str, stack: list[str], rest: list[str]) -> bool:
    """Whether a step that consumes no token follows from the stack."""
    needed = [CLOSING[bracket] for bracket in reversed(stack)]
    if "reached the end" in step:
        return not rest and brackets(step.partition("final stack")[2]) == stack
    popped, _, answer = step.partition("So the answer is")
    if "answer is" in step and brackets(answer) != needed:
        return False
    if "pop out" in step:
        return brackets(TWICE.sub(r"\1 \1", popped)) == stack[::-1] and '", one by one' not in step
    if "we need" in step:
        return brackets(popped) == needed
    return True
