"""Parquet files become Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.spans import SpanFiles
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_parquet(
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
    """Read Parquet files of one kind into splits of Parquet.

    The files must have the same columns, in any order. A type widens between files where no value
    changes (``int32`` to ``int64``, whole numbers to ``double``); dictionaries become plain text. The
    same rows read from CSV and from Parquet land in the same splits.

    Args:
        files: A path, a folder or a pattern; ``{SPAN}``, ``{VERSION}``, ``{YYYY}``, ``{MM}``, ``{DD}`` and
            ``{HH}`` in it stand for spans (see ``SpanFiles``).
        span, missing_spans, splits, split_by, split_column, split_time, unknown_split, where, sample, seed:
            Which spans and rows are read and which split each row goes to, the same for all readers: see
            ``RowSelection``. By default the latest span, 80 % ``train`` and 20 % ``eval``.

    Returns:
        Examples with ``splits``, ``columns`` (type by name) and ``read`` rows in their metadata, the rows
        left out by reason, and ``spans``.

    Raises:
        ArgumentError: An argument is out of range.
        ColumnTypeError: A column changes type between files; names both.
        DataError: No file, no row, a damaged file, other columns in one file than in another.
    """
    from components.reading.ingest import ingest
    from components.reading.parquet_reader import ParquetReader
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits

    spans = SpanWindow.of(span, missing_spans)
    into = Splits.of(splits, split_by, split_column, split_time)
    selection = RowSelection(spans, into, RowFilter.of(where, sample, seed), unknown_split)
    return ingest(files, ParquetReader(), selection, beam, run)
