from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import DeltaPath, read_delta
from components.artifacts import Examples
from orchestration import ArgumentError, DataError, MissingExtraError

deltalake = pytest.importorskip("deltalake", reason="the extra headrace[delta] is not installed")

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
def lake(tmp_path: Path) -> str:
    """Make a table with versions of 4, 8 and 7 rows."""
    path = str(tmp_path / "trips")
    deltalake.write_deltalake(path, TABLE, partition_by=["city"])
    deltalake.write_deltalake(path, TABLE, mode="append")
    deltalake.DeltaTable(path).delete("id = 4 and city is null")
    return path


def ids(examples: Examples) -> list[int]:
    found = pa.concat_tables([pq.read_table(file) for file in examples.files("all")])
    return sorted(found["id"].to_pylist())


def digest(path: str) -> str:
    return DeltaPath(path).content_digest({}, lambda file: "")


def test_versions(lake: str) -> None:
    assert ids(read_delta(lake, **WHOLE)) == [1, 1, 2, 2, 3, 3]
    assert ids(read_delta(f"{lake}@v0", **WHOLE)) == [1, 2, 3, 4]
    assert ids(read_delta(DeltaPath(lake, version=1), **WHOLE)) == [1, 1, 2, 2, 3, 3, 4, 4]
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    assert ids(read_delta(DeltaPath(lake, timestamp=later), **WHOLE)) == [1, 1, 2, 2, 3, 3]


def test_columns_that_partition_the_table_are_columns(lake: str) -> None:
    examples = read_delta(f"{lake}@v0", **WHOLE)
    (file,) = examples.files("all")
    assert pq.read_table(file).sort_by("id").to_pylist() == TABLE.to_pylist()
    assert examples.metadata["columns"] == {
        "id": "int64",
        "city": "string",
        "tags": "list<item: string>",
        "at": "timestamp[us, tz=UTC]",
    }


def test_a_relative_path(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(lake).parent)
    assert ids(read_delta("trips@v0", **WHOLE)) == [1, 2, 3, 4]


def test_the_digest_is_that_of_the_version(lake: str) -> None:
    latest, first = digest(lake), digest(f"{lake}@v0")
    assert latest == digest(f"{lake}@v2") != first
    deltalake.write_deltalake(lake, TABLE, mode="append")
    assert digest(lake) != latest
    assert digest(f"{lake}@v0") == first


@pytest.mark.parametrize(
    ("text", "uri", "version", "timestamp"),
    [
        ("data/trips", "data/trips", None, None),
        ("data/trips@v12", "data/trips", 12, None),
        ("s3://me@lake/trips@2026-11-01", "s3://me@lake/trips", None, "2026-11-01"),
        ("data/trips@2026-11-01T00:00:00Z", "data/trips", None, "2026-11-01T00:00:00Z"),
        ("data/trips@vienna", "data/trips@vienna", None, None),
    ],
)
def test_paths(text: str, uri: str, version: int | None, timestamp: str | None) -> None:
    path = DeltaPath(text)
    assert (path.uri, path.version, path.timestamp) == (uri, version, timestamp)
    assert DeltaPath(uri, version=version, timestamp=timestamp) == text


def test_paths_that_are_refused() -> None:
    with pytest.raises(ArgumentError, match='argument "version" is out of range'):
        DeltaPath("data/trips@v1", version=2)
    with pytest.raises(ArgumentError, match='argument "timestamp" is out of range'):
        DeltaPath("data/trips", timestamp="yesterday")


@pytest.mark.parametrize("pin", ["@v9", "@2020-01-01T00:00:00Z"])
def test_versions_that_are_not_there(lake: str, pin: str) -> None:
    for read in (lambda: read_delta(lake + pin), lambda: digest(lake + pin)):
        with pytest.raises(DataError, match="cannot be read as a Delta Lake table"):
            read()


def test_folders_that_are_no_table(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="cannot be read as a Delta Lake table"):
            read_delta(str(path))


def test_files_that_are_gone_or_damaged(lake: str) -> None:
    file = next(Path(lake).glob("city=a/*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=f"file city=a/{file.name} of .*trips.* cannot be read"):
        read_delta(lake)
    file.unlink()
    with pytest.raises(DataError, match=r"file city=a/.* cannot be read"):
        read_delta(lake)


def test_an_empty_table(tmp_path: Path) -> None:
    deltalake.write_deltalake(str(tmp_path), TABLE.slice(0, 0))
    with pytest.raises(DataError, match="holds no rows"):
        read_delta(str(tmp_path))


def test_without_the_extra(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingExtraError) as caught:
        read_delta(lake)
    assert caught.value.next == "pip install 'headrace[delta]'"
