"""What is known about a column when each row counts by its weight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Histogram:
    """Counts in bins, of equal width where nothing else is said; the same bins for all splits.

    Attributes:
        edges: One more than there are bins, ascending. The last bin holds its upper edge.
        counts: Numbers in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class WeightedHistogram:
    """Weights in the bins of the histogram without weights.

    Attributes:
        edges: One more than there are bins, ascending. The last bin holds its upper edge.
        weights: Sum of the weights in each bin.
    """

    edges: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class WeightedValue:
    """A value of much weight.

    Attributes:
        value: The value; times and dates as ISO text.
        weight: Sum of the weights of its rows, too low by at most the column's ``top_error``.
    """

    value: str | int | float | bool
    weight: float


@dataclass(frozen=True)
class WeightedNumbers:
    """What is known about finite numbers, each counted by its row's weight.

    Attributes:
        weight: Sum of the weights of the finite numbers.
        nan: Weight of the values that are not a number.
        zeros: Weight of the values that are 0.
        mean: Weighted mean.
        std: Square root of the weighted mean of squared deviations.
        median: Weighted median.
        quantiles: Pairs of a share of the weight and the value there.
        rank_error: Bound of the quantiles' rank error as a share of the weight; 0.0 when exact.
        histogram: Weights in bins of equal width.
    """

    weight: float
    nan: float = 0.0
    zeros: float = 0.0
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    rank_error: float = 0.0
    histogram: WeightedHistogram | None = None


@dataclass(frozen=True)
class WeightedStatistics:
    """What is known about one column of one split, each row counted by its weight.

    Weights count in steps of 1/1,048,576, so that sums are exact and do not depend on any order.

    Attributes:
        present: Weight of the values that are not missing.
        missing: Weight of the missing ones.
        empty: Weight of the empty texts, byte strings and lists.
        top: Values of the largest weight, those first, equal weights in order of value.
        top_error: How much a weight in ``top`` may be too low; 0.0 when they are exact.
        numbers: About the values of numbers, booleans, times.
        lengths: About lengths of texts, byte strings and lists.
    """

    present: float
    missing: float
    empty: float = 0.0
    top: tuple[WeightedValue, ...] = ()
    top_error: float = 0.0
    numbers: WeightedNumbers | None = None
    lengths: WeightedNumbers | None = None
