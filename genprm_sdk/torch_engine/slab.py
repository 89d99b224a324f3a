"""Keys and values of rows that go through the model together, laid out as transformers' cache.

Every row begins at column 0 and has a length of its own; what lies behind a row's length is masked, and must
be numbers nevertheless, because a masked value counts 0 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from ..errors import ModelFileError
from .tree import Node, States

__all__ = ["Bank", "Layout", "Slab"]

COLUMNS_AT_ONCE = 128
"""Columns that a slab grows by."""


@dataclass(frozen=True)
class Bank:
    """Keys or values of equal shape on one device; most models have one bank for all of theirs."""

    heads: int
    width: int
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Layout:
    """Where a model's keys and values lie.

    Attributes:
        banks: Shapes.
        planes: How many layers' keys or values are in each bank.
        layers: For each layer the bank and the plane of its keys, and those of its values.
    """

    banks: tuple[Bank, ...]
    planes: tuple[int, ...]
    layers: tuple[tuple[tuple[int, int], tuple[int, int]], ...]

    @classmethod
    def of(cls, cache: DynamicCache) -> Layout:
        """The layout of a model that has filled this cache.

        Raises:
            ModelFileError: A layer keeps something else than keys and values of all tokens.
        """
        planes: dict[Bank, int] = {}
        places: list[tuple[Bank, int]] = []
        for layer in cache.layers:
            if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
                raise ModelFileError(
                    f"the model has layers that cannot forget a token ({type(layer).__name__}): "
                    "only models whose layers all attend to everything can be forked"
                )
            for states in (layer.keys, layer.values):
                bank = Bank(states.shape[1], states.shape[3], states.dtype, states.device)
                places.append((bank, planes.get(bank, 0)))
                planes[bank] = planes.get(bank, 0) + 1
        number = {bank: index for index, bank in enumerate(planes)}
        numbered = [(number[bank], plane) for bank, plane in places]
        layers = zip(numbered[::2], numbered[1::2], strict=True)
        return cls(tuple(planes), tuple(planes.values()), tuple(layers))

    @property
    def token_bytes(self) -> int:
        """What a token takes."""
        return sum(
            planes * bank.heads * bank.width * bank.dtype.itemsize
            for bank, planes in zip(self.banks, self.planes, strict=True)
        )


class Slab:
    """Rows of keys and values.

    Args:
        layout: Of the model.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rows = self._columns = 0
        self._banks: list[Tensor] = []
        self._used = self._width = self._begin = 0
        self._places: dict[torch.device, tuple[Tensor, Tensor]] | None = None

    def reserve(self, rows: int, columns: int) -> None:
        """Have room for so many rows and columns; what lies there stays, and room for more may go."""
        if rows <= self._rows and columns <= self._columns:
            return
        columns = rounded(columns)
        kept_rows, kept_columns = min(rows, self._rows), min(columns, self._columns)
        grown = [
            torch.zeros((planes, rows, bank.heads, columns, bank.width), dtype=bank.dtype, device=bank.device)
            for bank, planes in zip(self._layout.banks, self._layout.planes, strict=True)
        ]
        for new, old in zip(grown, self._banks, strict=False):
            new[:, :kept_rows, :, :kept_columns] = old[:, :kept_rows, :, :kept_columns]
        self._banks, self._rows, self._columns = grown, rows, columns

    def load(self, row: int, node: Node) -> None:
        """Fill a row with what a node and those before it hold."""
        for part in node.path():
            for bank, states in zip(self._banks, part.states, strict=True):
                bank[:, row, :, part.start : part.end] = states
        for bank in self._banks:
            bank[:, row, :, node.end :] = 0

    def read(self, row: int, start: int, end: int) -> States:
        """A copy of a row's tokens from ``start`` to before ``end``."""
        return tuple(bank[:, row, :, start:end].clone() for bank in self._banks)

    def move(self, source: int, target: int) -> None:
        """Overwrite a row with another."""
        for bank in self._banks:
            bank[:, target] = bank[:, source]

    def cache(self) -> Cache:
        """What the model takes the slab for. Not kept here: the cycle would keep memory until it is found."""
        return Cache(layers=[_Layer(self, *places) for places in self._layout.layers])

    def aim(self, begins: list[int], count: int) -> None:
        """Let the model's next run write ``count`` columns of the first rows, from ``begins`` on."""
        self._used, self._width = len(begins), max(begins) + count
        self._begin, self._places = begins[0], None
        if any(begin != begins[0] for begin in begins):
            first = torch.tensor(begins)[:, None]
            rows, columns = torch.arange(len(begins))[:, None], first + torch.arange(count)
            devices = {bank.device for bank in self._layout.banks}
            self._places = {device: (rows.to(device), columns.to(device)) for device in devices}

    def write(self, place: tuple[int, int], states: Tensor) -> Tensor:
        """Put what the model has found where ``aim`` said; returns that and all before it."""
        bank, plane = place
        whole = self._banks[bank][plane]
        if self._places is None:
            whole[: self._used, :, self._begin : self._width] = states
        else:
            rows, columns = self._places[whole.device]
            whole[rows, :, columns] = states.transpose(1, 2)
        return whole[: self._used, :, : self._width]

    @property
    def width(self) -> int:
        """Columns of the model's next run, the new ones included."""
        return self._width

    @property
    def before(self) -> int:
        """Columns in front of the new ones, where all rows have the same."""
        return self._begin


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer of a slab, as the model sees it."""

    def __init__(self, slab: Slab, keys: tuple[int, int], values: tuple[int, int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slab = slab
        self._places = keys, values
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        keys, values = self._places
        return self._slab.write(keys, key_states), self._slab.write(values, value_states)

    def get_seq_length(self) -> int:
        return self._slab.before

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._slab.width, 0


def rounded(columns: int) -> int:
    """Columns that a slab has when it needs this many."""
    return -(-columns // COLUMNS_AT_ONCE) * COLUMNS_AT_ONCE
