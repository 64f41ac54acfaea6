from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import IcebergTable, read_iceberg
from components.artifacts import Examples
from orchestration import ArgumentError, DataError, MissingExtraError

pytest.importorskip("pyiceberg", reason="the extra headrace[iceberg] is not installed")

WHOLE: dict[str, Any] = {"splits": {"all": 1.0}}
TABLE = pa.table(
    {
        "id": [1, 2, 3, 4],
        "city": ["a", "b", "a", None],
        "tags": pa.array([["x"], [], None, ["y", None]], pa.list_(pa.string())),
        "at": pa.array([1, 2, 3, None], pa.timestamp("us", "UTC")),
    }
)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a table with snapshots of 4, 8 and 6 rows, known to PyIceberg's environment as ``lake``."""
    from pyiceberg.catalog import load_catalog

    for name in [name for name in os.environ if name.startswith("PYICEBERG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__WAREHOUSE", f"file://{tmp_path}")
    monkeypatch.setattr(
        "pyiceberg.catalog._ENV_CONFIG", __import__("pyiceberg.utils.config").utils.config.Config()
    )
    catalog = load_catalog("lake")
    catalog.create_namespace("sales")
    table = catalog.create_table("sales.trips", schema=TABLE.schema)
    table.append(TABLE)
    table.append(TABLE)
    table.delete("id = 4")
    return table


def ids(examples: Examples) -> list[int]:
    found = pa.concat_tables([pq.read_table(file) for file in examples.files("all")])
    return sorted(found["id"].to_pylist())


def digest(name: str) -> str:
    return IcebergTable(name).content_digest({}, lambda file: "")


def snapshots(table: Any) -> list[int]:
    return [one.snapshot_id for one in table.snapshots()]


def test_snapshots(lake: Any) -> None:
    assert ids(read_iceberg("lake.sales.trips", **WHOLE)) == [1, 1, 2, 2, 3, 3]
    assert ids(read_iceberg(f"lake.sales.trips@{snapshots(lake)[0]}", **WHOLE)) == [1, 2, 3, 4]
    assert ids(read_iceberg(lake.metadata_location, **WHOLE)) == [1, 1, 2, 2, 3, 3]


def test_values(lake: Any) -> None:
    first = IcebergTable(lake.metadata_location, snapshot=snapshots(lake)[0])
    examples = read_iceberg(first, **WHOLE)
    (file,) = examples.files("all")
    assert pq.read_table(file).to_pylist() == TABLE.to_pylist()
    assert examples.metadata["columns"] == {
        "id": "int64",
        "city": "string",
        "tags": "list<item: string>",
        "at": "timestamp[us, tz=UTC]",
    }


def test_columns_that_came_later_are_missing_in_older_files(lake: Any) -> None:
    with lake.update_schema() as change:
        from pyiceberg.types import DoubleType

        change.add_column("fare", DoubleType())
    lake.append(TABLE.append_column("fare", pa.array([0.5, 1.5, 2.5, 3.5])))
    examples = read_iceberg("lake.sales.trips", **WHOLE)
    found = pa.concat_tables([pq.read_table(file) for file in examples.files("all")])
    assert sorted(found["fare"].drop_null().to_pylist()) == [0.5, 1.5, 2.5, 3.5]
    assert found.num_rows == 10


def test_the_digest_is_that_of_the_snapshot(lake: Any) -> None:
    first = f"lake.sales.trips@{snapshots(lake)[0]}"
    latest, old = digest("lake.sales.trips"), digest(first)
    assert latest != old
    lake.append(TABLE)
    assert digest("lake.sales.trips") != latest
    assert digest(first) == old


@pytest.mark.parametrize(
    "name", ["lake.sales.nowhere", "nolake.sales.trips", "/no/such/metadata.json", "lake.sales.trips@7"]
)
def test_tables_that_are_not_there(lake: Any, name: str) -> None:
    for read in (lambda: read_iceberg(name), lambda: digest(name)):
        with pytest.raises(DataError, match=r"cannot be read as an Iceberg table|has no snapshot to read"):
            read()


def test_names_that_are_refused() -> None:
    with pytest.raises(ArgumentError, match='argument "table" is out of range'):
        IcebergTable("trips")
    with pytest.raises(ArgumentError, match='argument "snapshot" is out of range'):
        IcebergTable("lake.sales.trips@1", snapshot=2)


def test_files_that_are_gone_or_damaged(lake: Any) -> None:
    file = min(Path(task.file.file_path.removeprefix("file://")) for task in lake.scan().plan_files())
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"file {file.name} of .* cannot be read"):
        read_iceberg("lake.sales.trips")
    file.unlink()
    with pytest.raises(DataError, match=r"file .* cannot be read"):
        read_iceberg("lake.sales.trips")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiceberg.table", None)
    with pytest.raises(MissingExtraError) as caught:
        read_iceberg("lake.sales.trips")
    assert caught.value.next == "pip install 'headrace[iceberg]'"
