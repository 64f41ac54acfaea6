"""Any rows that are written come back, whatever the size of blocks and batches."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.reading import json_lines
from components.reading.agreement import Agreement
from components.reading.avro_reader import AvroReader
from components.reading.json_reader import JsonReader
from components.reading.row_selection import RowSelection
from components.reading.sources import BadRow, Reader, SourceFile
from components.reading.tfrecord_reader import TfRecordReader
from tests.components.reading.tf_examples import encode

pytest.importorskip("google_crc32c", reason="the extra headrace[tfrecord] is not installed")

from tests.components.reading.reader_conformance import framed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
INTEGER = st.integers(-(2**63), 2**63 - 1)
PLACE = st.fixed_dictionaries({"a": st.none() | INTEGER, "b": st.none() | TEXT})
ROW = st.fixed_dictionaries(
    {
        "id": INTEGER,
        "flag": st.none() | st.booleans(),
        "fare": st.none() | NUMBER,
        "word": st.none() | TEXT,
        "tags": st.none() | st.lists(st.none() | TEXT, max_size=3),
        "place": st.none() | PLACE,
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=12)
KINDS = {
    "id": pa.int64(),
    "flag": pa.bool_(),
    "fare": pa.float64(),
    "word": pa.string(),
    "tags": pa.list_(pa.field("item", pa.string())),
    "place": pa.struct([("a", pa.int64()), ("b", pa.string())]),
}


def read(reader: Reader, contents: list[bytes]) -> tuple[pa.Table, list[BadRow], int]:
    """Read files with these contents; return the rows, those set aside, and how many were seen."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for place, content in enumerate(contents):
            path = Path(folder) / f"{place:03d}"
            path.write_bytes(content)
            files.append(SourceFile(str(path), path.name))
        scans = [reader.scan(file) for file in files]
        schema, _ = Agreement(reader, RowSelection(), tuple(files))(list(scans))
        bad: list[BadRow] = []
        batches = [batch for file in files for batch in reader.read(file, schema, bad)]
        return pa.Table.from_batches(batches, schema), bad, sum(scan.rows for scan in scans)


def pieces(rows: list[Any], at: int) -> list[list[Any]]:
    cut = at % len(rows)
    return [part for part in (rows[:cut], rows[cut:]) if part]


@given(ROWS, st.integers(0, 20), st.integers(1, 200), st.booleans())
def test_json(rows: list[dict[str, Any]], cut: int, block: int, sparse: bool) -> None:
    def line(row: dict[str, Any]) -> str:
        kept = {k: v for k, v in row.items() if v is not None} if sparse else row
        return json.dumps(kept, ensure_ascii=block % 2 == 0)

    contents = ["\n".join(map(line, part)).encode() for part in pieces(rows, cut)]
    with mock.patch.object(json_lines, "BLOCK_BYTES", block):
        table, bad, seen = read(JsonReader({}, "utf-8", quarantine=False), contents)
    expected = pa.Table.from_pylist(rows, pa.schema(list(KINDS.items())))
    assert (bad, seen) == ([], len(rows))
    for name in table.column_names:
        inferred = table.schema.field(name).type  # of a column without values, or with whole numbers only
        if inferred.equals(KINDS[name]):
            assert table[name].to_pylist() == expected[name].to_pylist(), name
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    missing = set(KINDS) - set(table.column_names)
    assert all(row[name] is None for row in rows for name in missing)


@given(
    ROWS,
    st.lists(st.sampled_from(["", "{", "[1]", "null", '{"id":"x"}', '{"id":1,"id":2}', "{}"]), max_size=5),
    st.integers(1, 200),
)
def test_json_with_bad_lines(rows: list[dict[str, Any]], junk: list[str], block: int) -> None:
    lines = [json.dumps(row) for row in rows]
    for place, line in enumerate(junk):
        lines.insert(place * 3 % len(lines), line)
    with mock.patch.object(json_lines, "BLOCK_BYTES", block):
        reader = JsonReader({"id": pa.int64()}, "utf-8", quarantine=True)
        table, bad, seen = read(reader, ["\n".join(lines).encode()])
    broken = [number for number, line in enumerate(lines, 1) if line in junk and line not in ("", "{}")]
    assert sorted(row.line for row in bad if row.line is not None) == broken
    assert seen == table.num_rows + len(bad) == sum(bool(line) for line in lines)
    assert [value for value in table["id"].to_pylist() if value is not None] == [row["id"] for row in rows]


_AVRO = {
    "id": "long",
    "flag": ["null", "boolean"],
    "fare": ["null", "double"],
    "word": ["null", "string"],
    "tags": ["null", {"type": "array", "items": ["null", "string"]}],
    "place": [
        "null",
        {
            "type": "record",
            "name": "Place",
            "fields": [{"name": "a", "type": ["null", "long"]}, {"name": "b", "type": ["null", "string"]}],
        },
    ],
}


@given(ROWS, st.integers(0, 20), st.sampled_from(["null", "deflate"]), st.integers(1, 300))
def test_avro(rows: list[dict[str, Any]], cut: int, codec: str, sync: int) -> None:
    import io

    fields = [{"name": name, "type": kind} for name, kind in _AVRO.items()]
    schema = fastavro.parse_schema({"type": "record", "name": "Row", "fields": fields})
    contents = []
    for part in pieces(rows, cut):
        out = io.BytesIO()
        fastavro.writer(out, schema, part, codec=codec, sync_interval=sync)
        contents.append(out.getvalue())
    table, _, seen = read(AvroReader(), contents)
    assert table.equals(pa.Table.from_pylist(rows, pa.schema(list(KINDS.items()))))
    assert seen == len(rows)


FEATURE = st.one_of(
    st.tuples(st.just("int64"), st.lists(INTEGER, max_size=3)),
    st.tuples(st.just("float"), st.lists(st.floats(width=32, allow_nan=False), max_size=3)),
    st.tuples(st.just("bytes"), st.lists(st.binary(max_size=4), max_size=3)),
)


@given(
    st.lists(st.lists(FEATURE, min_size=3, max_size=3), min_size=1, max_size=10),
    st.integers(0, 20),
    st.data(),
)
def test_tfrecord(rows: list[list[tuple[str, list[Any]]]], cut: int, data: st.DataObject) -> None:
    kinds = [kind for kind, _ in rows[0]]
    kept = []
    for row in rows:
        same = {f"f{n}": one for n, one in enumerate(row) if one[0] == kinds[n]}
        kept.append({name: one for name, one in same.items() if data.draw(st.booleans())})
    contents = [b"".join(framed(encode(row)) for row in part) for part in pieces(kept, cut)]
    if not any(values for row in kept for _, values in row.values()):
        return
    table, _, seen = read(TfRecordReader({}, quarantine=False), contents)
    assert seen == table.num_rows == len(kept)
    for name in table.column_names:
        is_list = pa.types.is_list(table.schema.field(name).type)
        for value, found in zip(table[name].to_pylist(), kept, strict=True):
            assert _same(value, found.get(name), is_list), (value, found.get(name))


def _same(value: Any, feature: tuple[str, list[Any]] | None, is_list: bool) -> bool:
    if feature is None or (not is_list and not feature[1]):
        return value is None
    found: list[Any] = value if is_list else [value]
    plain: list[Any] = [v.encode() if isinstance(v, str) else v for v in found]
    return plain == feature[1]
