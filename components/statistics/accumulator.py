"""The one shape of every statistic: create, add, merge, extract.

``add`` changes the accumulator it is called on; ``merged`` leaves both as they are and returns a new
one, because Beam may hand out the same value twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.statistics.statistics import ColumnStatistics

Units = npt.NDArray[np.int64]
"""Weights of rows in whole units, see ``components/statistics/weights.py``."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose about statistics.

    Attributes:
        quantile_error: Bound of the rank error of quantiles, as a share.
        top_k: How many of the most frequent values are kept.
        capacity: Up to this many distinct values a column is described exactly.
        hints: Whether to tell what values look like.
    """

    quantile_error: float = 0.01
    top_k: int = 20
    capacity: int = 4096
    hints: bool = True

    @property
    def points(self) -> int:
        """Points that a quantile summary keeps: the bound then holds over 2^20 row groups."""
        return math.ceil(10 / self.quantile_error)


@dataclass(frozen=True)
class Aspects:
    """What is described besides the columns by themselves.

    Attributes:
        weight: Column of the rows' weights; ``""`` for none.
        label: Column whose relations to the others are described; ``""`` for none.
        slices: Columns by which rows are sliced, each group on its own.
        max_slices: How many slices of a group are described.
        sample_rows: Size of the sample from which relations to the label are computed.
    """

    weight: str = ""
    label: str = ""
    slices: tuple[tuple[str, ...], ...] = ()
    max_slices: int = 20
    sample_rows: int = 16_384

    @property
    def columns(self) -> list[str]:
        """The columns that are needed for this, whatever columns are described."""
        named = {self.weight, self.label, *(name for group in self.slices for name in group)}
        return sorted(named - {""})


NO_ASPECTS = Aspects()


class Accumulator(Protocol):
    """What every family of types provides."""

    def add(self, array: pa.Array, units: Units | None = None) -> None:
        """Take in an array of the column's type; with ``units`` each value counts that many times."""

    def merged(self, other: Self) -> Self:
        """Return the accumulator of the values of both."""

    def extract(self, field: pa.Field, peers: Sequence[Self]) -> ColumnStatistics:
        """Return the statistics; ``peers`` are all splits' accumulators of the column, this one included."""


def without_missing(array: pa.Array, units: Units | None) -> tuple[pa.Array, Units | None, int]:
    """Return the values that are there, their units, and how many (units of) values are missing.

    With units, values that count 0 times are left out too.
    """
    if units is None:
        return (array.drop_null() if array.null_count else array), None, array.null_count
    valid = np.asarray(array.is_valid(), np.bool_)
    counted = valid & (units > 0)
    return array.filter(pa.array(counted)), units[counted], int(units[~valid].sum())


_SMALL_CELLS = 1 << 25
_CAPACITY_CELLS = 1 << 21
_SMALL_CAPACITY, _LARGE_CAPACITY = 65_536, 4_096


def capacity_for(rows: int, columns: int) -> int:
    """Return up to how many distinct values a column is described exactly.

    It is 65,536 of small data (up to 32 Mi cells, of which few accumulators wait for each other) and
    4,096 of large; less of wide tables, so that all columns together keep to 2 Mi values.
    """
    most = _SMALL_CAPACITY if rows * columns <= _SMALL_CELLS else _LARGE_CAPACITY
    fitting = max(_CAPACITY_CELLS // max(columns, 1), 1)
    return min(most, 1 << (fitting.bit_length() - 1))


_SAMPLED_ROWS, _SAMPLED_CELLS = 16_384, 1 << 22


def sample_rows_for(columns: int) -> int:
    """Return the size of the sample behind relations to a label: 16,384 rows, fewer of wide tables."""
    return min(_SAMPLED_ROWS, max(_SAMPLED_CELLS // max(columns, 1), 1024))
