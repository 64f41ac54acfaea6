"""Damaged files: each gives a clear error or rows that are all accounted for, never anything else."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pyarrow as pa
import pytest

from components.data.column_types import join_types
from components.reading.csv_dialect import CsvDialect
from components.reading.csv_reader import CsvReader
from components.reading.ingest import BadRow, SourceFile
from orchestration import DataError

DAMAGES = 25


def healthy(chance: random.Random) -> bytes:
    lines = ["id,amount,name,when"]
    for number in range(60):
        name = chance.choice(["plain", '"with, comma"', '"two\nlines"', '"a ""quoted"" word"', "", "Zürich"])
        lines.append(f"{number},{chance.random() * 100:.2f},{name},2026-01-{1 + number % 28:02d}")
    return ("\n".join(lines) + "\n").encode()


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def flip(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :]


def drop(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + content[place + 1 + chance.randrange(20) :]


def ragged(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = chance.randrange(1, len(lines))
    lines[place] = chance.choice([lines[place] + b",x", b"lonely", b",,,,,,", lines[place][:3]])
    return b"\n".join(lines)


def latin(content: bytes, chance: random.Random) -> bytes:
    return content.decode().replace("plain", "café", chance.randrange(1, 4)).encode("latin-1")


def huge(content: bytes, chance: random.Random) -> bytes:
    return content.replace(b"plain", b"x" * chance.choice([10_000, 300_000, 5_000_000]), 1)


def other_type(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = chance.randrange(1, len(lines) - 1)
    lines[place] = chance.choice([b"", b"n/a", b"1e400", b"0x", b"--"]) + lines[place][2:]
    return b"\n".join(lines)


def mixed_ends(content: bytes, chance: random.Random) -> bytes:
    return b"".join(line + chance.choice([b"\n", b"\r\n", b"\r"]) for line in content.split(b"\n"))


def quotes(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + b'"' + content[place:]


DAMAGE = [cut, flip, drop, ragged, latin, huge, other_type, mixed_ends, quotes]


def read(path: Path, *, quarantine: bool) -> tuple[int, int, int]:
    """Return rows seen in the first pass, rows read and rows set aside in the second."""
    reader = CsvReader(CsvDialect(), {"amount": pa.float64()} if quarantine else {}, quarantine)
    file = SourceFile(str(path), path.name)
    scan = reader.scan(file)
    fields = [pa.field(name, join_types(kind, pa.null()) or kind) for name, kind in scan.columns.items()]
    schema = pa.schema([f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in fields])
    bad: list[BadRow] = []
    rows = sum(batch.num_rows for batch in reader.read(file, schema, bad))
    return scan.rows, rows, len(bad)


def records(path: Path) -> int:
    """Return how many rows Python's own reader finds below the header."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as text:
        return sum(bool(row) for row in csv.reader(text)) - 1


@pytest.mark.parametrize("quarantine", [False, True], ids=["fail", "quarantine"])
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_reported_or_accounted_for(damage: object, quarantine: bool, tmp_path: Path) -> None:
    failed = 0
    for seed in range(DAMAGES):
        chance = random.Random(f"{seed}/{damage}".partition(" at ")[0])
        path = tmp_path / f"{seed}.csv"
        path.write_bytes(damage(healthy(chance), chance))  # type: ignore[operator]  # one of DAMAGE
        found = outcome(path, quarantine=quarantine)
        if isinstance(found, DataError):
            failed += 1
            assert path.name in found.headline, found
            assert found.expected, found
            assert found.received, found
            assert len(str(found).splitlines()) <= 8, found
        else:
            seen, rows, aside = found
            assert seen == rows + aside == records(path)
    if damage is latin:
        assert failed == DAMAGES  # café in latin-1 is never UTF-8


def outcome(path: Path, *, quarantine: bool) -> DataError | tuple[int, int, int]:
    try:
        return read(path, quarantine=quarantine)
    except DataError as error:
        return error


@pytest.mark.parametrize("rows", [1, 2, 1000])
@pytest.mark.parametrize("bad", [0, 1, 7])
def test_no_row_is_lost_without_a_count(rows: int, bad: int, tmp_path: Path) -> None:
    lines = ["id,amount,name,when", *(f"{n},{n}.5,x,2026-01-01" for n in range(rows))]
    for place in range(bad):
        lines.insert(1 + place * 2 % len(lines), "too,few")
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    assert read(path, quarantine=True) == (rows + bad, rows, bad)
