"""Reads TFRecord files of ``tf.Example`` for :func:`components.reading.ingest.ingest`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from components.data.column_types import join_types
from components.data.errors import ColumnTypeError
from components.data.parquet_file import batch_rows
from components.reading.bad_rows import check_stated, kept_text, limit_bad_rows
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.tfrecord_column import FeatureColumn, SeenFeature
from components.reading.tfrecord_example import parse, values_of
from components.reading.tfrecord_file import Record, records
from orchestration import DataError

_BATCH_BYTES = 64 << 20
_ASIDE: Mapping[str, Any] = {}  # stands for the features of a record that is set aside
_CHECKSUM = "its bytes do not have the checksum they were written with"


@dataclass(frozen=True)
class TfRecordReader:
    """How TFRecord files are read.

    Attributes:
        types: Types the caller stated, by column.
        quarantine: Whether bad records are set aside instead of failing.
    """

    types: dict[str, pa.DataType]
    quarantine: bool
    text: bool = False
    component: str = "read_tfrecord"
    optional_columns: bool = True

    def scan(self, file: SourceFile) -> Scan:
        """Look at all records of a file: which features they have, and how many values."""
        found: dict[str, SeenFeature] = {}
        rows = 0
        for record, features in self._rows(file, []):
            rows = record.number
            for name in sorted(features):
                kind_and_values = values_of(features[name])
                if kind_and_values is None:
                    continue
                kind, values = kind_and_values
                seen = found.get(name)
                if seen is None:
                    seen = found[name] = SeenFeature(kind, rows)
                elif seen.kind != kind and name not in self.types:
                    raise _type_change(file, name, seen, kind, rows)
                seen.add(values)
        return Scan(file, {name: self.types.get(name, one.type) for name, one in found.items()}, rows)

    def _rows(self, file: SourceFile, bad: list[BadRow]) -> Iterator[tuple[Record, Mapping[str, Any]]]:
        """Yield every record and its features; none at all for one that is set aside."""
        for record in records(file.uri, file.name):
            reason = None if record.whole else _CHECKSUM
            features: Mapping[str, Any] = _ASIDE
            if reason is None:
                try:
                    features = parse(record.data)
                except ValueError as error:
                    reason = str(error)
            if reason is not None:
                self._refuse(file, record.number, reason)
                bad.append(BadRow(file.name, record.number, None, reason, kept_text(record.data[:1000])))
                limit_bad_rows(file.name, len(bad))
            yield record, features

    def _refuse(self, file: SourceFile, number: int, reason: str) -> None:
        if not self.quarantine:
            raise DataError(
                f"record {number} of {file.name} cannot be read: {reason}",
                expected="whole records, each a tf.Example",
                received=reason,
                next='read_tfrecord(..., on_bad_rows="quarantine") to set such records aside',
            )

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema; a feature that a record does not have is null."""
        if not len(schema):
            raise DataError(f"{file.name} has records but no feature", expected="at least one feature")
        check_stated(self.types, schema.names)
        own: list[BadRow] = []
        for columns in self._batches(file, schema, own):
            yield pa.RecordBatch.from_arrays([column.array() for column in columns], schema=schema)
        bad += own

    def _batches(
        self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]
    ) -> Iterator[list[FeatureColumn]]:
        size, rows, held = batch_rows(len(schema)), 0, 0
        columns: list[FeatureColumn] = []
        for record, features in self._rows(file, bad):
            if features is _ASIDE:
                continue
            if not rows:
                columns = [FeatureColumn(field, file.name, record.number) for field in schema]
            for column in columns:
                column.add(features.get(column.name))
            rows += 1
            held += len(record.data)
            if rows == size or held > _BATCH_BYTES:
                yield columns
                rows = held = 0
        if rows:
            yield columns

    def join_types(self, left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
        """Return the type that holds both files' values: a list holds one value, bytes hold text."""
        if pa.types.is_list(left) and not pa.types.is_null(right):
            item = self.join_types(left.value_type, right.value_type if pa.types.is_list(right) else right)
            return None if item is None else pa.list_(pa.field("item", item))
        if pa.types.is_list(right) and not pa.types.is_null(left):
            return self.join_types(right, left)
        if {left, right} == {pa.string(), pa.binary()}:
            return pa.binary()
        return join_types(left, right)

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return the first record that has the column: all of a file's records agree in its kind."""
        for record, features in self._rows(file, []):
            if column in features:
                return f", first at record {record.number}"
        return ""


def _type_change(file: SourceFile, name: str, column: SeenFeature, kind: str, number: int) -> ColumnTypeError:
    return ColumnTypeError(
        f'column "{name}" changes type in {file.name}',
        expected=f"{column.kind}_list, as in record {column.since}",
        received=f"{kind}_list in record {number}",
    )
