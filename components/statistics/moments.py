"""Count, mean and spread of numbers, mergeable."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from components.statistics.frequencies import NumberTable


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations (Chan, Golub and LeVeque)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, table: NumberTable) -> Moments:
        """Return the moments of a table of finite numbers."""
        count = int(table.counts.sum())
        if not count:
            return cls()
        values = table.values.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            # Not np.dot: its sum depends on the number of threads.
            mean = float((values * table.counts).sum() / count)
            squares = float(((values - mean) ** 2 * table.counts).sum())
        return cls(count, mean, squares)

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        squares = self.squares + other.squares + apart * apart * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation; None for fewer than two numbers."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None
