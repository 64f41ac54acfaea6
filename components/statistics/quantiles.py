"""Ranks of many numbers as few weighted points, mergeable, with a bound of the error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Quantiles:
    """Ranks of many numbers as few weighted points.

    Attributes:
        values: Points, ascending.
        weights: How many numbers each point stands for.
        slack: Bound of the error of any rank, in numbers; 0 while nothing was left out.
    """

    values: Floats
    weights: Integers
    slack: int = 0

    def merged(self, other: Quantiles) -> Quantiles:
        """Return the quantiles of both, with all their points."""
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")
        weights = np.concatenate([self.weights, other.weights])[order]
        return Quantiles(values[order], weights, self.slack + other.slack)

    def compressed(self, size: int) -> Quantiles:
        """Return at most ``size`` points, each standing for about as many numbers."""
        if len(self.values) <= size:
            return self
        ends = np.cumsum(self.weights)
        middles = ends - self.weights / 2
        buckets = (middles * (size / float(ends[-1]))).astype(np.int64)
        starts = np.flatnonzero(np.diff(buckets, prepend=-1))
        weights = np.add.reduceat(self.weights, starts)
        bucket_ends = np.cumsum(weights)
        bucket_starts = bucket_ends - weights
        # The point in the middle of a bucket stands for it: no rank moves by more than the
        # weight that lies on one side of that point.
        chosen = np.searchsorted(ends, bucket_starts + weights / 2)
        below = ends[chosen] - self.weights[chosen] - bucket_starts
        above = bucket_ends - ends[chosen]
        slack = self.slack + int(max(below.max(), above.max()))
        return Quantiles(self.values[chosen], weights, slack)

    @property
    def count(self) -> int:
        """How many numbers are summarised."""
        return int(self.weights.sum())

    def at(self, shares: Floats) -> Floats:
        """Return quantiles, interpolated linearly between neighbours as numpy and pandas do."""
        ends = np.cumsum(self.weights)
        places = shares * (ends[-1] - 1)
        low = self.values[np.searchsorted(ends, np.floor(places), side="right")]
        high = self.values[np.searchsorted(ends, np.ceil(places), side="right")]
        part = places - np.floor(places)
        with np.errstate(over="ignore", invalid="ignore"):
            between = low * (1 - part) + high * part
        return np.asarray(np.where(low == high, low, between), np.float64)

    def below(self, bounds: Floats) -> Integers:
        """Return how many numbers lie strictly below each bound."""
        ends = np.concatenate([[0], np.cumsum(self.weights)])
        return np.asarray(ends[np.searchsorted(self.values, bounds, side="left")], np.int64)
