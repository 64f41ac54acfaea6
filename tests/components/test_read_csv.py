from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.data.errors import ColumnTypeError
from components.read_csv import read_csv
from orchestration import ArgumentError, DataError, RunContext

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
WHOLE = {"all": 1.0}


def write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def table(examples: Examples, split: str = "all") -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in examples.files(split)])


def bytes_of(examples: Examples) -> dict[str, str]:
    files = sorted(path for path in examples.path.rglob("*") if path.is_file())
    return {str(f.relative_to(examples.path)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_types_missing_values_and_rows_arrive(tmp_path: Path) -> None:
    header = "id,fare,paid,start,day,note"
    text = header + '\n1,2,true,2026-01-31 10:00:00,2026-01-31,"a, ""b"""\n2,3.5,,,,"two\nlines"\n'
    examples = read_csv(write(tmp_path, "a.csv", text), splits=WHOLE)
    assert examples.metadata == {
        "columns": {
            "id": "int64",
            "fare": "double",
            "paid": "bool",
            "start": "timestamp[us]",
            "day": "date32[day]",
            "note": "string",
        },
        "quarantined": 0,
        "read": 2,
        "splits": {"all": {"rows": 2}},
    }
    rows = table(examples).to_pylist()
    assert rows[0]["note"] == 'a, "b"'
    assert rows[1] == {"id": 2, "fare": 3.5, "paid": None, "start": None, "day": None, "note": "two\nlines"}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a;b\n1;2\n", {"delimiter": ";"}, [{"a": 1, "b": 2}]),
        ("a\tb\n1\t2", {"delimiter": "\t"}, [{"a": 1, "b": 2}]),
        (
            "1,x\n2,y\n",
            {"header": False},
            [{"column_1": 1, "column_2": "x"}, {"column_1": 2, "column_2": "y"}],
        ),
        ("1,x\n", {"header": False, "column_names": ["n", "t"]}, [{"n": 1, "t": "x"}]),
        ("a,b\n1,x\n", {"column_names": ["n", "t"]}, [{"n": 1, "t": "x"}]),
        (
            "a,b\n1,n/a\n2,NULL\n",
            {"null_values": ["n/a", "NULL"]},
            [{"a": 1, "b": None}, {"a": 2, "b": None}],
        ),
        ("a,b\n007,1\n", {"column_types": {"a": "string"}}, [{"a": "007", "b": 1}]),
        ("a,b\n1,2\n", {"column_types": {"b": "double"}}, [{"a": 1, "b": 2.0}]),
        ('a,b\n"say \\"hi\\"",1\n', {"escape": "\\"}, [{"a": 'say "hi"', "b": 1}]),
        ("a,b\r\n1,2\r\n", {}, [{"a": 1, "b": 2}]),
        ("a,b\r1,2\r", {}, [{"a": 1, "b": 2}]),
        ("\n\na,b\n\n1,2\n\n", {}, [{"a": 1, "b": 2}]),
        ("\ufeffa,b\n1,2\n", {}, [{"a": 1, "b": 2}]),
        (",b\n1,2\n", {}, [{"column_1": 1, "b": 2}]),
        ("a,b\n 1 , 2.5\n", {}, [{"a": 1, "b": 2.5}]),
        ("a\nZürich\n".encode("latin-1"), {"encoding": "latin-1"}, [{"a": "Zürich"}]),
        ("a,b\n東京,1\n".encode("utf-16"), {"encoding": "utf-16"}, [{"a": "東京", "b": 1}]),
        ("a,b\n1,\n2,\n", {}, [{"a": 1, "b": None}, {"a": 2, "b": None}]),
    ],
)
def test_dialects(
    tmp_path: Path, text: str | bytes, options: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    assert table(read_csv(write(tmp_path, "a.csv", text), splits=WHOLE, **options)).to_pylist() == expected


def test_compressed_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "a.csv.gz", gzip.compress(b"a,b\n1,2\n"))
    assert table(read_csv(str(tmp_path / "*.gz"), splits=WHOLE)).to_pylist() == [{"a": 1, "b": 2}]


def test_numbers_widen_between_files_and_columns_may_change_places(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "a,b\n1,x\n")
    write(tmp_path, "2.csv", "b,a\ny,2.5\n")
    write(tmp_path, "3.csv", "a,b\n,\n")
    assert table(read_csv(str(tmp_path), splits=WHOLE)).to_pylist() == [
        {"a": 1.0, "b": "x"},
        {"a": 2.5, "b": "y"},
        {"a": None, "b": None},
    ]


def test_a_row_lands_in_the_same_split_whatever_file_it_is_in(tmp_path: Path) -> None:
    lines = [f"{number},{number % 7},text {number}" for number in range(2000)]
    one = read_csv(write(tmp_path, "one/a.csv", "\n".join(["a,b,c", *lines])))
    write(tmp_path, "many/b.csv", "\n".join(["a,b,c", *lines[:10], *lines[500:]]))
    write(tmp_path, "many/a.csv", "\n".join(["a,b,c", *reversed(lines[10:500])]))
    many = read_csv(str(tmp_path / "many" / "*.csv"))
    for split in ("train", "eval"):
        rows = [sorted(table(examples, split).column("a").to_pylist()) for examples in (one, many)]
        assert rows[0] == rows[1]
    assert 300 < one.metadata["splits"]["eval"]["rows"] < 500


def test_rows_that_agree_in_split_by_stay_together(tmp_path: Path) -> None:
    lines = ["user,n", *(f"u{number % 100},{number}" for number in range(1000))]
    examples = read_csv(write(tmp_path, "a.csv", "\n".join(lines)), split_by=["user"])
    users = [set(table(examples, split).column("user").to_pylist()) for split in ("train", "eval")]
    assert not users[0] & users[1]
    assert len(users[0] | users[1]) == 100


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "\n".join(["a,b", *(f"{n},{n / 7}" for n in range(5000))]))
    assert bytes_of(read_csv(path)) == bytes_of(read_csv(path))


def test_a_split_without_rows_still_tells_its_columns(tmp_path: Path) -> None:
    examples = read_csv(write(tmp_path, "a.csv", "a\n1\n"), splits={"x": 0.5, "y": 0.5})
    assert sum(split["rows"] for split in examples.metadata["splits"].values()) == 1
    for split in ("x", "y"):
        assert table(examples, split).schema.names == ["a"]


def test_row_groups_have_a_fixed_size(tmp_path: Path) -> None:
    text = "a\n" + "".join(f"{number}\n" for number in range(300_000))
    examples = read_csv(write(tmp_path, "a.csv", text), splits=WHOLE)
    metadata = pq.read_metadata(examples.files("all")[0])
    assert [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)] == [
        131_072,
        131_072,
        37_856,
    ]


def test_metrics_are_logged(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    read_csv(write(tmp_path, "a.csv", "a\n1\n2\n"), run=RunContext(emit=events.append))
    assert {"kind": "metric", "name": "rows_read", "value": 2.0, "step": 0} in events


# ---------------------------------------------------------------- bad rows


RAGGED = "a,b\n1,2\n3\n4,5,6\n7,8\n"


def test_a_ragged_row_fails_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:3 has 1 value in a row") as caught:
        read_csv(write(tmp_path, "a.csv", RAGGED))
    assert caught.value.expected == "2 values"
    assert "quarantine" in str(caught.value.next)


def test_the_line_counts_line_ends_inside_quotes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:6 has 3 values"):
        read_csv(write(tmp_path, "a.csv", 'a,b\n"x\ny\nz",1\n\n2,3,4\n'))


def test_bad_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    text = "a,b\n1,2\n3\n4,x\n5,6,7\n8,9\n"
    examples = read_csv(
        write(tmp_path, "a.csv", text), splits=WHOLE, column_types={"b": "int64"}, on_bad_rows="quarantine"
    )
    assert table(examples).to_pylist() == [{"a": 1, "b": 2}, {"a": 8, "b": 9}]
    assert (examples.metadata["read"], examples.metadata["quarantined"]) == (5, 3)
    aside = pq.read_table(examples.path / "quarantine" / "part-00000.parquet").to_pylist()
    assert sorted(aside, key=lambda row: row["line"]) == [
        {"file": "a.csv", "line": 3, "column": None, "reason": "1 value(s) instead of 2", "text": "3"},
        {"file": "a.csv", "line": 4, "column": "b", "reason": '"x" is not int64', "text": "4,x"},
        {"file": "a.csv", "line": 5, "column": None, "reason": "3 value(s) instead of 2", "text": "5,6,7"},
    ]


def test_a_value_that_is_not_of_the_stated_type_fails_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ColumnTypeError) as caught:
        read_csv(write(tmp_path, "a.csv", "a,b\n1,2\n3,n/a\n"), column_types={"b": "double"})
    assert str(caught.value).splitlines()[:3] == [
        'column "b" holds a value that is not double',
        "  expected  double",
        '  received  "n/a" in a.csv:3',
    ]


def test_a_quote_that_is_never_closed_fails_even_where_bad_rows_are_set_aside(tmp_path: Path) -> None:
    # The rest of the file would be set aside as one row.
    with pytest.raises(DataError, match=r"a\.csv:3 opens a quote"):
        read_csv(write(tmp_path, "a.csv", 'a,b\n1,2\n"3,4\n5,6\n7,8\n'), on_bad_rows="quarantine")


def test_a_quote_inside_a_text_is_no_opening_quote(tmp_path: Path) -> None:
    examples = read_csv(write(tmp_path, "a.csv", 'a,b\n1,5" pipe\n2,x\n'), splits=WHOLE)
    assert table(examples).column("b").to_pylist() == ['5" pipe', "x"]


def test_no_quarantine_folder_without_bad_rows(tmp_path: Path) -> None:
    examples = read_csv(write(tmp_path, "a.csv", "a\n1\n"), splits=WHOLE, on_bad_rows="quarantine")
    assert sorted(bytes_of(examples)) == ["all/part-00000.parquet"]


# ---------------------------------------------------------------- errors


def test_a_column_that_changes_type_names_files_line_and_value(tmp_path: Path) -> None:
    write(tmp_path, "2026-11-01.csv", "id,fare\n1,12.5\n")
    write(tmp_path, "2026-11-02.csv", "id,fare\n2,7.5\n3,n/a\n")
    with pytest.raises(ColumnTypeError) as caught:
        read_csv(str(tmp_path / "*.csv"))
    lines = str(caught.value).splitlines()
    assert lines[0] == 'column "fare" changes type between files'
    assert lines[1] == "  expected  double  2026-11-01.csv"
    assert lines[2] == '  received  string  2026-11-02.csv, first at line 3: "n/a"'
    assert lines[3].startswith("  at        ")
    assert lines[4] == '  next      read_csv(..., column_types={"fare": "double"}, null_values=["n/a"])'


def test_text_first_and_numbers_later_is_the_same_contradiction(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "a\nx\n")
    write(tmp_path, "2.csv", "a\n1\n")
    with pytest.raises(ColumnTypeError, match="changes type") as caught:
        read_csv(str(tmp_path))
    assert "int64" in str(caught.value.expected)
    assert '1.csv, first at line 2: "x"' in str(caught.value.received)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv is empty"),
        ("\n\n", "a.csv is empty"),
        ("a,b\n", "the input has no rows"),
        ("a,a\n1,2\n", 'names column "a" twice'),
        (b"a,b\n1,2\n3,\xff\n", "a.csv:3 is not utf-8 text"),
        (b"a,b\n1,2\n3,\x004\n", "a.csv:3 holds a NUL byte"),
        (b"PAR1\x00\x00\x15\x04", "a.csv:1 holds a NUL byte"),
        ('a,b\n1,2\n"3,4\n5,6\n', "a.csv:3 opens a quote that is never closed"),
        ('a,b\n1,2\n3,"4\n5,6\n', "a.csv:3 opens a quote that is never closed"),
        ('a,b\n1,2\n3,"4', "a.csv:3 opens a quote that is never closed"),
        ('a\n1\n"2\n3\n', "a.csv:3 opens a quote that is never closed"),
        ("a,b\n1,2\n3,4,5\n", "a.csv:3 has 3 values in a row"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, "a.csv", text))
    assert message in caught.value.headline
    assert caught.value.expected
    assert caught.value.received


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no input file matches"):
        read_csv(str(tmp_path / "*.csv"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match="no input file matches"):
        read_csv(str(tmp_path / "a.csv"))


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(9000)))
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_csv(write(tmp_path, "a.csv.gz", whole[:-2000]))
    with pytest.raises(DataError, match="cannot be read to its end"):
        read_csv(write(tmp_path, "a.csv.gz", b"a,b\n1,2\n"))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.csv", "a\n1\n")
    real = Path.open

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        # As root nothing is unreadable, so the operating system's answer is given here.
        if str(self) == path:
            raise PermissionError(13, "Permission denied", path)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.csv cannot be opened: Permission denied"):
        read_csv(path)


def test_other_columns_in_one_file(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "a,b\n1,2\n")
    write(tmp_path, "2.csv", "a,c\n1,2\n")
    with pytest.raises(DataError, match=r"2\.csv has other columns than 1\.csv") as caught:
        read_csv(str(tmp_path))
    assert caught.value.received == "no b, also c"
    assert "1.csv" in str(caught.value.next)


def test_a_row_longer_than_a_block_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:2 cannot be read as CSV") as caught:
        read_csv(write(tmp_path, "a.csv", 'a,b\n"' + "x" * (9 << 20) + '",1\n'))
    assert "quote" in str(caught.value.expected)


@pytest.mark.parametrize(
    "options",
    [
        {"splits": {}},
        {"splits": {"train": 0.5}},
        {"splits": {"train": 1.5, "eval": -0.5}},
        {"splits": {"a/b": 1.0}},
        {"split_by": []},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"escape": "ab"},
        {"encoding": "klingon"},
        {"encoding": "base64"},
        {"column_types": {"a": "numbr"}},
        {"column_names": ["a", "a"]},
        {"on_bad_rows": "ignore"},
    ],
)
def test_arguments_out_of_range(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        read_csv(write(tmp_path, "a.csv", "a\n1\n"), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_by": ["nobody"]}, 'no column "nobody" to split by'),
        ({"column_types": {"nobody": "int64"}}, 'column_types names column "nobody"'),
        ({"column_names": ["x", "y", "z"]}, "a.csv has 1 columns, column_names has 3"),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, "a.csv", "a\n1\n"), **options)
    assert message in caught.value.headline


# ---------------------------------------------------------------- real data


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("taxi/data.csv", 15_002, 18),
        ("marvel/marvel-wikia-data.csv", 16_376, 13),
        ("diamonds/diamonds.csv", 53_940, 10),
        ("nyc_taxis/taxis.csv", 6_433, 14),
    ],
)
def test_real_files_arrive_whole(name: str, rows: int, columns: int) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    examples = read_csv(str(path), splits=WHOLE)
    assert (examples.rows, len(examples.metadata["columns"])) == (rows, columns)
    import pandas as pd

    expected = pd.read_csv(path)
    found = table(examples)
    for column in expected.columns:
        assert found.column(column).null_count == int(expected[column].isna().sum())
        if expected[column].dtype.kind in "if":
            assert found.column(column).cast(pa.float64()).to_pandas().equals(expected[column].astype(float))
