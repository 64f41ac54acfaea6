"""Reads Avro files for :func:`components.reading.ingest.ingest`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fastavro
import pyarrow as pa

from components.data.column_types import stored_type
from components.data.parquet_file import batch_rows
from components.reading.avro_types import AvroType, AvroTypes
from components.reading.bad_rows import shown_text
from components.reading.conform import conform
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.text_source import open_bytes
from orchestration import DataError, HeadraceError

_MAGIC = b"Obj\x01"


@dataclass(frozen=True)
class AvroReader:
    """How Avro files are read: types come from the schema in their headers."""

    text: bool = False
    component: str = "read_avro"

    def scan(self, file: SourceFile) -> Scan:
        """Look at a file's header, and at the head of each of its blocks."""
        rows = 0
        with _opened(file) as (blocks, types):
            columns = {name: _stored(one.kind) for name, one in types.items()}
            try:
                for block in blocks:
                    rows += block.num_records
            except Exception as error:  # the decoder lets any error through that damaged bytes lead it to
                raise _damaged(file, f"after record {rows}", error) from error
        return Scan(file, columns, rows)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema; no row is ever set aside."""
        size = batch_rows(len(schema))
        with _opened(file) as (blocks, types):
            rows = itertools.chain.from_iterable(blocks)
            done = 0
            while some := _some(file, rows, size, done):
                arrays = [
                    conform(_column(file, some, f.name, types[f.name], done), f, file.name) for f in schema
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                done += len(some)

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return nothing: the types themselves say it all."""
        return ""


@contextlib.contextmanager
def _opened(file: SourceFile) -> Iterator[tuple[Any, dict[str, AvroType]]]:
    """Open a file; give its blocks, and its columns' types by name."""
    with contextlib.closing(open_bytes(file.uri, file.name)) as source:
        try:
            if (magic := source.read(len(_MAGIC))) != _MAGIC:  # fastavro does not look at it
                raise ValueError(f"it begins with {magic!r} instead of {_MAGIC!r}")
            source.seek(0)
            blocks = fastavro.block_reader(source)
            schema = blocks.writer_schema
        except Exception as error:  # as in AvroReader.scan
            raise _damaged(file, "in its header", error) from error
        yield blocks, _columns(file, schema)


def _columns(file: SourceFile, schema: Any) -> dict[str, AvroType]:
    if not isinstance(schema, dict) or schema.get("type") != "record" or not schema["fields"]:
        raise DataError(
            f"{file.name} holds no rows with columns",
            expected="an Avro schema of type record, with fields",
            received=shown_text(str(schema)),
        )
    types = AvroTypes(file.name)
    return {field["name"]: types.of(field["type"], field["name"]) for field in schema["fields"]}


def _stored(kind: pa.DataType) -> pa.DataType:
    return pa.null() if pa.types.is_null(kind) else stored_type(kind)


def _some(file: SourceFile, rows: Iterator[Any], size: int, done: int) -> list[Any]:
    found: list[Any] = []
    try:
        found.extend(itertools.islice(rows, size))
    except Exception as error:  # as in AvroReader.scan
        raise _damaged(file, f"at record {done + len(found) + 1}", error) from error
    return found


def _column(file: SourceFile, rows: list[Any], name: str, one: AvroType, done: int) -> pa.Array:
    change = one.convert
    values = [row[name] for row in rows]
    try:
        if change is not None:
            values = [value if value is None else change(value) for value in values]
        return pa.array(values, one.kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f'column "{name}" of {file.name} holds a value that is not {one.kind}',
            expected=str(one.kind),
            received=f"{shown_text(str(error))}, between records {done + 1} and {done + len(rows)}",
        ) from error


def _damaged(file: SourceFile, where: str, error: Exception) -> HeadraceError:
    if isinstance(error, HeadraceError):
        return error
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return DataError(
        f"{file.name} cannot be read as Avro {where}",
        expected="a whole Avro object container file",
        received=shown_text(said),
        next=f"ls -l {file.name}; write the file again if it is cut off",
    )
