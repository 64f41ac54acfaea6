"""How often values occur and how many distinct ones there are, mergeable and in little memory.

Few distinct values are counted exactly; beyond, every number states its error bound.
All summaries are deterministic: the same additions and merges give the same bits. (The quantile and
frequency sketches of Apache DataSketches draw random bits that cannot be seeded, so equal data would
give unequal statistics.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.data.hashing import Hashes, hash_numbers, hash_texts

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.generic]

SMALLEST_HASHES = 4096
"""Size of the distinct-count sketch; its standard error is 1 / sqrt(size) = 1.6 %."""
_BYTES_PER_TEXT = 256


def smallest_hashes(*sets: Hashes) -> Hashes:
    """Return the smallest distinct hashes of a union, sorted: a K-minimum-values sketch."""
    ascending = np.sort(np.concatenate(sets))  # np.unique would hash them, forty times slower
    first = np.concatenate([[True], ascending[1:] != ascending[:-1]])[: len(ascending)]
    return np.asarray(ascending[first][:SMALLEST_HASHES], np.uint64)


def estimate_distinct(smallest: Hashes) -> int:
    """Return the number of distinct values behind a K-minimum-values sketch; exact while it is not full."""
    if len(smallest) < SMALLEST_HASHES:
        return len(smallest)
    return round((len(smallest) - 1) / (float(smallest[-1]) / 2.0**64))


class Table(Protocol):
    """Distinct values with their counts."""

    counts: Integers

    def __len__(self) -> int: ...
    def plus(self, other: Self) -> Self:
        """Return the sum of two tables."""

    def take(self, places: Integers, counts: Integers) -> Self:
        """Return some of the values with new counts."""

    def hashes(self) -> Hashes:
        """Return the values' hashes."""

    def too_large(self, capacity: int) -> bool:
        """Tell whether the table is beyond what a capacity allows."""


@dataclass(frozen=True)
class NumberTable:
    """Distinct numbers, ascending, with their counts."""

    values: Numbers
    counts: Integers

    @classmethod
    def of(cls, ascending: Numbers) -> NumberTable:
        """Return the table of an ascending array of values."""
        if not len(ascending):
            return cls(ascending, np.zeros(0, np.int64))
        starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
        return cls(ascending[starts], np.diff(starts, append=len(ascending)))

    def __len__(self) -> int:
        return len(self.counts)

    def plus(self, other: NumberTable) -> NumberTable:
        """Return the sum of two tables."""
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")
        values = values[order]
        counts = np.concatenate([self.counts, other.counts])[order]
        if not len(values):
            return self
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        return NumberTable(values[starts], np.add.reduceat(counts, starts))

    def take(self, places: Integers, counts: Integers) -> NumberTable:
        """Return some of the values with new counts."""
        return NumberTable(self.values[places], counts)

    def hashes(self) -> Hashes:
        """Return the values' hashes."""
        return hash_numbers(self.values)

    def too_large(self, capacity: int) -> bool:
        """Tell whether there are more values than the capacity."""
        return len(self.counts) > capacity


@dataclass(frozen=True)
class TextTable:
    """Distinct texts or byte strings with their counts."""

    values: pa.Array
    counts: Integers

    @classmethod
    def of(cls, array: pa.Array) -> TextTable:
        """Return the table of an array without nulls, dictionary-encoded or plain."""
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        codes = array.indices.to_numpy(zero_copy_only=False)
        counts = np.bincount(codes, minlength=len(array.dictionary)).astype(np.int64)
        used = np.flatnonzero(counts)
        values = array.dictionary
        if len(used) < len(values):
            values, counts = values.take(pa.array(used)), counts[used]
        return cls(values, counts)

    def __len__(self) -> int:
        return len(self.counts)

    def plus(self, other: TextTable) -> TextTable:
        """Return the sum of two tables."""
        both = pa.concat_arrays([self.values, other.values]).dictionary_encode()
        codes = both.indices.to_numpy(zero_copy_only=False)
        counts = np.zeros(len(both.dictionary), np.int64)
        np.add.at(counts, codes, np.concatenate([self.counts, other.counts]))
        return TextTable(both.dictionary, counts)

    def take(self, places: Integers, counts: Integers) -> TextTable:
        """Return some of the values with new counts."""
        return TextTable(self.values.take(pa.array(places)), counts)

    def hashes(self) -> Hashes:
        """Return the values' hashes."""
        return hash_texts(self.values)

    def too_large(self, capacity: int) -> bool:
        """Tell whether there are more values than the capacity, or more than 256 bytes for each."""
        return len(self.counts) > capacity or text_bytes(self.values) > capacity * _BYTES_PER_TEXT


def text_bytes(values: pa.Array) -> int:
    """Return how many bytes the values hold."""
    return int(pc.sum(pc.binary_length(values)).as_py() or 0)


TableT = TypeVar("TableT", NumberTable, TextTable)


@dataclass(frozen=True)
class Frequencies(Generic[TableT]):
    """How often values occur (Misra and Gries) and how many distinct ones there are.

    Attributes:
        table: Values and counts. A count is too low by at most ``error``, never too high.
        capacity: Up to this many distinct values everything is exact.
        error: 0 while every distinct value is in the table.
        smallest: The distinct-count sketch; None while the table is complete.
    """

    table: TableT
    capacity: int
    error: int = 0
    smallest: Hashes | None = None

    @property
    def complete(self) -> bool:
        """Whether the table holds every distinct value with its exact count."""
        return self.smallest is None

    @property
    def distinct_is_exact(self) -> bool:
        """Whether :attr:`distinct` is exact."""
        return self.smallest is None or len(self.smallest) < SMALLEST_HASHES

    @property
    def distinct(self) -> int:
        """Number of distinct values, exact or estimated."""
        return len(self.table) if self.smallest is None else estimate_distinct(self.smallest)

    def merged(self, other: Frequencies[TableT]) -> Frequencies[TableT]:
        """Return the frequencies of both."""
        smallest = None
        if not (self.complete and other.complete):
            smallest = smallest_hashes(self._smallest_below(other), other._smallest_below(self))
        table = self.table.plus(other.table)
        return Frequencies(table, self.capacity, self.error + other.error, smallest)._bounded()

    def _smallest_below(self, other: Frequencies[TableT]) -> Hashes:
        if self.smallest is not None:
            return self.smallest
        hashes = self.table.hashes()
        if other.smallest is not None and len(other.smallest) == SMALLEST_HASHES:
            return np.asarray(hashes[hashes < other.smallest[-1]], np.uint64)
        return hashes

    def _bounded(self) -> Frequencies[TableT]:
        if not self.table.too_large(self.capacity):
            return self
        smallest = self.smallest
        if smallest is None:
            smallest = smallest_hashes(self.table.hashes())
        table, cut = _trimmed(self.table, self.capacity)
        return Frequencies(table, self.capacity, self.error + cut, smallest)


def _trimmed(table: TableT, capacity: int) -> tuple[TableT, int]:
    """Take the same number off every count until the table is small enough; return it and the number."""
    keep, taken = capacity, 0
    while table.too_large(capacity) and len(table):
        if len(table) > keep:
            rank = len(table) - keep - 1
            cut = int(np.partition(table.counts, rank)[rank])
        else:
            cut = int(table.counts.min())
        counts = table.counts - cut
        places = np.flatnonzero(counts > 0)
        table = table.take(places, counts[places])
        taken += cut
        keep //= 2
    return table, taken
