"""Reads JSON lines for :func:`components.reading.ingest.ingest`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from components.data.column_types import join_types
from components.data.errors import ColumnTypeError
from components.reading.bad_rows import check_stated, kept_text, limit_bad_rows, shown_text
from components.reading.json_lines import Lines, blocks, line_error, problem
from components.reading.json_parse import (
    as_text,
    first_contradiction,
    infer,
    misfits,
    parse,
    rounded,
    seen_type,
)
from components.reading.sources import BadRow, Scan, SourceFile
from orchestration import DataError

MOST_NAMES = 10_000
_NO_NUMBER = "it holds a number that no double can hold, or names something twice"


@dataclass(frozen=True)
class JsonReader:
    """How JSON lines are read: by Arrow's parser; what it refuses is looked at line by line.

    Attributes:
        types: Types the caller stated, by column.
        encoding: Encoding of the text.
        quarantine: Whether bad lines are set aside instead of failing.
    """

    types: dict[str, pa.DataType]
    encoding: str
    quarantine: bool
    text: bool = False
    component: str = "read_json"
    optional_columns: bool = True

    def scan(self, file: SourceFile) -> Scan:
        """Infer the type of every column from all lines of a file."""
        found: dict[str, pa.DataType] = {}
        bad: list[BadRow] = []
        rows = 0
        for block in blocks(file.uri, file.name, self.encoding):
            rows += len(block.texts)
            lines, seen = self._inferred(file, block, bad)
            for field in seen:
                found[field.name] = self._joined(file, field, found.get(field.name, pa.null()), lines)
            _check_width(file, found)
        return Scan(file, found, rows)

    def _inferred(self, file: SourceFile, block: Lines, bad: list[BadRow]) -> tuple[Lines, pa.Schema]:
        try:
            return block, infer(block)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            stated = pa.schema(list(self.types.items()))
            lines = self._fitting(file, block, stated, bad)
        try:
            return lines, infer(lines)
        except pa.ArrowInvalid as error:
            raise _contradiction(file, lines, str(error)) from error

    def _joined(self, file: SourceFile, field: pa.Field, known: pa.DataType, lines: Lines) -> pa.DataType:
        if field.name in self.types:
            return self.types[field.name]
        kind = seen_type(field.type)
        joined = join_types(known, kind)
        if joined is not None:
            return joined
        place = next(misfits(lines, pa.schema([(field.name, known)])), 0)
        raise _type_change(file, field.name, str(known), str(kind), lines, place)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows in the agreed schema; a column that a line does not have is null."""
        if not len(schema):
            raise DataError(
                f"{file.name} has rows but no column",
                expected="objects that name at least one value",
                received="only {}",
            )
        check_stated(self.types, schema.names)
        own: list[BadRow] = []
        for lines in blocks(file.uri, file.name, self.encoding):
            try:
                batch = parse(lines, schema)
            except (pa.ArrowInvalid, UnicodeDecodeError):
                lines = self._fitting(file, lines, schema, own)  # noqa: PLW2901 - the lines that are rows
                batch = parse(lines, schema)
            self._check_rounding(file, batch, lines)
            yield batch
        bad += own

    def _fitting(self, file: SourceFile, block: Lines, schema: pa.Schema, bad: list[BadRow]) -> Lines:
        """Return the lines that are rows of a schema; the others are refused or set aside."""
        broken: dict[int, str] = {}
        for place, line in enumerate(block.texts):
            if (reason := problem(line)) is not None:
                if not self.quarantine:
                    raise line_error(file.name, block.numbers[place], line, reason)
                broken[place] = reason
        sound = block.without(set(broken))
        self._set_aside(file, block, broken, {}, bad)
        lines = as_text(sound, self.types)
        odd: dict[int, str | None] = {}
        for place in misfits(lines, schema):
            odd[place] = _misfit_column(lines.part(place, place + 1), schema)
            if not self.quarantine:
                raise _misfit(file, odd[place], schema, sound, place)
        reasons = {
            place: f"{column} is not {schema.field(column).type}" if column else _NO_NUMBER
            for place, column in odd.items()
        }
        self._set_aside(file, sound, reasons, odd, bad)
        return lines.without(set(odd))

    def _set_aside(
        self,
        file: SourceFile,
        lines: Lines,
        reasons: dict[int, str],
        columns: dict[int, str | None],
        bad: list[BadRow],
    ) -> None:
        for place, reason in reasons.items():
            text, number = kept_text(lines.texts[place]), lines.numbers[place]
            bad.append(BadRow(file.name, number, columns.get(place), reason, text))
        limit_bad_rows(file.name, len(bad))

    def _check_rounding(self, file: SourceFile, batch: pa.RecordBatch, lines: Lines) -> None:
        for field in batch.schema:
            if field.name in self.types:
                continue
            place = rounded(batch.column(field.name), lines, field.name)
            if place is not None:
                raise DataError(
                    f'column "{field.name}" holds a whole number that a double would round',
                    expected="whole numbers below 2^63, or up to 2^53 beside numbers with a fraction",
                    received=f"{file.name}:{lines.numbers[place]}: {shown_text(lines.texts[place])}",
                    next=f'read_json(..., column_types={{"{field.name}": "string"}}), or "double" to round',
                )

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return the line where a file first contradicts a column type, and the line's text."""
        schema = pa.schema([(column, kind)])
        for block in blocks(file.uri, file.name, self.encoding):
            sound = block.without({place for place, line in enumerate(block.texts) if problem(line)})
            for place in itertools.islice(misfits(sound, schema), 1):
                return f", first at line {sound.numbers[place]}: {shown_text(sound.texts[place])}"
        return ""


def _check_width(file: SourceFile, columns: dict[str, pa.DataType]) -> None:
    """Refuse objects that are used as dictionaries: each of their names would become a column."""
    widths = {name: _leaves(kind) for name, kind in columns.items()}
    if sum(widths.values()) > MOST_NAMES:
        widest = max(widths, key=lambda name: widths[name])
        raise DataError(
            f"{file.name} has more than {MOST_NAMES} different names",
            expected="objects with the same few names in every line",
            received=f"{len(columns)} columns, {widths[widest]} names in {shown_text(widest)}",
            next=f'read_json(..., column_types={{"{shown_text(widest)}": "string"}}) to keep it as JSON',
        )


def _leaves(kind: pa.DataType) -> int:
    if pa.types.is_list(kind):
        return _leaves(kind.value_type)
    return sum(_leaves(field.type) for field in kind) if pa.types.is_struct(kind) else 1


def _misfit_column(line: Lines, schema: pa.Schema) -> str | None:
    """Return the column whose value is not of its type; None where no single one is to blame."""
    if next(misfits(line, pa.schema([])), None) is not None:
        return None  # refused whatever the columns are
    for field in schema:
        if next(misfits(line, pa.schema([field])), None) is not None:
            return str(field.name)
    return None


def _misfit(file: SourceFile, column: str | None, schema: pa.Schema, lines: Lines, place: int) -> DataError:
    if column is None:
        return line_error(file.name, lines.numbers[place], lines.texts[place], _NO_NUMBER)
    kind = schema.field(column).type
    return ColumnTypeError(
        f'column "{column}" holds a value that is not {kind}',
        expected=str(kind),
        received=f"{file.name}:{lines.numbers[place]}: {shown_text(lines.texts[place])}",
        next=f'read_json(..., column_types={{"{column}": "string"}}) or on_bad_rows="quarantine"',
    )


def _type_change(
    file: SourceFile, column: str, old: str, new: str, lines: Lines, place: int
) -> ColumnTypeError:
    return ColumnTypeError(
        f'column "{column}" changes type in {file.name}',
        expected=f"{old}, as in the lines before",
        received=f"{new} in {file.name}:{lines.numbers[place]}: {shown_text(lines.texts[place])}",
        next=f'read_json(..., column_types={{"{column}": "string"}})',
    )


def _contradiction(file: SourceFile, lines: Lines, message: str) -> DataError:
    found = first_contradiction(lines)
    if found is not None:
        place, column, old, new = found
        return _type_change(file, column, old, new, lines, place)
    return DataError(
        f"{file.name} cannot be read as JSON lines",
        expected="one JSON object on each line",
        received=shown_text(message),
    )
