"""How a verifier wants to be used, as its model file says it or as its catalogue entry does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..errors import ModelFileError
from ..modes import History, Reasoning
from ..protocol import PromptStyle
from .gguf import MetadataValue, text_value, whole_value

__all__ = ["PROTOCOL", "VerifierSettings"]

Option = TypeVar("Option", bound=str)

PROTOCOL = "genprm-1"
"""The version of the protocol's wording that this library speaks."""


@dataclass(frozen=True)
class VerifierSettings:
    """Settings that belong to a model rather than to a call.

    Attributes:
        style: The prompt style it was trained with.
        history: What it sees of earlier steps' verifications.
        reasoning: What it was trained to write before a verdict.
        analysis_tokens: Budget of an analysis.
        turn_tokens: Budget of a whole turn.
        rounds: Generations after the analysis.
        domains: What it was trained on; empty if the file does not say.
    """

    style: PromptStyle = "reference"
    history: History = History.RATIONALES
    reasoning: Reasoning = Reasoning.ANALYSIS_CODE
    analysis_tokens: int = 2048
    turn_tokens: int = 2048
    rounds: int = 3
    domains: tuple[str, ...] = ()

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, MetadataValue]) -> VerifierSettings:
        """Read ``genprm.*``; a file without them is taken for converted GenPRM weights.

        Raises:
            ModelFileError: A value is unknown, or the file is not a verifier.
        """
        role = text_value(metadata, "genprm.role", "verifier")
        if role != "verifier":
            named = text_value(metadata, "general.name", "the model file")
            raise ModelFileError(f"{named} is a {role}, not a verifier: give one, such as genprm-mini")
        protocol = text_value(metadata, "genprm.protocol", PROTOCOL)
        if protocol != PROTOCOL:
            raise ModelFileError(
                f"the model file speaks the protocol {protocol}, and this version of genprm-sdk {PROTOCOL}: "
                "upgrade genprm-sdk"
            )
        default = cls()
        domains = metadata.get("genprm.domains", ())
        if not isinstance(domains, tuple):
            raise ModelFileError("the model file's genprm.domains must be a list of names")
        return cls(
            style=_one_of(metadata, "genprm.prompt_style", ("chat", "reference"), default.style),
            history=History(_one_of(metadata, "genprm.history", tuple(History), default.history)),
            reasoning=Reasoning(_one_of(metadata, "genprm.reasoning", tuple(Reasoning), default.reasoning)),
            analysis_tokens=whole_value(metadata, "genprm.analysis_tokens", default.analysis_tokens),
            turn_tokens=whole_value(metadata, "genprm.turn_tokens", default.turn_tokens),
            rounds=whole_value(metadata, "genprm.rounds", default.rounds),
            domains=domains,
        )


def _one_of(
    metadata: Mapping[str, MetadataValue], key: str, allowed: tuple[Option, ...], default: Option
) -> Option:
    value = text_value(metadata, key, default)
    for option in allowed:
        if value == option:
            return option
    raise ModelFileError(f"the model file's {key} is {value!r}; known are {', '.join(allowed)}")
