"""Ray as a run uses it: found or started, asked for a stage's rows, ended.

All of an object's methods are called on one thread, which outlives it: what Ray starts on a machine dies with
the thread that started it, and so also with a process that is killed. No look takes long. Knows no stage and
no event loop.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from genprm_sdk.errors import BackendError, GenPRMError

from .orders import ClusterError, Fault, Order, RaySettings
from .workers import conduct, on_node

__all__ = ["Cluster"]

SPARE_CPUS = 1
"""For what Ray Data does between the workers."""

STORE_BYTES = 2**28
"""Of shared memory, on a machine of our own; what does not fit is put on its disk."""

LONGEST_FOLDER = 20
"""Ray's sockets lie up to 66 characters below its folder, which adds 20, and their paths end at 107."""

SECONDS = 0.5
"""How long one look for rows takes at most."""

KNOCK_SECONDS = 10

TRIES = "RAY_gcs_server_port_wait_time_s"

ROUNDING = 1e-6
"""Ten tenths of a GPU are one."""


@dataclass
class _Ours:
    """What must be ended."""

    session: bool = False
    folder: Path | None = None


class Cluster:
    """Ray for one run at a time; starts with the first stage.

    Args:
        settings: Where it is, and what workers need.
        load: What loads the models in place of the engines, pickled.
    """

    def __init__(self, settings: RaySettings, load: bytes | None) -> None:
        self._settings = settings
        self._load = load
        self._ours = _Ours()
        self._files: Any = None

    def begin(self, order: Order, workers: int, folder: Path) -> None:
        """Have the units of a folder made; see ``conduct``.

        Raises:
            ClusterError: There is no such cluster, or it is too small.
        """
        if not ray.is_initialized():
            self._start()
        self._check_room()
        options = {
            "num_cpus": 0,
            "num_returns": "streaming",
            "max_retries": 0,
            "label_selector": on_node(ray.get_runtime_context().get_node_id()),
        }
        task = ray.remote(conduct).options(**options)
        self._files = task.remote(
            order.model_dump_json(), self._load, self._settings, workers, os.fspath(folder)
        )

    @property
    def idle(self) -> bool:
        """Whether there is nothing more to come."""
        return self._files is None

    def look(self) -> str | Fault | None:
        """The next file of rows, or a fault; None if there is neither yet, or nothing more.

        Raises:
            BackendError: Ray failed.
            StoreError: The disk refused a file.
        """
        try:
            ready, _ = ray.wait([self._files], timeout=SECONDS)
            if not ready:
                return None
            found: str | Fault = ray.get(next(self._files))
            return found
        except StopIteration:
            self._files = None
            return None
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            if isinstance(cause, GenPRMError):
                raise cause from error
            lines = str(cause).strip().splitlines() or [""]
            raise BackendError(f"Ray failed: {type(cause).__name__}: {lines[0]}") from error

    def end(self) -> None:
        """End what is running, and what was started for it; may be called again."""
        if self._files is not None and not self._ours.session:
            ray.cancel(self._files, force=True)
        self._files = None
        if self._ours.session:
            ray.shutdown(wait_for_processes=True)
        if self._ours.folder is not None:
            shutil.rmtree(self._ours.folder, ignore_errors=True)
        self._ours = _Ours()

    def _start(self) -> None:
        # The only way to say so; what its user has set is left as it is.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        settings, address = self._settings, self._settings.address
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        self._ours.session = True
        try:
            if address is not None:
                _knock(address)
                with _asking_once():
                    ray.init(address=address, **quiet)
                return
            self._ours.folder = Path(tempfile.mkdtemp(prefix="genprm-ray-", dir=_short_folder()))
            ray.init(
                address="local",
                num_cpus=math.ceil(settings.workers * settings.cpus_per_worker) + SPARE_CPUS,
                object_store_memory=STORE_BYTES,
                include_dashboard=False,
                _temp_dir=os.fspath(self._ours.folder),
                **quiet,
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            why = str(error).strip().partition("\n")[0].rstrip(".")
            if address is None:
                raise BackendError(f"Ray does not start on this machine: {why}") from error
            raise ClusterError(
                f"there is no Ray at {address}: {why}; start it there (`ray start`), or leave the address out"
            ) from error

    def _check_room(self) -> None:
        """A cluster that is too small would wait without a word."""
        settings = self._settings
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        rooms = sum(
            min(
                settings.workers,
                _times(node.get("CPU", 0.0), settings.cpus_per_worker),
                _times(node.get("GPU", 0.0), settings.gpus_per_worker),
            )
            for node in nodes
        )
        cpus = sum(node.get("CPU", 0.0) for node in nodes)
        needed = settings.workers * settings.cpus_per_worker + SPARE_CPUS
        if rooms < settings.workers or cpus < needed:
            raise ClusterError(
                f"Ray has room for {rooms:g} workers with {settings.cpus_per_worker:g} CPUs and "
                f"{settings.gpus_per_worker:g} GPUs, and {cpus:g} CPUs in all: {settings.workers} workers "
                f"need {needed:g}, {SPARE_CPUS} of them to move data; add machines, or use fewer workers"
            )


def _knock(address: str) -> None:
    """Find out in seconds whether there is anyone."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()


@contextmanager
def _asking_once() -> Iterator[None]:
    """Ray tries twenty times for 40 seconds; of where ``auto`` leads only it knows."""
    before = os.environ.get(TRIES)
    os.environ.setdefault(TRIES, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[TRIES]


def _times(there: float, each: float) -> float:
    return math.floor(there / each + ROUNDING) if each else math.inf


def _short_folder() -> str | None:
    return None if len(tempfile.gettempdir()) <= LONGEST_FOLDER else "/tmp"
