"""An Iceberg table becomes Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.iceberg_table import IcebergTable
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_iceberg(
    table: IcebergTable,
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
    """Read a snapshot of an Iceberg table into splits of Parquet.

    The snapshot is settled once, before the first file is read. Its files run as separate elements of
    the Beam job; deleted rows are left out, and columns that came later are missing in older files.

    Args:
        table: ``CATALOG.NAMESPACE.TABLE`` or the location of a metadata file, with or without a snapshot;
            see :class:`components.reading.iceberg_table.IcebergTable`.
        splits, split_by, split_column, split_time, unknown_split, where, sample, seed: Which rows are kept
            and which split each goes to, the same for all readers: see ``RowSelection``. By default 80 %
            ``train`` and 20 % ``eval``.

    Returns:
        Examples with ``splits``, ``columns`` (type by name) and ``read`` rows in their metadata, and the
        rows left out by reason.

    Raises:
        ArgumentError: An argument is out of range.
        DataError: No such table or snapshot, no row, a file of it that is gone or damaged.
        MissingExtraError: ``headrace[iceberg]`` is not installed.
    """
    from components.reading.iceberg_plan import open_iceberg
    from components.reading.iceberg_reader import IcebergReader
    from components.reading.ingest import ingest_groups
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits
    from components.reading.table_files import absolute

    into = Splits.of(splits, split_by, split_column, split_time)
    selection = RowSelection(SpanWindow(), into, RowFilter.of(where, sample, seed), unknown_split)
    name = IcebergTable(table)
    place = absolute(name.table) if "/" in name.table else name.table
    reader = IcebergReader(IcebergTable(place, snapshot=open_iceberg(name).snapshot))
    return ingest_groups(reader.sources(), reader, selection, beam, run)
