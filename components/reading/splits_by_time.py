"""Splits by time: train on what came before, evaluate on what came after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.reading.splits import SplitRules, Splits, check_column, check_names
from orchestration import DataError, require

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from components.reading.splits import Places

Start = str | int | float | None


@dataclass(frozen=True)
class TimeSplits(Splits):
    """Splits by a column of dates, times or numbers.

    Attributes:
        column: The column.
        starts: When each split begins, by its name, in ascending order; it ends where the next one
            begins. None, for the first only: at the beginning of time.
    """

    column: str
    starts: tuple[tuple[str, Start], ...]

    def __post_init__(self) -> None:
        check_names(self.names)
        late = [name for name, start in self.starts[1:] if start is None]
        require(not late, "splits", "a start for every split but the first", dict(self.starts))
        odd = [start for _, start in self.starts if isinstance(start, float) and not math.isfinite(start)]
        require(not odd, "splits", "finite starts", dict(self.starts))

    @classmethod
    def by_rules(cls, splits: SplitRules | None, column: str) -> TimeSplits:
        """Return the splits of starts by name."""
        rules = splits if isinstance(splits, Mapping) else {}
        starts = [
            (n, rule) for n, rule in rules.items() if rule is None or isinstance(rule, str | int | float)
        ]
        expected = 'when each split begins, such as {"train": None, "eval": "2026-11-01"}'
        require(bool(rules) and len(starts) == len(rules), "splits", expected, splits)
        return cls(column, tuple(starts))

    @property
    def names(self) -> list[str]:
        """The splits' names, in the order given."""
        return [name for name, _ in self.starts]

    def check(self, schema: pa.Schema) -> None:
        """Refuse a column that is not there or is no time, and starts that do not fit it or do not ascend."""
        check_column(schema, self.column, f'split_time="{self.column}"')
        edges = self._edges(schema.field(self.column).type)
        if (edges[1:] <= edges[:-1]).any():
            raise DataError(
                "the splits do not begin one after the other",
                expected=f'ascending values of column "{self.column}"',
                received=str(dict(self.starts)),
            )

    def _edges(self, kind: pa.DataType) -> npt.NDArray[Any]:
        """Return the starts that are given, in the unit of the column."""
        import pyarrow as pa

        from components.data.hashing import as_numbers

        given = [start for _, start in self.starts if start is not None]
        timed = pa.types.is_temporal(kind) and not pa.types.is_duration(kind)
        if not (timed or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise self._misfit(kind, "a date, a time or a number", f"column of type {kind}")
        try:
            whole = pa.concat_arrays([pa.array([], kind), *(_as_time(start, kind) for start in given)])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
            reason = str(error).partition("\n")[0]
            raise self._misfit(kind, f"starts of type {kind}", f"{given}: {reason}") from error
        found = as_numbers(whole)
        assert found is not None
        return found

    def _misfit(self, kind: pa.DataType, expected: str, received: str) -> DataError:
        return DataError(
            f'column "{self.column}" cannot decide the split', expected=expected, received=received
        )

    def assign(self, batch: pa.RecordBatch) -> Places:
        """Return the place in :attr:`names` of every row's split; -1 without a time or before all splits."""
        import numpy as np
        import pyarrow.compute as pc

        from components.data.hashing import as_numbers

        column = batch.column(self.column)
        times = as_numbers(column)
        assert times is not None
        earliest = 0 if self.starts[0][1] is None else -1
        places = np.searchsorted(self._edges(column.type), times, side="right") + earliest
        places[pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)] = -1
        return places

    def unknown(self, batch: pa.RecordBatch, row: int) -> tuple[str, str]:
        """Return when the first split begins, and the time a row has."""
        value = batch.column(self.column)[row].as_py()
        first = self.starts[0][1]
        expected = "a time" if first is None else f"{first} or later"
        return expected, "no value" if value is None else str(value)


def _as_time(start: Start, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    value = pa.array([start])
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return pc.cast(value, kind)
    try:
        return pc.cast(value, kind)
    except pa.ArrowInvalid:  # without a zone of its own it is meant in the column's
        return pc.assume_timezone(pc.cast(value, pa.timestamp(kind.unit)), kind.tz)
