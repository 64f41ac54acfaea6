"""Mergeable summaries of one column: ``add`` batches, ``merge`` parts, then read the facts.

All of them are exact or collapse by a rule of the value alone, so that any order, any batch size
and any split of the rows give the same state, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from orchestration import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MAX_BINS = 16_384
MAX_TOKENS = 5_000_000
# Every finite float32 is a multiple of 2**-149, and its square one of 2**-298.
_SCALE = 149
_MANTISSA = 24


@dataclass
class Moments:
    """Count, minimum, maximum, mean and variance of ``float32`` values; NaN and infinities are missing.

    Sums are kept as integers (in units of 2**-149, squares of 2**-298): exact, whatever the order.
    """

    count: int = 0
    missing: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    total: int = 0
    squares: int = 0

    def add(self, values: np.ndarray) -> None:
        """Add ``float32`` values of shape ``(rows,)``."""
        import numpy as np

        finite = values[np.isfinite(values)]
        self.count += len(finite)
        self.missing += len(values) - len(finite)
        if len(finite) == 0:
            return
        self.minimum = min(self.minimum, float(finite.min()))
        self.maximum = max(self.maximum, float(finite.max()))
        for start in range(0, len(finite), 65_536):
            self._add_exactly(finite[start : start + 65_536])

    def _add_exactly(self, values: np.ndarray) -> None:
        # bincount adds in float64: 24-bit parts of at most 2**16 values stay below 2**53, hence exact.
        import numpy as np

        fractions, exponents = np.frexp(values.astype(np.float64))
        mantissas = (fractions * 2.0**_MANTISSA).astype(np.int64)
        lowest = int(exponents.min())
        bins = exponents - lowest
        squares = mantissas * mantissas
        sums = np.bincount(bins, weights=mantissas)
        high = np.bincount(bins, weights=squares >> _MANTISSA)
        low = np.bincount(bins, weights=squares & (2**_MANTISSA - 1))
        for step in range(len(sums)):
            shift = lowest + step - _MANTISSA + _SCALE
            self.total += _shifted(int(sums[step]), shift)
            self.squares += _shifted((int(high[step]) << _MANTISSA) + int(low[step]), 2 * shift)

    def merge(self, other: Moments) -> None:
        """Add what another part has seen."""
        self.count += other.count
        self.missing += other.missing
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.total += other.total
        self.squares += other.squares

    @property
    def mean(self) -> float:
        """The mean, correctly rounded; there must be a value."""
        return float(Fraction(self.total, self.count << _SCALE))

    @property
    def variance(self) -> float:
        """The population variance, correctly rounded; there must be a value."""
        spread = self.count * self.squares - self.total**2
        return float(Fraction(spread, self.count**2 << 2 * _SCALE))


def _shifted(value: int, places: int) -> int:
    return value << places if places >= 0 else value >> -places


@dataclass
class Quantiles:
    """Counts per ``float32`` value, or per group of neighbouring values once they are too many.

    Values are ordered by their bit pattern. When more than :data:`MAX_BINS` bins are occupied, the
    lowest bit of all of them is dropped, again until they fit. How many bits go depends only on
    the set of values, so parts merge to the same state in any order. A bin that has lost ``level``
    bits spans a relative width of at most ``2**(level - 23)``.
    """

    level: int = 0
    keys: np.ndarray | None = None
    counts: np.ndarray | None = None

    def add(self, values: np.ndarray) -> None:
        """Add ``float32`` values of shape ``(rows,)``; NaN and infinities are left out."""
        import numpy as np

        finite = values[np.isfinite(values)] + np.float32(0.0)  # -0.0 becomes 0.0
        keys, counts = np.unique(_to_keys(finite), return_counts=True)
        self._absorb(keys, counts.astype(np.int64), 0)

    def merge(self, other: Quantiles) -> None:
        """Add what another part has seen."""
        if other.keys is not None and other.counts is not None:
            self._absorb(other.keys, other.counts, other.level)

    def _absorb(self, keys: np.ndarray, counts: np.ndarray, level: int) -> None:
        import numpy as np

        if self.keys is not None and self.counts is not None:
            keys = np.concatenate([self.keys, keys])
            counts = np.concatenate([self.counts, counts])
        self.level = max(self.level, level)
        keys, counts = _grouped(keys, counts, self.level)
        while len(keys) > MAX_BINS:
            self.level += 1
            keys, counts = _grouped(keys, counts, self.level)
        self.keys, self.counts = keys, counts

    @property
    def count(self) -> int:
        """How many values were added."""
        return 0 if self.counts is None else int(self.counts.sum())

    def boundaries(self, buckets: int) -> list[float]:
        """Return at most ``buckets - 1`` increasing values that cut the rows into equal parts.

        Each is a value ``b`` such that the share of rows below it is at least the wanted one;
        none is the smallest value, and equal ones are given once.
        """
        import numpy as np

        if self.keys is None or self.counts is None or len(self.keys) == 0:
            return []
        below = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        total = int(self.counts.sum())
        places = {
            int(np.searchsorted(below, total * part / buckets, side="left")) for part in range(1, buckets)
        }
        places = {place for place in places if 0 < place < len(self.keys)}
        return [float(value) for value in _to_values(self.keys[sorted(places)])]


def _to_keys(values: np.ndarray) -> np.ndarray:
    """Return unsigned integers in the order of the ``float32`` values."""
    import numpy as np

    bits = values.view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint32)


def _to_values(keys: np.ndarray) -> np.ndarray:
    import numpy as np

    positive = keys >> 31
    return np.where(positive, keys & np.uint32(2**31 - 1), ~keys).astype(np.uint32).view(np.float32)


def _grouped(keys: np.ndarray, counts: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys without their ``level`` lowest bits, and each one's count."""
    import numpy as np

    groups, places = np.unique(keys >> np.uint32(level) << np.uint32(level), return_inverse=True)
    sums = np.zeros(len(groups), np.int64)
    np.add.at(sums, places, counts)
    return groups, sums


@dataclass
class Tokens:
    """How often each distinct value occurs; nulls and empty strings are missing."""

    column: str
    missing: int = 0
    counts: dict[str | int | float | bool, int] = field(default_factory=dict)

    def add(self, array: pa.Array) -> None:
        """Add an Arrow array of strings, integers, booleans or floats.

        Raises:
            DataError: There are more distinct values than a vocabulary can be made of.
        """
        import pyarrow.compute as pc

        from components.features.encoding import absent

        missing = absent(array)
        self.missing += int(missing.sum())
        pairs = pc.value_counts(array.filter(~missing))
        values, counts = pairs.field(0).to_pylist(), pairs.field(1).to_pylist()
        self._absorb(dict(zip(values, counts, strict=True)))

    def merge(self, other: Tokens) -> None:
        """Add what another part has seen."""
        self.missing += other.missing
        self._absorb(other.counts)

    def _absorb(self, counts: dict[str | int | float | bool, int]) -> None:
        for value, count in counts.items():
            self.counts[value] = self.counts.get(value, 0) + count
        if len(self.counts) > MAX_TOKENS:
            raise DataError(
                f'column "{self.column}" has too many distinct values for a vocabulary',
                expected=f"at most {MAX_TOKENS:,} distinct values",
                received=f"more than {MAX_TOKENS:,}",
                next=f'drop the feature on "{self.column}" or derive a coarser column',
            )

    def vocabulary(self, top: int, min_count: int) -> list[str | int]:
        """Return the most frequent values, more frequent first, equally frequent ones in value order."""
        kept = [(value, count) for value, count in self.counts.items() if count >= min_count]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        return [value for value, _ in kept[:top]]  # type: ignore[misc]  # only strings and integers get here
