"""Which split a row belongs to: decided by a stable hash, so the same row always lands in the same split."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.data.hashing import hash_rows
from orchestration import DataError, require

DEFAULT_SPLITS: Mapping[str, float] = {"train": 0.8, "eval": 0.2}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Splits:
    """Names and shares of the splits.

    Attributes:
        shares: Share of the rows by split name; positive, summing to 1.
        by: Columns whose values decide, so that rows that agree in them stay together (all rows of
            one user). None: the whole row decides, so equal rows stay together.
    """

    shares: tuple[tuple[str, float], ...]
    by: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        total = math.fsum(share for _, share in self.shares)
        shares = dict(self.shares)
        require(bool(shares), "splits", "at least one split", shares)
        require(all(share > 0 for share in shares.values()), "splits", "shares above 0", shares)
        require(abs(total - 1) < 1e-6, "splits", "shares that sum to 1", shares)
        for name in shares:
            require(bool(_NAME.fullmatch(name)), "splits", "names of letters, digits, - and _", name)

    @classmethod
    def of(cls, shares: Mapping[str, float] | None, by: list[str] | None) -> Splits:
        """Return the splits of a component's arguments; 80 % ``train`` and 20 % ``eval`` by default."""
        require(by is None or bool(by), "split_by", "at least one column, or None", by)
        chosen = shares if shares is not None else DEFAULT_SPLITS
        return cls(tuple(chosen.items()), tuple(by) if by else None)

    @property
    def names(self) -> list[str]:
        """The splits' names, in the order given."""
        return [name for name, _ in self.shares]

    def check(self, schema: pa.Schema) -> None:
        """Refuse to split by a column that is not there.

        Raises:
            DataError: A column of ``by`` is missing.
        """
        for name in self.by or ():
            if name not in schema.names:
                raise DataError(
                    f'the data has no column "{name}" to split by',
                    expected="one of " + ", ".join(schema.names),
                    received=f"split_by={list(self.by or ())}",
                )

    def assign(self, batch: pa.RecordBatch) -> npt.NDArray[np.intp]:
        """Return the place in :attr:`names` of every row's split."""
        if len(self.shares) == 1:
            return np.zeros(batch.num_rows, np.intp)
        uniform = (hash_rows(batch, self.by) >> np.uint64(11)).astype(np.float64) / 2.0**53
        bounds = np.cumsum([share for _, share in self.shares])[:-1]
        return np.searchsorted(bounds, uniform, side="right")
