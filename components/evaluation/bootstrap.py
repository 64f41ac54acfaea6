"""Poisson bootstrap weights that depend on a row's content only."""

from __future__ import annotations

import math

import numpy as np

from components.data.hashing import mix
from components.evaluation.arrays import Counts, Hashes

_GOLDEN = 0x9E3779B97F4A7C15
_DRAWS = 1 << 16


def _poisson_of_draw() -> Counts:
    """Return the Poisson(1) count of each 16-bit uniform draw."""
    cumulative = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    return np.searchsorted(cumulative, (np.arange(_DRAWS) + 0.5) / _DRAWS).astype(np.uint8)


_POISSON = _poisson_of_draw()


def poisson_weights(hashes: Hashes, replicates: int) -> Counts:
    """Return each row's weight in each bootstrap replicate: independent Poisson(1) draws.

    Args:
        hashes: One hash per row, shape (rows,). Rows of equal content share their weights, so they
            never make an interval too narrow.
        replicates: Number of replicates.

    Returns:
        uint8, shape (rows, replicates); the same for the same hash, whatever the batch.
    """
    weights = np.empty((len(hashes), -(-replicates // 4) * 4), np.uint8)
    for block in range(weights.shape[1] // 4):
        salt = np.uint64((_GOLDEN * (block + 1)) & 0xFFFFFFFFFFFFFFFF)
        draws = mix(hashes ^ salt).view(np.uint16).reshape(len(hashes), 4)  # four draws in each hash
        weights[:, block * 4 : block * 4 + 4] = _POISSON[draws]
    return weights[:, :replicates]
