"""Reads a query's rows for :func:`components.reading.ingest.ingest_groups`, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.data.column_types import join_types
from components.data.errors import ColumnTypeError
from components.data.parquet_file import batch_rows
from components.reading.bad_rows import check_stated
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.sql_adbc import adbc_batches
from components.reading.sql_database import POSTGRES, connected, database_errors, streamed
from components.reading.sql_partitions import Partition, allow_hashing
from components.reading.sql_types import as_array, declared_types, seen_type
from orchestration import DataError

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class SqlReader:
    """How the parts of a query are read. It travels to the workers with the reference to the URL only.

    Attributes:
        query: The ``SELECT`` statement.
        url: SQLAlchemy URL or its reference.
        partitions: The parts; a source's name is its part's.
        types: Types the caller stated, by column.
        snapshot: The database's snapshot that all parts are read from, where it has one.
        adbc: Whether the rows of PostgreSQL come through ADBC.
    """

    query: str
    url: str
    partitions: tuple[Partition, ...]
    types: dict[str, pa.DataType]
    snapshot: str | None = None
    adbc: bool = False
    text: bool = False
    component: str = "read_sql"

    def sources(self) -> list[list[SourceFile]]:
        """Return the parts as sources, each one a group of its own."""
        return [[SourceFile(f"{part.number:06d}", part.name)] for part in self.partitions]

    def scan(self, file: SourceFile) -> Scan:
        """Count a part's rows; look at them where the database does not declare the types."""
        part = self._part(file)
        with connected(self.url, file.name, self.snapshot) as connection:
            allow_hashing(connection)
            dialect = connection.dialect.name
            head = connection.execute(part.select(self.query, "*", dialect).limit(0))
            names = _names(head, file)
            known = {**declared_types(head, dialect), **self.types}
            check_stated(self.types, names)
            if all(name in known for name in names):
                rows = connection.execute(part.select(self.query, "count(*)", dialect)).scalar_one()
                return Scan(file, {name: known[name] for name in names}, int(rows))
            return self._look(file, connection, names, known)

    def _look(
        self, file: SourceFile, connection: sa.Connection, names: list[str], known: dict[str, pa.DataType]
    ) -> Scan:
        found = {name: known.get(name, pa.null()) for name in names}
        rows = 0
        for columns in self._columns(file, connection, len(names)):
            where = f"{file.name} (rows from {rows + 1})"
            rows += len(columns[0])
            for name, values in zip(names, columns, strict=True):
                if name not in known:
                    found[name] = _joined(found[name], seen_type(values, name, where), name, where)
        return Scan(file, found, rows)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a part's rows in the agreed schema; no row is ever set aside."""
        if self.adbc:
            statement = self._part(file).select(self.query, "*", POSTGRES)
            yield from adbc_batches(self.url, statement, schema, file.name, self.snapshot)
            return
        done = 0
        with connected(self.url, file.name, self.snapshot) as connection:
            allow_hashing(connection)
            for columns in self._columns(file, connection, len(schema)):
                where = f"{file.name} (rows from {done + 1})"
                arrays = [as_array(v, field, where) for v, field in zip(columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                done += len(columns[0])

    def _columns(
        self, file: SourceFile, connection: sa.Connection, width: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield a part's rows by columns, some at a time."""
        size = batch_rows(width)
        statement = streamed(self._part(file).select(self.query, "*", connection.dialect.name), size)
        with database_errors(file.name):
            result = connection.execute(statement)
        while True:
            with database_errors(file.name):
                rows = result.fetchmany(size)
            if not rows:
                return
            yield list(zip(*rows, strict=True))

    def _part(self, file: SourceFile) -> Partition:
        return self.partitions[int(file.uri) - 1]

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return nothing: the types themselves say it all."""
        return ""


def _names(result: sa.CursorResult[Any], file: SourceFile) -> list[str]:
    names = list(result.keys())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f'{file.name} has column "{twice[0]}" twice',
            expected="different column names",
            received=", ".join(names),
            next=f'SELECT … AS another name for "{twice[0]}"',
        )
    return names


def _joined(known: pa.DataType, kind: pa.DataType, column: str, where: str) -> pa.DataType:
    joined = join_types(known, kind)
    if joined is None:
        raise ColumnTypeError(
            f'column "{column}" changes type in {where}',
            expected=f"{known}, as in the rows before",
            received=str(kind),
            next=f'read_sql(..., column_types={{"{column}": …}}), or CAST in the query',
        )
    return joined
