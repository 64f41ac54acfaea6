"""The one shape of every statistic: create, add, merge, extract.

``add`` changes the accumulator it is called on; ``merged`` leaves both as they are and returns a new
one, because Beam may hand out the same value twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import pyarrow as pa

from components.data.statistics import ColumnStatistics


@dataclass(frozen=True)
class Settings:
    """What a user may choose about statistics.

    Attributes:
        quantile_error: Bound of the rank error of quantiles, as a share.
        top_k: How many of the most frequent values are kept.
        capacity: Up to this many distinct values a column is described exactly.
    """

    quantile_error: float = 0.01
    top_k: int = 20
    capacity: int = 4096

    @property
    def points(self) -> int:
        """Points that a quantile summary keeps: the bound then holds over 2^20 row groups."""
        return math.ceil(10 / self.quantile_error)


class Accumulator(Protocol):
    """What every family of types provides."""

    def add(self, array: pa.Array) -> None:
        """Take in an array of the column's type."""

    def merged(self, other: Self) -> Self:
        """Return the accumulator of the values of both."""

    def extract(self, field: pa.Field, peers: Sequence[Self]) -> ColumnStatistics:
        """Return the statistics; ``peers`` are all splits' accumulators of the column, this one included."""


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
