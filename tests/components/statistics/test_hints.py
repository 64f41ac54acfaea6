from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from components.statistics.accumulator import Settings
from components.statistics.statistics import ColumnStatistics
from components.statistics.table_accumulator import TableAccumulator, extract

EXACT = Settings()


def column(array: pa.Array, options: Settings = EXACT, pieces: int = 1) -> ColumnStatistics:
    step = max(-(-len(array) // pieces), 1)
    parts = []
    for start in range(0, max(len(array), 1), step):
        table = TableAccumulator(pa.schema([pa.field("x", array.type)]), options)
        table.add(pa.record_batch({"x": array.slice(start, step)}))
        parts.append(table)
    total = parts[0]
    for part in parts[1:]:
        total = total.merged(part)
    return extract({"all": total}, options).splits["all"].columns[0]


TEXTS: list[tuple[str, list[str]]] = [
    ("date", ["2026-11-22", "1999/1/31", "31.12.2020", "12/31/2020"]),
    ("datetime", ["2026-11-22T10:00:00Z", "2026-11-22 10:00", "2026-11-22 10:00:00.125 +01:00"]),
    ("time", ["10:00", "23:59:59", "9:05 PM"]),
    ("number", ["1", "-2.5", "+.5", "1e-7", "12345678"]),
    ("boolean", ["true", "FALSE", "yes", "n"]),
    ("email", ["a@b.org", "first.last+tag@sub.example.co.uk"]),
    ("url", ["https://example.org/a?b=c", "s3://bucket/key"]),
    ("ip", ["10.0.0.1", "255.255.255.255", "::1", "2001:db8::8a2e:370:7334"]),
    ("uuid", ["123e4567-e89b-12d3-a456-426614174000", "{123E4567-E89B-12D3-A456-426614174001}"]),
    ("digest", ["d41d8cd98f00b204e9800998ecf8427e", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"]),
    ("country_code", ["DE", "FR", "ZA"]),
    ("json", ['{"a": 1}', "[1, 2]", " {}"]),
    ("path", ["/etc/hosts", "./a/b", "~/x", r"C:\temp"]),
    ("phone", ["+49 30 1234567", "(030) 123-4567", "555-123-4567"]),
    ("image_name", ["a.jpg", "https://example.org/x.PNG", "/tmp/b.webp"]),
    ("free_text", ["the quick brown fox", "a note that somebody wrote", "This is a whole sentence."]),
]


@pytest.mark.parametrize(("name", "values"), TEXTS, ids=[name for name, _ in TEXTS])
def test_texts_are_recognised(name: str, values: list[str]) -> None:
    found = column(pa.array([*values, None, ""]))
    assert found.hint == name
    assert {hint.name: hint.share for hint in found.hints}[name] == 1.0
    assert (found.hinted_values, found.hints_exact) == (len(values), True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "2026-13-01"),
        ("date", "2026-11-22x"),
        ("time", "24:00"),
        ("time", "10:61"),
        ("email", "a@b"),
        ("url", "example.org"),
        ("ip", "256.1.1.1"),
        ("ip", "1.2.3"),
        ("ip", "10:00:00"),
        ("uuid", "123e4567-e89b-12d3-a456-42661417400"),
        ("digest", "d41d8cd98f00b204e9800998ecf8427"),
        ("country_code", "XX"),
        ("country_code", "de"),
        ("json", "[1, 2"),
        ("phone", "2026-11-22"),
        ("number", "1,5"),
        ("path", "a/b"),
        ("image_name", "jpg"),
        ("free_text", "only three words"),
    ],
)
def test_texts_that_only_look_alike(name: str, value: str) -> None:
    assert name not in {hint.name for hint in column(pa.array([value])).hints}


def test_a_share_is_that_of_the_distinct_values() -> None:
    values = ["a@b.org"] * 50 + ["c@d.org", "nobody", "no one here", ""]
    found = column(pa.array(values))
    assert found.hint is None or found.hint == "categorical"
    assert {hint.name: hint.share for hint in found.hints}["email"] == 2 / 4


def test_numbers_that_look_like_something_by_chance() -> None:
    assert column(pa.array([0, 1, 1999, 3.5, 4.5, 5.5, 6.5])).hints == ()


def test_columns_as_a_whole() -> None:
    assert (
        column(pa.array(["one of very few sentences", "and the other of these"] * 10)).hint == "categorical"
    )
    assert column(pa.array(["red", "green", "blue"] * 10)).hint == "categorical"
    assert column(pa.array([f"k{n}x" for n in range(200)])).hint == "identifier"
    assert column(pa.array([f"k{n}x" for n in range(20)])).hint is None
    assert column(pa.array([], pa.string())).hint is None
    assert column(pa.array(["", None])).hint in (None, "categorical")


PICTURES = {
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00",
    "gif": b"GIF89a\x01\x00",
    "webp": b"RIFF\x24\x00\x0a\x00WEBPVP8 ",
    "bmp": b"BM\x46\x00\x00\x0a\x00\x00\x00\x00\x36",
    "tiff": b"II*\x00\x08",
}


@pytest.mark.parametrize(("name", "head"), PICTURES.items(), ids=PICTURES)
def test_pictures_by_their_first_bytes(name: str, head: bytes) -> None:
    found = column(pa.array([head + bytes([n]) * 400 for n in range(5)]))
    assert found.hint == "image"
    assert {hint.name: hint.share for hint in found.hints}[name] == 1.0
    assert column(pa.array([b"text " + head])).hint != "image"


def test_bytes_that_are_text() -> None:
    found = column(pa.array([b"plain", "Zürich".encode(), None, b""]))
    assert (found.hint, found.not_utf8) == ("utf8_text", 0)


NUMBERS: list[tuple[str | None, list[Any]]] = [
    ("boolean", [0, 1, 1]),
    ("date_number", [20261122, 19991231]),
    ("year", [1999, 2026]),
    ("epoch_seconds", [1_700_000_000, 1_600_000_000]),
    ("epoch_milliseconds", [1_700_000_000_000]),
    ("categorical", [3, 7, 9] * 10),
    ("identifier", list(range(5_000, 5_200))),
    (None, [0.5, 0.25] * 10),
]


@pytest.mark.parametrize(("name", "values"), NUMBERS, ids=[str(name) for name, _ in NUMBERS])
def test_numbers(name: str | None, values: list[Any]) -> None:
    assert column(pa.array(values)).hint == name


WORDS = [f"user{n}@example.org" if n % 4 else f"note {n} of some length" for n in range(3000)]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**16))
def test_many_values_are_sampled_alike_whatever_the_order_and_the_pieces(pieces: int, seed: int) -> None:
    options = Settings(capacity=200)
    shuffled = [WORDS[place] for place in np.random.default_rng(seed).permutation(len(WORDS))]
    found, expected = column(pa.array(shuffled), options, pieces), column(pa.array(WORDS), options)
    assert (found.hints, found.hinted_values, found.hints_exact) == (expected.hints, 800, False)
    assert {hint.name: hint.share for hint in found.hints}["email"] == pytest.approx(0.75, abs=0.06)


def test_long_texts_are_cut_before_they_are_kept() -> None:
    values = [f"{n:04d} " + "long " * 500 for n in range(600)]
    found = column(pa.array(values), Settings(capacity=20))
    assert found.hint == "free_text"
    assert found.lengths is not None
    assert found.lengths.max == 2505
