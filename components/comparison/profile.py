"""What statistics tell about a column's distribution, in the two forms that can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from components.statistics.statistics import ColumnStatistics, NumberStatistics, TopValue

    Floats = NDArray[np.float64]

LEAST_LISTED = 0.05
"""Texts of which the listed ones hold a smaller share than this are compared by their lengths only."""


@dataclass(frozen=True)
class Categories:
    """Values with their counts, and how many values are not listed.

    Attributes:
        counts: Count by value.
        rest: Occurrences of values that are not listed; 0 where all are.
        most_unlisted: How often a value that is not listed may occur at most.
    """

    counts: dict[str, int]
    rest: int
    most_unlisted: int

    @property
    def total(self) -> int:
        """Occurrences of all values."""
        return sum(self.counts.values()) + self.rest

    @property
    def complete(self) -> bool:
        """Whether every value is listed."""
        return self.rest == 0

    @property
    def listed(self) -> float:
        """Share of the occurrences whose value is listed."""
        return 1 - self.rest / self.total if self.total else 0.0


@dataclass(frozen=True)
class Numbers:
    """Finite numbers: frequent values with their exact shares, and a continuous distribution of the others.

    Attributes:
        count: How many there are.
        atoms: Frequent values, ascending.
        masses: Their shares of all.
        knots: Points of the others' cumulated share, ascending; between them it is linear.
        levels: The others' cumulated share of all at each knot, without a fall.
        deciles: The values at 0, 10, … 100 %.
        std: Standard deviation; 0.0 for fewer than two values.
        mean: Mean.
    """

    count: int
    atoms: Floats
    masses: Floats
    knots: Floats
    levels: Floats
    deciles: Floats
    std: float
    mean: float

    @property
    def low(self) -> float:
        """Smallest value."""
        return float(self.deciles[0])

    @property
    def high(self) -> float:
        """Largest value."""
        return float(self.deciles[-1])

    def below(self, points: Floats, *, included: bool = True) -> Floats:
        """Return the share of values below each point, or at it where ``included``."""
        sums = np.concatenate([[0.0], np.cumsum(self.masses)])
        atoms = sums[np.searchsorted(self.atoms, points, side="right" if included else "left")]
        others = np.interp(points, self.knots, self.levels) if len(self.knots) else np.zeros(len(points))
        return np.asarray(np.minimum(atoms + others, 1.0))


def categories_of(column: ColumnStatistics) -> Categories:
    """Return the values of a column of texts or booleans."""
    counts = {str(top.value): top.count for top in column.top}
    rest = max(0, column.present - sum(counts.values()))
    # An unlisted value is no more frequent than the rarest listed one, unless counts may be too low.
    least = min(counts.values(), default=column.present) + column.top_error
    return Categories(counts, rest, min(rest, least))


_SECONDS = (5e8, 4.2e9)  # since 1970: the years 1985 to 2103
_MANY = 100
_FACTORS = (1000.0, 100.0, 60.0, 10.0, 3600.0, 1.609344, 2.54, 2.2046226)


@dataclass(frozen=True)
class Sides:
    """One column, before and now.

    Attributes:
        before: Its statistics in the baseline.
        now: Its statistics in the new data.
        path: Its name inside of others: ``struct.field`` for a field, ``list.item`` for the items of lists.
    """

    before: ColumnStatistics
    now: ColumnStatistics
    path: str = ""

    @property
    def name(self) -> str:
        """The column's name."""
        return self.path or self.before.name

    @property
    def moments(self) -> bool:
        """Whether both hold moments."""
        return is_moment(self.before) and is_moment(self.now)


def is_moment(column: ColumnStatistics) -> bool:
    """Return whether a column holds moments: of a time type, or whole seconds since 1970."""
    numbers = column.numbers
    if column.kind == "time":
        return not any(kind in column.type for kind in ("time32", "time64", "duration"))
    if numbers is None or not isinstance(numbers.min, int) or not isinstance(numbers.max, int):
        return False
    return _SECONDS[0] <= numbers.min <= numbers.max <= _SECONDS[1] and (column.distinct or 0) >= _MANY


def moment(seconds: float) -> str:
    """Return seconds since 1970 as a date with its time of day, as far as there is such a date."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.6g}"


def times_as_large(before: NumberStatistics, now: NumberStatistics) -> float | None:
    """Return by how much numbers look as if written in another unit: all quantiles by one factor."""
    old, new = dict(before.quantiles), dict(now.quantiles)
    ratios = [new[q] / old[q] for q in (0.25, 0.5, 0.75, 0.9) if q in new and old.get(q)]
    if len(ratios) < 3 or min(ratios) <= 0 or max(ratios) >= 1.1 * min(ratios):
        return None
    middle = sorted(ratios)[len(ratios) // 2]
    known = (*_FACTORS, *(1 / factor for factor in _FACTORS))
    return next((factor for factor in known if abs(math.log(middle / factor)) < 0.03), None)


def numbers_of(numbers: NumberStatistics, top: Sequence[TopValue] = ()) -> Numbers:
    """Return the finite numbers that statistics describe; there must be at least one.

    Args:
        numbers: What is known about them.
        top: The most frequent values, with exact counts.
    """
    atoms, masses = _atoms(numbers, top)
    knots, levels = _others(numbers, atoms, masses)
    return Numbers(
        count=numbers.count,
        atoms=atoms,
        masses=masses,
        knots=knots,
        levels=levels,
        deciles=np.asarray(numbers.deciles, dtype=np.float64),
        std=numbers.std or 0.0,
        mean=numbers.mean if numbers.mean is not None else float("nan"),
    )


def _atoms(numbers: NumberStatistics, top: Sequence[TopValue]) -> tuple[Floats, Floats]:
    """Return the values whose counts are known, with their shares."""
    counts = {float(one.value): one.count for one in top if isinstance(one.value, int | float)}
    histogram = numbers.histogram
    if histogram is not None and sum(counts.values()) < numbers.count and _bin_per_number(numbers):
        edges = histogram.edges
        counts = {edge + 0.5: n for edge, n in zip(edges[:-1], histogram.counts, strict=True) if n}
    values = np.asarray(sorted(counts), dtype=np.float64)
    return values, np.asarray([counts[value] / numbers.count for value in values.tolist()])


def _bin_per_number(numbers: NumberStatistics) -> bool:
    """Return whether every bin of the histogram holds one whole number."""
    histogram = numbers.histogram
    whole = isinstance(numbers.min, int) and isinstance(numbers.max, int)
    if histogram is None or not whole or numbers.rank_error:
        return False
    edges = np.asarray(histogram.edges)
    return bool(np.all(np.diff(edges) == 1.0) and np.all(edges % 1 == 0.5))


def _others(numbers: NumberStatistics, atoms: Floats, masses: Floats) -> tuple[Floats, Floats]:
    """Return the cumulated share of the values that are no atoms, by histogram and quantiles."""
    left = 1.0 - float(masses.sum())
    if left * numbers.count < 0.5 or not numbers.quantiles:
        return np.empty(0), np.empty(0)
    sums = np.concatenate([[0.0], np.cumsum(masses)])
    points = [(value, share) for share, value in numbers.quantiles if 0 < share < 1]
    points = [(value, share) for value, share in points if value not in set(atoms.tolist())]
    if numbers.histogram is not None:
        cumulated = np.cumsum(numbers.histogram.counts[:-1]) / numbers.count
        points += list(zip(numbers.histogram.edges[1:-1], cumulated.tolist(), strict=True))
    values = np.asarray([value for value, _ in points])
    shares = np.asarray([share for _, share in points]) - sums[np.searchsorted(atoms, values, side="left")]
    ends = np.asarray([numbers.quantiles[0][1], numbers.quantiles[-1][1]])
    inside = (values > ends[0]) & (values < ends[1])
    knots = np.concatenate([ends[:1], values[inside], ends[1:]])
    levels = np.concatenate([[0.0], np.clip(shares[inside], 0.0, left), [left]])
    order = np.lexsort((levels, knots))
    return knots[order], np.maximum.accumulate(levels[order])
