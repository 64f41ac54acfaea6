from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.data.errors import ColumnTypeError
from components.read_json import read_json
from components.reading import json_lines
from orchestration import ArgumentError, DataError

WHOLE = {"all": 1.0}
ASIDE: dict[str, Any] = {"splits": WHOLE, "on_bad_rows": "quarantine"}


def write(folder: Path, *files: str | bytes) -> str:
    for place, text in enumerate(files):
        (folder / f"{place}.jsonl").write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder)


def rows(examples: Examples) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.concat_tables(
        [pq.read_table(file) for file in examples.files("all")]
    ).to_pylist()
    return found


def aside(examples: Examples) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(
        examples.path / "quarantine" / "part-00000.parquet"
    ).to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ('{"a":1}\n{"a":2.5}', {}, [{"a": 1.0}, {"a": 2.5}]),
        ('{"a":1}\n\n  \n{"b":"x"}\n', {}, [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ('\ufeff{"a":true}\r\n{"a":null}\r\n', {}, [{"a": True}, {"a": None}]),
        ('{"a":[]}\n{"a":[1,null]}\n{"a":null}', {}, [{"a": []}, {"a": [1, None]}, {"a": None}]),
        ('{"a":{"b":[{"c":1}]}}\n{"a":{}}', {}, [{"a": {"b": [{"c": 1}]}}, {"a": {"b": None}}]),
        ('{"a":"2026-01-31"}', {}, [{"a": "2026-01-31"}]),
        ('{"a":null}', {}, [{"a": None}]),
        (
            '{"a":1}\n{"a":"x"}\n{"a":1.50}',
            {"column_types": {"a": "string"}},
            [{"a": "1"}, {"a": "x"}, {"a": "1.50"}],
        ),
        ('{"a":12345678901234567890}', {"column_types": {"a": "string"}}, [{"a": "12345678901234567890"}]),
        ('{"a":7}', {"column_types": {"a": "double"}}, [{"a": 7.0}]),
        ('{"a":["2026-01-31"]}', {"column_types": {"a": "list<item: string>"}}, [{"a": ["2026-01-31"]}]),
        ('{"a":"Zürich"}'.encode("latin-1"), {"encoding": "latin-1"}, [{"a": "Zürich"}]),
        ('{"a":"東京"}'.encode("utf-16"), {"encoding": "utf-16"}, [{"a": "東京"}]),
        ('{"a":"\\u00fc\\n\\"}{"}', {}, [{"a": 'ü\n"}{'}]),
    ],
)
def test_values(
    tmp_path: Path, text: str | bytes, options: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    assert rows(read_json(write(tmp_path, text), splits=WHOLE, **options)) == expected


def test_dates_times_and_decimals_are_stated(tmp_path: Path) -> None:
    types = {"day": "date32", "at": "timestamp[us]", "price": "decimal128(10, 2)"}
    text = '{"day":"2026-01-31","at":"2026-01-31T10:00:00","price":"1.5"}\n{"price":2.25}'
    examples = read_json(write(tmp_path, text), splits=WHOLE, column_types=types)
    assert examples.metadata["columns"] == {
        "day": "date32[day]",
        "at": "timestamp[us]",
        "price": "decimal128(10, 2)",
    }
    assert [str(row["price"]) for row in rows(examples)] == ["1.50", "2.25"]


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_packed_files(tmp_path: Path, ending: str, pack: Any) -> None:
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(pack(b'{"a":1}\n' * 1000))
    assert read_json(str(path)).rows == 1000
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=rf"a\.jsonl\.{ending} cannot be read to its end"):
        read_json(str(path))


def test_files_may_lack_columns_and_widen(tmp_path: Path) -> None:
    examples = read_json(
        write(tmp_path, '{"a":1,"s":{"x":1}}', "", '{"b":[2],"a":1.5,"s":{"y":"z"}}'), splits=WHOLE
    )
    assert rows(examples) == [
        {"a": 1.0, "s": {"x": 1, "y": None}, "b": None},
        {"a": 1.5, "s": {"x": None, "y": "z"}, "b": [2]},
    ]


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f'{{"a":{n},"b":{n / 2 if n > 50 else n}}}\n' for n in range(100))
    whole = read_json(write(tmp_path, text), splits=WHOLE)
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 37)
    small = read_json(str(tmp_path), splits=WHOLE)
    assert rows(small) == rows(whole)
    assert small.metadata == whole.metadata


@pytest.mark.parametrize("block", [1 << 20, 20], ids=["one block", "many blocks"])
def test_a_type_change_within_a_file_names_the_line(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", block)
    text = '{"a":1,"b":1}\n{"a":2,"b":2}\n\n{"a":3,"b":"x"}\n'
    with pytest.raises(ColumnTypeError, match=r'column "b" changes type in 0\.jsonl') as caught:
        read_json(write(tmp_path, text))
    assert "0.jsonl:4" in str(caught.value.received)
    assert caught.value.next == 'read_json(..., column_types={"b": "string"})'


def test_a_type_change_between_files_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ColumnTypeError, match='column "a" changes type between files') as caught:
        read_json(write(tmp_path, '{"a":1}\n', '{"b":0}\n{"a":"x"}\n'))
    assert "1.jsonl" in str(caught.value.received)
    assert "first at line 2" in str(caught.value.received)


BROKEN = {
    '{"a":1,"a":2}': 'it names "a" twice',
    '{"a":{"b":1,"b":2}}': 'it names "b" twice',
    "[1]": "an array, not an object",
    "null": "null, not an object",
    "5": "a number, not an object",
    '"text"': "text, not an object",
    '{"a":1': "not JSON",
    '{"a":1}{"a":2}': "not JSON: Extra data",
    "{'a':1}": "not JSON",
    '{"a":1e400}': "it holds a number that no double can hold",
    '{"a":"\\ud800"}': "it holds half of a surrogate pair",
    '{"a":' + "[" * 150 + "]" * 150 + "}": "it is nested more than 100 levels deep",
    '{"a":' + "[" * 50_000: "it is nested more than 100 levels deep",
}


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_refused_or_set_aside(tmp_path: Path, line: str) -> None:
    folder = write(tmp_path, f'{{"a":1}}\n{line}\n{{"a":3}}\n')
    with pytest.raises(DataError) as caught:
        read_json(folder)
    assert caught.value.headline.startswith(f"0.jsonl:2 is no row: {BROKEN[line]}")
    examples = read_json(folder, **ASIDE)
    assert rows(examples) == [{"a": 1}, {"a": 3}]
    assert (examples.metadata["read"], examples.metadata["quarantined"]) == (3, 1)
    (row,) = aside(examples)
    assert (row["file"], row["line"]) == ("0.jsonl", 2)
    assert row["reason"].startswith(BROKEN[line])
    assert row["text"][:10_000] == line[:9_999] + "…" if len(line) > 10_000 else row["text"] == line


def test_a_value_of_another_type_than_stated(tmp_path: Path) -> None:
    folder = write(tmp_path, '{"a":1,"d":"2026-01-31"}\n{"a":"x"}\n{"a":2.5}\n{"a":4,"d":"soon"}\n')
    types = {"a": "int64", "d": "date32"}
    with pytest.raises(ColumnTypeError, match='column "a" holds a value that is not int64') as caught:
        read_json(folder, column_types=types)
    assert caught.value.received == '0.jsonl:2: {"a":"x"}'
    examples = read_json(folder, column_types=types, **ASIDE)
    assert [row["a"] for row in rows(examples)] == [1]
    assert [(row["line"], row["column"]) for row in aside(examples)] == [(2, "a"), (3, "a"), (4, "d")]


@pytest.mark.parametrize(
    "text",
    ['{"a":12345678901234567890}', '{"a":0.5}\n{"a":9007199254740993}', '{"a":[0.5,9007199254740993]}'],
)
def test_a_whole_number_that_a_double_would_round(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match='column "a" holds a whole number that a double would round'):
        read_json(write(tmp_path, text))
    examples = read_json(write(tmp_path, text), splits=WHOLE, column_types={"a": "string"})
    assert "9007199254740993" in str(rows(examples)) or "12345678901234567890" in str(rows(examples))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the input has no rows"),
        ("\n \n", "the input has no rows"),
        ("{}\n", r"0\.jsonl has rows but no column"),
        (b'{"a":"\xff"}', r"0\.jsonl:1 is not utf-8 text"),
        (b'{"a":1}\n\x00', r"0\.jsonl:2 holds a NUL byte"),
    ],
)
def test_files_that_hold_no_rows(tmp_path: Path, text: str | bytes, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_json(write(tmp_path, text), **ASIDE)


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 5000)
    with pytest.raises(DataError, match=r"0\.jsonl:2 is too long for one row"):
        read_json(write(tmp_path, '{"a":1}\n[' + '{"a":1},' * 1000))


def test_spans_and_conditions_are_those_of_all_readers(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        folder = tmp_path / f"2026-11-0{day}"
        folder.mkdir()
        write(folder, f'{{"a":{day}}}\n{{"a":{day * 10}}}\n' + ('{"b":"new"}\n' if day == 3 else ""))
    pattern = f"{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}/*.jsonl"
    examples = read_json(pattern, span="last 2", where="a < 25", splits=WHOLE)
    assert sorted(row["a"] for row in rows(examples)) == [2, 3, 20]
    assert (examples.metadata["read"], examples.metadata["filtered"]) == (5, 2)


def test_objects_used_as_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.reading.json_reader.MOST_NAMES", 50)
    folder = write(tmp_path, "".join(f'{{"id":1,"by":{{"user{n}":{n}}}}}\n' for n in range(60)))
    with pytest.raises(DataError, match=r"0\.jsonl has more than 50 different names") as caught:
        read_json(folder)
    assert caught.value.next == 'read_json(..., column_types={"by": "string"}) to keep it as JSON'
    kept = rows(read_json(folder, splits=WHOLE, column_types={"by": "string"}))
    assert kept[7] == {"id": 1, "by": '{"user7": 7}'}


def test_arguments(tmp_path: Path) -> None:
    folder = write(tmp_path, '{"a":1}')
    with pytest.raises(ArgumentError, match='argument "encoding" is out of range'):
        read_json(folder, encoding="klingon")
    with pytest.raises(ArgumentError, match='argument "on_bad_rows" is out of range'):
        read_json(folder, on_bad_rows="ignore")
    with pytest.raises(DataError, match='column_types names column "b"'):
        read_json(folder, column_types={"b": "int64"})
