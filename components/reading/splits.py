"""Which split a row belongs to: by a stable hash here; by value and by time in the modules beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from orchestration import DataError, require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Places = npt.NDArray[np.intp]

Value = str | int | float | bool
# What a split is given: a share of the rows, the values that belong to it, or the time it begins at.
SplitRule = int | float | str | list[Value] | None
SplitRules = Mapping[str, SplitRule] | list[str]

DEFAULT_SPLITS: Mapping[str, float] = {"train": 0.8, "eval": 0.2}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Splits:
    """Decides for every row which split it belongs to. Made by :meth:`of`.

    Attributes:
        complete: Whether no row can be without a split.
    """

    complete: ClassVar[bool] = False

    @staticmethod
    def of(
        splits: SplitRules | None = None,
        by: list[str] | None = None,
        column: str | None = None,
        time: str | None = None,
    ) -> Splits:
        """Return the splits of a component's arguments; 80 % ``train`` and 20 % ``eval`` by default.

        Args:
            splits: What belongs to each split, by its name. Without ``column`` and ``time`` its share of
                the rows. With ``column`` the list of its values; a plain list of names instead of a
                mapping where each split is called as its value. With ``time`` when it begins, in
                ascending order: it ends where the next one begins. None for the first: at the beginning.
            by: Columns whose hash decides instead of the whole row's.
            column: The column whose value decides.
            time: The column of dates, times or numbers that decides.

        Raises:
            ArgumentError: The arguments do not fit together, or one is out of range.
        """
        one = sum(choice is not None for choice in (by, column, time)) < 2
        given = [by, column, time]
        require(one, "split_by", "only one of split_by, split_column and split_time", given)
        if column is not None:
            from components.reading.splits_by_value import ValueSplits

            return ValueSplits.by_rules(splits, column)
        if time is not None:
            from components.reading.splits_by_time import TimeSplits

            return TimeSplits.by_rules(splits, time)
        return HashSplits.by_rules(DEFAULT_SPLITS if splits is None else splits, by)

    @property
    def names(self) -> list[str]:
        """The splits' names, in the order given."""
        raise NotImplementedError

    def check(self, schema: pa.Schema) -> None:
        """Refuse a schema whose rows cannot be split so.

        Raises:
            DataError: A column is missing, or is of a type that cannot decide.
        """
        raise NotImplementedError

    def assign(self, batch: pa.RecordBatch) -> Places:
        """Return the place in :attr:`names` of every row's split; -1 for a row that belongs to none."""
        raise NotImplementedError

    def unknown(self, batch: pa.RecordBatch, row: int) -> tuple[str, str]:
        """Return what a row of no split should have held, and what it holds."""
        raise NotImplementedError


@dataclass(frozen=True)
class HashSplits(Splits):
    """Splits by a stable hash: the same row always lands in the same split.

    Attributes:
        shares: Share of the rows by split name; positive, summing to 1.
        columns: Columns whose values decide, so that rows that agree in them stay together (all rows of
            one user). None: the whole row decides, so equal rows stay together.
    """

    complete: ClassVar[bool] = True

    shares: tuple[tuple[str, float], ...]
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        shares = dict(self.shares)
        require(self.columns is None or bool(self.columns), "split_by", "at least one column, or None", [])
        check_names(self.names)
        require(all(share > 0 for share in shares.values()), "splits", "shares above 0", shares)
        total = math.fsum(shares.values())
        require(abs(total - 1) < 1e-6, "splits", "shares that sum to 1", shares)

    @classmethod
    def by_rules(cls, splits: SplitRules, columns: list[str] | None) -> HashSplits:
        """Return the splits of shares by name."""
        rules = splits if isinstance(splits, Mapping) else {}
        shares = bool(rules) and all(isinstance(rule, int | float) for rule in rules.values())
        expected = 'a share for each split; split_column="…" goes with values, split_time="…" with times'
        require(shares, "splits", expected, splits)
        found = tuple((name, cast("float", share)) for name, share in rules.items())
        return cls(found, tuple(columns) if columns is not None else None)

    @property
    def names(self) -> list[str]:
        """The splits' names, in the order given."""
        return [name for name, _ in self.shares]

    def check(self, schema: pa.Schema) -> None:
        """Refuse to split by a column that is not there."""
        for name in self.columns or ():
            check_column(schema, name, f"split_by={list(self.columns or ())}")

    def assign(self, batch: pa.RecordBatch) -> Places:
        """Return the place in :attr:`names` of every row's split; no row belongs to none."""
        import numpy as np

        from components.data.hashing import hash_rows, uniform

        if len(self.shares) == 1:
            return np.zeros(batch.num_rows, np.intp)
        bounds = np.cumsum([share for _, share in self.shares])[:-1]
        return np.searchsorted(bounds, uniform(hash_rows(batch, self.columns)), side="right")


def check_names(names: list[str]) -> None:
    """Refuse split names that cannot be folders, or that are taken.

    Raises:
        ArgumentError: A name is not usable.
    """
    require(bool(names), "splits", "at least one split", names)
    for name in names:
        require(bool(_NAME.fullmatch(name)), "splits", "names of letters, digits, - and _", name)
        require(name != "quarantine", "splits", "another name: rows set aside are kept there", name)


def check_column(schema: pa.Schema, name: str, received: str) -> None:
    """Refuse to split by a column that is not there.

    Raises:
        DataError: The schema has no such column.
    """
    if name not in schema.names:
        raise DataError(
            f'the data has no column "{name}" to split by',
            expected="one of " + ", ".join(schema.names),
            received=received,
        )
