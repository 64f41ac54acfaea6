from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from components.artifacts import Examples
from components.data.errors import ReconciliationError
from components.read_csv import read_csv
from components.read_parquet import read_parquet
from components.reading.ingest import group_files, ingest, ingest_groups
from components.reading.parquet_reader import ParquetReader
from components.reading.row_selection import RowFilter, RowSelection, SpanWindow
from components.reading.sources import BadRow, Scan, SourceFile
from components.reading.spans import SpanFiles, spans_of
from components.reading.splits import Splits
from orchestration import Beam, DataError, Files, RunContext

ROWS = pa.table(
    {
        "n": list(range(600)),
        "fold": [f"f{n % 5}" for n in range(600)],
        "fare": [None if n % 50 == 0 else n / 7 - 10 for n in range(600)],
    }
)


def write(path: Path, table: pa.Table, group: int = 1000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)


def numbers(examples: Examples) -> dict[str, list[int]]:
    found = {}
    for split in examples.splits:
        tables = [pq.read_table(file, columns=["n"]) for file in examples.files(split)]
        found[split] = sorted(pa.concat_tables(tables).column("n").to_pylist())
    return found


def balanced(examples: Examples) -> bool:
    facts = examples.metadata
    out = sum(facts.get(name, 0) for name in ("filtered", "sampled_out", "without_split", "quarantined"))
    return bool(facts["read"] == examples.rows + out)


CHOICES: list[dict[str, Any]] = [
    {},
    {"split_by": ["fold"], "sample": 0.5},
    {"split_column": "fold", "splits": {"train": ["f0", "f1"], "eval": ["f4"]}, "unknown_split": "drop"},
    {"split_time": "n", "splits": {"train": None, "eval": 400}, "where": "fare > 0 or fare is null"},
    {"where": "fold != 'f3' and n > 9", "sample": 0.3, "seed": 4},
]


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans(), st.sampled_from(CHOICES))
def test_the_same_rows_in_any_files_give_the_same_splits(
    seed: int, files: int, spans: bool, options: dict[str, Any]
) -> None:
    order = random.Random(seed).sample(range(600), 600)
    cuts = sorted(random.Random(seed + 1).sample(range(1, 600), files - 1))
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.parquet")
        write(whole, ROWS)
        for place, (start, end) in enumerate(zip([0, *cuts], [*cuts, 600], strict=True)):
            part = ROWS.take(pa.array(order[start:end]))
            write(Path(folder, f"in/{place}/a.parquet"), part, group=random.Random(seed).randint(1, 300))
        pattern = "{SPAN}" if spans else "*"
        many = read_parquet(f"{folder}/in/{pattern}/*", span="all" if spans else "latest", **options)
        one = read_parquet(str(whole), **options)
        assert numbers(many) == numbers(one)
        assert balanced(many) and balanced(one)
        kept = ("parts", "spans")
        assert {k: v for k, v in many.metadata.items() if k not in kept} == one.metadata


@pytest.mark.parametrize("read", [read_csv, read_parquet], ids=lambda read: str(read.name))
def test_rows_left_out_are_counted_by_reason(tmp_path: Path, read: Any) -> None:
    if read is read_csv:
        import pyarrow.csv

        pyarrow.csv.write_csv(ROWS, tmp_path / "a")
    else:
        write(tmp_path / "a", ROWS)
    examples = read(
        str(tmp_path / "a"),
        where="fare > 0",
        sample=0.5,
        split_column="fold",
        splits={"train": ["f0", "f1", "f2"], "eval": ["f3"]},
        unknown_split="drop",
    )
    facts = examples.metadata
    positive = sum(fare is not None and fare > 0 for fare in ROWS.column("fare").to_pylist())
    assert (facts["read"], facts["filtered"]) == (600, 600 - positive)
    assert 0.4 * positive < facts["sampled_out"] < 0.6 * positive
    assert facts["without_split"] > 50
    assert balanced(examples)


def test_a_row_of_no_split_is_an_error_with_its_value(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    splits: Any = {"train": ["f0", "f1", "f2"], "eval": ["f3"]}
    with pytest.raises(DataError, match="belongs to no split") as caught:
        read_parquet(str(tmp_path / "a.parquet"), split_column="fold", splits=splits)
    assert caught.value.received == "'f4' in a.parquet"
    assert caught.value.expected == "'f0', 'f1', 'f2', 'f3'"
    assert "unknown_split" in str(caught.value.next)


def test_no_row_that_is_left_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    with pytest.raises(DataError, match="no row is left") as caught:
        read_parquet(str(tmp_path / "a.parquet"), where="n < 0")
    assert "600 filtered" in str(caught.value.received)


def test_a_filter_that_does_not_fit_fails_before_anything_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    with pytest.raises(DataError, match='no column "nobody" to filter by'):
        read_parquet(str(tmp_path / "a.parquet"), where="nobody > 0")


# ---------------------------------------------------------------- spans


def write_days(root: Path, days: dict[str, tuple[int, int]]) -> str:
    for day, (start, end) in days.items():
        write(root / day / "a.parquet", ROWS.slice(start, end - start))
    return str(root / "{YYYY}-{MM}-{DD}" / "*.parquet")


def test_every_span_has_parts_of_its_own(tmp_path: Path) -> None:
    days = {"2026-11-01": (0, 200), "2026-11-02": (200, 201), "2026-11-03": (300, 600)}
    examples = read_parquet(write_days(tmp_path, days), span="last 3")
    assert examples.metadata["spans"] == [
        {"read": 200, "span": "2026-11-01"},
        {"read": 1, "span": "2026-11-02"},
        {"read": 300, "span": "2026-11-03"},
    ]
    parts = spans_of(examples)
    written = {f"{split}/{file.name}" for split in examples.splits for file in examples.files(split)}
    assert set(parts) == written
    for name, span in parts.items():
        start, end = days[span]
        held = pq.read_table(examples.path / name).column("n").to_pylist()
        assert held and all(start <= n < end for n in held)


def test_a_span_is_the_same_bytes_in_any_window(tmp_path: Path) -> None:
    days = {f"2026-11-0{day}": (day * 60, day * 60 + 60) for day in range(1, 6)}
    pattern = write_days(tmp_path, days)
    found = []
    for window in ("last 3", "2026-11-03", "last 2 to 2026-11-03"):
        examples = read_parquet(pattern, span=window)
        mine = [name for name, span in spans_of(examples).items() if span == "2026-11-03"]
        found.append([(name.partition("/")[0], (examples.path / name).read_bytes()) for name in mine])
    assert found[0] == found[1] == found[2]


def test_the_version_that_was_read_is_stated(tmp_path: Path) -> None:
    write(tmp_path / "4/v1/a.parquet", ROWS.slice(0, 10))
    write(tmp_path / "4/v2/a.parquet", ROWS.slice(0, 20))
    examples = read_parquet(str(tmp_path / "{SPAN}/v{VERSION}/*"))
    assert examples.metadata["spans"] == [{"read": 20, "span": "4", "version": 2}]
    assert numbers(examples)["train"][:3] == numbers(read_parquet(str(tmp_path / "4/v2")))["train"][:3]


def test_a_split_without_rows_has_a_part_with_a_span(tmp_path: Path) -> None:
    write(tmp_path / "1/a.parquet", ROWS.slice(0, 10))
    write(tmp_path / "2/a.parquet", ROWS.slice(10, 10))
    examples = read_parquet(
        str(tmp_path / "{SPAN}/*"), span="all", split_time="n", splits={"train": None, "eval": 1000}
    )
    assert examples.metadata["splits"] == {"eval": {"rows": 0}, "train": {"rows": 20}}
    assert spans_of(examples) == {
        "eval/part-00000.parquet": "1",
        "train/part-00000.parquet": "1",
        "train/part-00001.parquet": "2",
    }


def test_examples_without_spans_have_none(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    examples = read_parquet(str(tmp_path / "a.parquet"))
    assert spans_of(examples) == {}
    assert sorted(examples.metadata) == ["columns", "quarantined", "read", "splits"]


def test_real_rows_dealt_to_spans_land_in_the_splits_of_the_whole_file(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "taxi" / "data.csv"
    if not source.exists():
        pytest.skip("taxi/data.csv is not beside this checkout")
    header, *lines = source.read_text().splitlines(keepends=True)
    for span in range(4):
        (tmp_path / f"span-{span:02d}.csv").write_text(header + "".join(lines[span::4]))
    options: dict[str, Any] = {"where": "fare > 3 and company is not null", "sample": 0.5}
    spans = read_csv(str(tmp_path / "span-{SPAN:2}.csv"), span="last 4", **options)
    whole = read_csv(str(source), **options)
    for split in ("train", "eval"):
        one, many = (pa.Table.from_batches(examples.batches(split)) for examples in (whole, spans))
        order = [(name, "ascending") for name in one.column_names]
        assert one.sort_by(order).equals(many.sort_by(order))
    assert balanced(spans) and spans.metadata["read"] == 15_002


def test_names_do_not_depend_on_the_window(tmp_path: Path) -> None:
    for span in (1, 2):
        (tmp_path / f"{span}").mkdir()
        (tmp_path / f"{span}/a.csv").write_text("a,b\n1,2\n3\n")
    for window in ("latest", "all"):
        examples = read_csv(str(tmp_path / "{SPAN}/*.csv"), span=window, on_bad_rows="quarantine")
        aside = pq.read_table(examples.path / "quarantine").column("file").to_pylist()
        assert aside[-1] == "2/a.csv"


# ---------------------------------------------------------------- where files lie


@dataclass(frozen=True)
class Elsewhere:
    """A Parquet reader on a worker that runs in another folder."""

    folder: str
    text: bool = False

    def scan(self, file: SourceFile) -> Scan:
        os.chdir(self.folder)
        return ParquetReader().scan(file)

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        os.chdir(self.folder)
        return ParquetReader().read(file, schema, bad)

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        return ""


def test_relative_files_are_found_by_workers_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here/in/a.parquet", ROWS)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for pattern in ("in/*.parquet", "in", "in/a.parquet", "../here/in/a.parquet"):
        monkeypatch.chdir(tmp_path / "here")
        reader = Elsewhere(str(tmp_path / "there"))
        examples = ingest(Files(pattern), reader, Splits.of(), Beam(), RunContext())
        assert examples.rows == 600


def test_no_absolute_path_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in/1").mkdir(parents=True)
    (tmp_path / "in/1/a.csv").write_text("a,b\n1,2\n3\n")
    monkeypatch.chdir(tmp_path)
    for pattern in ("in/{SPAN}/*.csv", f"{tmp_path}/in/{{SPAN}}/*.csv", "in/1/a.csv", "in/*/a.csv"):
        examples = read_csv(pattern, on_bad_rows="quarantine")
        aside = pq.read_table(examples.path / "quarantine").column("file").to_pylist()
        assert aside in (["1/a.csv"], ["a.csv"])
        assert str(tmp_path) not in str(examples.metadata)


def test_groups_hold_absolute_locations_and_relative_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1/a", "1/b", "2/a"):
        write(tmp_path / name, ROWS.slice(0, 3))
    monkeypatch.chdir(tmp_path)
    first, second = group_files(SpanFiles("{SPAN}/*").within(SpanWindow("all")))
    assert [(file.name, file.span) for file in first] == [("1/a", "1"), ("1/b", "1")]
    assert second == [SourceFile(str(tmp_path / "2/a"), "2/a", "2", None)]


# ---------------------------------------------------------------- sources that are no files


@dataclass(frozen=True)
class Ranges:
    """Reads numbers from descriptions such as ``0-10``; a source of odd length lacks column ``b``."""

    text: bool = False
    component: str = "read_ranges"
    optional_columns: bool = True
    lost: int = 0

    def _rows(self, file: SourceFile) -> range:
        return range(*map(int, file.uri.split("-")))

    def scan(self, file: SourceFile) -> Scan:
        rows = self._rows(file)
        columns = {"b": pa.int32(), "n": pa.int64()} if len(rows) % 2 == 0 else {"n": pa.int32()}
        return Scan(file, columns if rows else {}, len(rows))

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        rows = self._rows(file)
        both = len(rows) % 2 == 0
        found = [{"n": n, "b": n if both else None} for n in rows][self.lost :]
        yield pa.RecordBatch.from_pylist(found, schema)

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        return ""


def sources(*names: str) -> list[list[SourceFile]]:
    return [[SourceFile(name, f"rows {name}")] for name in names]


def test_sources_that_are_no_files_are_ingested() -> None:
    selection = RowSelection(splits=Splits.of({"all": 1.0}), rows=RowFilter.of("n != 2"))
    groups = sources("10-13", "0-4", "7-7")
    examples = ingest_groups(groups, Ranges(), selection, Beam(), RunContext())
    assert numbers(examples) == {"all": [0, 1, 3, 10, 11, 12]}
    assert examples.metadata["columns"] == {"n": "int64", "b": "int32"}
    missing = pq.read_table(examples.files("all")[0]).column("b")
    assert missing.null_count == 3


def test_columns_that_must_be_everywhere_are_asked_for() -> None:
    with pytest.raises(DataError, match="rows 0-4 has other columns than rows 10-13"):
        ingest_groups(
            sources("10-13", "0-4"), Ranges(optional_columns=False), Splits.of(), Beam(), RunContext()
        )


def test_a_lost_row_is_an_error() -> None:
    with pytest.raises(ReconciliationError, match="do not balance"):
        ingest_groups(sources("0-4"), Ranges(lost=1), Splits.of(), Beam(), RunContext())
