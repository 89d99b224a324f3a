"""Recipes: everything that decides a bundled model's weights, in one YAML file.

A recipe names the sizes of the model, the vocabulary, the schedule, the worlds and their shares, and from
which step on the solver's own attempts are mixed in.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .dataset import Mix
from .sft import Shape, TrainSettings
from .worlds import WORLDS
from .yaml_file import read_yaml

__all__ = ["AttemptRound", "Recipe", "RecipeError", "Vocabulary", "bundled_recipe", "load_recipe"]

LONGEST_NAME = 250
"""Bytes of a model's name, which its file has with a suffix; file systems take 255."""

EXPORTED_BLOCK = 32
"""The matrices of a model's file are stored in blocks of so many numbers of a row (Q8_0)."""

Share = Annotated[float, Field(ge=0, le=1)]


class RecipeError(ValueError):
    """A recipe that cannot be read or does not make sense."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Vocabulary(_Strict):
    """How the tokens are learnt; recipes that agree in it share a tokenizer.

    Attributes:
        size: Tokens, special ones included.
        examples: Examples and exercises of each world that it is learnt from.
    """

    size: Annotated[int, Field(ge=400)] = 1024
    examples: Annotated[int, Field(ge=1)] = 1000


class AttemptRound(_Strict):
    """The second round: the solver's own attempts, labelled by their worlds.

    Attributes:
        from_step: The first step that draws from them.
        share: The share of trees that are attempts from then on.
        for_each_domain: How many exercises of each world the solver attempts.
        temperature: Of the solver's sampling.
    """

    from_step: Annotated[int, Field(ge=0)]
    share: Share
    for_each_domain: Annotated[int, Field(ge=1)] = 1500
    temperature: Annotated[float, Field(gt=0)] = 0.7


class Recipe(_Strict):
    """A model from nothing.

    Attributes:
        model: The model's name, and its file's.
        role: What it learns to write.
        vocabulary: How its tokens are learnt.
        shape: Its sizes.
        schedule: Length and rates of the training.
        shares: How often each world is drawn, relative to the others.
        branches: At most so many steps of one solution are verified, by world; ``others`` for the rest.
        mix: How steps are verified.
        history: What a verifier sees of earlier steps: the ``steps`` alone, or its ``rationales`` too; then
            all steps of a solution are verified in one row, whatever ``branches`` says.
        distinct: So many different examples of each world, again and again; None for ever new ones.
        attempts: The second round, if there is one.
        analysis_tokens: The verifier's budget for an analysis, which its file names.
        turn_tokens: The same for a whole turn.
        start_from_solver: Whether a verifier begins with the solver's weights: who can solve can copy.
    """

    model: str
    role: Literal["verifier", "policy"]
    vocabulary: Vocabulary = Vocabulary()
    shape: Shape
    schedule: TrainSettings
    shares: dict[str, Annotated[float, Field(gt=0)]]
    branches: dict[str, Annotated[int, Field(ge=1)]] = {"others": 5}
    mix: Mix = Mix()
    history: Literal["steps", "rationales"] = "steps"
    distinct: Annotated[int, Field(ge=1)] | None = None
    attempts: AttemptRound | None = None
    analysis_tokens: Annotated[int, Field(ge=1)] = 128
    turn_tokens: Annotated[int, Field(ge=1)] = 1536
    start_from_solver: bool = False

    @field_validator("model")
    @classmethod
    def _names_a_file(cls, model: str) -> str:
        encoded = model.encode("utf-8", "replace")
        if not model.strip() or "/" in model or "\0" in model or len(encoded) > LONGEST_NAME:
            raise ValueError(f"{model!r:.80} cannot be a file's name, and the model's file is called so")
        return model

    @field_validator("shares")
    @classmethod
    def _known_domains(cls, shares: dict[str, float]) -> dict[str, float]:
        if not shares:
            raise ValueError("no domain is named")
        for name in shares:
            if name not in WORLDS:
                raise ValueError(f"unknown domain {name!r}; there are {', '.join(sorted(WORLDS))}")
        return shares

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.shape.vocabulary != self.vocabulary.size:
            raise ValueError(
                f"the shape has {self.shape.vocabulary} tokens, the vocabulary {self.vocabulary.size}"
            )
        for name in ("width", "feed_forward"):
            size = getattr(self.shape, name)
            if size % EXPORTED_BLOCK:
                raise ValueError(
                    f"shape.{name} is {size}: the model's file needs a multiple of {EXPORTED_BLOCK}"
                )
        if self.attempts is not None and self.attempts.from_step >= self.schedule.steps:
            raise ValueError("the attempts begin behind the last step")
        return self


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeError: The file cannot be read, is no YAML, or does not make sense; says what and where.
    """
    try:
        read = read_yaml(path)
    except ValueError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    try:
        return Recipe.model_validate(read)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'recipe'}: {each['msg']}"
            for each in error.errors()
        )
        raise RecipeError(f"the recipe {path} is wrong: {found}") from error


def bundled_recipe(name: str) -> Path:
    """Where a recipe that comes with the package lies.

    Raises:
        RecipeError: There is no such recipe.
    """
    folder = Path(str(resources.files(__package__) / "recipes"))
    path = folder / f"{name}.yaml"
    if not os.path.exists(path):
        names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise RecipeError(f"no recipe is called {name!r}; there are {names}, or give a file")
    return path
