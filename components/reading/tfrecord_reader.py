"""Reads TFRecord files of ``tf.Example`` for :func:`components.reading.ingest.ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from components.data.column_types import join_types
from components.data.errors import ColumnTypeError
from components.data.parquet_file import batch_rows
from components.reading.bad_rows import check_stated
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.tfrecord_column import FeatureColumn, SeenFeature
from components.reading.tfrecord_pieces import Piece, Room, pieces
from orchestration import DataError

_BATCH_BYTES = 64 << 20


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
        bad: list[BadRow] = []
        rows = 0
        for piece in pieces(file, Room(), bad, quarantine=self.quarantine):
            self._look(file, piece, found)
            rows += piece.rows
        columns = {name: self.types.get(name, one.type) for name, one in found.items()}
        return Scan(file, columns, rows + len(bad))

    def _look(self, file: SourceFile, piece: Piece, found: dict[str, SeenFeature]) -> None:
        """Look at some records; what is found and what is wrong is told in their order, then by name."""
        having = [(one.since, name) for name, one in piece.features.items() if one.kind != "none"]
        changes = []
        for row, name in sorted(having):
            feature = piece.features[name]
            seen = found.setdefault(name, SeenFeature(feature.kind, int(piece.numbers[row])))
            change = feature.first_but(seen.kind)
            if change is not None and name not in self.types:
                changes.append((change[0], name, change[1]))
            seen.add(feature)
        if changes:
            row, name, kind = min(changes)
            raise _type_change(file, name, found[name], kind, int(piece.numbers[row]))

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
        room = Room(batch_rows(len(schema)), _BATCH_BYTES)
        columns: list[FeatureColumn] = []
        for piece in pieces(file, room, bad, quarantine=self.quarantine):
            if piece.rows and not columns:
                columns = [FeatureColumn(field, file.name, int(piece.numbers[0])) for field in schema]
            _add(columns, piece)
            if room.add(piece):
                yield columns
                columns = []
                room.clear()
        if columns:
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
        for piece in pieces(file, Room(), [], quarantine=self.quarantine):
            if column in piece.features:
                return f", first at record {piece.numbers[piece.features[column].records[0]]}"
        return ""


def _add(columns: list[FeatureColumn], piece: Piece) -> None:
    """Add records to the columns.

    Raises:
        DataError: A column's values are of several kinds; the first in the order of the records.
    """
    found = [(column, piece.features.get(column.name)) for column in columns]
    changes = [(change, column) for column, one in found if one and (change := column.change(one))]
    if changes:
        (_, kind), column = min(changes, key=lambda one: one[0][0])
        raise column.of_several_kinds(kind, piece.features[column.name])
    for column, feature in found:
        column.add(feature, piece.rows)


def _type_change(file: SourceFile, name: str, column: SeenFeature, kind: str, number: int) -> ColumnTypeError:
    return ColumnTypeError(
        f'column "{name}" changes type in {file.name}',
        expected=f"{column.kind}_list, as in record {column.since}",
        received=f"{kind}_list in record {number}",
    )
