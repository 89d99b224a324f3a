"""Stages of a run on Ray's workers: the asynchronous side, and the folder through which data goes.

Units that are pending go to ``DIR/spread/STAGE/in``, rows come back to ``out`` there and are taken away when
they are kept. Knows no Ray: that is on a thread of its own, so that the event loop goes on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from genprm_sdk.errors import InputError, MissingExtraError

from ..recipe import PipelineRecipe
from ..run import Pending
from ..stages import Load, Stage, StageName
from ..store import Row, StoreError
from .orders import IN, OUT, Fault, Order, RaySettings

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["SPREADABLE", "RaySpread"]

T = TypeVar("T")

SPREADABLE: tuple[StageName, ...] = ("rollouts", "monte-carlo", "rationales")
"""Stages that cost more than moving their records does."""

FOLDER = "spread"
FILE_RECORDS = 256
"""So many units are in memory before they are written."""


class RaySpread:
    """Makes records of ``SPREADABLE`` stages by Ray; an async context manager, for one run at a time.

    Args:
        settings: Who does the work.
        folder: The run's.
        load: Loads the models that write freely, in place of the engines; it is pickled for the workers.

    Raises:
        MissingExtraError: Ray or pyarrow is not installed.
        InputError: The address is one of Ray's clients, which are on no machine of the cluster.
    """

    def __init__(self, settings: RaySettings, folder: Path, load: Load | None = None) -> None:
        for package in ("ray", "pyarrow"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "distributed", "Spreading a run over workers")
        if settings.address is not None and settings.address.startswith("ray://"):
            raise InputError(
                f"{settings.address} is the address of a Ray client: run this on a machine of the cluster, "
                "with `auto`"
            )
        self._settings = settings
        self._folder = folder.absolute() / FOLDER
        self._load = load
        self._cluster: Cluster | None = None
        self._thread = ThreadPoolExecutor(1, "ray")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._end()
        finally:
            self._thread.shutdown()

    async def left(self, stage: Stage) -> AsyncGenerator[Sequence[Row], None]:
        """Rows that a killed run left in the folder; see ``Spread``."""
        out = self._folder / stage.name / OUT
        for path in await asyncio.to_thread(lambda: sorted(out.glob("*.parquet"))):
            yield await asyncio.to_thread(_read, path)
            await asyncio.to_thread(path.unlink)
        await asyncio.to_thread(shutil.rmtree, out, ignore_errors=True)

    async def make(
        self, stage: Stage, recipe: PipelineRecipe, pending: AsyncIterator[Pending]
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Make what is pending; see ``Spread``.

        Raises:
            GenPRMError: A worker failed, or there is no Ray as it was wanted. What was finished was yielded,
                or is left in the folder for the next run.
        """
        folder = self._folder / stage.name
        order = Order(stage=stage.name, lineage=stage.lineage, recipe=recipe)
        try:
            count = await self._write(pending, folder)
            workers = min(self._settings.workers, math.ceil(count / self._settings.batch))
            cluster = await self._do(self._opened)
            await self._do(lambda: cluster.begin(order, workers, folder))
            while not cluster.idle:
                found = await self._do(cluster.look)
                if isinstance(found, Fault):
                    raise found.error()
                if found is not None:
                    path = folder / OUT / found
                    yield await asyncio.to_thread(_read, path)
                    await asyncio.to_thread(path.unlink)
        except BaseException:
            await self._end()
            raise
        finally:
            await asyncio.to_thread(_tidy, folder)

    async def _write(self, pending: AsyncIterator[Pending], folder: Path) -> int:
        await asyncio.to_thread(_make_folders, folder)
        count = 0
        async for page in _pages(pending):
            await asyncio.to_thread(_write, page, folder / IN / f"{count:08}.parquet")
            count += len(page)
        return count

    def _opened(self) -> Cluster:
        from ray import cloudpickle

        from .cluster import Cluster

        if self._cluster is None:
            load = None if self._load is None else cloudpickle.dumps(self._load)  # type: ignore[no-untyped-call]
            self._cluster = Cluster(self._settings, load)
        return self._cluster

    async def _end(self) -> None:
        if self._cluster is not None:
            await self._do(self._cluster.end)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def _pages(pending: AsyncIterator[Pending]) -> AsyncIterator[list[Pending]]:
    page: list[Pending] = []
    async for item in pending:
        page.append(item)
        if len(page) == FILE_RECORDS:
            yield page
            page = []
    if page:
        yield page


def _read(path: Path) -> list[Row]:
    from .parcels import read_rows

    return read_rows(path)


def _write(page: Sequence[Pending], path: Path) -> None:
    from .parcels import write_units

    write_units(page, path)


def _make_folders(folder: Path) -> None:
    shutil.rmtree(folder / IN, ignore_errors=True)
    try:
        for name in (IN, OUT):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error}") from None


def _tidy(folder: Path) -> None:
    """Remove what is of no use to anyone: all but rows that are not kept yet."""
    shutil.rmtree(folder / IN, ignore_errors=True)
    try:
        for each in (folder / OUT, folder, folder.parent):
            each.rmdir()
    except OSError:  # it is not empty
        return
