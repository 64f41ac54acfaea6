"""CSV files become Examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from components.artifacts import Examples
from components.reading.spans import SpanFiles
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component, require

if TYPE_CHECKING:
    pass


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_csv(
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
    null_values: list[str] | None = None,
    delimiter: str = ",",
    escape: str | None = None,
    encoding: str = "utf-8",
    header: bool = True,
    column_names: list[str] | None = None,
    on_bad_rows: Literal["fail", "quarantine"] = "fail",
    beam: Beam,
    run: RunContext,
) -> Examples:
    """Read CSV files of one kind into splits of Parquet.

    Types come from the text of all files: ``int64``, ``double``, ``bool``, ``date32``, ``timestamp``, else
    ``string``; within a file a column widens as its values need, between files only numbers widen.

    Args:
        files: A path, a folder or a pattern, with fields such as ``{SPAN}`` for spans (see ``SpanFiles``);
            ``.gz``, ``.bz2`` and ``.xz`` are read as they are.
        span, missing_spans, splits, split_by, split_column, split_time, unknown_split, where, sample, seed:
            Which spans and rows are read and which split each row goes to, the same for all readers: see
            ``RowSelection``. By default the latest span, 80 % ``train`` and 20 % ``eval`` by a hash.
        column_types: Arrow types by column (``{"zip": "string"}``); they are not inferred.
        null_values, delimiter, escape, encoding, header, column_names: See ``CsvDialect``.
        on_bad_rows: ``"fail"`` at the first row with too many or too few values, or with a value that is
            not of its column's stated type; ``"quarantine"`` sets such rows aside in ``quarantine/``.

    Returns:
        Examples; ``read`` in their metadata is the sum of the rows written, set aside and left out.

    Raises:
        ArgumentError: An argument is out of range.
        DataError: No file, no row, a byte, a row or a type that does not fit; names file and line.
    """
    require(on_bad_rows in ("fail", "quarantine"), "on_bad_rows", '"fail" or "quarantine"', on_bad_rows)
    from components.data.column_types import stored_types
    from components.reading.csv_dialect import CsvDialect
    from components.reading.csv_reader import CsvReader
    from components.reading.ingest import ingest
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits

    names = tuple(column_names) if column_names is not None else None
    dialect = CsvDialect(delimiter, escape, encoding, header, names, tuple(null_values or ()))
    reader = CsvReader(dialect, stored_types(column_types), quarantine=on_bad_rows == "quarantine")
    spans = SpanWindow.of(span, missing_spans)
    into = Splits.of(splits, split_by, split_column, split_time)
    selection = RowSelection(spans, into, RowFilter.of(where, sample, seed), unknown_split)
    return ingest(files, reader, selection, beam, run)
