from __future__ import annotations

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.data.errors import ColumnTypeError
from components.read_avro import read_avro
from orchestration import DataError

WHOLE = {"all": 1.0}
ID = uuid.UUID(int=5)
UTC = dt.UTC


def write(
    folder: Path, name: str, fields: dict[str, Any], *rows: dict[str, Any], codec: str = "null"
) -> Path:
    path = folder / name
    schema = {"type": "record", "name": "Row", "fields": [{"name": n, "type": t} for n, t in fields.items()]}
    with path.open("wb") as out:
        fastavro.writer(out, schema, rows, codec=codec, sync_interval=100)
    return path


def rows(examples: Examples) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.concat_tables(
        [pq.read_table(file) for file in examples.files("all")]
    ).to_pylist()
    return found


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


@pytest.mark.parametrize(
    ("schema", "value", "kind", "expected"),
    [
        ("int", 5, "int32", 5),
        ("long", -(2**62), "int64", -(2**62)),
        ("float", 0.5, "float", 0.5),
        ("boolean", True, "bool", True),
        ("bytes", b"\xff", "binary", b"\xff"),
        ("string", "Zürich", "string", "Zürich"),
        (["null", "long"], None, "int64", None),
        (["null", "int", "double"], 1, "double", 1.0),
        (logical("int", "date"), dt.date(1969, 12, 31), "date32[day]", dt.date(1969, 12, 31)),
        (logical("int", "time-millis"), dt.time(1, 2, 3, 4000), "time32[ms]", dt.time(1, 2, 3, 4000)),
        (logical("long", "time-micros"), dt.time(1, 2, 3, 4), "time64[us]", dt.time(1, 2, 3, 4)),
        (
            logical("long", "timestamp-millis"),
            dt.datetime(2026, 1, 1, 5, tzinfo=UTC),
            "timestamp[ms, tz=UTC]",
            dt.datetime(2026, 1, 1, 5, tzinfo=UTC),
        ),
        (
            logical("long", "timestamp-micros"),
            dt.datetime(1900, 1, 1, 0, 0, 0, 7, tzinfo=UTC),
            "timestamp[us, tz=UTC]",
            dt.datetime(1900, 1, 1, 0, 0, 0, 7, tzinfo=UTC),
        ),
        (
            logical("long", "local-timestamp-micros"),
            dt.datetime(2026, 1, 1, 5),  # noqa: DTZ001 - it has no zone
            "timestamp[us]",
            dt.datetime(2026, 1, 1, 5),  # noqa: DTZ001 - as above
        ),
        (
            logical("bytes", "decimal", precision=10, scale=2),
            decimal.Decimal("-1.50"),
            "decimal128(10, 2)",
            decimal.Decimal("-1.50"),
        ),
        (
            logical("bytes", "decimal", precision=50, scale=0),
            decimal.Decimal(10) ** 40,
            "decimal256(50, 0)",
            decimal.Decimal(10) ** 40,
        ),
        (logical("string", "uuid"), ID, "string", str(ID)),
        (logical("string", "of-another-world"), "x", "string", "x"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "string", "B"),
        ({"type": "fixed", "name": "F", "size": 2}, b"ab", "binary", b"ab"),
        ({"type": "array", "items": ["null", "string"]}, ["x", None], "list<item: string>", ["x", None]),
        (
            {"type": "array", "items": logical("string", "uuid")},
            [ID],
            "list<item: string>",
            [str(ID)],
        ),
        (
            {"type": "map", "values": ["null", "long"]},
            {"b": 1, "a": None},
            "list<item: struct<key: string, value: int64>>",
            [{"key": "a", "value": None}, {"key": "b", "value": 1}],
        ),
        (
            [
                "null",
                {"type": "record", "name": "S", "fields": [{"name": "u", "type": logical("string", "uuid")}]},
            ],
            {"u": ID},
            "struct<u: string>",
            {"u": str(ID)},
        ),
        ("null", None, "string", None),
    ],
)
def test_types(tmp_path: Path, schema: Any, value: Any, kind: str, expected: Any) -> None:
    examples = read_avro(str(write(tmp_path, "a.avro", {"a": schema}, {"a": value})), splits=WHOLE)
    assert examples.metadata["columns"] == {"a": kind}
    assert rows(examples) == [{"a": expected}]


def test_a_named_type_may_be_used_twice(tmp_path: Path) -> None:
    enum = {"type": "enum", "name": "E", "symbols": ["A"]}
    path = write(tmp_path, "a.avro", {"a": enum, "b": ["null", "E"]}, {"a": "A", "b": None})
    assert rows(read_avro(str(path), splits=WHOLE)) == [{"a": "A", "b": None}]


def test_types_widen_between_files(tmp_path: Path) -> None:
    write(tmp_path, "1.avro", {"a": "int"}, {"a": 1})
    write(tmp_path, "2.avro", {"a": "double"}, {"a": 2.5}, codec="deflate")
    assert rows(read_avro(str(tmp_path), splits=WHOLE)) == [{"a": 1.0}, {"a": 2.5}]
    write(tmp_path, "3.avro", {"a": "string"}, {"a": "x"})
    with pytest.raises(ColumnTypeError, match='column "a" changes type between files'):
        read_avro(str(tmp_path))


@pytest.mark.parametrize(
    ("schema", "match"),
    [
        (["string", "long"], 'column "a" of a.avro may hold values of different types'),
        (
            ["null", {"type": "record", "name": "T", "fields": [{"name": "next", "type": ["null", "T"]}]}],
            r'column "a\.next" of a.avro has a type that holds itself',
        ),
    ],
)
def test_types_that_no_column_has(tmp_path: Path, schema: Any, match: str) -> None:
    value = "x" if "string" in schema else {"next": None}
    with pytest.raises(DataError, match=match):
        read_avro(str(write(tmp_path, "a.avro", {"a": schema}, {"a": value})))


def test_rows_that_have_no_columns(tmp_path: Path) -> None:
    with (tmp_path / "a.avro").open("wb") as out:
        fastavro.writer(out, "long", [1, 2])
    with pytest.raises(DataError, match=r"a\.avro holds no rows with columns"):
        read_avro(str(tmp_path))


def test_a_time_outside_of_the_calendar(tmp_path: Path) -> None:
    stamp = logical("long", "timestamp-micros")
    path = write(tmp_path, "a.avro", {"a": stamp}, {"a": 0}, {"a": 2**62})
    with pytest.raises(DataError, match=r"a\.avro cannot be read as Avro at record 2"):
        read_avro(str(path))


def test_damaged_files_name_the_place(tmp_path: Path) -> None:
    path = write(tmp_path, "a.avro", {"a": "string"}, *({"a": f"text {n}"} for n in range(100)))
    whole = path.read_bytes()
    for content, match in (
        (b"", "in its header"),
        (b"PAR1" + whole[4:], "in its header"),
        (whole[:50], "in its header"),
        (whole[:-7], "after record 9"),
        (whole[:600] + b"\xff" * 9 + whole[609:], "record"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.avro cannot be read as Avro .*{match}"):
            read_avro(str(path))
