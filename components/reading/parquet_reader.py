"""Reads Parquet files for :func:`components.reading.ingest.ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from components.data.column_types import stored_type
from components.data.parquet_file import batch_rows, open_parquet
from components.reading.conform import conform
from components.reading.sources import BadRow, Scan, SourceFile
from orchestration import DataError


@dataclass(frozen=True)
class ParquetReader:
    """How Parquet files are read: types and row counts come from their footers."""

    text: bool = False

    def scan(self, file: SourceFile) -> Scan:
        """Look at a file's footer."""
        with open_parquet(file.uri, file.name) as parquet:
            schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
        columns = {field.name: _stored(field.type) for field in schema}
        if len(columns) < len(schema):
            twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
            raise DataError(f'{file.name} names column "{twice[0]}" twice', expected="different column names")
        return Scan(file, columns, rows)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema; no row is ever set aside."""
        with open_parquet(file.uri, file.name) as parquet:
            for batch in parquet.iter_batches(batch_rows(len(schema)), use_threads=False):
                arrays = [conform(batch.column(field.name), field, file.name) for field in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return nothing: the types themselves say it all."""
        return ""


def _stored(kind: pa.DataType) -> pa.DataType:
    return pa.null() if pa.types.is_null(kind) else stored_type(kind)
