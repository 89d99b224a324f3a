"""What a run has finished, in one SQLite file: written by one process, readable by others meanwhile.

A row belongs to a *lineage*: a stage, its version and settings, and all of those before it. Its key is a
digest of the lineage and of what the row was made from, so a run that is repeated finds what is done, and one
with other settings finds nothing. All SQL runs on one thread; puts that come together are one transaction.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self, TypeVar

from genprm_sdk.errors import GenPRMError, InputError

__all__ = ["FILE", "Row", "State", "Store", "StoreError", "digest", "lock_folder"]

T = TypeVar("T")

FILE = "pipeline.sqlite"
SCHEMA = 1
APPLICATION = 0x47505244
"""Tells our files from other programs' (SQLite's ``application_id``)."""

PAGE = 64
BUSY_SECONDS = 30

TABLES = """
CREATE TABLE records (
    key TEXT PRIMARY KEY, lineage TEXT NOT NULL, stage TEXT NOT NULL, parent TEXT NOT NULL,
    number INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, units INTEGER NOT NULL,
    seconds REAL NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_lineage ON records (lineage, state, key);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

ASIDE = "aside/"
"""Before a lineage: that of its rows that are not used now, so that all who read the lineage pass them by."""

INDEX = "CREATE INDEX IF NOT EXISTS by_parent ON records (lineage, parent)"
"""No part of the tables, which earlier versions made without it."""

State = Literal["done", "dropped"]


class StoreError(GenPRMError):
    """A store cannot be read or written any more; what was finished is in it."""


def digest(content: object) -> str:
    """Of the canonical JSON of something."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Row:
    """One finished record.

    Attributes:
        key: See ``digest``.
        lineage: The stage and everything that decides its records.
        stage: The stage's name, for people.
        parent: The key of the record that it was made from, or nothing.
        number: Which one of those that were made from it.
        state: ``dropped`` goes no further.
        reason: Why it was dropped, in words that can be counted.
        units: How many records the next stage makes from it.
        seconds: How long it took.
        body: The record as JSON.
    """

    key: str
    lineage: str
    stage: str
    parent: str
    number: int
    state: State
    reason: str
    units: int
    seconds: float
    body: str


COLUMNS = ", ".join(field.name for field in fields(Row))
INSERT = f"INSERT OR IGNORE INTO records ({COLUMNS}) VALUES ({', '.join('?' * len(fields(Row)))})"


class Store:
    """A run's folder; made by ``open``, an async context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self.path = path
        self._connection = connection
        self._thread = thread
        self._lock: IO[bytes] | None = None
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, folder: Path, *, read_only: bool = False) -> Self:
        """Make the folder's store, or open the one in it.

        Raises:
            InputError: There is none to read, another process writes to it, or it is none of ours.
            StoreError: The disk refuses.
        """
        thread = ThreadPoolExecutor(1, "pipeline-store")
        try:
            return await asyncio.wrap_future(thread.submit(cls._opened, folder, read_only, thread))
        except BaseException:
            thread.shutdown(wait=False)
            raise

    @classmethod
    def _opened(cls, folder: Path, read_only: bool, thread: ThreadPoolExecutor) -> Self:
        path = folder / FILE
        if read_only and not path.is_file():
            raise InputError(f"{folder} holds no run: there is no {FILE} in it")
        lock = None if read_only else lock_folder(folder)
        connection: sqlite3.Connection | None = None
        try:
            address = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
            connection.isolation_level = None
            _prepare(connection, path, read_only)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if lock is not None:
                lock.close()
            if isinstance(error, sqlite3.Error):
                raise _named(error, path) from error
            raise
        store = cls(path, connection, thread)
        store._lock = lock
        return store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what waits to be written, and let go of the file."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._do(self._connection.close)
        if self._lock is not None:
            self._lock.close()
        self._thread.shutdown()

    async def put(self, row: Row) -> None:
        """Keep a row; it is on the disk when this returns. One that is there already stays as it is.

        Raises:
            StoreError: It cannot be written.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, written))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await written

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            rows = [astuple(row) for row, _ in batch]
            try:
                await self._do(lambda rows=rows: self._write(rows))  # type: ignore[misc]
            except Exception as error:
                for _, written in batch:
                    if not written.done():
                        written.set_exception(error)
            else:
                for _, written in batch:
                    if not written.done():
                        written.set_result(None)

    def _write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._together(lambda: self._connection.executemany(INSERT, rows))

    def _together(self, write: Callable[[], object]) -> None:
        """Write as one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            write()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    async def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are here."""
        marks = ", ".join("?" * len(keys))
        query = f"SELECT key FROM records WHERE key IN ({marks})"
        return {key for (key,) in await self._select(query, keys)}

    async def pages(self, lineage: str, state: State = "done", page: int = PAGE) -> AsyncIterator[list[Row]]:
        """Rows in the order of their keys, a page at a time."""
        query = (
            f"SELECT {COLUMNS} FROM records WHERE lineage = ? AND state = ? AND key > ? ORDER BY key LIMIT ?"
        )
        last = ""
        while found := await self._select(query, (lineage, state, last, page)):
            yield [Row(*values) for values in found]
            last = found[-1][0]

    async def counts(self, lineage: str) -> list[tuple[State, str, int, int, float]]:
        """State, reason, rows, units and seconds of a lineage's rows, added up."""
        query = (
            "SELECT state, reason, count(*), sum(units), sum(seconds) FROM records WHERE lineage = ? "
            "GROUP BY state, reason ORDER BY state, count(*) DESC, reason"
        )
        return [(state, reason, n, u, s) for state, reason, n, u, s in await self._select(query, (lineage,))]

    async def row(self, key: str) -> Row | None:
        """The row of that key."""
        found = await self._select(f"SELECT {COLUMNS} FROM records WHERE key = ?", (key,))
        return Row(*found[0]) if found else None

    async def use_only(self, lineage: str, keys: AsyncIterator[Sequence[str]]) -> None:
        """Set aside the rows of a lineage that are not among the keys, and take back those that are.

        Args:
            lineage: The rows'.
            keys: Pages of them; nothing changes before the last one has come.
        """
        await self._do(
            lambda: self._connection.executescript(
                "CREATE TEMP TABLE IF NOT EXISTS wanted (key TEXT PRIMARY KEY) WITHOUT ROWID;"
                "DELETE FROM temp.wanted;"
            )
        )
        statement = "INSERT OR IGNORE INTO temp.wanted VALUES (?)"
        async for page in keys:
            rows = [(key,) for key in page]
            await self._do(lambda rows=rows: self._connection.executemany(statement, rows))  # type: ignore[misc]
        await self._use(lineage, "key", "SELECT key FROM temp.wanted", ())

    async def use_made_of(self, lineage: str, before: str) -> None:
        """Set aside the rows of a lineage that were made from none that is used, and take back the others.

        Args:
            lineage: The rows'.
            before: The lineage of what they were made from.
        """
        wanted = "SELECT key FROM records WHERE lineage = ? AND state = 'done'"
        await self._use(lineage, "parent", wanted, (before,))

    async def _use(self, lineage: str, column: str, wanted: str, values: Sequence[str]) -> None:
        move = f"UPDATE records SET lineage = ? WHERE lineage = ? AND {column}"
        aside = ASIDE + lineage

        def write() -> None:
            self._connection.execute(f"{move} NOT IN ({wanted})", (aside, lineage, *values))
            self._connection.execute(f"{move} IN ({wanted})", (lineage, aside, *values))

        await self._do(lambda: self._together(write))

    async def set_fact(self, name: str, value: str) -> None:
        """Keep a text under a name, in place of an earlier one."""
        statement = "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)"
        await self._do(lambda: self._connection.execute(statement, (name, value)))

    async def fact(self, name: str) -> str | None:
        """The text under a name."""
        found = await self._select("SELECT value FROM facts WHERE name = ?", (name,))
        return found[0][0] if found else None

    async def _select(self, query: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
        given = tuple(values)
        return await self._do(lambda: self._connection.execute(query, given).fetchall())

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            # Shielded: a cancelled caller must not leave a statement running behind a closed connection.
            return await asyncio.shield(asyncio.wrap_future(self._thread.submit(work)))
        except sqlite3.Error as error:
            raise _named(error, self.path) from error


def lock_folder(folder: Path) -> IO[bytes]:
    """The lock that lets one process write; the system frees it when that process ends, however it does.

    Raises:
        InputError: Another process has it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    except OSError as error:
        raise InputError(f"{folder} cannot be used for a run: {error}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError(
            f"another process (not {os.getpid()}) is working in {folder}: wait for it, or choose another "
            "--out folder"
        ) from None
    return lock


def _prepare(connection: sqlite3.Connection, path: Path, read_only: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION:
        raise InputError(f"{path} is a database of another program: choose another --out folder")
    if tables and version != SCHEMA:
        raise InputError(
            f"{path} was written by another version (format {version}, this one reads {SCHEMA}): choose "
            "another --out folder, or go on with the version that began it"
        )
    if read_only:
        if not tables:
            raise InputError(f"{path} is empty: the run was stopped before it began")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    # A transaction holds a whole batch of records, so that waiting for the disk costs little.
    connection.execute("PRAGMA synchronous = FULL")
    if not tables:
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {TABLES} COMMIT;"
        )
    connection.execute(INDEX)


def _named(error: sqlite3.Error, path: Path) -> GenPRMError:
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"the disk is full: {path} cannot grow; make room and go on")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return InputError(f"{path} is damaged or no database: {error}; choose another --out folder")
    return StoreError(f"{path} cannot be used: {error}")
