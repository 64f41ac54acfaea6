"""Everything that is known about a stream of numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.statistics.accumulator import Settings, Units
from components.statistics.frequencies import Frequencies, Numbers, NumberTable
from components.statistics.moments import Moments
from components.statistics.quantiles import Floats, Quantiles
from components.statistics.statistics import Histogram, NumberStatistics

SHARES = (
    *(0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0),
)
BINS = 40


@dataclass
class NumberSummary:
    """Everything about a stream of numbers.

    Attributes:
        settings: What the user chose.
        nan, positive_infinity, negative_infinity, zeros: Counts of special values.
        moments: Of the finite values.
        frequencies: Of the finite values.
        quantiles: Of the finite values; None while the frequencies are complete and tell them exactly.
    """

    settings: Settings
    nan: int = 0
    positive_infinity: int = 0
    negative_infinity: int = 0
    zeros: int = 0
    smallest: Any = None
    largest: Any = None
    moments: Moments = field(default_factory=Moments)
    frequencies: Frequencies[NumberTable] | None = None
    quantiles: Quantiles | None = None

    def add(self, values: Numbers, units: Units | None = None) -> None:
        """Take in an array of numbers, none missing, each counted once or ``units`` times."""
        if units is None:
            ascending = np.sort(values)
        else:
            order = np.argsort(values, kind="stable")
            ascending, units = values[order], units[order]
        if ascending.dtype.kind != "f":
            self.add_table(NumberTable.of(ascending, units))
            return
        ascending = np.add(ascending, 0.0)  # adding zero turns -0.0 into 0.0
        finite = self._finite(ascending, units)
        self.add_table(NumberTable.of(ascending[finite], None if units is None else units[finite]))

    def _finite(self, ascending: Numbers, units: Units | None) -> slice:
        low = int(np.searchsorted(ascending, -np.inf, side="right"))
        high, end = (int(place) for place in np.searchsorted(ascending, [np.inf, np.nan]))
        places = np.array([0, low, high, end, len(ascending)])
        ends = places if units is None else np.concatenate([[0], np.cumsum(units)])[places]
        below, _, above, strange = (int(count) for count in np.diff(ends))
        self.negative_infinity += below
        self.positive_infinity += above
        self.nan += strange
        return slice(low, high)

    def add_table(self, table: NumberTable) -> None:
        """Take in finite numbers with their counts."""
        if not len(table):
            return
        zero = int(np.searchsorted(table.values, 0))
        if zero < len(table) and table.values[zero] == 0:
            self.zeros += int(table.counts[zero])
        low, high = table.values[0].item(), table.values[-1].item()
        self.smallest = low if self.smallest is None else min(self.smallest, low)
        self.largest = high if self.largest is None else max(self.largest, high)
        self.moments = self.moments.merged(Moments.of(table))
        self._merge(Frequencies(table, self.settings.capacity), None, 16 * self.settings.points)

    def _merge(self, new: Frequencies[NumberTable], ranks: Quantiles | None, points: int) -> None:
        before = self.frequencies
        self.frequencies = (before or Frequencies(_empty(new.table), new.capacity)).merged(new)
        if self.frequencies.complete:
            return
        joined = ranks or _quantiles(new.table).compressed(4 * self.settings.points)
        if before is not None:
            joined = (self.quantiles or _quantiles(before.table)).merged(joined)
        if len(joined.values) > points:
            joined = joined.compressed(max(points // 4, self.settings.points))
        self.quantiles = joined

    def merged(self, other: NumberSummary) -> NumberSummary:
        """Return the summary of the numbers of both."""
        out = dataclasses.replace(
            self,
            nan=self.nan + other.nan,
            positive_infinity=self.positive_infinity + other.positive_infinity,
            negative_infinity=self.negative_infinity + other.negative_infinity,
            zeros=self.zeros + other.zeros,
            moments=self.moments.merged(other.moments),
        )
        if other.frequencies is None:
            return out
        bounds = [s for s in (self, other) if s.smallest is not None]
        out.smallest = min(s.smallest for s in bounds)
        out.largest = max(s.largest for s in bounds)
        out._merge(other.frequencies, other.quantiles, self.settings.points)
        return out

    @property
    def points(self) -> Quantiles | None:
        """The quantiles, exact or not; None without finite numbers."""
        if self.quantiles is None and self.frequencies is not None:
            return _quantiles(self.frequencies.table)
        return self.quantiles

    def extract(self, peers: Sequence[NumberSummary], scale: float = 1.0) -> NumberStatistics:
        """Return the statistics, every value times ``scale``."""
        special = NumberStatistics(
            count=self.moments.count,
            nan=self.nan,
            positive_infinity=self.positive_infinity,
            negative_infinity=self.negative_infinity,
            zeros=self.zeros,
        )
        points = self.points
        if points is None:
            return special
        # The summary's outermost points lie inside the range; the range itself is known.
        found = np.clip(points.at(np.array(SHARES)), float(self.smallest), float(self.largest))
        found[0], found[-1] = float(self.smallest), float(self.largest)
        moments = self.moments
        if self.frequencies is not None and self.frequencies.complete:
            # Of the whole table: the last bits then do not depend on what was merged with what.
            moments = Moments.of(self.frequencies.table)
        deviation = moments.deviation
        return dataclasses.replace(
            special,
            min=_scaled(self.smallest, scale),
            max=_scaled(self.largest, scale),
            mean=_scaled(moments.mean, scale),
            std=None if deviation is None else _scaled(deviation, scale),
            median=_scaled(float(found[SHARES.index(0.5)]), scale),
            quantiles=tuple((s, float(v) * scale) for s, v in zip(SHARES, found, strict=True)),
            rank_error=points.slack / points.count,
            histogram=_histogram(points, peers, scale),
            quantile_histogram=_quantile_histogram(points, found, scale),
        )


def _empty(table: NumberTable) -> NumberTable:
    return NumberTable(table.values[:0], table.counts[:0])


def _quantiles(table: NumberTable) -> Quantiles:
    return Quantiles(table.values.astype(np.float64), table.counts)


def _scaled(value: float, scale: float) -> float | int | None:
    """Return a value in its unit; None for what overflowed."""
    if scale == 1.0:
        return value if math.isfinite(value) else None
    return value * scale


def _quantile_histogram(points: Quantiles, found: Floats, scale: float) -> Histogram | None:
    deciles = found[[SHARES.index(tenth / 10) for tenth in range(11)]]
    return _filled(points, np.unique(deciles), scale) if deciles[0] < deciles[-1] else None


def _histogram(points: Quantiles, peers: Sequence[NumberSummary], scale: float) -> Histogram:
    known = [peer for peer in peers if peer.smallest is not None]
    low = min(float(peer.smallest) for peer in known)
    high = max(float(peer.largest) for peer in known)
    whole = all(isinstance(p.smallest, int) and isinstance(p.largest, int) for p in known)
    return _filled(points, _edges(low, high, whole=whole), scale)


def _filled(points: Quantiles, edges: Floats, scale: float) -> Histogram:
    below = points.below(edges)
    counts = np.diff(below)
    counts[0] += below[0]
    counts[-1] += points.count - below[-1]
    return Histogram(tuple(float(e) * scale for e in edges), tuple(int(c) for c in counts))


def _edges(low: float, high: float, *, whole: bool) -> Floats:
    """Return at least two ascending bin edges; few whole numbers get a bin each, centred on them."""
    if whole and high - low < BINS and max(-low, high) < 2**50:
        return np.arange(low - 0.5, high + 1.0)
    # Halves keep the width of the widest range within what a float holds.
    steps = np.arange(BINS + 1) / BINS
    edges = np.unique(2 * (low / 2 + (high / 2 - low / 2) * steps))
    return edges if len(edges) > 1 else np.array([low, np.nextafter(high, np.inf)])
