"""One CSV file as Arrow batches of text, and where in the file a row lies."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv

from components.reading.csv_dialect import CsvDialect
from components.reading.text_source import TextSource, open_text
from orchestration import DataError

BLOCK_BYTES = 4 << 20
_HEADER_BYTES = 1 << 20
_SHOWN = 80
# Follows the last row, with one value too many. Where it does not come back as a row of its own, a quote
# is open: the rest of the file has become the text of one value.
_END = "\x02end of file\x03"


@dataclass(frozen=True)
class RaggedRow:
    """A row with too many or too few values.

    Attributes:
        expected: Number of values that were expected.
        received: Number of values found.
        text: The row as it stands in the file.
    """

    expected: int
    received: int
    text: str


@dataclass(frozen=True)
class CsvFile:
    """A CSV file and how to read it.

    Attributes:
        uri: Where it lies.
        name: How messages call it.
        dialect: How its text is to be understood.
    """

    uri: str
    name: str
    dialect: CsvDialect

    def columns(self) -> list[str]:
        """Return the column names, from the dialect or from the first row.

        Raises:
            DataError: The file is empty, or its header does not fit.
        """
        first = self._first_row()
        given = self.dialect.column_names
        if given is not None:
            if len(given) != len(first):
                raise DataError(
                    f"{self.name} has {len(first)} columns, column_names has {len(given)}",
                    expected=", ".join(given),
                    received=_shown(", ".join(first)),
                )
            return list(given)
        if not self.dialect.header:
            return [f"column_{place}" for place, _ in enumerate(first, 1)]
        names = [name or f"column_{place}" for place, name in enumerate(first, 1)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(
                f'{self.name}:1 names column "{twice[0]}" twice',
                expected="different column names",
                received=_shown(", ".join(names)),
                next="read_csv(..., column_names=[...]) to name the columns yourself",
            )
        return names

    def _first_row(self) -> list[str]:
        with open_text(self.uri, self.name, self.dialect.encoding) as source:
            head = source.read(_HEADER_BYTES)
        # The head may end inside a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
        for row in self._rows(io.StringIO(text, newline="")):
            if row:
                return row
        raise DataError(
            f"{self.name} is empty",
            expected="a header and rows" if self.dialect.header else "rows",
            received=f"{len(head)} bytes",
        )

    def batches(
        self, columns: list[str], ragged: list[RaggedRow], *, tolerant: bool
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order as batches of text columns; a missing value is null.

        Args:
            columns: Names of the columns, as many as the file has.
            ragged: Receives the rows with too many or too few values.
            tolerant: Leave such rows out instead of failing at the first.

        Raises:
            DataError: The file cannot be read as CSV; names the line.
        """
        end = _END + self.dialect.delimiter * len(columns)
        ended = False

        def on_ragged(row: Any) -> str:
            nonlocal ended
            if row.text == end:
                ended = True
                return "skip"
            ragged.append(RaggedRow(row.expected_columns, row.actual_columns, row.text))
            return "skip" if tolerant and _END not in row.text else "error"

        header = 1 if self.dialect.header else 0
        read = 0
        with open_text(self.uri, self.name, self.dialect.encoding, f"\n{end}\n".encode()) as source:
            try:
                for batch in self._reader(source, columns, on_ragged):
                    if batch.num_rows:
                        yield batch.slice(header)
                        read += batch.num_rows
                        header = 0
            except pa.ArrowInvalid as error:
                raise self._unreadable(ragged, read, len(columns)) from error
        if not ended:
            raise self._unclosed()

    def _reader(self, source: TextSource, columns: list[str], on_ragged: Any) -> Iterable[pa.RecordBatch]:
        return pyarrow.csv.open_csv(  # type: ignore[no-any-return]  # pyarrow has no types
            pa.PythonFile(source, mode="r"),
            # The header is read as a row and dropped: so no two columns of one name are merged.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=columns),
            pyarrow.csv.ParseOptions(
                delimiter=self.dialect.delimiter,
                escape_char=self.dialect.escape or False,
                newlines_in_values=True,
                invalid_row_handler=on_ragged,
            ),
            pyarrow.csv.ConvertOptions(
                default_column_type=pa.string(),
                null_values=["", *self.dialect.null_values],
                strings_can_be_null=True,
                check_utf8=False,  # done by the source, which knows the line
            ),
        )

    def _unreadable(self, ragged: list[RaggedRow], read: int, width: int) -> DataError:
        odd = ragged[-1] if ragged else None
        if odd is not None and _END in odd.text:
            return self._unclosed()
        if odd is not None:
            line = self.lines(ragged={len(ragged) - 1}, width=width).ragged.get(len(ragged) - 1)
            values = "1 value" if odd.received == 1 else f"{odd.received} values"
            return DataError(
                f"{at_line(self.name, line)} has {values} in a row",
                expected=f"{odd.expected} values",
                received=_shown(odd.text),
                next='read_csv(..., on_bad_rows="quarantine") to set such rows aside',
            )
        place = max(read - (1 if self.dialect.header else 0), 0)
        line = self.lines(rows={place}, width=width).rows.get(place)
        return DataError(
            f"{at_line(self.name, line)} cannot be read as CSV",
            expected=f"rows of less than {BLOCK_BYTES >> 20} MiB, every quote closed",
            received="a longer row",
        )

    def _unclosed(self) -> DataError:
        """Return the error for a quote that is open at the end, and took all lines after it for its text."""
        line, text = 1, ""
        with open_text(self.uri, self.name, self.dialect.encoding) as source:
            lines = _Lines(source)
            before = 0
            for row in self._rows(lines):
                line, text, before = before + 1, self.dialect.delimiter.join(row), lines.count
        return DataError(
            f"{at_line(self.name, line)} opens a quote that is never closed",
            expected='a closing " before the end of the file',
            received=_shown(text),
            next="look whether the file is cut off, or the quote belongs to the text and must be doubled",
        )

    def lines(self, *, rows: Iterable[int] = (), ragged: Iterable[int] = (), width: int) -> RowLines:
        """Return the line in the file where rows begin, by reading it again, slowly and to the letter.

        Args:
            rows: Places among the rows of the right width, from 0.
            ragged: Places among the rows of another width, from 0.
            width: Number of columns.
        """
        found = RowLines({}, {})
        wanted_rows, wanted_ragged = set(rows), set(ragged)
        place = -1 if self.dialect.header else 0
        ragged_place = 0
        with open_text(self.uri, self.name, self.dialect.encoding) as source:
            before = 0
            lines = _Lines(source)
            for row in self._rows(lines):
                line, before = before + 1, lines.count
                if not row:
                    continue
                if len(row) == width:
                    if place in wanted_rows:
                        found.rows[place] = line
                    place += 1
                else:
                    if ragged_place in wanted_ragged:
                        found.ragged[ragged_place] = line
                    ragged_place += 1
                if len(found.rows) == len(wanted_rows) and len(found.ragged) == len(wanted_ragged):
                    break
        return found

    def _rows(self, lines: Iterable[str]) -> Iterator[list[str]]:
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        reader = csv.reader(lines, delimiter=self.dialect.delimiter, escapechar=self.dialect.escape)
        try:
            yield from reader
        except csv.Error:
            return  # what this reader cannot parse has no line we could name


@dataclass(frozen=True)
class RowLines:
    """Lines by place: of rows of the right width, and of ragged ones."""

    rows: dict[int, int]
    ragged: dict[int, int]


class _Lines:
    """The lines of a source as text, counted."""

    def __init__(self, source: TextSource) -> None:
        self.count = 0
        self._source = source

    def __iter__(self) -> Iterator[str]:
        rest = b""
        while block := self._source.read(1 << 20):
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                self.count += 1
                yield line.decode() + "\n"
        if rest:
            self.count += 1
            yield rest.decode()


def at_line(name: str, line: int | None) -> str:
    """Return how messages call a line of a file, or the file where the line is not known."""
    return f"{name}:{line}" if line else name


def _shown(text: str) -> str:
    line = text.replace("\n", "\\n")
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
