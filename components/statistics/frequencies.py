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
SAMPLED_VALUES = 1024
"""Of how many of the smallest hashes the values themselves are kept."""
SAMPLED_BYTES = 256
"""How much of such a value is kept."""
_BYTES_PER_TEXT = 256


def sketch_size(capacity: int) -> int:
    """Return how many hashes are kept of a column of which ``capacity`` values are: 256 to 4,096."""
    return min(SMALLEST_HASHES, max(256, 4 * capacity))


def smallest_hashes(*sets: Hashes, size: int = SMALLEST_HASHES) -> Hashes:
    """Return the smallest distinct hashes of a union, sorted: a K-minimum-values sketch."""
    ascending = np.sort(np.concatenate(sets))  # np.unique would hash them, forty times slower
    first = np.concatenate([[True], ascending[1:] != ascending[:-1]])[: len(ascending)]
    return np.asarray(ascending[first][:size], np.uint64)


def estimate_distinct(smallest: Hashes, size: int = SMALLEST_HASHES) -> int:
    """Return the number of distinct values behind a K-minimum-values sketch; exact while it is not full."""
    if len(smallest) < size:
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

    def sample(self, places: Integers) -> Self | None:
        """Return some of the values without counts, long ones cut, or None where no sample is kept."""

    def beside(self, other: Self) -> Self:
        """Return the values of both, one after the other."""

    def too_large(self, capacity: int) -> bool:
        """Tell whether the table is beyond what a capacity allows."""


@dataclass(frozen=True)
class NumberTable:
    """Distinct numbers, ascending, with their counts."""

    values: Numbers
    counts: Integers

    @classmethod
    def of(cls, ascending: Numbers, units: Integers | None = None) -> NumberTable:
        """Return the table of an ascending array of values, each counted once or ``units`` times."""
        if not len(ascending):
            return cls(ascending, np.zeros(0, np.int64))
        starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
        if units is not None:
            return cls(ascending[starts], np.add.reduceat(units, starts))
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

    def sample(self, places: Integers) -> NumberTable | None:
        """Return None: quantiles tell enough about numbers."""
        del places
        return None

    def beside(self, other: NumberTable) -> NumberTable:
        """Return the values of both, one after the other."""
        counts = np.concatenate([self.counts, other.counts])
        return NumberTable(np.concatenate([self.values, other.values]), counts)

    def too_large(self, capacity: int) -> bool:
        """Tell whether there are more values than the capacity."""
        return len(self.counts) > capacity


@dataclass(frozen=True)
class TextTable:
    """Distinct texts or byte strings with their counts."""

    values: pa.Array
    counts: Integers

    @classmethod
    def of(cls, array: pa.Array, units: Integers | None = None) -> TextTable:
        """Return the table of an array without nulls, dictionary-encoded or plain.

        Each value counts once, or ``units`` times.
        """
        if pa.types.is_fixed_size_binary(array.type):
            array = array.cast(pa.binary())
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        codes = array.indices.to_numpy(zero_copy_only=False)
        if units is None:
            counts = np.bincount(codes, minlength=len(array.dictionary)).astype(np.int64)
        else:
            counts = np.zeros(len(array.dictionary), np.int64)
            np.add.at(counts, codes, units)
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

    def sample(self, places: Integers) -> TextTable | None:
        """Return some of the values without counts, cut to 256 characters or bytes."""
        values = self.values.take(pa.array(places))
        if text_bytes(values) > SAMPLED_BYTES:
            is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
            cut = pc.utf8_slice_codeunits if is_text else pc.binary_slice
            values = cut(values, 0, SAMPLED_BYTES)
        return TextTable(values, np.zeros(len(places), np.int64))

    def beside(self, other: TextTable) -> TextTable:
        """Return the values of both, one after the other."""
        counts = np.concatenate([self.counts, other.counts])
        return TextTable(pa.concat_arrays([self.values, other.values]), counts)

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
        sample: The values of the 1,024 smallest hashes, in their order; None while the table is complete.
    """

    table: TableT
    capacity: int
    error: int = 0
    smallest: Hashes | None = None
    sample: TableT | None = None

    @property
    def complete(self) -> bool:
        """Whether the table holds every distinct value with its exact count."""
        return self.smallest is None

    @property
    def distinct_is_exact(self) -> bool:
        """Whether :attr:`distinct` is exact."""
        return self.smallest is None or len(self.smallest) < sketch_size(self.capacity)

    @property
    def distinct(self) -> int:
        """Number of distinct values, exact or estimated."""
        if self.smallest is None:
            return len(self.table)
        return estimate_distinct(self.smallest, sketch_size(self.capacity))

    def looked_at(self) -> tuple[TableT, bool]:
        """Return distinct values to look at one by one, and whether these are all.

        They are all of up to 4,096, else those of the 1,024 smallest hashes.
        """
        if self.complete and len(self.table) <= SMALLEST_HASHES:
            return self.table, True
        sample = self._sketch().sample
        return (self.table if sample is None else sample), False

    def merged(self, other: Frequencies[TableT]) -> Frequencies[TableT]:
        """Return the frequencies of both."""
        table = self.table.plus(other.table)
        if self.complete and other.complete:
            if not table.too_large(self.capacity):
                return Frequencies(table, self.capacity)
            sketch = Frequencies(table, self.capacity)._sketch()
        else:
            sketch = self._sketch(other._limit).merged(other._sketch(self._limit))
        small, cut = _trimmed(table, self.capacity)
        return Frequencies(small, self.capacity, self.error + other.error + cut, sketch.hashes, sketch.sample)

    @property
    def _limit(self) -> np.uint64 | None:
        """Hashes from here on do not enter a full sketch."""
        full = self.smallest is not None and len(self.smallest) == sketch_size(self.capacity)
        return self.smallest[-1] if full and self.smallest is not None else None

    def _sketch(self, limit: np.uint64 | None = None) -> _Sketch[TableT]:
        """Return the sketch, of a complete table made just now and without hashes from ``limit`` on."""
        size = sketch_size(self.capacity)
        if self.smallest is not None:
            return _Sketch(size, self.smallest, self.sample)
        hashes = self.table.hashes()
        places = np.arange(len(hashes)) if limit is None else np.flatnonzero(hashes < limit)
        places = places[np.argsort(hashes[places])][:size]
        return _Sketch(size, hashes[places], self.table.sample(places[:SAMPLED_VALUES]))


@dataclass(frozen=True)
class _Sketch(Generic[TableT]):
    """The smallest hashes of a set of values, ascending, and the values of the first of them."""

    size: int
    hashes: Hashes
    sample: TableT | None

    def merged(self, other: _Sketch[TableT]) -> _Sketch[TableT]:
        """Return the sketch of the values of both."""
        hashes = smallest_hashes(self.hashes, other.hashes, size=self.size)
        if self.sample is None or other.sample is None:
            return _Sketch(self.size, hashes, None)
        both = np.concatenate([self.hashes[: len(self.sample)], other.hashes[: len(other.sample)]])
        _, first = np.unique(both, return_index=True)
        kept = min(SAMPLED_VALUES, len(hashes))
        return _Sketch(self.size, hashes, self.sample.beside(other.sample).sample(first[:kept]))


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
