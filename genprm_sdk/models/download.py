"""Models from a hub to this machine's cache.

    path = await fetch(locate("genprm-7b"))

What is in the cache as a whole is taken as it is, without asking the network; ``refresh`` asks for a newer
one.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from ..errors import DownloadError, InputError, ModelFileError
from .cache import HubCache
from .hub import HubFile, Listing, list_repository, needed_files, reaching
from .locating import HubSource, Located
from .transfer import Transfer

if TYPE_CHECKING:
    import httpx2

__all__ = ["Arrived", "Plan", "PlannedFile", "fetch", "plan_download"]

Folder = str | os.PathLike[str]


@dataclass(frozen=True)
class PlannedFile:
    """A file that a model needs.

    Attributes:
        file: Which one.
        here: How many of its bytes are on this machine already.
        whole: Whether it needs no download any more.
    """

    file: HubFile
    here: int
    whole: bool


@dataclass(frozen=True)
class Plan:
    """What a download would bring.

    Attributes:
        source: Where from.
        commit: Which state of the repository.
        files: What the model needs.
        free: Bytes free on the cache's disk.
        folder: The cache.
    """

    source: HubSource
    commit: str
    files: tuple[PlannedFile, ...]
    free: int
    folder: Path

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(planned.file.size for planned in self.files)

    @property
    def here(self) -> int:
        """Bytes that are on this machine already."""
        return sum(planned.here for planned in self.files)

    @property
    def weights(self) -> int:
        """Bytes of the weights alone."""
        return sum(
            planned.file.size
            for planned in self.files
            if planned.file.name.endswith((".gguf", ".safetensors"))
        )

    def check_room(self) -> None:
        """Refuse what the disk cannot hold.

        Raises:
            DownloadError: It cannot.
        """
        if self.size - self.here > self.free:
            raise DownloadError(
                f"{self.source} needs {(self.size - self.here) / 1e9:.1f} GB more, and "
                f"{self.free / 1e9:.1f} GB are free on the disk of {self.folder}: make room, or set "
                "HF_HUB_CACHE to a folder on another disk"
            )


@dataclass(frozen=True)
class Arrived:
    """How far a download is.

    Attributes:
        file: Which file is coming.
        here: Bytes that are here, of all files.
        size: Bytes of all files.
    """

    file: str
    here: int
    size: int


async def plan_download(
    located: Located, *, cache_dir: Folder | None = None, endpoint: str | None = None
) -> Plan:
    """Ask a hub what a model needs, and look what of it is here.

    Args:
        located: A model on a hub.
        cache_dir: The cache; by default the one that Hugging Face's own libraries use.
        endpoint: The hub's address; by default ``HF_ENDPOINT``, else https://huggingface.co.

    Raises:
        InputError: The model is on no hub.
        DownloadError: The hub cannot be asked.
        UnknownModelError: The repository has no such file.
    """
    async with _session(_source(located), HubCache(cache_dir), endpoint) as session:
        return await session.plan()


async def fetch(
    located: Located,
    *,
    progress: Callable[[Arrived], None] | None = None,
    offline: bool = False,
    refresh: bool = False,
    cache_dir: Folder | None = None,
    endpoint: str | None = None,
) -> Path:
    """Get a model's file or folder, downloading what is missing.

    A download that was stopped, by cancelling this or otherwise, goes on where it was. Several at once, in
    one process or in several, bring a file once.

    Args:
        located: What ``locate`` gave. What is on this machine anyway is returned at once.
        progress: Called on the event loop as bytes arrive.
        offline: Take what is in the cache or fail; so does ``HF_HUB_OFFLINE=1``.
        refresh: Ask the hub whether there is a newer state of the branch even if the model is here.
        cache_dir: See ``plan_download``.
        endpoint: See ``plan_download``.

    Returns:
        The GGUF file, of several parts the first; or the folder with a ``config.json``.

    Raises:
        InputError: The model is a server.
        DownloadError: It is not here and cannot be downloaded, or the disk is too small.
        UnknownModelError: The repository has no such file.
        ModelFileError: A file was damaged on the way, or the repository holds no whole model.
    """
    if located.path is not None:
        return located.path
    source, cache = _source(located), HubCache(cache_dir)
    offline = offline or _is_offline()
    found = None if refresh and not offline else await run_sync(cache.find, source)
    if found is not None:
        return found
    if offline:
        raise DownloadError(
            f"{source} is not on this machine, and downloads are switched off: run "
            f"`genprm models pull {located.name}` with a network"
        )
    async with _session(source, cache, endpoint) as session:
        return await session.download(progress)


def _source(located: Located) -> HubSource:
    if located.hub is None:
        raise InputError(f"{located.name} is on no hub: there is nothing to download")
    return located.hub


def _is_offline() -> bool:
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


@asynccontextmanager
async def _session(source: HubSource, cache: HubCache, endpoint: str | None) -> AsyncIterator[_Session]:
    from huggingface_hub import constants, get_async_session

    if _is_offline():
        raise DownloadError(f"HF_HUB_OFFLINE is set, so no hub can be asked about {source}: unset it")
    address = (endpoint or constants.ENDPOINT).rstrip("/")
    async with get_async_session() as client:
        with reaching(source, address):
            yield _Session(client, source, cache, address)


class _Session:
    def __init__(self, client: httpx2.AsyncClient, source: HubSource, cache: HubCache, endpoint: str) -> None:
        self._client = client
        self._source = source
        self._cache = cache
        self._endpoint = endpoint

    async def plan(self) -> Plan:
        return (await self._ask())[1]

    async def _ask(self) -> tuple[Listing, Plan]:
        listing = await list_repository(self._client, self._source, self._endpoint)
        return listing, await run_sync(self._planned, listing)

    def _planned(self, listing: Listing) -> Plan:
        files = {file.name: file for file in listing.files}
        names = needed_files(files, self._source)
        planned = tuple(self._planned_file(listing.commit, files[name]) for name in names)
        return Plan(self._source, listing.commit, planned, self._cache.free_bytes(), self._cache.folder)

    def _planned_file(self, commit: str, file: HubFile) -> PlannedFile:
        whole = self._cache.has(self._source.repo, commit, file)
        return PlannedFile(file, file.size if whole else self._cache.begun(self._source.repo, file), whole)

    async def download(self, progress: Callable[[Arrived], None] | None) -> Path:
        listing, plan = await self._ask()
        plan.check_room()
        transfer = Transfer(self._client, self._source, listing.commit, self._endpoint)
        done = 0

        def advance(here: int) -> None:
            if progress is not None:
                progress(Arrived(planned.file.name, done + here, plan.size))

        try:
            for planned in plan.files:
                if not planned.whole:
                    target = self._cache.blob(self._source.repo, planned.file)
                    await transfer.bring(planned.file, target, advance)
                done += planned.file.size
                advance(0)
            names = [planned.file.name for planned in plan.files]
            await run_sync(self._cache.link, self._source, listing, names)
        except OSError as error:
            raise DownloadError(
                f"cannot write {self._source} to {self._cache.folder}: {error.strerror or error}; what came "
                "is kept, and the same call goes on from there"
            ) from error
        found = await run_sync(self._cache.find, self._source)
        if found is None:
            raise ModelFileError(
                f"{self._source} is not a whole model at commit {plan.commit[:12]}: it lacks a tokenizer, or "
                "some of the weights that its index names"
            )
        return found
