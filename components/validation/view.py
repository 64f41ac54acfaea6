"""One batch of rows as the kernels see it: columns, missing values and numbers, each worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.validation.metrics import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray


class InapplicableError(TypeError):
    """A metric asks for something that has no meaning for the column's type."""


class View:
    """A batch of consecutive rows, or those of them that a row filter keeps.

    Args:
        batch: The rows.
        positions: Where each row stands in the whole split, ascending; see :func:`position`.
    """

    def __init__(self, batch: pa.RecordBatch, positions: NDArray[np.int64]) -> None:
        self.batch = batch
        self.positions = positions
        self.rows = batch.num_rows
        self._missing: dict[str, pa.BooleanArray] = {}
        self._numbers: dict[str, NDArray[Any]] = {}
        self._filtered: dict[str, View] = {}

    def column(self, name: str) -> pa.Array:
        """Return a column; dictionary-encoded ones are decoded.

        Raises:
            InapplicableError: There is no such column.
        """
        index = self.batch.schema.get_field_index(name)
        if index < 0:
            raise InapplicableError(f'column "{name}" does not exist')
        array = self.batch.column(index)
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array

    def missing(self, name: str) -> pa.BooleanArray:
        """Return which values are null or NaN."""
        if name not in self._missing:
            array = self.column(name)
            self._missing[name] = pc.is_null(array, nan_is_null=pa.types.is_floating(array.type))
        return self._missing[name]

    def present(self, name: str) -> pa.Array:
        """Return a column's values without the missing ones."""
        array, missing = self.column(name), self.missing(name)
        return array.filter(pc.invert(missing)) if missing.true_count else array

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column's present values as numbers (times as integers of their unit).

        Raises:
            InapplicableError: The column holds neither numbers, booleans nor times.
        """
        if name not in self._numbers:
            self._numbers[name] = as_numbers(self.present(name), name)
        return self._numbers[name]

    def where(self, condition: Mapping[str, Any] | str | None) -> View:
        """Return the view of the rows that a row condition keeps; this view itself without one."""
        if condition is None:
            return self
        key = repr(condition)
        if key not in self._filtered:
            from components.validation.conditions import row_filter

            kept = pc.fill_null(row_filter(condition, self), False)
            rows = np.asarray(kept.to_numpy(zero_copy_only=False), dtype=bool)
            self._filtered[key] = View(self.batch.filter(kept), self.positions[rows])
        return self._filtered[key]

    def values_at(self, columns: Sequence[str], rows: pa.Array) -> list[list[Any]]:
        """Return the rows' values of some columns as JSON can hold them."""
        taken = [as_json(self.column(name).take(rows)) for name in columns]
        return [list(row) for row in zip(*taken, strict=True)]


def as_json(array: pa.Array) -> list[Any]:
    """Return an array's values as JSON can hold them."""
    values: list[Any] = array.to_pylist()
    kind = array.type
    simple = is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return values if simple else [plain(value) for value in values]


def position(file: int, row: int) -> int:
    """Return one number for the place of a row: files in their order, rows in theirs within each."""
    return (file << 40) | row


def place(position: int) -> tuple[int, int]:
    """Return (file, row) of a position."""
    return position >> 40, position & ((1 << 40) - 1)


def as_numbers(array: pa.Array, name: str) -> NDArray[Any]:
    """Return an array without missing values as numpy numbers.

    Raises:
        InapplicableError: It holds neither numbers, booleans nor times.
    """
    kind = array.type
    if pa.types.is_null(kind):
        return np.empty(0, np.float64)
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        array = array.view(pa.int64())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        array = array.view(pa.int32())
    elif pa.types.is_date64(kind):
        array = array.view(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InapplicableError(f'column "{name}" holds {kind}, not numbers')
    return np.asarray(array.to_numpy(zero_copy_only=False))


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values: for dictionary-encoded ones, that of the dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_temporal(kind: pa.DataType) -> bool:
    """Return whether a type is a date or a timestamp."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is a string."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def moment(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return a bound of a date or time column, given as ISO text, as a scalar of that column's type.

    Raises:
        InapplicableError: The text is no date.
    """
    import datetime

    try:
        parsed = datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InapplicableError(f"{value!r} is no ISO date or time, the column holds {kind}") from error
    if pa.types.is_date(kind):
        return pa.scalar(parsed.date(), type=kind)
    zoned = kind.tz is not None
    if zoned and parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=datetime.UTC)
    if not zoned and parsed.tzinfo is not None:
        parsed = parsed.astimezone(datetime.UTC).replace(tzinfo=None)
    return pa.scalar(parsed, type=kind)
