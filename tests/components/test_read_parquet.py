from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.data.errors import ColumnTypeError
from components.read_csv import read_csv
from components.read_parquet import read_parquet
from orchestration import DataError

WHOLE = {"all": 1.0}


def write(folder: Path, name: str, table: pa.Table) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(path)


def table(examples: Examples, split: str = "all") -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in examples.files(split)])


def test_nested_and_encoded_columns_arrive(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "word": pa.array(["a", "b", "a", None]).dictionary_encode(),
            "tags": pa.array([["x"], [], None, ["y", "z"]], pa.large_list(pa.large_string())),
            "place": pa.array([{"lat": 1.5, "lon": None}, None, {"lat": 0.0, "lon": 2.0}, None]),
            "raw": pa.array([b"1", b"", None, b"\xff"]),
            "at": pa.array([1, 2, None, 4], pa.timestamp("s")),
        }
    )
    examples = read_parquet(write(tmp_path, "a.parquet", rows), splits=WHOLE)
    assert table(examples).to_pylist() == rows.to_pylist()
    assert examples.metadata["columns"] == {
        "word": "string",
        "tags": "list<item: string>",
        "place": "struct<lat: double, lon: double>",
        "raw": "binary",
        "at": "timestamp[ms]",
    }
    assert examples.metadata["read"] == 4


def test_rows_land_in_the_splits_they_land_in_from_csv(tmp_path: Path) -> None:
    rows = pa.table(
        {"a": list(range(3000)), "b": [n / 3 for n in range(3000)], "c": [f"t{n % 9}" for n in range(3000)]}
    )
    pyarrow.csv.write_csv(rows, tmp_path / "a.csv")
    from_parquet = read_parquet(write(tmp_path, "a.parquet", rows))
    from_csv = read_csv(str(tmp_path / "a.csv"))
    for split in ("train", "eval"):
        assert table(from_parquet, split).equals(table(from_csv, split))


def test_types_widen_between_files(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}))
    write(tmp_path, "2.parquet", pa.table({"b": pa.nulls(1), "a": pa.array([2.5])}))
    assert table(read_parquet(str(tmp_path), splits=WHOLE)).to_pylist() == [
        {"a": 1.0, "b": "x"},
        {"a": 2.5, "b": None},
    ]


def test_a_column_that_changes_type_names_both_files(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", pa.table({"a": [1]}))
    write(tmp_path, "2.parquet", pa.table({"a": ["x"]}))
    with pytest.raises(ColumnTypeError) as caught:
        read_parquet(str(tmp_path))
    assert caught.value.expected == "int64   1.parquet"
    assert caught.value.received == "string  2.parquet"


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "middle"])
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    path = Path(write(tmp_path, "a.parquet", pa.table({"a": [f"{n * n}" for n in range(20_000)]})))
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(
        {
            "text": b"a,b\n1,2\n",
            "empty": b"",
            "cut": content[:-100],
            "middle": content[: half - 2000] + bytes(4000) + content[half + 2000 :],
        }[damage]
    )
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        read_parquet(str(path))


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the input has no rows"):
        read_parquet(write(tmp_path, "a.parquet", pa.table({"a": pa.array([], pa.int64())})))


def test_other_columns_in_one_file(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", pa.table({"a": [1]}))
    write(tmp_path, "2.parquet", pa.table({"b": [1]}))
    with pytest.raises(DataError, match="has other columns than"):
        read_parquet(str(tmp_path))


def test_numbers_too_large_to_widen(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", pa.table({"a": pa.array([2**60 + 1])}))
    write(tmp_path, "2.parquet", pa.table({"a": pa.array([0.5])}))
    with pytest.raises(DataError, match=r'column "a" of 1\.parquet cannot be stored as double'):
        read_parquet(str(tmp_path))


def test_wide_tables_have_smaller_row_groups(tmp_path: Path) -> None:
    columns: dict[str, Any] = {f"c{place}": list(range(5000)) for place in range(1000)}
    examples = read_parquet(write(tmp_path, "a.parquet", pa.table(columns)), splits=WHOLE)
    assert pq.read_metadata(examples.files("all")[0]).row_group(0).num_rows == 4096
