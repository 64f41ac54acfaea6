"""Feeding: whole batches from arrays, in an order that only the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from components.features.transformed import Rows

Blocks = "dict[str, np.ndarray]"


def permutation(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Return the order of the rows in an epoch, ``int64`` of shape ``(rows,)``.

    It depends on nothing else, so a resumed run meets the rows an uninterrupted one would have.
    """
    import numpy as np

    return np.random.default_rng((seed, epoch)).permutation(rows)


def batches(
    rows: Rows, size: int, *, order: np.ndarray | None = None, first: int = 0
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Yield blocks by name and labels ``(batch, 1)``, the last batch possibly smaller.

    Args:
        rows: Rows in memory.
        size: Rows in a batch.
        order: Order of the rows; as they are when None.
        first: Number of the batch to begin with, from 0.
    """
    for start in range(first * size, len(rows), size):
        chosen = slice(start, start + size) if order is None else order[start : start + size]
        yield blocks(rows, chosen), rows.label[chosen].reshape(-1, 1)


def blocks(rows: Rows, chosen: slice | np.ndarray) -> dict[str, np.ndarray]:
    """Return the chosen rows as a model takes them: by block, without the empty ones."""
    named = {"numbers": rows.dense[chosen], "ids": rows.ids[chosen]}
    return {name: block for name, block in named.items() if block.shape[1]}


def steps(rows: int, size: int) -> int:
    """Return the number of batches in an epoch."""
    return -(-rows // size)
