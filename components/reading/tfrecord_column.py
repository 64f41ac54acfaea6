"""One feature of many ``tf.Example`` messages as a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.data.column_types import to_type
from components.reading.conform import conform
from components.reading.tfrecord_features import Feature
from components.reading.tfrecord_wire import Places
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

    def add(self, feature: Feature) -> None:
        """Look at some records' values."""
        self.most = max(self.most, feature.most)
        if self.utf8 and self.kind == "bytes":
            self.utf8 = feature.values is not None and _is_text(feature.values)

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
        self._kind = "none"
        self._values: list[pa.Array] = []
        self._lengths: list[Places] = []  # -1 for a record without the feature

    def add(self, feature: Feature | None, records: int) -> None:
        """Add so many records; None where none of them has the feature. First ask for a ``change``."""
        lengths = np.full(records, -1)
        if feature is not None:
            lengths[feature.records] = feature.counts
        if feature is not None and feature.values is not None:
            self._kind = feature.kind
            self._values.append(feature.values)
        self._lengths.append(lengths)

    def change(self, feature: Feature) -> tuple[int, str] | None:
        """Return the first of further records whose values are of another kind than before; and that kind."""
        return feature.first_but(feature.kind if self._kind == "none" else self._kind)

    def of_several_kinds(self, kind: str, feature: Feature) -> DataError:
        """Return the error for further records with values of another kind."""
        before = feature.kind if self._kind == "none" else self._kind
        return DataError(
            f'column "{self.name}" of {self._where} holds values of different kinds',
            expected=str(self._field.type),
            received=f"{before}_list and {kind}_list",
        )

    def array(self) -> pa.Array:
        """Return the values in the type they are stored in.

        Raises:
            DataError: A value is not of the type, or one record holds several.
        """
        values = pa.concat_arrays(self._values) if self._values else pa.nulls(0)
        lengths = np.concatenate(self._lengths)
        if pa.types.is_list(self._field.type):
            return conform(_lists(values, lengths), self._field, self._where)
        if lengths.max() > 1:
            raise DataError(
                f'column "{self.name}" of {self._where} holds several values in one record',
                expected=str(self._field.type),
                received="a list",
                next=f'read_tfrecord(..., column_types={{"{self.name}": "list<item: {self._field.type}>"}})',
            )
        if len(values) < len(lengths):
            values = values.take(_places(lengths))
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


def _is_text(values: pa.Array) -> bool:
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _lists(values: pa.Array, lengths: Places) -> pa.Array:
    """Return values as lists of some lengths; -1 for a missing list."""
    ends = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths.clip(0), out=ends[1:])
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(lengths < 0))


def _places(lengths: Places) -> pa.Array:
    """Return the place of every record's value among all values; null where it has none."""
    has_one = lengths == 1
    return pa.array(np.cumsum(has_one) - 1, mask=~has_one)
