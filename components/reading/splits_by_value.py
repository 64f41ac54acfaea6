"""Splits by the value of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.reading.splits import SplitRules, Splits, Value, check_column, check_names
from orchestration import DataError, require

if TYPE_CHECKING:
    import pyarrow as pa

    from components.reading.splits import Places

_SHOWN = 8


@dataclass(frozen=True)
class ValueSplits(Splits):
    """Splits by the value of one column: a fold, a year, a name.

    Attributes:
        column: The column.
        values: The values that belong to each split, by its name; no value twice.
    """

    column: str
    values: tuple[tuple[str, tuple[Value, ...]], ...]

    def __post_init__(self) -> None:
        check_names(self.names)
        count = Counter(map(repr, self._all()))
        twice = [value for value, times in count.items() if times > 1]
        require(not twice, "splits", "every value in one split only", f"{', '.join(twice)} twice")
        empty = [name for name, values in self.values if not values]
        require(not empty, "splits", "at least one value for each split", empty)

    @classmethod
    def by_rules(cls, splits: SplitRules | None, column: str) -> ValueSplits:
        """Return the splits of values by name, or of names that are the values."""
        expected = 'lists of values by split, or the names that are the values, such as ["train", "eval"]'
        rules = ["train", "eval"] if splits is None else splits
        if not isinstance(rules, Mapping):
            return cls(column, tuple((name, (name,)) for name in rules))
        found = [(name, tuple(rule)) for name, rule in rules.items() if isinstance(rule, list)]
        require(len(found) == len(rules), "splits", expected, splits)
        return cls(column, tuple(found))

    @property
    def names(self) -> list[str]:
        """The splits' names, in the order given."""
        return [name for name, _ in self.values]

    def _all(self) -> list[Value]:
        return [value for _, values in self.values for value in values]

    def check(self, schema: pa.Schema) -> None:
        """Refuse a column that is not there, or that cannot hold the values."""
        check_column(schema, self.column, f'split_column="{self.column}"')
        self._known(schema.field(self.column).type)

    def _known(self, kind: pa.DataType) -> pa.Array:
        """Return all splits' values as the column's type, so that ``"2026-11-01"`` may mean a date."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_nested(kind):
            raise self._misfit(kind, "rows cannot be told apart by values of this type")
        try:
            return pa.concat_arrays([pc.cast(pa.array([value]), kind) for value in self._all()])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
            raise self._misfit(kind, str(error).partition("\n")[0]) from error

    def _misfit(self, kind: pa.DataType, reason: str) -> DataError:
        return DataError(
            f'column "{self.column}" cannot decide the split',
            expected=f"values of type {kind}",
            received=f"{_shown(self._all())}: {reason}",
        )

    def assign(self, batch: pa.RecordBatch) -> Places:
        """Return the place in :attr:`names` of every row's split; -1 for an unknown or missing value."""
        import numpy as np
        import pyarrow.compute as pc

        column = batch.column(self.column)
        known = pc.index_in(column, value_set=self._known(column.type))
        places = known.fill_null(len(self._all())).to_numpy(zero_copy_only=False)
        split = [place for place, (_, values) in enumerate(self.values) for _ in values]
        found: Places = np.asarray([*split, -1], np.intp)[places]
        return found

    def unknown(self, batch: pa.RecordBatch, row: int) -> tuple[str, str]:
        """Return the known values, and the one a row has."""
        value = batch.column(self.column)[row].as_py()
        return _shown(self._all()), "no value" if value is None else repr(value)


def _shown(values: list[Value]) -> str:
    more = ", …" if len(values) > _SHOWN else ""
    return ", ".join(map(repr, values[:_SHOWN])) + more
