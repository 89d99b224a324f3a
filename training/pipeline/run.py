"""A recipe's stages in their order over one store: what is there is not made again.

Knows no stage's work. A record that cannot be made for its own sake is dropped with a reason; an engine, a
sandbox or a disk that fails ends the run, and what was finished is kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from genprm_sdk.batch import bounded
from genprm_sdk.errors import InputError
from genprm_sdk.types import first_message

from .dataset import write, write_lines
from .recipe import PipelineRecipe
from .records import Conversation, Drop, Problem
from .stages import STAGES, Load, Stage, StageName, Unit, Work, build_stages, source_of
from .store import PAGE, Row, Store, StoreError, digest

__all__ = [
    "Pending",
    "Progress",
    "Spread",
    "StageStatus",
    "export",
    "export_dropped",
    "finished",
    "read_status",
    "run_pipeline",
]

HOPELESS = 20
"""So many first records that are dropped for a stage's hopeless reason end the run."""

LINEAGES = "lineages"
LISTED: TypeAdapter[list[tuple[StageName, str]]] = TypeAdapter(list[tuple[StageName, str]])
RECIPE = "recipe"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        done: Records finished, those of earlier runs included.
        dropped: Those that go no further.
        total: Records that there will be; None while that is not known.
    """

    stage: StageName
    done: int
    dropped: int
    total: int | None


@dataclass(frozen=True)
class StageStatus:
    """What a store holds of one stage.

    Attributes:
        total: Records that the stage before it has given it so far; None for the first one.
        kept: Records that go on.
        dropped: Records that do not, by reason.
        seconds: Spent on them, added up over records that may have run side by side.
    """

    stage: StageName
    total: int | None
    kept: int
    seconds: float
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Records that need no more work."""
        return self.kept + sum(self.dropped.values())


@dataclass(frozen=True)
class Pending:
    """A record that is yet to be made.

    Attributes:
        key: What it will be known by.
        parent: The key of the record that it is made from, or nothing.
        number: Which one of those that are made from it.
        unit: What the stage's work is given.
    """

    key: str
    parent: str
    number: int
    unit: Unit


class Spread(Protocol):
    """Makes a stage's records elsewhere; whoever asks keeps them.

    Rows come in groups. Those of a group are kept when the next one is asked for, and may then be forgotten.
    """

    def left(self, stage: Stage) -> AsyncGenerator[Sequence[Row], None]:
        """What an earlier run finished and could not keep, of any settings."""
        ...

    def make(
        self, stage: Stage, recipe: PipelineRecipe, pending: AsyncIterator[Pending]
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Make what is pending, in any order."""
        ...


async def run_pipeline(
    recipe: PipelineRecipe,
    folder: Path,
    *,
    stages: Sequence[StageName] = STAGES,
    hear: Callable[[Progress], None] = lambda progress: None,
    load: Load | None = None,
    spread: Mapping[StageName, Spread] = MappingProxyType({}),
    accepted: Callable[[], None] = lambda: None,
) -> list[StageStatus]:
    """Run a recipe, or go on with it.

    Args:
        recipe: What is made.
        folder: Where it is kept.
        stages: Those that are run, over what the stages before them have finished.
        hear: Called with each record that is finished.
        load: Loads the models that write freely, in place of the engines.
        spread: The stages whose records are not made in this process, and who makes them.
        accepted: Called when the recipe's models are known and no other process works in the folder; none
            does before the run ends.

    Returns:
        What the store then holds.

    Raises:
        InputError: The input or the folder cannot be used, or a stage leaves nothing to the next one.
        GenPRMError: A model, the sandbox or the disk failed; what was finished is kept.
    """
    built = await asyncio.to_thread(build_stages, recipe, load)
    async with await Store.open(folder) as store:
        accepted()
        await store.set_fact(LINEAGES, json.dumps([[stage.name, stage.lineage] for stage in built]))
        await store.set_fact(RECIPE, recipe.model_dump_json())
        await _use_what_follows(store, built)
        for number, stage in enumerate(built):
            if stage.name in stages:
                await _Runner(store, built, number, recipe, hear, spread.get(stage.name)).run()
        return await _status(store)


async def _use_what_follows(store: Store, built: Sequence[Stage]) -> None:
    """Of all stages, use the records that come from problems that are used."""
    for before, stage in pairwise(built):
        await store.use_made_of(stage.lineage, before.lineage)


async def read_status(folder: Path) -> tuple[PipelineRecipe, list[StageStatus]]:
    """What a folder's run is and how far it has come; a run may be going on in it.

    Raises:
        InputError: There is no run.
        StoreError: What is kept of it is damaged, or another version's.
    """
    async with await Store.open(folder, read_only=True) as store:
        recipe = await store.fact(RECIPE)
        if recipe is None:
            raise InputError(f"{folder} holds no run yet")
        return _parsed(PipelineRecipe, recipe, store), await _status(store)


async def export(folder: Path, target: Path, stage: StageName = "dataset") -> int:
    """Write a stage's records to a file; returns how many there are.

    Args:
        folder: The run's.
        target: A ``.jsonl`` file, or for the dataset a ``.parquet`` file.
        stage: Whose records.

    Raises:
        InputError: There is no run or no such stage, the file's name says no format, or its folder does not
            exist.
        MissingExtraError: pyarrow is needed and not installed.
        StoreError: The file cannot be written, or what is kept of the run is damaged.
    """
    async with await Store.open(folder, read_only=True) as store:
        lineages = dict(await _lineages(store))
        if not lineages:
            raise InputError(f"{folder} holds no run yet")
        lineage = lineages.get(stage)
        if lineage is None:
            raise InputError(f"there is no stage {stage!r:.80}; there are {', '.join(lineages)}")

        async def bodies() -> AsyncIterator[str]:
            async for page in store.pages(lineage):
                for row in page:
                    yield row.body

        if stage == "dataset":

            async def conversations() -> AsyncIterator[Conversation]:
                async for body in bodies():
                    yield _parsed(Conversation, body, store)

            return await write(conversations(), target)
        _check_lines(target)
        return await write_lines(bodies(), target)


async def export_dropped(folder: Path, target: Path) -> int:
    """Write the records that go no further to a file; returns how many there are.

    Each has its ``stage``, ``key``, ``reason`` and ``detail``, and the ``problem`` that it is of.

    Args:
        folder: The run's.
        target: A ``.jsonl`` file.

    Raises:
        InputError: There is no run, the file's name says another format, or its folder does not exist.
        StoreError: The file cannot be written, or what is kept of the run is damaged.
    """
    async with await Store.open(folder, read_only=True) as store:
        lineages = await _lineages(store)
        if not lineages:
            raise InputError(f"{folder} holds no run yet")
        _check_lines(target)

        async def lines() -> AsyncIterator[str]:
            for stage, lineage in lineages:
                async for page in store.pages(lineage, "dropped"):
                    for row in page:
                        said = {
                            "stage": stage,
                            "key": row.key,
                            "reason": row.reason,
                            "detail": _parsed(Drop, row.body, store).detail,
                            "problem": await _problem_of(store, row),
                        }
                        yield json.dumps(said, ensure_ascii=False)

        return await write_lines(lines(), target)


async def _problem_of(store: Store, row: Row) -> str:
    """Where the problem is from that a dropped record goes back to; nothing if it is the record itself."""
    first: Row | None = row
    for _ in STAGES:
        if first is not None and first.parent:
            first = await store.row(first.parent)
    if first is not None and first.parent:
        raise _damaged(store, f"the record {row.key:.40} goes back to no problem")
    return "" if first is None or first is row else _parsed(Problem, first.body, store).source


def _check_lines(target: Path) -> None:
    if target.suffix != ".jsonl":
        raise InputError(f"{target.name} must end in .jsonl: only the dataset is written in other formats")


async def _lineages(store: Store) -> list[tuple[StageName, str]]:
    listed = await store.fact(LINEAGES)
    try:
        return [] if listed is None else LISTED.validate_json(listed)
    except ValidationError as error:
        raise _damaged(store, f"its stages cannot be read ({first_message(error)})") from None


def _parsed(kind: type[M], text: str, store: Store) -> M:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(store, f"a {kind.__name__} in it cannot be read ({first_message(error)})") from None


def _damaged(store: Store, what: str) -> StoreError:
    return StoreError(
        f"{store.path} is damaged, or of another version: {what}; remove it to begin anew, or go back"
    )


async def _status(store: Store) -> list[StageStatus]:
    found = []
    total: int | None = None
    for name, lineage in await _lineages(store):
        kept = units = 0
        seconds = 0.0
        dropped: dict[str, int] = {}
        for state, reason, count, ahead, spent in await store.counts(lineage):
            seconds += spent
            if state == "done":
                kept, units = kept + count, units + ahead
            else:
                dropped[reason] = count
        found.append(StageStatus(name, total, kept, seconds, dropped))
        total = units
    return found


async def finished(stage: Stage, item: Pending, work: Work) -> Row:
    """Make a record, whether it then goes on or is dropped."""
    started = time.monotonic()
    record = await work(item.unit)
    drop = record if isinstance(record, Drop) else None
    return Row(
        key=item.key,
        lineage=stage.lineage,
        stage=stage.name,
        parent=item.parent,
        number=item.number,
        state="done" if drop is None else "dropped",
        reason="" if drop is None else drop.reason,
        units=stage.ahead(record) if drop is None else 0,
        seconds=time.monotonic() - started,
        body=record.model_dump_json(),
    )


class _Runner:
    """One stage of a run."""

    def __init__(
        self,
        store: Store,
        built: Sequence[Stage],
        number: int,
        recipe: PipelineRecipe,
        hear: Callable[[Progress], None],
        spread: Spread | None,
    ) -> None:
        self._store = store
        self._built = built
        self._stage = built[number]
        self._before = built[number - 1] if number else None
        self._recipe = recipe
        self._hear = hear
        self._spread = spread
        self._kept = 0
        self._reasons: Counter[str] = Counter()
        self._total: int | None = None

    async def run(self) -> None:
        """Make what is missing.

        Raises:
            InputError: Nothing is left for the next stage.
        """
        if self._spread is not None:
            await self._take_left(self._spread)
            await _use_what_follows(self._store, self._built)
        if self._before is None:
            await self._store.use_only(self._stage.lineage, self._described())
            await _use_what_follows(self._store, self._built)
        await self._count()
        async with aclosing(self._pending()) as pending:
            first = await anext(pending, None)
            if first is not None:
                rest = _chained(first, pending)
                makers = self._here(rest) if self._spread is None else self._elsewhere(self._spread, rest)
                async with aclosing(makers) as made:
                    async for _ in made:
                        self._tell()
                        self._refuse_hopeless()
        if not self._kept:
            raise InputError(f"{self._stage.name}: nothing is left: {self._shown_reasons()}")

    async def _take_left(self, spread: Spread) -> None:
        # Before anything is counted, and not counted itself: some of it may be in the store already.
        async with aclosing(spread.left(self._stage)) as left:
            async for rows in left:
                await asyncio.gather(*(self._store.put(row) for row in rows))

    async def _described(self) -> AsyncIterator[list[str]]:
        async for page in self._pages():
            yield [item.key for item in page]

    async def _here(self, pending: AsyncIterator[Pending]) -> AsyncGenerator[None, None]:
        async with self._stage.open() as work:

            async def one(_: int, item: Pending) -> None:
                await self._make(item, work)

            async with aclosing(bounded(one, pending, self._recipe.at_once)) as made:
                async for _ in made:
                    yield

    async def _elsewhere(self, spread: Spread, pending: AsyncIterator[Pending]) -> AsyncGenerator[None, None]:
        async with aclosing(spread.make(self._stage, self._recipe, pending)) as made:
            async for rows in made:
                await asyncio.gather(*(self._keep(row) for row in rows))
                yield

    async def _count(self) -> None:
        for state, reason, count, _, _ in await self._store.counts(self._stage.lineage):
            if state == "done":
                self._kept += count
            else:
                self._reasons[reason] += count
        if self._before is not None:
            counts = await self._store.counts(self._before.lineage)
            self._total = sum(ahead for state, _, _, ahead, _ in counts if state == "done")
        self._tell()

    async def _pending(self) -> AsyncGenerator[Pending, None]:
        async for page in self._pages():
            keys = [item.key for item in page]
            known = await self._store.known(keys)
            for item in page:
                if item.key not in known:
                    known.add(item.key)
                    yield item

    async def _pages(self) -> AsyncIterator[list[Pending]]:
        lineage, before = self._stage.lineage, self._before
        if before is None:
            source = source_of(self._recipe)
            while taken := await asyncio.to_thread(lambda: list(islice(source, PAGE))):
                yield [Pending(digest([lineage, named]), "", 0, record) for named, record in taken]
            return
        async for rows in self._store.pages(before.lineage):
            yield [
                Pending(digest([lineage, row.key, number]), row.key, number, unit)
                for row in rows
                for number, unit in enumerate(self._stage.units(row.body))
            ]

    async def _make(self, item: Pending, work: Work) -> None:
        await self._keep(await finished(self._stage, item, work))

    async def _keep(self, row: Row) -> None:
        await self._store.put(row)
        if row.state == "done":
            self._kept += 1
        else:
            self._reasons[row.reason] += 1

    def _tell(self) -> None:
        dropped = self._reasons.total()
        self._hear(Progress(self._stage.name, self._kept + dropped, dropped, self._total))

    def _refuse_hopeless(self) -> None:
        reason = self._stage.hopeless
        if reason is None or self._kept or self._reasons[reason] < HOPELESS:
            return
        if self._reasons[reason] == self._reasons.total():
            raise InputError(
                f"{self._stage.name}: of the first {self._reasons[reason]} problems {reason}: is this the "
                "right model and prompt, and is `longest` long enough for it to put an answer into \\boxed{}?"
            )

    def _shown_reasons(self) -> str:
        listed = [f"{count} x {reason}" for reason, count in self._reasons.most_common()]
        return ", ".join(listed) or f"the stage before {self._stage.name} has finished no record yet"


async def _chained(first: Pending, rest: AsyncIterator[Pending]) -> AsyncIterator[Pending]:
    yield first
    async for item in rest:
        yield item
