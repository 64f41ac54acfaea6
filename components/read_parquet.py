"""Parquet files become Examples."""

from __future__ import annotations

from components.artifacts import Examples
from orchestration import Beam, Files, RunContext, component


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_parquet(
    files: Files,
    *,
    splits: dict[str, float] | None = None,
    split_by: list[str] | None = None,
    beam: Beam,
    run: RunContext,
) -> Examples:
    """Read Parquet files of one kind into splits of Parquet.

    The files must have the same columns, in any order. A type widens between files where no value
    changes (``int32`` to ``int64``, whole numbers to ``double``); dictionaries become plain text.
    Rows are dealt to splits by a hash of their values, as ``read_csv`` does: the same rows read from
    CSV and from Parquet land in the same splits.

    Args:
        files: A path, folder or pattern.
        splits: Share of the rows by split name, summing to 1;
            ``{"train": 0.8, "eval": 0.2}`` by default.
        split_by: Columns whose values decide the split; by default the whole row.

    Returns:
        Examples with ``splits``, ``columns`` (type by name) and ``read`` rows in their metadata.

    Raises:
        ArgumentError: An argument is out of range.
        ColumnTypeError: A column changes type between files; names both.
        DataError: No file, no row, a damaged file, other columns in one file than in another.
    """
    from components.data.ingest import ingest
    from components.data.parquet_reader import ParquetReader
    from components.data.splits import Splits

    return ingest(Files(files), ParquetReader(), Splits.of(splits, split_by), beam, run)
