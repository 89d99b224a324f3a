"""The store: what is kept, who may write, and what it says about files that it cannot use."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from genprm_sdk.errors import InputError
from genprm_sdk.training.pipeline.store import FILE, Row, Store, StoreError, digest

pytestmark = pytest.mark.anyio

ROW = Row("k", "l", "label", "", 0, "done", "", 1, 0.5, "{}")


def rows(count: int, **changes: str) -> list[Row]:
    return [replace(ROW, key=digest(["row", number]), number=number, **changes) for number in range(count)]


async def test_what_is_put_is_there_in_pages_in_the_order_of_keys(tmp_path: Path) -> None:
    made = rows(50)
    async with await Store.open(tmp_path) as store:
        await asyncio.gather(*(store.put(row) for row in made))
        await store.put(replace(ROW, key="other", lineage="m"))
        await store.put(replace(made[0], body="again"))
        found = [page async for page in store.pages("l", page=7)]
        assert max(map(len, found)) == 7
        assert [row for page in found for row in page] == sorted(made, key=lambda row: row.key)
        assert await store.known([made[3].key, "unknown"]) == {made[3].key}
        assert await store.counts("l") == [("done", "", 50, 50, 25.0)]


async def test_rows_and_facts_outlive_the_process_and_can_be_read_meanwhile(tmp_path: Path) -> None:
    async with await Store.open(tmp_path) as store:
        await store.put(replace(ROW, state="dropped", reason="why", units=0))
        await store.set_fact("name", "old")
        await store.set_fact("name", "new")
        async with await Store.open(tmp_path, read_only=True) as reader:
            assert await reader.counts("l") == [("dropped", "why", 1, 0, 0.5)]
        with pytest.raises(InputError, match="another process"):
            await Store.open(tmp_path)
    async with await Store.open(tmp_path) as store:
        assert await store.fact("name") == "new"
        assert await store.fact("none") is None
        assert [page async for page in store.pages("l", "done")] == []


async def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    async with await Store.open(tmp_path) as store:
        await store.put(ROW)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(InputError, match=r"another version \(format 7, this one reads 1\)"):
        await Store.open(tmp_path)


async def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        await Store.open(tmp_path, read_only=True)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(InputError, match="another program"):
        await Store.open(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to look like one" * 40)
    with pytest.raises(InputError, match="damaged"):
        await Store.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be used"):
        await Store.open(tmp_path / "file")


async def test_a_full_disk_is_named_and_what_was_written_stays(tmp_path: Path) -> None:
    async with await Store.open(tmp_path) as store:
        await store.put(ROW)
        store._connection.execute("PRAGMA max_page_count = 12")  # SQLite then fails as on a full disk
        with pytest.raises(StoreError, match="the disk is full"):
            await store.put(replace(ROW, key="big", body="x" * 200_000))
        await store.put(replace(ROW, key="small"))
    async with await Store.open(tmp_path) as store:
        assert await store.known(["k", "big", "small"]) == {"k", "small"}


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    puts = [asyncio.create_task(store.put(row)) for row in rows(20)]
    await asyncio.sleep(0)
    for task in puts:
        task.cancel()
    await asyncio.wait(puts)
    await store.close()
    async with await Store.open(tmp_path) as again:
        assert sum([len(page) async for page in again.pages("l")]) == 20


def test_digests_depend_on_content_alone() -> None:
    assert digest({"a": 1, "b": [2.5, "ü"]}) == digest({"b": [2.5, "ü"], "a": 1})
    assert digest(["a", "b"]) != digest(["ab"])
    assert digest("\ud800") != digest("\ud801")
