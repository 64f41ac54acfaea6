"""Reads a version of a Delta Lake table for :func:`components.reading.ingest.ingest_groups`, file by file."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from components.data.column_types import stored_type
from components.data.parquet_file import batch_rows
from components.reading.bad_rows import shown_text
from components.reading.conform import conform
from components.reading.delta_path import DeltaPath
from components.reading.delta_table import open_delta, table_files
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.table_files import grouped
from orchestration import DataError


@dataclass(frozen=True)
class DeltaReader:
    """How the files of a Delta Lake table are read: types come from the table's schema.

    Attributes:
        table: The table with the number of the version.
    """

    table: str
    text: bool = False
    component: str = "read_delta"

    def sources(self) -> list[list[SourceFile]]:
        """Return the version's files, small neighbours together."""
        files = table_files(open_delta(DeltaPath(self.table)))
        return grouped(self.table, ((SourceFile(path, path), size) for path, size in files))

    def scan(self, file: SourceFile) -> Scan:
        """Count a file's rows; all files have the table's columns."""
        schema, fragments = _fragments(self.table)
        try:
            rows = fragments[file.uri].count_rows()
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.table, file, error) from error
        columns = {f.name: pa.null() if pa.types.is_null(f.type) else stored_type(f.type) for f in schema}
        return Scan(file, columns, rows)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema; no row is ever set aside."""
        whole, fragments = _fragments(self.table)
        rows = batch_rows(len(schema))
        try:
            for batch in fragments[file.uri].to_batches(schema=whole, batch_size=rows, use_threads=False):
                arrays = [conform(batch.column(field.name), field, file.name) for field in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.table, file, error) from error

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return nothing: all files have the table's types."""
        return ""


@functools.lru_cache(maxsize=4)  # a worker reads many files of one version, which never changes
def _fragments(table: str) -> tuple[pa.Schema, dict[str, Any]]:
    from deltalake.exceptions import DeltaError

    try:
        dataset = open_delta(DeltaPath(table)).to_pyarrow_dataset()
    except DeltaError as error:
        raise DataError(
            f"{table} uses features of Delta Lake that cannot be read here",
            expected="a table without deletion vectors and column mapping",
            received=shown_text(str(error), 300),
            next="rewrite the table without them: REORG TABLE … APPLY (PURGE)",
        ) from error
    return dataset.schema, {fragment.path: fragment for fragment in dataset.get_fragments()}


def _unreadable(table: str, file: SourceFile, error: Exception) -> DataError:
    return DataError(
        f"file {file.name} of {table} cannot be read",
        expected="every file of the version",
        received=shown_text(str(error), 300),
        next="read a later version, if the files of this one were vacuumed",
    )
