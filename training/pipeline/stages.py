"""The stages of a recipe: what each takes, what decides its records, and how its work is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from genprm_sdk.backends.base import Backend
from genprm_sdk.backends.loading import LoadOptions, find_source
from genprm_sdk.errors import InputError
from genprm_sdk.models import locate
from genprm_sdk.models.fingerprint import fingerprint
from genprm_sdk.sandbox import Sandbox
from genprm_sdk.verifier import Verifier

from .answers import Answers
from .consensus import agree
from .dataset import conversation
from .monte_carlo import estimate
from .policy import Policy
from .problems import file_problems, world_problems
from .progress import label_solution
from .rationales import Teacher, VerifierTeacher, WriterTeacher, rationalise
from .recipe import ModelRecipe, PipelineRecipe, PolicyRecipe, TeacherRecipe
from .records import Drop, Estimates, Kept, Labelled, Problem, Rationale, Rollouts, Scored
from .rollouts import NO_ANSWER, roll_out
from .store import digest

__all__ = [
    "STAGES",
    "Load",
    "RecordsName",
    "Stage",
    "StageName",
    "build_stages",
    "load_model",
    "source_of",
    "stage_named",
]

StageName = Literal["problems", "rollouts", "monte-carlo", "rationales", "label", "consensus", "dataset"]
STAGES: tuple[StageName, ...] = get_args(StageName)

RecordsName = StageName | Literal["dropped"]
"""Records that can be written to a file: a stage's, or those of all stages that go no further."""

VERSION = 1
"""Of what the stages do: raised when the same settings give other records."""


Unit = Any
Work = Callable[[Unit], Awaitable[BaseModel]]
Load = Callable[[ModelRecipe], Awaitable[Backend]]


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: What it is called.
        lineage: A digest of its settings and of the lineage of the stage before it.
        takes: The kind of what each of its records is made of.
        ahead: How many units the next stage makes of one of this one's records.
        open: Gives the work; entering loads what it needs.
        hopeless: A reason for dropping that, when all first records have it, ends the run.
        split: What of a record of the stage before it takes, one for each record; None takes it whole.
    """

    name: StageName
    lineage: str
    takes: type[BaseModel]
    ahead: Callable[[BaseModel], int]
    open: Callable[[], AbstractAsyncContextManager[Work]]
    hopeless: str | None = None
    split: Callable[[str], Sequence[Unit]] | None = None

    def unit(self, body: str) -> Unit:
        """What one record is made of, from its JSON."""
        return self.takes.model_validate_json(body)

    def units(self, body: str) -> Sequence[Unit]:
        """What is made of one record of the stage before; each gives one record."""
        return [self.unit(body)] if self.split is None else self.split(body)


def stage_named(name: str) -> RecordsName:
    """The stage of that name, or ``dropped``.

    Raises:
        InputError: There is none.
    """
    for stage in STAGES:
        if stage == name:
            return stage
    if name == "dropped":
        return "dropped"
    raise InputError(
        f"there is no stage {name!r:.80}; there are {', '.join(STAGES)}, or dropped for the records of all "
        "stages that go no further"
    )


def source_of(recipe: PipelineRecipe) -> Iterator[tuple[object, Problem | Drop]]:
    """The problems, each with what it is known by.

    Raises:
        InputError: Their file cannot be used.
    """
    problems = recipe.problems
    if problems.file is not None:
        for line, record in file_problems(problems.file, problems.limit):
            named = record.model_dump(exclude={"source"}) if isinstance(record, Problem) else line
            yield named, record
    else:
        for problem in world_problems(problems.worlds, recipe.seed):
            yield problem.model_dump(exclude={"source"}), problem


def build_stages(recipe: PipelineRecipe, load: Load | None = None) -> tuple[Stage, ...]:
    """The stages in order; reads model files to tell them apart.

    Args:
        recipe: What is made.
        load: Loads the models that write freely, in place of the engines.

    Raises:
        UnknownModelError: A model is not known.
    """
    builder = _Builder(recipe, load or load_model)
    return builder.stages()


async def load_model(model: ModelRecipe) -> Backend:
    """Load a model as a recipe says."""
    options = LoadOptions(model.threads, model.context, model.capacity, model.exact)
    return await find_source(model.model, model.engine, options).load()


class _Builder:
    def __init__(self, recipe: PipelineRecipe, load: Load) -> None:
        self._recipe = recipe
        self._load = load
        self._completer = recipe.completer or recipe.policy

    def stages(self) -> tuple[Stage, ...]:
        recipe = self._recipe
        rule = recipe.labels.model_dump()
        policy = _decisive(recipe.policy)
        answers = recipe.answers.kind
        settings: dict[StageName, object] = {
            "problems": recipe.problems.file.name if recipe.problems.file else ["worlds", recipe.seed],
            "rollouts": [recipe.seed, policy, recipe.rollouts.model_dump(), answers],
            "monte-carlo": [
                recipe.seed,
                _decisive(self._completer),
                recipe.monte_carlo.model_dump(),
                answers,
                rule if recipe.monte_carlo.sequential else None,
            ],
            "rationales": [recipe.seed, _decisive(recipe.teacher), self._to_first_error],
            "label": rule,
            "consensus": recipe.consensus.model_dump(),
            "dataset": recipe.dataset.model_dump(),
        }
        lineages: dict[StageName, str] = {}
        before = ""
        for name in STAGES:
            lineages[name] = before = digest([before, name, VERSION, settings[name]])
        return (
            Stage("problems", lineages["problems"], Problem, _one, self._nothing),
            Stage("rollouts", lineages["rollouts"], Problem, _one, self._rollouts, hopeless=NO_ANSWER),
            Stage("monte-carlo", lineages["monte-carlo"], Rollouts, _solutions, self._monte_carlo),
            Stage("rationales", lineages["rationales"], Scored, _one, self._rationales, split=_each_solution),
            Stage("label", lineages["label"], Rationale, _one, self._label),
            Stage("consensus", lineages["consensus"], Labelled, _one, self._consensus),
            Stage("dataset", lineages["dataset"], Kept, _nowhere, self._dataset),
        )

    @property
    def _to_first_error(self) -> bool:
        return self._recipe.consensus.compare == "first_error"

    def _answers(self) -> Answers:
        answers = self._recipe.answers
        return Answers(mathematics=answers.kind == "mathematics", processes=answers.processes)

    @asynccontextmanager
    async def _policy(self, model: PolicyRecipe) -> AsyncIterator[Policy]:
        async with await self._load(model) as backend:
            yield Policy.of(backend, model.sampling, model.longest, model.system, self._recipe.at_once)

    @asynccontextmanager
    async def _nothing(self) -> AsyncIterator[Work]:
        async def same(problem: Problem | Drop) -> BaseModel:
            return problem

        yield same

    @asynccontextmanager
    async def _rollouts(self) -> AsyncIterator[Work]:
        recipe = self._recipe
        async with self._answers() as answers, self._policy(recipe.policy) as policy:

            async def work(problem: Problem) -> BaseModel:
                return await roll_out(problem, policy, answers, recipe.rollouts, recipe.seed)

            yield work

    @asynccontextmanager
    async def _monte_carlo(self) -> AsyncIterator[Work]:
        recipe = self._recipe
        own = _decisive(self._completer) == _decisive(recipe.policy)
        async with self._answers() as answers, self._policy(self._completer) as completer:

            async def work(rollouts: Rollouts) -> BaseModel:
                return await estimate(
                    rollouts, completer, answers, recipe.monte_carlo, recipe.labels, recipe.seed, own=own
                )

            yield work

    @asynccontextmanager
    async def _rationales(self) -> AsyncIterator[Work]:
        recipe = self._recipe
        async with self._teacher(recipe.teacher) as teacher:

            async def work(scored: Scored) -> BaseModel:
                return await rationalise(scored, teacher, recipe.seed, to_first_error=self._to_first_error)

            yield work

    @asynccontextmanager
    async def _teacher(self, model: TeacherRecipe) -> AsyncIterator[Teacher]:
        async with AsyncExitStack() as stack:
            if model.kind == "verifier":
                verifier = Verifier(
                    model.model,
                    backend=model.engine,
                    sampling=model.sampling,
                    threads=model.threads,
                    context=model.context,
                    capacity=model.capacity,
                    exact=model.exact,
                )
                yield VerifierTeacher(await stack.enter_async_context(verifier), model.samples)
                return
            sandbox = await stack.enter_async_context(Sandbox(max_sessions=self._recipe.at_once))
            backend = await stack.enter_async_context(await self._load(model))
            yield WriterTeacher(backend, sandbox, model.sampling, model.longest, model.rounds)

    @asynccontextmanager
    async def _label(self) -> AsyncIterator[Work]:
        async def work(rationale: Rationale) -> BaseModel:
            return await asyncio.to_thread(label_solution, rationale, self._recipe.labels)

        yield work

    @asynccontextmanager
    async def _consensus(self) -> AsyncIterator[Work]:
        async def work(labelled: Labelled) -> BaseModel:
            return agree(labelled, self._recipe.consensus)

        yield work

    @asynccontextmanager
    async def _dataset(self) -> AsyncIterator[Work]:
        async def work(kept: Kept) -> BaseModel:
            return conversation(kept, self._recipe.dataset)

        yield work


def _each_solution(body: str) -> Sequence[Scored]:
    found = Estimates.model_validate_json(body)
    return [
        Scored(problem=found.problem, rollout=each.rollout, start=found.start, estimates=each.steps)
        for each in found.solutions
    ]


def _one(record: BaseModel) -> int:
    return 1


def _nowhere(record: BaseModel) -> int:
    return 0


def _solutions(record: BaseModel) -> int:
    assert isinstance(record, Estimates)
    return len(record.solutions)


def _decisive(model: ModelRecipe) -> object:
    """What of a model decides what it writes."""
    settings = model.model_dump(exclude={"model", "alias", "threads", "capacity"})
    return [model.alias or _identity(model.model), settings]


def _identity(model: str) -> object:
    """A model's name, and what tells its files from others of that name, without reading gigabytes."""
    located = locate(model)
    return [located.name, *located.urls, fingerprint(located)]
