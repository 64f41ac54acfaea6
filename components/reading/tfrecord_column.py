"""One feature of many ``tf.Example`` messages as a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from components.data.column_types import to_type
from components.reading.conform import conform
from components.reading.tfrecord_example import values_of
from orchestration import DataError

_ARROW = {"bytes": pa.binary(), "float": pa.float32(), "int64": pa.int64()}


@dataclass
class SeenFeature:
    """What a file's values of one feature have turned out to be.

    Attributes:
        kind: ``"bytes"``, ``"float"`` or ``"int64"``.
        since: Number of the first record that has it.
        most: Largest number of values in one record.
        utf8: Whether all values so far are UTF-8 text.
    """

    kind: str
    since: int
    most: int = 0
    utf8: bool = True

    def add(self, values: Sequence[Any]) -> None:
        """Look at one record's values."""
        self.most = max(self.most, len(values))
        if self.utf8 and self.kind == "bytes":
            try:
                for value in values:
                    value.decode()
            except (UnicodeDecodeError, AttributeError):  # or no bytes: a stated type covers more kinds
                self.utf8 = False

    @property
    def type(self) -> pa.DataType:
        """The type that holds the values: a list only where a record has several."""
        one = pa.string() if self.kind == "bytes" and self.utf8 else _ARROW[self.kind]
        return pa.list_(pa.field("item", one)) if self.most > 1 else one if self.most else pa.null()


class FeatureColumn:
    """Collects one feature's values of neighbouring records.

    Args:
        field: The column as it is stored.
        file: How messages call the file.
        first: Number of the first record.
    """

    def __init__(self, field: pa.Field, file: str, first: int) -> None:
        self.name: str = field.name
        self._field = field
        self._where = f"{file} (records from {first})"
        self._kind: str | None = None
        self._values: list[Any] = []
        self._lengths: list[int] = []  # -1 for a record without the feature

    def add(self, feature: Any) -> None:
        """Add a record's feature; None where it has none.

        Raises:
            DataError: Its kind is another than that of the records before.
        """
        found = None if feature is None else values_of(feature)
        if found is None:
            self._lengths.append(-1)
            return
        kind, values = found
        if kind != self._kind:
            self._set_kind(kind)
        self._values += values
        self._lengths.append(len(values))

    def _set_kind(self, kind: str) -> None:
        if self._kind is not None:
            raise DataError(
                f'column "{self.name}" of {self._where} holds values of different kinds',
                expected=str(self._field.type),
                received=f"{self._kind}_list and {kind}_list",
            )
        self._kind = kind

    def array(self) -> pa.Array:
        """Return the values in the type they are stored in.

        Raises:
            DataError: A value is not of the type, or one record holds several.
        """
        values = pa.array(self._values, _ARROW[self._kind] if self._kind else pa.null())
        if pa.types.is_list(self._field.type):
            return conform(_lists(values, self._lengths), self._field, self._where)
        if max(self._lengths, default=0) > 1:
            raise DataError(
                f'column "{self.name}" of {self._where} holds several values in one record',
                expected=str(self._field.type),
                received="a list",
                next=f'read_tfrecord(..., column_types={{"{self.name}": "list<item: {self._field.type}>"}})',
            )
        if len(values) < len(self._lengths):
            values = values.take(_places(self._lengths))
        return self._single(values)

    def _single(self, values: pa.Array) -> pa.Array:
        kind = self._field.type
        if not pa.types.is_binary(values.type) or pa.types.is_binary(kind):
            return conform(values, self._field, self._where)
        texts = conform(values, pa.field(self.name, pa.string()), self._where)
        try:
            return to_type(texts, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f'column "{self.name}" of {self._where} holds a text that is not {kind}',
                expected=str(kind),
                received=str(error).partition("\n")[0],
            ) from error


def _lists(values: pa.Array, lengths: Sequence[int]) -> pa.Array:
    """Return values as lists of some lengths; -1 for a missing list."""
    ends, end = [0], 0
    for length in lengths:
        end += max(length, 0)
        ends.append(end)
    missing = pa.array([length < 0 for length in lengths], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, mask=missing)


def _places(lengths: Sequence[int]) -> pa.Array:
    """Return the place of every record's value among all values; null where it has none."""
    places: list[int | None] = []
    place = 0
    for length in lengths:
        places.append(place if length == 1 else None)
        place += length == 1
    return pa.array(places, pa.int64())
