"""Exact sums: the same mean and deviation whatever the order, the batches or the splits of the rows."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A double is ±mantissa · 2^(max(exponent, 1) - 1075), mantissa below 2^53. Sums are kept as whole numbers
# of 2^-1074 (2^-2148 for squares), in Python's unbounded integers, so nothing is ever rounded.
_HALF = 26
_LOW = (1 << _HALF) - 1
_SCALE = 1074
# Weights below 2^28 added in a double stay exact up to this many.
_MOST = 1 << 24


class Moments:
    """Count, sum and sum of squares of numbers, without rounding.

    Attributes:
        count: Numbers added, infinite ones included.
    """

    def __init__(self, squares: bool = True) -> None:
        self.count = 0
        self._squares = squares
        self._sum = 0
        self._square_sum = 0
        self._positive_infinities = 0
        self._negative_infinities = 0

    def add(self, values: NDArray[Any]) -> None:
        """Add numbers: float64 or any integer type, without NaN."""
        for start in range(0, len(values), _MOST):
            self._add(np.asarray(values[start : start + _MOST], dtype=np.float64))

    def _add(self, values: NDArray[np.float64]) -> None:
        self.count += len(values)
        infinite = np.isinf(values)
        if infinite.any():
            self._positive_infinities += int((values == np.inf).sum())
            self._negative_infinities += int((values == -np.inf).sum())
            values = values[~infinite]
        bits = values.view(np.int64)
        exponent = (bits >> 52) & 0x7FF
        mantissa = (bits & ((1 << 52) - 1)) | ((exponent > 0).astype(np.int64) << 52)
        exponent = np.maximum(exponent, 1)
        high, low = mantissa >> _HALF, mantissa & _LOW
        sign = np.where(bits < 0, -1, 1)
        self._sum += _total(exponent, high * sign, 1, _HALF) + _total(exponent, low * sign, 1, 0)
        if self._squares:
            products = ((high * high, 2 * _HALF), (high * low, _HALF + 1), (low * low, 0))
            for product, shift in products:
                self._square_sum += _total(exponent, product >> 27, 2, shift + 27)
                self._square_sum += _total(exponent, product & ((1 << 27) - 1), 2, shift)

    def merge(self, other: Moments) -> None:
        """Add what another accumulator has seen."""
        self.count += other.count
        self._sum += other._sum
        self._square_sum += other._square_sum
        self._positive_infinities += other._positive_infinities
        self._negative_infinities += other._negative_infinities

    def sum(self) -> float:
        """Return the correctly rounded sum; 0.0 of nothing."""
        if self._positive_infinities or self._negative_infinities:
            return self._infinite()
        return _rounded(Fraction(self._sum, 1 << _SCALE))

    def mean(self) -> float | None:
        """Return the correctly rounded mean, None of nothing."""
        if not self.count:
            return None
        if self._positive_infinities or self._negative_infinities:
            return self._infinite()
        return _rounded(Fraction(self._sum, self.count << _SCALE))

    def deviation(self) -> float | None:
        """Return the sample standard deviation; None of fewer than two numbers or of infinite ones."""
        if self.count < 2 or self._positive_infinities or self._negative_infinities:
            return None
        spread = self._square_sum * self.count - self._sum * self._sum
        return math.sqrt(_rounded(Fraction(spread, (self.count * (self.count - 1)) << (2 * _SCALE))))

    def _infinite(self) -> float:
        if self._positive_infinities and self._negative_infinities:
            return math.nan
        return math.inf if self._positive_infinities else -math.inf


def _total(exponent: NDArray[np.int64], weights: NDArray[np.int64], power: int, shift: int) -> int:
    """Return the exact sum of ``weights · 2^(power · (exponent - 1) + shift)``."""
    sums = np.bincount(exponent, weights=weights.astype(np.float64))
    return sum(int(sums[e]) << (power * (int(e) - 1) + shift) for e in np.flatnonzero(sums))


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
