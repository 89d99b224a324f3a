"""Pending units and finished rows as Parquet: what the columns are, and files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet
from pydantic import BaseModel

from ..run import Pending
from ..stages import Stage
from ..store import Row, StoreError
from .orders import Fault

__all__ = ["pack_results", "pending_of", "read_rows", "unpack_results", "write_rows", "write_units"]

UNITS = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("parent", pyarrow.string()),
        ("number", pyarrow.int64()),
        ("unit", pyarrow.string()),
    ]
)
TYPES = {
    "str": pyarrow.string(),
    "State": pyarrow.string(),
    "int": pyarrow.int64(),
    "float": pyarrow.float64(),
}
ROWS = pyarrow.schema([(field.name, TYPES[str(field.type)]) for field in fields(Row)])
FAULT = "fault"
RESULTS = ROWS.append(pyarrow.field(FAULT, pyarrow.string()))
"""Rows, and one without a key that tells of a fault."""


def write_units(pending: Sequence[Pending], path: Path) -> None:
    """Write what is to be made.

    Raises:
        StoreError: The disk refuses.
    """
    units = []
    for item in pending:
        assert isinstance(item.unit, BaseModel)
        unit = item.unit.model_dump_json()
        units.append({"key": item.key, "parent": item.parent, "number": item.number, "unit": unit})
    _write(pyarrow.Table.from_pylist(units, schema=UNITS), path)


def pending_of(batch: pyarrow.Table, stage: Stage) -> list[Pending]:
    """What is to be made, read back."""
    return [
        Pending(each["key"], each["parent"], each["number"], stage.unit(each["unit"]))
        for each in batch.to_pylist()
    ]


def pack_results(rows: Sequence[Row], fault: Fault | None) -> pyarrow.Table:
    """What a worker gives back."""
    results: list[dict[str, Any]] = [asdict(row) for row in rows]
    if fault is not None:
        results.append({FAULT: fault.model_dump_json()})
    return pyarrow.Table.from_pylist(results, schema=RESULTS)


def unpack_results(results: pyarrow.Table) -> tuple[pyarrow.Table, Fault | None]:
    """The finished rows in what a worker gave back, still as a table, and the first fault."""
    told = results.column(FAULT)
    faults = told.drop_null().to_pylist()
    rows = results.filter(told.is_null()).select(ROWS.names)
    return rows, Fault.model_validate_json(faults[0]) if faults else None


def write_rows(rows: pyarrow.Table, path: Path) -> None:
    """Write finished rows.

    Raises:
        StoreError: The disk refuses.
    """
    _write(rows.cast(ROWS), path)


def read_rows(path: Path) -> list[Row]:
    """Finished rows of a file.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return [Row(**each) for each in parquet.read_table(file, schema=ROWS).to_pylist()]
    except (OSError, pyarrow.ArrowException) as error:
        raise StoreError(
            f"{path} cannot be read: {error}; delete it, and its records are made again"
        ) from None


def _write(table: pyarrow.Table, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error}") from None
