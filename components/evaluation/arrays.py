"""Names for the numpy arrays that the evaluation passes around."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.floating[Any]]
Counts = NDArray[Any]
Codes = NDArray[np.int64]


def total(weights: Counts) -> Counts:
    """Return the sums over the first axis."""
    return np.asarray(np.sum(weights, axis=0, dtype=np.float64))


def ratio(over: Counts, under: Counts) -> Counts:
    """Return the element-wise quotient; NaN or infinity where ``under`` is 0."""
    return np.asarray(np.divide(over, under))
