"""A mergeable histogram over sorted keys: exact while the keys are few, then coarser by powers of two."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from components.evaluation.arrays import Counts, Floats, Keys

HALF = np.uint32(0x3F000000)
ONE = np.uint32(0x7E000000)


@dataclass
class KeyTable:
    """Weighted counts by 32-bit key, of bounded size.

    Keys are order-preserving codes of floats, so neighbours can be joined: when more than ``limit``
    keys are in use, the lowest bit of all keys is dropped until they fit. The level reached depends
    only on the set of keys, never on the order, the batches or the merges that brought them: a part
    of the data never needs a higher level than the whole.

    Attributes:
        limit: Most keys in use.
        width: Counts per key (1, or the number of bootstrap replicates).
        level: How many low bits were dropped; 0 means exact.
        keys: Ascending keys, shape (n,), already shifted by ``level``.
        counts: Sums of weights, shape (n, width), float64. Exact while weights are whole numbers
            or multiples of 2^-20.
    """

    limit: int
    width: int = 1
    level: int = 0
    keys: Keys = field(default_factory=lambda: np.zeros(0, np.uint32))
    counts: Counts = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        if self.counts.shape[1] != self.width:
            self.counts = np.zeros((0, self.width))

    def add(self, keys: Keys, weights: Counts) -> None:
        """Add rows.

        Args:
            keys: Full-precision keys, shape (rows,).
            weights: Their weights, shape (rows, width), any numeric dtype.
        """
        if len(keys):
            self._join(*_compress(keys >> np.uint32(self.level), weights))

    def merge(self, other: KeyTable) -> None:
        """Add all rows of another table of the same limit and width."""
        level = max(self.level, other.level)
        self._coarsen_to(level)
        self._join(*_compress(other.keys >> np.uint32(level - other.level), other.counts))

    def _join(self, keys: Keys, counts: Counts) -> None:
        """Add sorted, distinct keys of this table's level."""
        new = keys[~np.isin(keys, self.keys, assume_unique=True)]
        if len(new):
            together = np.sort(np.concatenate([self.keys, new]))
            grown = np.zeros((len(together), self.width))
            grown[np.searchsorted(together, self.keys)] = self.counts
            self.keys, self.counts = together, grown
        self.counts[np.searchsorted(self.keys, keys)] += counts
        while len(self.keys) > self.limit:
            self._coarsen_to(self.level + 1)

    def _coarsen_to(self, level: int) -> None:
        if level > self.level:
            self.keys, self.counts = _compress(self.keys >> np.uint32(level - self.level), self.counts)
            self.level = level

    def bounds(self) -> tuple[Keys, Keys]:
        """Return the smallest and the largest full-precision key of each entry."""
        low = self.keys.astype(np.uint64) << np.uint64(self.level)
        high = low + np.uint64((1 << self.level) - 1)
        return low.astype(np.uint32), np.minimum(high, 0xFFFFFFFF).astype(np.uint32)

    def at_level(self, level: int) -> KeyTable:
        """Return the table at a level not below its own."""
        table = KeyTable(self.limit, self.width, self.level, self.keys, self.counts)
        table._coarsen_to(level)
        return table


def align(tables: list[KeyTable]) -> tuple[KeyTable, list[Counts]]:
    """Bring tables to one level and one set of keys.

    Returns:
        A table that holds the common keys, and each table's counts for them, shape (n, width).
    """
    level = max(table.level for table in tables)
    same = [table.at_level(level) for table in tables]
    keys = np.sort(np.concatenate([table.keys for table in same]))
    keys = keys[np.diff(keys, prepend=keys[:1] + 1) != 0]  # np.unique, which hashes, is slower here
    spread = []
    for table in same:
        counts = np.zeros((len(keys), table.width))
        counts[np.searchsorted(keys, table.keys)] = table.counts
        spread.append(counts)
    frame = KeyTable(tables[0].limit, 1, level, keys, np.zeros((len(keys), 1)))
    return frame, spread


def _compress(keys: Keys, weights: Counts) -> tuple[Keys, Counts]:
    if not len(keys):
        return keys, weights.astype(np.float64)
    if len(keys) > 1 and not np.all(keys[:-1] <= keys[1:]):
        order = np.argsort(keys, kind="stable")
        keys, weights = keys[order], weights[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(weights, starts, axis=0, dtype=np.float64)


def score_keys(scores: Floats) -> Keys:
    """Return order-preserving keys of probabilities, fine near both 0 and 1.

    Args:
        scores: float32 in [0, 1], shape (rows,).
    """
    scores = scores.astype(np.float32) + np.float32(0)  # -0.0 becomes 0.0
    near_one = ONE - (np.float32(1) - scores).view(np.uint32)
    return np.where(scores < 0.5, scores.view(np.uint32), near_one).astype(np.uint32)


def scores_of(keys: Keys) -> Floats:
    """Return the probabilities of keys, float64; keys beyond 1 count as 1."""
    keys = np.minimum(keys, ONE)
    low = np.minimum(keys, HALF).view(np.float32).astype(np.float64)
    high = 1 - np.minimum(ONE - keys, HALF).view(np.float32).astype(np.float64)
    return np.where(keys < HALF, low, high)


def number_keys(values: Floats) -> Keys:
    """Return order-preserving keys of finite float32 numbers of either sign, shape (rows,)."""
    bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000)).astype(np.uint32)


def numbers_of(keys: Keys) -> Floats:
    """Return the numbers of keys, float64, held within the range of finite float32."""
    positive = (keys >> np.uint32(31)).astype(bool)
    bits = np.where(positive, keys & np.uint32(0x7FFFFFFF), ~keys).astype(np.uint32)
    largest = float(np.finfo(np.float32).max)
    held = np.nan_to_num(bits.view(np.float32), nan=largest, posinf=largest, neginf=-largest)
    return np.asarray(held, np.float64)
