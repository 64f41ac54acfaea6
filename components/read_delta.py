"""A Delta Lake table becomes Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.delta_path import DeltaPath
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_delta(
    table: DeltaPath,
    *,
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
    """Read a version of a Delta Lake table into splits of Parquet.

    The version is settled once, before the first file is read. Its files run as separate elements of
    the Beam job; columns that partition the table are columns like any other.

    Args:
        table: Folder or URL, with or without a version: ``data/trips``, ``data/trips@v12``,
            ``s3://lake/trips@2026-11-01T00:00:00Z``; see :class:`components.reading.delta_path.DeltaPath`.
        splits, split_by, split_column, split_time, unknown_split, where, sample, seed: Which rows are kept
            and which split each goes to, the same for all readers: see ``RowSelection``. By default 80 %
            ``train`` and 20 % ``eval``.

    Returns:
        Examples with ``splits``, ``columns`` (type by name) and ``read`` rows in their metadata, and the
        rows left out by reason.

    Raises:
        ArgumentError: An argument is out of range.
        DataError: No such table or version, no row, a file of it that is gone or damaged, a feature
            (deletion vectors, column mapping) that cannot be read.
        MissingExtraError: ``headrace[delta]`` is not installed.
    """
    from components.reading.delta_reader import DeltaReader
    from components.reading.delta_table import open_delta
    from components.reading.ingest import ingest_groups
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits
    from components.reading.table_files import absolute

    into = Splits.of(splits, split_by, split_column, split_time)
    selection = RowSelection(SpanWindow(), into, RowFilter.of(where, sample, seed), unknown_split)
    path = DeltaPath(table)
    reader = DeltaReader(DeltaPath(absolute(path.uri), version=open_delta(path).version()))
    return ingest_groups(reader.sources(), reader, selection, beam, run)
