"""Avro files become Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.spans import SpanFiles
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_avro(
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
    beam: Beam,
    run: RunContext,
) -> Examples:
    """Read Avro object container files of one kind into splits of Parquet.

    Types come from the schema in each file's header, logical types included: ``date``, times,
    timestamps (with milli- and microseconds, local ones without a time zone), ``decimal``; ``uuid`` and
    ``enum`` become text, ``fixed`` bytes, records structs, maps lists of ``{key, value}`` in the order of
    their keys. A union of null and one type is that type; a union of numbers widens.

    Args:
        files: A path, a folder or a pattern; ``{SPAN}``, ``{VERSION}``, ``{YYYY}``, ``{MM}``, ``{DD}`` and
            ``{HH}`` in it stand for spans (see ``SpanFiles``). Every codec
            that ``fastavro`` finds installed is read.
        span, missing_spans, splits, split_by, split_column, split_time, unknown_split, where, sample, seed:
            Which spans and rows are read and which split each row goes to, the same for all readers: see
            ``RowSelection``. By default the latest span, 80 % ``train`` and 20 % ``eval``.

    Returns:
        Examples with ``splits``, ``columns`` (type by name) and ``read`` rows in their metadata, the rows
        left out by reason, and ``spans``.

    Raises:
        ArgumentError: An argument is out of range.
        ColumnTypeError: A column changes type between files; names both.
        DataError: No file, no row, a file that is no Avro, cut off or damaged (names the record), a
            union of different types, a type that holds itself.
    """
    from components.reading.avro_reader import AvroReader
    from components.reading.ingest import ingest
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits

    into = Splits.of(splits, split_by, split_column, split_time)
    spans = SpanWindow.of(span, missing_spans)
    selection = RowSelection(spans, into, RowFilter.of(where, sample, seed), unknown_split)
    return ingest(files, AvroReader(), selection, beam, run)
