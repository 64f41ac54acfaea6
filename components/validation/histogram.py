"""Quantiles of any number of values in bounded memory, the same whatever the order or the batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BUCKETS = 32_768


class Histogram:
    """Counts of values, exact up to ``MOST_BUCKETS`` distinct ones, then of buckets of equal relative width.

    A value's bucket is its double's bit pattern (made monotone) without the lowest ``level`` bits. The
    level is raised only while more than ``MOST_BUCKETS`` buckets are occupied. A coarser level never
    occupies more buckets and more data never fewer, so the final level depends on the data alone, not on
    their order or batches.

    Attributes:
        level: Bits left out; 0 while the counts are exact.
        count: Values added.
    """

    def __init__(self) -> None:
        self.level = 0
        self.count = 0
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Add numbers, without NaN."""
        if len(values):
            keys = np.sort(_monotone(np.asarray(values, dtype=np.float64) + 0.0) >> self.level)
            self._absorb(keys, np.ones(len(keys), np.int64), len(keys))

    def merge(self, other: Histogram) -> None:
        """Add what another histogram has seen."""
        level = max(self.level, other.level)
        self._coarsen(level)
        self._absorb(other._keys >> (level - other.level), other._counts, other.count)

    def _absorb(self, keys: NDArray[np.int64], counts: NDArray[np.int64], total: int) -> None:
        self.count += total
        keys, counts = _grouped(keys, counts)
        merged = np.concatenate([self._keys, keys])
        order = np.argsort(merged, kind="stable")
        self._keys, self._counts = _grouped(merged[order], np.concatenate([self._counts, counts])[order])
        while len(self._keys) > MOST_BUCKETS:
            self._coarsen(self.level + 1)

    def _coarsen(self, level: int) -> None:
        if level > self.level:
            self._keys, self._counts = _grouped(self._keys >> (level - self.level), self._counts)
            self.level = level

    @property
    def relative_error(self) -> float:
        """Largest relative distance between a reported value and the true one; 0 while exact."""
        return 2.0 ** (self.level - 53) if self.level else 0.0

    @property
    def values(self) -> NDArray[np.float64]:
        """The distinct values, or the middles of the buckets, ascending."""
        middle = (1 << self.level) >> 1
        return _value((self._keys << self.level) + middle)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many values each entry of :attr:`values` stands for."""
        return self._counts

    def quantiles(self, ranks: Sequence[float], interpolation: str = "nearest") -> list[float]:
        """Return quantiles as pandas defines them; none where nothing was added.

        Args:
            ranks: Ranks in [0, 1].
            interpolation: ``nearest``, ``linear``, ``lower``, ``higher`` or ``midpoint``.
        """
        if not self.count:
            return [float("nan")] * len(ranks)
        ends = np.cumsum(self._counts)
        values = self.values
        found = []
        for rank in ranks:
            position = rank * (self.count - 1)
            below = int(np.floor(position))
            share = position - below
            low = values[np.searchsorted(ends, below, side="right")]
            high = values[np.searchsorted(ends, min(below + 1, self.count - 1), side="right")]
            found.append(_between(float(low), float(high), share, below, interpolation))
        return found


def _between(low: float, high: float, share: float, below: int, interpolation: str) -> float:
    if share == 0 or low == high:
        return low
    if interpolation == "nearest":
        upper = share > 0.5 or (share == 0.5 and below % 2 == 1)  # half to even, as numpy does
        return high if upper else low
    weights = {"linear": share, "lower": 0.0, "higher": 1.0, "midpoint": 0.5}
    weight = weights[interpolation]
    return high if weight == 1.0 else low + (high - low) * weight


def _monotone(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return bit patterns as integers that are ordered as the values are."""
    bits = values.view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))


def _value(keys: NDArray[np.int64]) -> NDArray[np.float64]:
    return (keys ^ ((keys >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))).view(np.float64)


def _grouped(
    keys: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return distinct keys of a sorted array with their summed counts."""
    if not len(keys):
        return keys, counts
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts, starts)
