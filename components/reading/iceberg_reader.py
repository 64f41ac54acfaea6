"""Reads a snapshot of an Iceberg table for :func:`components.reading.ingest.ingest_groups`, file by file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from components.data.column_types import stored_type
from components.reading.bad_rows import shown_text
from components.reading.conform import conform
from components.reading.iceberg_plan import snapshot_plan
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.table_files import grouped
from orchestration import DataError


@dataclass(frozen=True)
class IcebergReader:
    """How the files of an Iceberg table are read: types come from the table's schema.

    Attributes:
        table: The table with the number of the snapshot.
    """

    table: str
    text: bool = False
    component: str = "read_iceberg"

    def sources(self) -> list[list[SourceFile]]:
        """Return the snapshot's files, small neighbours together."""
        tasks = snapshot_plan(self.table).tasks
        files = [
            (SourceFile(path, path.rpartition("/")[2]), t.file.file_size_in_bytes)
            for path, t in tasks.items()
        ]
        return grouped(self.table, files)

    def scan(self, file: SourceFile) -> Scan:
        """Count a file's rows; only where rows of it were deleted must it be read for that."""
        plan = snapshot_plan(self.table)
        task = plan.tasks[file.uri]
        rows = int(task.file.record_count)
        if task.delete_files:
            with self._errors(file):
                rows = sum(batch.num_rows for batch in plan.batches(file.uri))
        return Scan(file, {field.name: stored_type(field.type) for field in plan.schema}, rows)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema; no row is ever set aside."""
        with self._errors(file):
            for batch in snapshot_plan(self.table).batches(file.uri):
                arrays = [conform(batch.column(field.name), field, file.name) for field in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    @contextlib.contextmanager
    def _errors(self, file: SourceFile) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"file {file.name} of {self.table} cannot be read",
                expected="every file of the snapshot",
                received=shown_text(str(error), 300),
                next="read a later snapshot, if the files of this one were removed",
            ) from error

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return nothing: all files have the table's types."""
        return ""
