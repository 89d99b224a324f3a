"""A pipeline's recipe: everything that decides its data, in one YAML file."""

from __future__ import annotations

import difflib
import importlib.util
import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from genprm_sdk.backends.base import Sampling
from genprm_sdk.errors import InputError, MissingExtraError
from genprm_sdk.types import Frozen

from ..tuning.rl import RLRecipe
from ..tuning.settings import ExportRecipe, SFTRecipe
from ..worlds import WORLDS
from ..yaml_file import read_yaml
from .consensus import ConsensusSettings
from .dataset import DatasetSettings
from .monte_carlo import MonteCarloSettings
from .progress import Rule
from .rollouts import RolloutSettings

__all__ = [
    "Drawing",
    "ModelRecipe",
    "PipelineRecipe",
    "PolicyRecipe",
    "ProblemsRecipe",
    "TeacherRecipe",
    "load_pipeline_recipe",
    "save_pipeline_recipe",
]

Count = Annotated[int, Field(ge=1)]


class ProblemsRecipe(Frozen):
    """Where problems come from: one of the two.

    Attributes:
        worlds: Problems of each domain.
        file: A JSON Lines file, by a path from the recipe's folder.
        limit: Lines of the file at most.
    """

    worlds: dict[str, Count] = Field(default_factory=dict)
    file: Path | None = None
    limit: Count | None = None

    @field_validator("worlds")
    @classmethod
    def _known(cls, worlds: dict[str, int]) -> dict[str, int]:
        for name in worlds:
            if name not in WORLDS:
                raise ValueError(f"unknown domain {name!r}; there are {', '.join(sorted(WORLDS))}")
        return worlds

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.worlds) == (self.file is not None):
            raise ValueError("name either `worlds` or a `file`")
        return self


class ModelRecipe(Frozen):
    """A model and what runs it; see ``genprm_sdk.Verifier``.

    Attributes:
        model: A name, a path, a repository or an address.
        alias: What its results are known by, in place of the model's name and files: give one for a server,
            whose address may change.
        engine: What runs it; by default what its kind needs.
        threads: CPU threads.
        context: Tokens a sequence can hold.
        capacity: Sequences evaluated at once.
        exact: Whether results must not depend on what else runs; llama.cpp only.
    """

    model: str
    alias: str | None = None
    engine: Literal["llama.cpp", "transformers", "openai"] | None = None
    threads: Count | None = None
    context: Count | None = None
    capacity: Count | None = None
    exact: bool = False


class Drawing(ModelRecipe):
    """A model that writes freely; the defaults of the sampling are Qwen2.5's.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: Smallest set of tokens with this probability; 1 keeps all.
        top_k: Number of likeliest tokens kept; 0 keeps all.
        min_p: Least probability relative to the likeliest token's.
    """

    temperature: float = 0.7
    top_p: float = 0.8
    top_k: int = 20
    min_p: float = 0.0

    @model_validator(mode="after")
    def _sampling_is_sound(self) -> Self:
        Sampling(self.temperature, self.top_p, self.top_k, self.min_p)
        return self

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.min_p)


class PolicyRecipe(Drawing):
    """A solver.

    Attributes:
        longest: Tokens of a solution at most.
        system: The system message, if there is one.
    """

    longest: Count = 2048
    system: str | None = None


class TeacherRecipe(Drawing):
    """What writes rationales.

    Attributes:
        kind: ``verifier`` for a model that knows the protocol, whose paths are taken; ``writer`` for any
            other, which is asked in plain words.
        samples: A verifier's paths a solution.
        longest: Tokens of a writer's answer at most.
        rounds: A writer's code blocks at most.
    """

    kind: Literal["verifier", "writer"] = "verifier"
    temperature: float = 0.6
    top_p: float = 0.95
    samples: Annotated[int, Field(ge=1, le=256)] = 1
    longest: Count = 16384
    rounds: Count = 64


class AnswersRecipe(Frozen):
    """How answers of a file's problems are compared.

    Attributes:
        kind: ``mathematics`` by ``math-verify``, ``text`` by spelling alone.
        processes: How many compare at a time.
    """

    kind: Literal["mathematics", "text"] = "mathematics"
    processes: Count = 1


class PipelineRecipe(Frozen):
    """A run from problems to training data, and on to a verifier.

    Attributes:
        name: Of the run, for people.
        seed: Decides what is drawn.
        problems: Where problems come from.
        policy: What solves them.
        completer: What goes on behind a step; by default the policy.
        answers: How answers are compared.
        rollouts: How many solutions are drawn.
        monte_carlo: How many completions.
        labels: When a step is right.
        teacher: What writes rationales.
        consensus: What is kept.
        dataset: What of it is to be written.
        base: The model that becomes a verifier: a folder in the Hugging Face layout, a repository, or a
            bundled model.
        sft: How it is trained on the dataset.
        rl: How it is trained on its own verdicts, behind ``sft`` if there is that.
        export: As which files it is written.
        at_once: Records in work at a time, in each stage.
    """

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    problems: ProblemsRecipe
    policy: PolicyRecipe
    completer: PolicyRecipe | None = None
    answers: AnswersRecipe = AnswersRecipe()
    rollouts: RolloutSettings = RolloutSettings()
    monte_carlo: MonteCarloSettings = MonteCarloSettings()
    labels: Rule = Rule()
    teacher: TeacherRecipe
    consensus: ConsensusSettings = ConsensusSettings()
    dataset: DatasetSettings = DatasetSettings()
    base: str | None = None
    sft: SFTRecipe | None = None
    rl: RLRecipe | None = None
    export: ExportRecipe | None = None
    at_once: Count = 4

    @model_validator(mode="after")
    def _trains_something(self) -> Self:
        trained = self.sft is not None or self.rl is not None
        if trained != (self.base is not None):
            raise ValueError("`base`, the model that is trained, goes with `sft` or `rl`, and they with it")
        if self.export is not None and not trained:
            raise ValueError("`export` writes what `sft` or `rl` has trained: add one of them")
        return self


def save_pipeline_recipe(recipe: PipelineRecipe, path: Path) -> None:
    """Write a recipe so that it reads the same from there; the file is replaced whole or not at all."""
    import yaml

    part = path.with_name(path.name + ".part")
    part.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    part.replace(path)


def _complaint(kind: str, place: tuple[int | str, ...], message: str) -> str:
    known = _keys_beside(place) if kind == "extra_forbidden" else []
    if not known:
        return message.removeprefix("Value error, ")
    near = difflib.get_close_matches(str(place[-1]), known, 1)
    meant = f"did you mean `{near[0]}`? There" if near else "there"
    return f"there is no such key: {meant} are {', '.join(known)}"


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a recipe may have where it has this one."""
    part: type[BaseModel] = PipelineRecipe
    for name in place[:-1]:
        kind: Any = part.model_fields[name].annotation if name in part.model_fields else None
        found = [
            each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, BaseModel)
        ]
        if not found:
            return []
        part = found[0]
    return list(part.model_fields)


def load_pipeline_recipe(name: str) -> PipelineRecipe:
    """Read a recipe: a file, or one that comes with the package, by its name.

    Raises:
        InputError: There is none, it cannot be read, or it does not make sense; says what and where.
        MissingExtraError: PyYAML is not installed.
    """
    if importlib.util.find_spec("yaml") is None:
        raise MissingExtraError("pyyaml", "data", "Reading a recipe")

    path = Path(name)
    if not path.suffix and not os.path.exists(path):
        folder = Path(str(resources.files(__package__) / "recipes"))
        path = folder / f"{name}.yaml"
        if not os.path.exists(path):
            names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
            raise InputError(f"no recipe is called {name!r}; there are {names}, or give a .yaml file")
    try:
        read = read_yaml(path)
    except ValueError as error:
        raise InputError(f"the recipe {path} cannot be read: {error}") from None
    try:
        recipe = PipelineRecipe.model_validate(read)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'recipe'}: "
            f"{_complaint(each['type'], each['loc'], each['msg'])}"
            for each in error.errors()
        )
        raise InputError(f"the recipe {path} is wrong: {found}") from None
    file = recipe.problems.file
    if file is None:
        return recipe
    problems = recipe.problems.model_copy(update={"file": (path.parent / file).resolve()})
    return recipe.model_copy(update={"problems": problems})
