"""The words that agents send to policies; each may be replaced."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from .. import wording
from ..errors import InputError

__all__ = ["Templates"]

NEEDED = {"solve": ("problem",), "critique": ("step", "reason"), "keep": ("request", "prefix"), "review": ()}


@dataclass(frozen=True)
class Templates:
    """Texts with names in braces; other braces stand for themselves.

    Attributes:
        solve: The first message; ``{problem}``.
        critique: What a repair is asked with: ``{step}``, its ``{number}`` from 1 and the ``{reason}``. By
            default the paper's (arXiv 2504.00891).
        keep: How a policy that cannot continue a text is asked to: the ``{request}`` and the ``{prefix}``.
        review: How a policy is asked to criticise itself.
    """

    solve: str = "{problem}" + wording.SOLVING_REQUEST
    critique: str = wording.critique("{step}", "{reason}")
    keep: str = (
        "{request}\n\nBegin your answer with these steps, as they are, and go on behind them:\n\n{prefix}"
    )
    review: str = (
        "Please check your solution step by step. If all of it is right, write `Verdict: correct` on the "
        "first line. Otherwise write `Verdict: step N`, with the number of the first wrong step, and below "
        "it what is wrong with that step."
    )

    def __post_init__(self) -> None:
        for field in fields(self):
            text = getattr(self, field.name)
            if not isinstance(text, str):
                raise InputError(f"the template {field.name} must be text, not {type(text).__name__}")
            missing = [name for name in NEEDED[field.name] if f"{{{name}}}" not in text]
            if missing:
                raise InputError(f"the template {field.name} must hold {{{missing[0]}}}")

    def solving(self, problem: str) -> str:
        """What a problem is put as."""
        return _filled(self.solve, problem=problem)

    def criticising(self, step: str, number: int, reason: str) -> str:
        """What is said against a step."""
        return _filled(self.critique, step=step, number=str(number), reason=reason).rstrip()

    def keeping(self, request: str, prefix: str) -> str:
        """A request for an answer with a given beginning."""
        return _filled(self.keep, request=request, prefix=prefix.rstrip())


def _filled(template: str, **values: str) -> str:
    """The template with its own names filled in once; what is filled in may hold braces of its own."""
    names = "|".join(values)
    return re.sub(rf"\{{({names})\}}", lambda found: values[found[1]], template)
