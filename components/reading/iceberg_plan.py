"""Opening a snapshot of an Iceberg table, with errors that name the table."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from components.reading.bad_rows import shown_text
from components.reading.iceberg_table import IcebergTable
from orchestration import DataError, MissingExtraError


@dataclass(frozen=True)
class IcebergPlan:
    """A snapshot of a table, ready to be read.

    Attributes:
        digest: SHA-256 of the table's identity, its schema and the snapshot.
        snapshot: Number of the snapshot.
        schema: The columns, in Arrow.
        tasks: What has to be read, by the location of the file.
        reader: PyIceberg's reader; applies deletes, and the schema's changes to older files.
    """

    digest: str
    snapshot: int
    schema: pa.Schema
    tasks: dict[str, Any]
    reader: Any

    def batches(self, file: str) -> Iterator[pa.RecordBatch]:
        """Yield a file's rows."""
        yield from self.reader.to_record_batches([self.tasks[file]])


def open_iceberg(name: IcebergTable) -> IcebergPlan:
    """Open the snapshot a name asks for, and list its files.

    Raises:
        DataError: There is no such table or snapshot, or it has no rows.
        MissingExtraError: ``headrace[iceberg]`` is not installed.
    """
    try:
        import pyiceberg.table as iceberg
    except ImportError as error:
        raise MissingExtraError(
            "reading Iceberg tables needs pyiceberg, which is not installed",
            expected="the package that reads them",
            received=str(error),
            next="pip install 'headrace[iceberg]'",
        ) from error
    try:
        return _plan(_opened(iceberg, name), name)
    except DataError:
        raise
    except Exception as error:  # PyIceberg's errors have no base of their own
        raise DataError(
            f"{name} cannot be read as an Iceberg table",
            expected="CATALOG.NAMESPACE.TABLE, or the location of a metadata file",
            received=shown_text(f"{type(error).__name__}: {error}", 300),
            next="pyiceberg list, to see what the catalog holds",
        ) from error


def _opened(iceberg: Any, name: IcebergTable) -> Any:
    if "/" in name.table:
        return iceberg.StaticTable.from_metadata(name.table)
    from pyiceberg.catalog import load_catalog

    catalog, _, table = name.table.partition(".")
    return load_catalog(catalog).load_table(table)


def _plan(table: Any, name: IcebergTable) -> IcebergPlan:
    from pyiceberg.io.pyarrow import ArrowScan

    wanted = name.snapshot
    snapshot = table.current_snapshot() if wanted is None else table.snapshot_by_id(wanted)
    if snapshot is None:
        known = ", ".join(str(one.snapshot_id) for one in table.snapshots()) or "none: it holds no rows"
        raise DataError(
            f"{name} has no snapshot to read",
            expected=f"snapshot {wanted}" if wanted is not None else "at least one snapshot",
            received=known,
        )
    scan = table.scan(snapshot_id=snapshot.snapshot_id)
    schema = scan.projection()
    identity = f"{table.metadata.table_uuid}\0{snapshot.snapshot_id}\0{schema.model_dump_json()}"
    return IcebergPlan(
        hashlib.sha256(identity.encode()).hexdigest(),
        snapshot.snapshot_id,
        schema.as_arrow(),
        {
            task.file.file_path: task
            for task in sorted(scan.plan_files(), key=lambda t: str(t.file.file_path))
        },
        ArrowScan(table.metadata, table.io, schema, scan.row_filter),
    )


@functools.lru_cache(maxsize=4)
def snapshot_plan(name: str) -> IcebergPlan:
    """Return the plan of a pinned snapshot; a worker that reads many of its files makes it once."""
    return open_iceberg(IcebergTable(name))
