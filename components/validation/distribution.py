"""What a column's values are like, in at most a thousand points, and how far two columns are apart."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.comparison.pairs import Binned
from components.validation.histogram import Histogram
from components.validation.metrics import plain
from components.validation.view import InapplicableError, View, as_numbers, is_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTS = 1000
MOST_CATEGORIES = 32_768


class Shape:
    """Distribution of a column: numbers and times by their histogram, text and booleans by their counts."""

    def __init__(self) -> None:
        self._histogram = Histogram()
        self._counts: Counter[Any] = Counter()

    def add(self, view: View, column: str) -> None:
        """Add a view's values.

        Raises:
            InapplicableError: Lists have no distribution, and text none with too many values.
        """
        array = view.present(column)
        if is_text(array.type) or pa.types.is_boolean(array.type):
            counted = pc.value_counts(array)
            values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
            for value, count in zip(values, counts, strict=True):
                self._counts[value] += count
            self._refuse_many()
        else:
            self._histogram.add(as_numbers(array, column))

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        self._histogram.merge(other._histogram)
        self._counts.update(other._counts)

    def summary(self) -> dict[str, Any]:
        """Return the distribution as JSON: ``kind``, ``values`` ascending and their ``counts``.

        Numbers of more than a thousand distinct values are cut into a thousand groups of about equal size,
        each named by its largest value.
        """
        if self._counts:
            self._refuse_many()
            entries = sorted(self._counts.items())
            return {
                "kind": "categories",
                "values": [v for v, _ in entries],
                "counts": [n for _, n in entries],
            }
        values, counts = self._histogram.values, self._histogram.counts
        if len(values) > MOST_POINTS:
            ends = np.cumsum(counts)
            wanted = -(-np.arange(1, MOST_POINTS + 1) * int(ends[-1]) // MOST_POINTS)  # rounded up, exactly
            last = np.unique(np.searchsorted(ends, wanted))
            values, counts = values[last], np.diff(ends[last], prepend=0)
        return {"kind": "numbers", "values": plain(values.tolist()), "counts": counts.tolist()}

    def _refuse_many(self) -> None:
        if len(self._counts) > MOST_CATEGORIES:
            raise InapplicableError(
                f"more than {MOST_CATEGORIES:,} different values have no distribution to compare"
            )


def summary(array: pa.Array) -> dict[str, Any]:
    """Return the distribution of a whole column, as a baseline for later ones."""
    shape = Shape()
    shape.add(View(pa.record_batch([array], names=["column"]), np.arange(len(array))), "column")
    return shape.summary()


class Pair(Binned):
    """Two distributions of one column, side by side.

    Args:
        baseline: The summary to compare with.
        observed: The summary to judge.
        bins: Numbers of more distinct baseline values than this are put into as many bins, at the baseline's
            quantiles.

    Raises:
        InapplicableError: One of them is empty or broken, or they are of different kinds.
    """

    def __init__(self, baseline: Mapping[str, Any], observed: Mapping[str, Any], bins: int = 10) -> None:
        self.kind = _checked(baseline, "the baseline")
        if _checked(observed, "the data") != self.kind:
            raise InapplicableError(f"the baseline holds {self.kind}, the data {observed['kind']}")
        self.baseline, self.observed = baseline, observed
        if self.kind == "categories" or len(baseline["values"]) <= bins:
            names = sorted({*baseline["values"], *observed["values"]}, key=lambda v: (str(type(v)), v))
            super().__init__(names, _by_value(baseline, names), _by_value(observed, names))
        else:
            edges = _edges(baseline, bins)
            super().__init__(_names(edges), _by_edge(baseline, edges), _by_edge(observed, edges))

    def cumulated(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the points where either distribution steps, and both cumulated shares there.

        Raises:
            InapplicableError: Categories have no order.
        """
        if self.kind != "numbers":
            return super().cumulated()
        one, two = (_numeric(side) for side in (self.baseline, self.observed))
        points = np.unique(np.concatenate([one[0], two[0]]))
        return points, _cumulated(*one, points), _cumulated(*two, points)


def _checked(side: Mapping[str, Any], name: str) -> str:
    kind, values, counts = (side.get(key) for key in ("kind", "values", "counts"))
    if kind not in ("numbers", "categories") or not isinstance(values, list) or not isinstance(counts, list):
        raise InapplicableError(f'{name} is no distribution: "kind", "values" and "counts" are needed')
    if len(values) != len(counts) or not sum(counts):
        raise InapplicableError(f"{name} has no values to compare")
    return str(kind)


def _numeric(side: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray([float(v) for v in side["values"]]), np.asarray(side["counts"], dtype=np.float64)


def _cumulated(
    values: NDArray[np.float64], counts: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(counts)])
    return np.asarray(sums[np.searchsorted(values, points, side="right")] / sums[-1])


def _by_value(side: Mapping[str, Any], names: list[Any]) -> NDArray[np.float64]:
    known = dict(zip(side["values"], side["counts"], strict=True))
    return np.asarray([known.get(name, 0) for name in names], dtype=np.float64)


def _edges(side: Mapping[str, Any], bins: int) -> NDArray[np.float64]:
    values, counts = _numeric(side)
    ends = np.cumsum(counts)
    ranks = np.arange(1, bins) * (ends[-1] / bins)
    return np.unique(values[np.searchsorted(ends, ranks)])


def _by_edge(side: Mapping[str, Any], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    values, counts = _numeric(side)
    place = np.searchsorted(edges, values, side="left")
    return np.bincount(place, weights=counts, minlength=len(edges) + 1).astype(np.float64)


def _names(edges: NDArray[np.float64]) -> list[str]:
    ends = [f"{edge:.6g}" for edge in edges]
    middle = [f"({low}, {high}]" for low, high in itertools.pairwise(ends)]
    return [f"≤ {ends[0]}", *middle, f"> {ends[-1]}"]


def wasserstein(pair: Binned) -> float:
    """Area between the cumulated shares: how far values moved on average, in the column's own unit."""
    points, one, two = pair.cumulated()
    if not np.isfinite(points).all():
        raise InapplicableError("infinite values are infinitely far away")
    return float((np.abs(one - two)[:-1] * np.diff(points)).sum())
