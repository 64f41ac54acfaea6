"""CSV files become Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from orchestration import Beam, Files, RunContext, component, require


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_csv(
    files: Files,
    *,
    splits: dict[str, float] | None = None,
    split_by: list[str] | None = None,
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

    Every file is looked at twice: once to find the type of each column over all files, once to write.
    Types come from the text: ``int64``, ``double``, ``bool``, ``date32``, ``timestamp``, else
    ``string``; within a file a column widens as its values need, between files only numbers widen.
    Rows are dealt to splits by a hash of their values: the same row always lands in the same split,
    whatever file it is in and whatever order it comes in.

    Args:
        files: A path, folder or pattern; ``.gz``, ``.bz2`` and ``.xz`` are read as they are.
        splits: Share of the rows by split name, summing to 1;
            ``{"train": 0.8, "eval": 0.2}`` by default.
        split_by: Columns whose values decide the split, so that rows that agree in them stay
            together; by default the whole row.
        column_types: Arrow types by column (``{"zip": "string"}``); they are not inferred.
        null_values: Texts that mean a missing value; the empty text always does.
        delimiter: One character between values.
        escape: One character that makes the next one literal (a backslash), besides the doubled
            quote that CSV uses.
        encoding: Encoding of the text.
        header: Whether the first row holds the names. Without it they are ``column_1``, ….
        column_names: Names to use instead.
        on_bad_rows: ``"fail"`` at the first row with too many or too few values, or with a value
            that is not of its column's stated type; ``"quarantine"`` sets such rows aside in
            ``quarantine/part-*.parquet`` with file, line, reason and text, and counts them.

    Returns:
        Examples with ``splits``, ``columns`` (type by name), ``read`` and ``quarantined`` rows in
        their metadata; ``read`` is always the sum of the rows written and set aside.

    Raises:
        ArgumentError: An argument is out of range.
        ColumnTypeError: A column changes type between files; names files, line and value.
        DataError: No file, no row, a row or a byte that cannot be read; names file and line.
    """
    require(on_bad_rows in ("fail", "quarantine"), "on_bad_rows", '"fail" or "quarantine"', on_bad_rows)
    from components.data.column_types import parse_type, stored_type
    from components.data.csv_dialect import CsvDialect
    from components.data.csv_reader import CsvReader
    from components.data.ingest import ingest
    from components.data.splits import Splits

    dialect = CsvDialect(
        delimiter=delimiter,
        escape=escape,
        encoding=encoding,
        header=header,
        column_names=tuple(column_names) if column_names is not None else None,
        null_values=tuple(null_values or ()),
    )
    types = {name: stored_type(parse_type(kind)) for name, kind in (column_types or {}).items()}
    reader = CsvReader(dialect, types, quarantine=on_bad_rows == "quarantine")
    return ingest(Files(files), reader, Splits.of(splits, split_by), beam, run)
