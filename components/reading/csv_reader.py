"""Reads CSV files for :func:`components.reading.ingest.ingest`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from components.data.column_types import (
    first_misfit,
    fits,
    infer_type,
    join_types,
    misfits,
    to_type,
)
from components.data.errors import ColumnTypeError
from components.reading.bad_rows import limit_bad_rows
from components.reading.csv_dialect import CsvDialect
from components.reading.csv_file import CsvFile, RaggedRow, at_line
from components.reading.sources import BadRow, Scan, SourceFile
from orchestration import DataError


@dataclass(frozen=True)
class CsvReader:
    """How CSV files are read.

    Attributes:
        dialect: How their text is to be understood.
        types: Types the caller stated, by column.
        quarantine: Whether bad rows are set aside instead of failing.
    """

    dialect: CsvDialect
    types: dict[str, pa.DataType]
    quarantine: bool
    text: bool = True

    def scan(self, file: SourceFile) -> Scan:
        """Infer the type of every column from all rows of a file."""
        source = CsvFile(file.uri, file.name, self.dialect)
        columns = source.columns()
        self._check_types(file, columns)
        found: dict[str, pa.DataType] = {name: self.types.get(name, pa.null()) for name in columns}
        ragged: list[RaggedRow] = []
        rows = 0
        for batch in source.batches(columns, ragged, tolerant=self.quarantine):
            rows += batch.num_rows
            for name in columns:
                if name not in self.types:
                    found[name] = _widen(found[name], batch.column(name))
            limit_bad_rows(file.name, len(ragged))
        return Scan(file, found, rows + len(ragged))

    def _check_types(self, file: SourceFile, columns: list[str]) -> None:
        for name in self.types:
            if name not in columns:
                raise DataError(
                    f'column_types names column "{name}", which {file.name} does not have',
                    expected="one of " + ", ".join(columns),
                    received=name,
                )

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema."""
        source = CsvFile(file.uri, file.name, self.dialect)
        columns = source.columns()
        ragged: list[RaggedRow] = []
        sick: dict[int, BadRow] = {}
        rows = 0
        for batch in source.batches(columns, ragged, tolerant=self.quarantine):
            yield self._convert(source, batch, schema, rows, sick)
            rows += batch.num_rows
            limit_bad_rows(file.name, len(ragged) + len(sick))
        if not (ragged or sick):
            return
        lines = source.lines(rows=sick, ragged=range(len(ragged)), width=len(columns))
        for place, row in sorted(sick.items()):
            bad.append(BadRow(row.file, lines.rows.get(place), row.column, row.reason, row.text))
        for place, odd in enumerate(ragged):
            reason = f"{odd.received} value(s) instead of {odd.expected}"
            bad.append(BadRow(file.name, lines.ragged.get(place), None, reason, odd.text))

    def _convert(
        self, source: CsvFile, batch: pa.RecordBatch, schema: pa.Schema, start: int, sick: dict[int, BadRow]
    ) -> pa.RecordBatch:
        try:
            arrays = [to_type(batch.column(field.name), field.type) for field in schema]
        except pa.ArrowInvalid:
            here = self._misfits(source, batch, schema, start)
            sick.update(here)
            keep = [place for place in range(batch.num_rows) if start + place not in here]
            batch = batch.take(pa.array(keep, pa.int64()))
            arrays = [to_type(batch.column(field.name), field.type) for field in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _misfits(
        self, source: CsvFile, batch: pa.RecordBatch, schema: pa.Schema, start: int
    ) -> dict[int, BadRow]:
        found: dict[int, BadRow] = {}
        for field in schema:
            texts = batch.column(field.name)
            for place in misfits(texts, field.type):
                value = texts[place].as_py()
                if not self.quarantine:
                    raise self._misfit(source, field, start + place, value, batch.num_columns)
                reason = f'"{value}" is not {field.type}'
                text = _as_csv(batch, place, self.dialect.delimiter)
                row = BadRow(source.name, None, field.name, reason, text)
                found.setdefault(start + place, row)
                limit_bad_rows(source.name, len(found))
        return found

    def _misfit(
        self, source: CsvFile, field: pa.Field, place: int, value: str, width: int
    ) -> ColumnTypeError:
        line = source.lines(rows={place}, width=width).rows.get(place)
        return ColumnTypeError(
            f'column "{field.name}" holds a value that is not {field.type}',
            expected=f"{field.type}",
            received=f'"{value}" in {at_line(source.name, line)}',
            next=f'read_csv(..., null_values=["{value}"]), column_types={{"{field.name}": "string"}} '
            'or on_bad_rows="quarantine"',
        )

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return the line and the value where a file first contradicts a column type."""
        source = CsvFile(file.uri, file.name, self.dialect)
        columns = source.columns()
        rows = 0
        for batch in source.batches(columns, [], tolerant=True):
            place = first_misfit(batch.column(column), kind)
            if place is not None:
                line = source.lines(rows={rows + place}, width=len(columns)).rows.get(rows + place)
                value = batch.column(column)[place].as_py()
                return (f", first at line {line}" if line else ", first") + f': "{value}"'
            rows += batch.num_rows
        return ""


def _widen(kind: pa.DataType, texts: pa.Array) -> pa.DataType:
    if pa.types.is_string(kind) or texts.null_count == len(texts):
        return kind
    if not pa.types.is_null(kind) and fits(texts, kind):
        return kind
    wider = join_types(kind, infer_type(texts), text=True)
    return pa.string() if wider is None else wider


def _as_csv(batch: pa.RecordBatch, place: int, delimiter: str) -> str:
    text = io.StringIO()
    values = [column[place].as_py() for column in batch.columns]
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(values)
    return text.getvalue()
