"""Opening a version of a Delta Lake table, with errors that name the table."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.reading.bad_rows import shown_text
from orchestration import DataError, MissingExtraError

if TYPE_CHECKING:
    import deltalake

    from components.reading.delta_path import DeltaPath


def open_delta(path: DeltaPath) -> deltalake.DeltaTable:
    """Open the version a path asks for.

    Raises:
        DataError: There is no such table or version.
        MissingExtraError: ``headrace[delta]`` is not installed.
    """
    try:
        import deltalake
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise MissingExtraError(
            "reading Delta Lake tables needs deltalake, which is not installed",
            expected="the package that reads them",
            received=str(error),
            next="pip install 'headrace[delta]'",
        ) from error
    try:
        table = deltalake.DeltaTable(path.uri, version=path.version)
        if path.timestamp is not None:
            _at_time(table, path)
    except (DeltaError, OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a Delta Lake table",
            expected="a folder with _delta_log, and a version it holds",
            received=shown_text(str(error), 300),
            next=f"ls {path.uri}/_delta_log",
        ) from error
    return table


def _at_time(table: Any, path: DeltaPath) -> None:
    wanted = dt.datetime.fromisoformat(path.timestamp or "")
    wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=dt.UTC)
    first = min(int(commit["timestamp"]) for commit in table.history())
    if wanted.timestamp() * 1000 < first:  # deltalake itself would take the oldest version
        oldest = dt.datetime.fromtimestamp(first / 1000, dt.UTC).isoformat()
        raise ValueError(f"the oldest version is of {oldest}")
    table.load_as_version(wanted)


def table_files(table: deltalake.DeltaTable) -> list[tuple[str, int]]:
    """Return path and size in bytes of a version's files, sorted by path."""
    actions = pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes"]).to_pylist()
    return sorted((row["path"], int(row["size_bytes"])) for row in actions)


def table_digest(table: deltalake.DeltaTable) -> str:
    """Return a digest of a version's schema and files."""
    content = [table.schema().to_json(), table.metadata().partition_columns, table_files(table)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
