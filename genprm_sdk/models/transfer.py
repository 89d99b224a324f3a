"""One file's way from a hub to the cache: resumed where it stopped, checked before it counts.

huggingface_hub throws away what a stopped download has, and compares sizes alone. So the bytes are written
here, into ``HASH.incomplete`` beside their place, and get their place when the hash is right.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from ..errors import DownloadError, ModelFileError
from .cache import PARTIAL
from .hub import HubFile, address_of, refuse, request_headers
from .locating import HubSource

if TYPE_CHECKING:
    import httpx2

__all__ = ["Transfer"]

BLOCK = 1 << 20
READ_AGAIN = 64 << 20
TRIES = 5
RETRY_SECONDS = 1.0
LOCK_SECONDS = 0.2
BUSY = (408, 429, 500, 502, 503, 504)


class Transfer:
    """Downloads files of one repository.

    Args:
        client: Sends the requests.
        source: Names the repository in errors.
        commit: Which state of it.
        endpoint: The hub's address.
    """

    def __init__(self, client: httpx2.AsyncClient, source: HubSource, commit: str, endpoint: str) -> None:
        self._client = client
        self._source = source
        self._commit = commit
        self._endpoint = endpoint

    async def bring(self, file: HubFile, target: Path, advance: Callable[[int], None]) -> None:
        """Bring a file to its place.

        Args:
            file: What is brought.
            target: Its place.
            advance: Called with the number of its bytes that are here.

        Raises:
            DownloadError: The hub does not give it, or it cannot be written.
            ModelFileError: It was damaged on the way; what came is deleted.
        """
        partial = _Partial(target, file)
        try:
            while not await run_sync(partial.take):  # noqa: ASYNC110 - another process gives no event
                await anyio.sleep(LOCK_SECONDS)
            if await run_sync(partial.is_done):
                advance(file.size)
                return
            while await run_sync(partial.read_again):
                pass
            advance(partial.offset)
            await self._complete(file, partial, advance)
            await run_sync(partial.finish, f"{self._source.repo}/{file.name}")
        finally:
            partial.close()

    async def _complete(self, file: HubFile, partial: _Partial, advance: Callable[[int], None]) -> None:
        import httpx2

        failures = 0
        while partial.offset < file.size:
            before = partial.offset
            try:
                reason = await self._receive(file, partial, advance)
            except httpx2.TransportError as error:
                reason = " ".join(str(error).split()) or type(error).__name__
            if partial.offset == file.size:
                return
            failures = 0 if partial.offset > before else failures + 1
            if failures > TRIES:
                raise DownloadError(
                    f"the download of {self._source.repo}/{file.name} broke off at {partial.offset:,} of "
                    f"{file.size:,} bytes: {reason}; the same call goes on from there"
                )
            await anyio.sleep(RETRY_SECONDS * 2 ** max(0, failures - 1))

    async def _receive(self, file: HubFile, partial: _Partial, advance: Callable[[int], None]) -> str:
        """Receive what one request gives; returns why that may not have been all."""
        from huggingface_hub import constants

        headers = request_headers() | {"Accept-Encoding": "identity"}
        if partial.offset:
            headers["Range"] = f"bytes={partial.offset}-"
        address = address_of(self._source, self._commit, file.name, self._endpoint)
        async with self._client.stream(
            "GET", address, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        ) as response:
            if response.status_code in BUSY:
                return f"the server answers {response.status_code}"
            goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {partial.offset}-")
            if response.status_code == 416 or (response.status_code == 206 and not goes_on):
                await run_sync(partial.start_over)
                return "the server does not go on where it stopped"
            if response.status_code not in (200, 206):
                refuse(response, self._source, self._endpoint)
            if response.status_code == 200 and partial.offset:
                await run_sync(partial.start_over)
            block = bytearray()
            try:
                async for chunk in response.aiter_bytes():
                    block += chunk
                    if partial.offset + len(block) > file.size:
                        raise DownloadError(
                            f"the server sends more than the {file.size:,} bytes of "
                            f"{self._source.repo}/{file.name}"
                        )
                    if len(block) >= BLOCK:
                        full, block = block, bytearray()
                        await run_sync(partial.write, full)
                        advance(partial.offset)
            finally:
                # Cancelled or cut off: what has come is kept all the same.
                with anyio.CancelScope(shield=True):
                    if partial.offset + len(block) <= file.size:
                        await run_sync(partial.write, block)
                advance(partial.offset)
        return "the server ended too soon"


class _Partial:
    """What is here of a file, with its hash so far. Its methods block; one is called at a time."""

    def __init__(self, target: Path, file: HubFile) -> None:
        self.offset = 0
        self._target = target
        self._file = file
        self._path = target.with_name(target.name + PARTIAL)
        self._descriptor = -1
        self._hash = self._new_hash()

    def _new_hash(self) -> hashlib._Hash:
        if len(self._file.digest) == 64:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self._file.size, usedforsecurity=False)

    def take(self) -> bool:
        """Open it for nobody else; False if somebody else has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:  # somebody writes it, or has just given it its place
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def is_done(self) -> bool:
        """Whether somebody else has brought the file meanwhile."""
        if not self._target.is_file() or self._target.stat().st_size != self._file.size:
            return False
        self._path.unlink(missing_ok=True)
        return True

    def read_again(self) -> bool:
        """Take in some of what an earlier download left; False when there is no more."""
        if os.fstat(self._descriptor).st_size > self._file.size:
            self.start_over()
        data = os.pread(self._descriptor, READ_AGAIN, self.offset)
        self._hash.update(data)
        self.offset += len(data)
        return bool(data)

    def write(self, data: bytearray) -> None:
        """Add what came. At its own place, so that a second writer that no lock holds back does no harm."""
        left = memoryview(data)
        while left:
            count = os.pwrite(self._descriptor, left, self.offset)
            self._hash.update(left[:count])
            self.offset += count
            left = left[count:]

    def start_over(self) -> None:
        """Forget what is here."""
        os.ftruncate(self._descriptor, 0)
        self._hash, self.offset = self._new_hash(), 0

    def finish(self, name: str) -> None:
        """Give the file its place, if it is what it should be."""
        found = self._hash.hexdigest()
        if found != self._file.digest:
            self._path.unlink(missing_ok=True)
            raise ModelFileError(
                f"{name} was damaged on the way: its hash is {found[:12]}…, and the hub says "
                f"{self._file.digest[:12]}…; what came is deleted, so download it again"
            )
        os.fsync(self._descriptor)
        os.replace(self._path, self._target)

    def close(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
