"""Damaged inputs of every format: a clear error, or rows that are all accounted for, never anything else."""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import DeltaPath, SqlQuery
from components.reading.agreement import Agreement
from components.reading.avro_reader import AvroReader
from components.reading.csv_dialect import CsvDialect
from components.reading.csv_reader import CsvReader
from components.reading.delta_reader import DeltaReader
from components.reading.delta_table import open_delta
from components.reading.json_reader import JsonReader
from components.reading.parquet_reader import ParquetReader
from components.reading.row_selection import RowSelection
from components.reading.sources import BadRow, Reader, SourceFile
from components.reading.sql_partitions import Partition
from components.reading.sql_reader import SqlReader
from components.reading.tfrecord_reader import TfRecordReader
from orchestration import DataError, HeadraceError
from tests.components.reading.reader_conformance import (
    flat_table,
    write_avro,
    write_delta,
    write_json,
    write_sqlite,
    write_tfrecord,
)

pytest.importorskip("google_crc32c", reason="the extra headrace[tfrecord] is not installed")
pytest.importorskip("deltalake", reason="the extra headrace[delta] is not installed")

SEEDS = 6
TABLE = flat_table(60)


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, write_page_checksum=True, row_group_size=25)


@dataclass(frozen=True)
class Kind:
    """A format under attack.

    Attributes:
        name: Name of the file that is damaged, in a folder of its own.
        write: Writes a healthy one.
        reader: Makes the reader; with True one that sets bad rows aside.
        aside: Whether it can.
    """

    name: str
    write: Callable[[pa.Table, Path], None]
    reader: Callable[[bool], Reader]
    aside: bool = False


def _json(aside: bool) -> Reader:
    return JsonReader({"half": pa.float64()} if aside else {}, "utf-8", quarantine=aside)


KINDS = [
    Kind("a.jsonl", write_json, _json, aside=True),
    Kind("a.jsonl.gz", write_json, _json, aside=True),
    Kind("a.avro", write_avro, lambda _: AvroReader()),
    Kind("a.tfrecord", write_tfrecord, lambda aside: TfRecordReader({}, aside), aside=True),
    Kind("a.parquet", write_parquet, lambda _: ParquetReader()),
]
MODES = [(kind, aside) for kind in KINDS for aside in (False, True) if kind.aside or not aside]


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def flip(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def drop(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + content[place + 1 + chance.randrange(20) :]


def zeros(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes(30) + content[place + 30 :]


def twice(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + content


def garbage(content: bytes, chance: random.Random) -> bytes:
    return content[:4] + chance.randbytes(500)


def other_encoding(content: bytes, chance: random.Random) -> bytes:
    return content.decode("latin-1").encode(chance.choice(["utf-16", "utf-32", "cp500"]), "replace")


def empty(content: bytes, chance: random.Random) -> bytes:
    return b"\n" * chance.randrange(2)


def other_format(content: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        [b"a,b\n1,2\n", b"PAR1" * 9, b"Obj\x01\x00", b"\x1f\x8b\x08", b"<html></html>", b"{}[]"]
    )


DAMAGE = [cut, flip, drop, zeros, twice, garbage, other_encoding, empty, other_format]


@dataclass
class Found:
    """What became of a source: rows seen in the first pass, read in the second, set aside."""

    seen: int
    read: int
    aside: list[BadRow] = field(default_factory=list)


def read(reader: Reader, *files: SourceFile) -> Found:
    """Read sources as a worker does: look at all, agree on a schema, read all."""
    scans = [reader.scan(file) for file in files]
    schema, _ = Agreement(reader, RowSelection(), files)(list(scans))
    bad: list[BadRow] = []
    rows = sum(batch.num_rows for file in files for batch in reader.read(file, schema, bad))
    return Found(sum(scan.rows for scan in scans), rows, bad)


def outcome(reader: Reader, *files: SourceFile) -> Found | HeadraceError:
    try:
        return read(reader, *files)
    except HeadraceError as error:
        return error


def check(found: Found | HeadraceError, name: str) -> None:
    """Refuse anything but an error that names the place, or rows that balance."""
    if isinstance(found, Found):
        assert found.seen == found.read + len(found.aside)
        return
    assert isinstance(found, DataError), found
    assert name in str(found) or "the input has no rows" in found.headline, found
    assert found.expected and found.received, found
    assert len(str(found).splitlines()) <= 8, found
    assert "Traceback" not in str(found)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(
    ("kind", "aside"), MODES, ids=lambda one: one.name if isinstance(one, Kind) else str(one)
)
def test_damage_is_reported_or_accounted_for(kind: Kind, damage: Any, aside: bool, tmp_path: Path) -> None:
    path = tmp_path / kind.name
    kind.write(TABLE, path)
    whole = path.read_bytes()
    failed = 0
    for seed in range(SEEDS):
        chance = random.Random(f"{seed}/{kind.name}/{damage.__name__}")
        path.write_bytes(damage(whole, chance))
        found = outcome(kind.reader(aside), SourceFile(str(path), path.name))
        check(found, path.name)
        if kind.name == "a.jsonl" and isinstance(found, Found):
            assert found.seen == sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))
        failed += isinstance(found, HeadraceError)
    certain = {empty, other_encoding, other_format, garbage} - ({garbage, other_format} if aside else set())
    assert failed == SEEDS or damage not in certain


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_healthy_file_passes_the_same_check(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / kind.name
    kind.write(TABLE, path)
    found = outcome(kind.reader(False), SourceFile(str(path), path.name))
    assert isinstance(found, Found) and found.seen == found.read == 60


def _flips(value: Any, chance: random.Random) -> Any:
    return chance.choice([None, "x", 1.5, 2**70, True, [1], {"a": 1}, value])


@pytest.mark.parametrize("aside", [False, True], ids=["fail", "quarantine"])
@pytest.mark.parametrize("seed", range(20))
def test_values_of_other_types_in_json(seed: int, aside: bool, tmp_path: Path) -> None:
    chance = random.Random(seed)
    rows = [{"id": n, "half": n / 2, "word": f"w{n}"} for n in range(40)]
    for row in chance.sample(rows, 3):
        name = chance.choice(list(row))
        row[name] = _flips(row[name], chance)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    types = {"id": pa.int64(), "half": pa.float64(), "word": pa.string()} if aside else {}
    found = outcome(JsonReader(types, "utf-8", quarantine=aside), SourceFile(str(path), path.name))
    check(found, path.name)
    if aside:
        assert isinstance(found, Found) and found.seen == 40


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_folder_or_nothing_instead_of_a_file(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / kind.name
    check(missing := outcome(kind.reader(False), SourceFile(str(path), path.name)), path.name)
    path.mkdir()
    check(folder := outcome(kind.reader(False), SourceFile(str(path), path.name)), path.name)
    assert isinstance(missing, DataError) and isinstance(folder, DataError)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_that_may_not_be_read(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / kind.name
    kind.write(TABLE, path)
    path.chmod(0)
    with as_nobody():
        found = outcome(kind.reader(False), SourceFile(str(path), path.name))
    check(found, path.name)
    assert isinstance(found, DataError)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_files_that_contradict_each_other(kind: Kind, tmp_path: Path) -> None:
    words = pa.array([f"w{n}" for n in range(60)])
    other = TABLE.set_column(TABLE.schema.get_field_index("id"), "id", words)
    files = []
    for place, table in enumerate((TABLE, other)):
        path = tmp_path / f"{place}{kind.name}"
        kind.write(table, path)
        files.append(SourceFile(str(path), path.name))
    found = outcome(kind.reader(False), *files)
    assert isinstance(found, DataError)
    assert found.headline == 'column "id" changes type between files'
    assert files[1].name in str(found)


@pytest.mark.parametrize("size", [100_000, 6_000_000])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_huge_fields_are_read(kind: Kind, size: int, tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "word": ["a", "x" * size, "b"]})
    path = tmp_path / kind.name
    kind.write(table, path)
    assert outcome(kind.reader(False), SourceFile(str(path), path.name)) == Found(3, 3)


def _sql(path: Path) -> tuple[Reader, SourceFile]:
    source = SqlQuery("rows", url=f"sqlite:///{path}")
    reader = SqlReader(source.query, source.url, (Partition(),), {})
    return reader, reader.sources()[0][0]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damaged_databases(damage: Any, tmp_path: Path) -> None:
    write_sqlite([TABLE], tmp_path)
    path = tmp_path / "rows.db"
    whole = path.read_bytes()
    for seed in range(SEEDS):
        path.write_bytes(damage(whole, random.Random(f"{seed}/{damage.__name__}")))
        check(outcome(*_sql(path)), "the query")


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("pattern", ["*.parquet", "_delta_log/*1.json"], ids=["rows", "log"])
def test_damaged_delta_tables(pattern: str, damage: Any, tmp_path: Path) -> None:
    for seed in range(3):
        folder = tmp_path / str(seed)
        write_delta([TABLE, TABLE], folder)
        path = min(folder.glob(pattern))
        path.write_bytes(damage(path.read_bytes(), random.Random(f"{seed}/{damage.__name__}")))
        try:
            reader = DeltaReader(DeltaPath(str(folder), version=open_delta(DeltaPath(str(folder))).version()))
            found: Found | HeadraceError = read(reader, *(f for group in reader.sources() for f in group))
        except HeadraceError as error:
            found = error
        check(found, str(folder))


def test_csv_passes_the_same_check(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n1\n")
    found = outcome(CsvReader(CsvDialect(), {}, quarantine=True), SourceFile(str(path), path.name))
    assert isinstance(found, Found) and (found.read, len(found.aside)) == (1, 1)
