"""JSON lines become Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.spans import SpanFiles
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component, require


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_json(
    files: SpanFiles,
    *,
    span: str | int = "latest",
    missing_spans: Literal["fail", "skip"] = "fail",
    splits: SplitRules | None = None,
    split_by: list[str] | None = None,
    split_column: str | None = None,
    split_time: str | None = None,
    unknown_split: Literal["fail", "drop"] = "fail",
    where: str | None = None,
    sample: float = 1.0,
    seed: int = 0,
    column_types: dict[str, str] | None = None,
    encoding: str = "utf-8",
    on_bad_rows: Literal["fail", "quarantine"] = "fail",
    beam: Beam,
    run: RunContext,
) -> Examples:
    """Read JSON lines (one object on each line) into splits of Parquet.

    Types are those the values show: ``int64``, ``double``, ``bool``, ``string``, lists and structs of
    them to any depth. A name that a line or a whole file does not have is a missing value. Text is
    never taken for a date: state ``{"day": "date32", "at": "timestamp[us]"}``. Within and between
    files whole numbers widen to ``double`` where no digit is lost; nothing else changes type.

    Args:
        files: A path, a folder or a pattern; ``{SPAN}``, ``{VERSION}``, ``{YYYY}``, ``{MM}``, ``{DD}`` and
            ``{HH}`` in it stand for spans (see ``SpanFiles``). ``.gz``,
            ``.bz2`` and ``.xz`` are read as they are.
        span, missing_spans, splits, split_by, split_column, split_time, unknown_split, where, sample, seed:
            Which spans and rows are read and which split each row goes to, the same for all readers: see
            ``RowSelection``. By default the latest span, 80 % ``train`` and 20 % ``eval``.
        column_types: Arrow types by column; they are not inferred. Dates, times and decimals are
            read from text; ``"string"`` takes any value: numbers as they stand in the file, lists and
            objects as JSON.
        encoding: Encoding of the text.
        on_bad_rows: ``"fail"`` at the first line that is no JSON object, holds a name twice or a
            value that is not of its column's stated type; ``"quarantine"`` sets such lines aside in
            ``quarantine/part-*.parquet`` with file, line, reason and text, and counts them.

    Returns:
        Examples with ``splits``, ``columns`` (type by name), ``read`` and ``quarantined`` rows in
        their metadata, the rows left out by reason, and ``spans``; the rows read are always the sum of
        those written, set aside and left out.

    Raises:
        ArgumentError: An argument is out of range.
        ColumnTypeError: A column changes type within or between files; names files and lines.
        DataError: No file, no row, a line or a byte that cannot be read, a whole number that a
            ``double`` column would round; names file and line.
    """
    require(on_bad_rows in ("fail", "quarantine"), "on_bad_rows", '"fail" or "quarantine"', on_bad_rows)
    from components.data.column_types import stored_types
    from components.reading.csv_dialect import CsvDialect
    from components.reading.ingest import ingest
    from components.reading.json_reader import JsonReader
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits

    checked = CsvDialect(encoding=encoding)  # the one place that knows text encodings
    types = stored_types(column_types)
    reader = JsonReader(types, checked.encoding, quarantine=on_bad_rows == "quarantine")
    into = Splits.of(splits, split_by, split_column, split_time)
    spans = SpanWindow.of(span, missing_spans)
    selection = RowSelection(spans, into, RowFilter.of(where, sample, seed), unknown_split)
    return ingest(files, reader, selection, beam, run)
