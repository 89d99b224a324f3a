"""What runs inside Ray: workers that make records, and the task that feeds them and writes what they make.

All of it must be importable by the same name on every machine. Knows Ray Data, and stages as ``stages.py``
gives them; no store.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import ValidationError

from genprm_sdk.batch import bounded
from genprm_sdk.errors import BackendError, InputError

from ..run import Pending, finished
from ..stages import Load, Stage, Work, build_stages
from ..store import Row
from .orders import IN, OUT, Fault, Order, RaySettings
from .parcels import pack_results, pending_of, unpack_results, write_rows

__all__ = ["Worker", "conduct", "on_node"]

BLOCK_BYTES = 2**24
"""Of units that Ray Data reads at a time; its own default is eight times that."""


def on_node(node: str) -> dict[str, str]:
    """Selects the machine that a task runs on."""
    return {"ray.io/node-id": node}


@dataclass(frozen=True)
class _Bench:
    stage: Stage
    work: Work
    portal: BlockingPortal
    at_once: int

    def make(self, pending: Sequence[Pending], rows: list[Row]) -> None:
        """Add a row for each that is finished; raises what ends a run."""
        self.portal.call(self._make, pending, rows)

    async def _make(self, pending: Sequence[Pending], rows: list[Row]) -> None:
        async def one(_: int, item: Pending) -> None:
            rows.append(await finished(self.stage, item, self.work))

        async with aclosing(bounded(one, pending, self.at_once)) as made:
            async for _ in made:
                pass


class Worker:
    """A stage's work, opened with the first batch and then kept, on an event loop in a thread of its own.

    An error is given back behind the rows that are finished: one that were raised would make Ray Data throw
    away what other workers have just finished.

    Args:
        order: An ``Order`` as JSON.
        load: What loads the models in place of the engines, pickled.
    """

    def __init__(self, order: str, load: bytes | None) -> None:
        import ray

        self._order = order
        self._load = load
        self._died = bool(ray.get_runtime_context().was_current_actor_reconstructed)
        self._resources = ExitStack()
        self._bench: _Bench | None = None

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Make a batch of records."""
        rows: list[Row] = []
        try:
            if self._bench is None:
                self._bench = self._open()
            self._bench.make(pending_of(batch, self._bench.stage), rows)
        except Exception as error:
            return pack_results(rows, Fault.of(error, socket.gethostname()))
        return pack_results(rows, None)

    def _open(self) -> _Bench:
        if self._died:
            # Ray starts a process that died again, and gives it the same batch: without end, if that is why.
            raise BackendError(
                "a worker process died: it was killed, mostly for want of memory, or its engine crashed; use "
                "fewer workers, or a smaller `capacity` in the recipe"
            )
        try:
            order = Order.model_validate_json(self._order)
        except ValidationError as error:
            raise InputError(
                "it does not understand the recipe: install the same version of genprm-sdk on all machines"
            ) from error
        load: Load | None = None if self._load is None else pickle.loads(self._load)
        stages = {stage.name: stage for stage in build_stages(order.recipe, load)}
        stage = stages[order.stage]
        if stage.lineage != order.lineage:
            raise InputError(
                f"its {stage.name} would be others than those that are asked for: install the same version "
                "of genprm-sdk on all machines, and put the same model files in the same places"
            )
        portal = self._resources.enter_context(start_blocking_portal())
        work = self._resources.enter_context(portal.wrap_async_context_manager(stage.open()))
        return _Bench(stage, work, portal, order.recipe.at_once)


def conduct(
    order: str, load: bytes | None, settings: RaySettings, workers: int, folder: str
) -> Iterator[str | Fault]:
    """Have the units of a folder made, as a Ray task on the machine that the folder is on.

    Args:
        order: For the workers.
        load: For the workers.
        settings: What each worker is given.
        workers: How many there are.
        folder: With the units in ``in``; rows are written to ``out``.

    Yields:
        The name of each file of rows once it is written; and last the fault, if there was one.
    """
    import ray
    from pyarrow import fs
    from ray.data import ActorPoolStrategy, DataContext, read_parquet

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = BLOCK_BYTES
    context.execution_no_progress_timeout_s = -1  # a batch may take hours
    place = Path(folder)
    results = (
        read_parquet(
            str(place / IN),
            filesystem=fs.LocalFileSystem(),
            partitioning=None,
            num_cpus=0,
            label_selector=on_node(ray.get_runtime_context().get_node_id()),
        )
        .repartition(target_num_rows_per_block=settings.batch)
        .map_batches(
            Worker,
            fn_constructor_args=(order, load),
            batch_size=settings.batch,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=settings.cpus_per_worker,
            num_gpus=settings.gpus_per_worker,
        )
        .iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    )
    for number, table in enumerate(results):
        rows, fault = unpack_results(table)
        if len(rows):
            name = f"{number:08}.parquet"
            write_rows(rows, place / OUT / name)
            yield name
        if fault is not None:
            yield fault
            return
