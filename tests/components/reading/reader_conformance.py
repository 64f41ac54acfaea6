"""What every reader must do alike: the same table gives the same Examples as ``read_parquet`` gives."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import itertools
import json
import sqlite3
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from components import (
    SqlQuery,
    read_avro,
    read_csv,
    read_delta,
    read_iceberg,
    read_json,
    read_parquet,
    read_sql,
)
from components.artifacts import Examples
from components.read_tfrecord import read_tfrecord
from tests.components.reading.tf_examples import Feature, encode

SPLITS = {"train": 0.7, "eval": 0.3}
_TEXT_TYPES = {"at": "timestamp[us]", "day": "date32"}
_NO_BOOLEANS = {**_TEXT_TYPES, "flag": "bool"}

Write = Callable[[Sequence[pa.Table], Path], None]
Read = Callable[[Path], Examples]


@dataclass(frozen=True)
class Format:
    """A format that one table can be written in and read from.

    Attributes:
        name: Name of the format.
        write: Writes pieces of a table, each as a file of its own where the format has files.
        read: Reads the folder that was written.
        flat: Whether it is tested with a table without lists and structs.
        nested: Whether it holds lists and structs.
        ordered: Whether several pieces are read in the order they were written in.
    """

    name: str
    write: Write
    read: Read
    flat: bool = True
    nested: bool = False
    ordered: bool = True


def flat_table(rows: int = 240) -> pa.Table:
    """Return a table with columns of every kind that all formats can hold, with missing values."""

    def some(values: list[Any], every: int) -> list[Any]:
        return [None if n % every == every - 1 else value for n, value in enumerate(values)]

    start = dt.datetime(2026, 1, 31, 22, 30)  # noqa: DTZ001 - times without a zone are what is tested
    words = ['plain, "quoted"', "Zürich", "東京", "two\nlines", "\\back{slash}", "null"]
    return pa.table(
        {
            "at": pa.array(
                some([start + dt.timedelta(minutes=n) for n in range(rows)], 7), pa.timestamp("us")
            ),
            "day": pa.array(some([dt.date(2026, 1, 1 + n % 28) for n in range(rows)], 5), pa.date32()),
            "flag": pa.array(some([n % 3 == 0 for n in range(rows)], 4)),
            "half": pa.array(some([n / 2 - 20 for n in range(rows)], 6)),
            "id": pa.array([n * 2**40 - 5 for n in range(rows)]),
            "word": pa.array(some([words[n % 6] + str(n // 6) for n in range(rows)], 11)),
        }
    )


def nested_table(rows: int = 120) -> pa.Table:
    """Return a table with lists, structs and lists of structs."""
    item = pa.struct([("a", pa.int64()), ("b", pa.string())])
    tags = [None if n % 5 == 4 else [f"t{n}", None][: n % 3] for n in range(rows)]
    place = [None if n % 7 == 6 else {"a": n, "b": None if n % 2 else "x"} for n in range(rows)]
    parts = [[{"a": k, "b": f"p{k}"} for k in range(n % 4)] for n in range(rows)]
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "parts": pa.array(parts, pa.list_(pa.field("item", item))),
            "place": pa.array(place, item),
            "tags": pa.array(tags, pa.list_(pa.field("item", pa.string()))),
        }
    )


def check_reader(format_: Format, table: pa.Table, cuts: Sequence[int], folder: Path) -> None:
    """Hold a reader against ``read_parquet`` on the same table, cut into the same pieces.

    Args:
        format_: The format.
        table: Its rows.
        cuts: Places at which the table is cut.
        folder: An empty folder.
    """
    edges = [0, *cuts, table.num_rows]
    pieces = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    for name in ("it", "parquet"):
        (folder / name).mkdir()
    format_.write(pieces, folder / "it")
    PARQUET.write(pieces, folder / "parquet")
    found, expected = format_.read(folder / "it"), PARQUET.read(folder / "parquet")
    assert found.metadata == expected.metadata
    for split in SPLITS:
        assert sorted(_rows(found, split)) == sorted(_rows(expected, split)), split
    if format_.ordered or len(pieces) == 1:
        assert bytes_of(found) == bytes_of(expected)


def bytes_of(examples: Examples) -> dict[str, str]:
    """Return the digest of every file of an artifact."""
    files = sorted(path for path in examples.path.rglob("*") if path.is_file())
    return {str(f.relative_to(examples.path)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def _rows(examples: Examples, split: str) -> list[str]:
    whole = pa.concat_tables([pq.read_table(file) for file in examples.files(split)])
    return [repr(sorted(row.items())) for row in whole.to_pylist()]


def _each(write: Callable[[pa.Table, Path], None], ending: str) -> Write:
    def write_all(pieces: Sequence[pa.Table], folder: Path) -> None:
        for place, piece in enumerate(pieces):
            write(piece, folder / f"{place:03d}.{ending}")

    return write_all


def _json_text(piece: pa.Table) -> bytes:
    lines = [json.dumps(row, default=lambda value: value.isoformat()) for row in piece.to_pylist()]
    return "".join(f"{line}\n" for line in lines).encode()


def write_json(piece: pa.Table, path: Path) -> None:
    """Write JSON lines, packed where the name says so."""
    text = _json_text(piece)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


_AVRO: dict[str, Any] = {
    "timestamp[us]": {"type": "long", "logicalType": "local-timestamp-micros"},
    "date32[day]": {"type": "int", "logicalType": "date"},
    "bool": "boolean",
    "double": "double",
    "int64": "long",
    "string": "string",
}


def _avro_type(kind: pa.DataType, name: str) -> Any:
    if pa.types.is_list(kind):
        return ["null", {"type": "array", "items": _avro_type(kind.value_type, name)}]
    if pa.types.is_struct(kind):
        fields = [{"name": f.name, "type": _avro_type(f.type, f"{name}_{f.name}")} for f in kind]
        return ["null", {"type": "record", "name": name, "fields": fields}]
    return ["null", _AVRO[str(kind)]]


def write_avro(piece: pa.Table, path: Path) -> None:
    """Write an Avro file of small blocks."""
    import fastavro

    fields = [{"name": f.name, "type": _avro_type(f.type, f.name)} for f in piece.schema]
    schema = fastavro.parse_schema({"type": "record", "name": "Row", "fields": fields})
    with path.open("wb") as out:
        fastavro.writer(out, schema, piece.to_pylist(), codec="deflate", sync_interval=700)


def framed(data: bytes) -> bytes:
    """Return a record as a TFRecord file holds it."""
    import google_crc32c

    def masked(content: bytes) -> bytes:
        crc = google_crc32c.value(content)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def _feature(value: Any) -> Feature:
    if isinstance(value, bool | int):
        return ("int64", [int(value)])
    if isinstance(value, float):
        return ("float", [value])
    return ("bytes", [(value if isinstance(value, str) else value.isoformat()).encode()])


def write_tfrecord(piece: pa.Table, path: Path) -> None:
    """Write ``tf.Example`` messages; a missing value is a missing feature."""
    rows = [{k: _feature(v) for k, v in row.items() if v is not None} for row in piece.to_pylist()]
    path.write_bytes(b"".join(framed(encode(row)) for row in rows))


def write_sqlite(pieces: Sequence[pa.Table], folder: Path) -> None:
    """Write one SQLite database; dates are text."""
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute("CREATE TABLE rows (at TEXT, day TEXT, flag INT, half REAL, id INT, word TEXT)")
        rows = [tuple(row.values()) for piece in pieces for row in piece.to_pylist()]
        plain = [[v.isoformat() if isinstance(v, dt.date) else v for v in row] for row in rows]
        database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", plain)
    database.close()


def sqlite_query(folder: Path) -> SqlQuery:
    """Return the query of all rows of such a database."""
    return SqlQuery("rows", url=f"sqlite:///{folder / 'rows.db'}")


def write_delta(pieces: Sequence[pa.Table], folder: Path) -> None:
    """Write a Delta Lake table, one version for each piece."""
    import deltalake

    for piece in pieces:
        # In one chunk: several are written in whatever order its threads get to them.
        deltalake.write_deltalake(folder, piece.combine_chunks(), mode="append")


def write_iceberg(pieces: Sequence[pa.Table], folder: Path) -> None:
    """Write an Iceberg table with one snapshot for each piece."""
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("here", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=folder.as_uri())
    catalog.create_namespace("n")
    table = catalog.create_table("n.rows", schema=pieces[0].schema)
    for piece in pieces:
        table.append(piece)
    (folder / "location").write_text(table.metadata_location)


PARQUET = Format(
    "parquet", _each(pq.write_table, "parquet"), lambda f: read_parquet(str(f), splits=SPLITS), nested=True
)
FORMATS = (
    Format("csv", _each(pyarrow.csv.write_csv, "csv"), lambda f: read_csv(str(f), splits=SPLITS)),
    Format(
        "json",
        _each(write_json, "jsonl"),
        lambda f: read_json(str(f), splits=SPLITS, column_types=_TEXT_TYPES),
    ),
    Format(
        "json.gz",
        _each(write_json, "jsonl.gz"),
        lambda f: read_json(str(f), splits=SPLITS, column_types=_TEXT_TYPES),
    ),
    Format(
        "nested json",
        _each(write_json, "jsonl"),
        lambda f: read_json(str(f), splits=SPLITS),
        flat=False,
        nested=True,
    ),
    Format("avro", _each(write_avro, "avro"), lambda f: read_avro(str(f), splits=SPLITS), nested=True),
    Format(
        "tfrecord",
        _each(write_tfrecord, "tfrecord"),
        lambda f: read_tfrecord(str(f), splits=SPLITS, column_types={**_NO_BOOLEANS, "half": "double"}),
    ),
    Format(
        "sqlite",
        write_sqlite,
        lambda f: read_sql(sqlite_query(f), splits=SPLITS, column_types=_NO_BOOLEANS),
    ),
    Format(
        "sqlite in parts",
        write_sqlite,
        lambda f: read_sql(
            sqlite_query(f), splits=SPLITS, column_types=_NO_BOOLEANS, partition_by="id", partitions=3
        ),
        ordered=False,
    ),
    Format("delta", write_delta, lambda f: read_delta(str(f), splits=SPLITS), nested=True, ordered=False),
    Format(
        "iceberg",
        write_iceberg,
        lambda f: read_iceberg((f / "location").read_text(), splits=SPLITS),
        nested=True,
        ordered=False,
    ),
)
