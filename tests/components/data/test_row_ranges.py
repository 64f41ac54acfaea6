from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from components.data import row_ranges as module
from components.data.row_ranges import Span, batches, columns_together, row_ranges

ROWS = 1000
TABLE = pa.table(
    {
        "row": np.arange(ROWS),
        "text": pa.array([f"t{n % 7}" if n % 11 else None for n in range(ROWS)]),
        "list": [[n] * (n % 3) for n in range(ROWS)],
    }
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_ROWS", 64)
    monkeypatch.setattr(module, "_RANGE_CELLS", 600)


def written(folder: Path, cuts: list[int], row_group: int) -> tuple[str, ...]:
    edges = [0, *sorted(cuts), ROWS]
    files = []
    for place, (a, b) in enumerate(itertools.pairwise(edges)):
        files.append(str(folder / f"part-{place:05d}.parquet"))
        pq.write_table(TABLE.slice(a, b - a), files[-1], row_group_size=row_group)
    return tuple(files)


def read(files: tuple[str, ...]) -> list[tuple[int, pa.RecordBatch]]:
    """Return the batches of all ranges with the numbers of their first rows."""
    found = []
    for work in row_ranges(Span("train", 0, "", files), columns_together(TABLE.schema)):
        row = work.start
        for batch in batches(work, TABLE.schema):
            found.append((row, batch))
            row += batch.num_rows
        assert row == work.end
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, ROWS), max_size=6), st.sampled_from([1, 7, 64, 100, 128, 5000]))
def test_files_and_row_groups_do_not_decide_the_batches(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], row_group: int
) -> None:
    found = read(written(tmp_path_factory.mktemp("rows"), cuts, row_group))
    assert [start for start, _ in found] == list(range(0, ROWS, 64))
    for start, batch in found:
        expected = TABLE.slice(start, 64)
        assert batch.column("row").to_pylist() == expected.column("row").to_pylist()
        assert batch.column("text").to_pylist() == expected.column("text").to_pylist()
        assert batch.column("list").to_pylist() == expected.column("list").to_pylist()


def test_some_columns_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COLUMNS_TOGETHER", 2)
    runs = columns_together(TABLE.schema)
    assert runs == [("row", "text"), ("list",)]
    work = row_ranges(Span("train", 0, "", written(tmp_path, [500], 300)), runs)
    assert {one.run for one in work} == {0, 1}
    for one in work:
        for batch in batches(one, TABLE.schema, ["row"]):
            assert batch.schema.names == (["row", "text"] if one.run == 0 else ["row", "list"])


def test_a_name_that_begins_another_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COLUMNS_TOGETHER", 1)
    table = pa.table({"a": [1], "a.b": [2], "s": [{"b": 3}]})
    pq.write_table(table, tmp_path / "x.parquet")
    for work in row_ranges(Span("", 0, "", (str(tmp_path / "x.parquet"),)), columns_together(table.schema)):
        [batch] = batches(work, table.schema)
        assert batch.to_pylist() == table.select(list(work.columns)).to_pylist()


def test_nested_columns_are_as_wide_as_their_fields() -> None:
    wide = pa.struct([pa.field(f"f{n}", pa.int64()) for n in range(100)])
    schema = pa.schema([("a", pa.int64()), ("s", wide), ("b", pa.int64()), ("c", pa.list_(pa.int64()))])
    assert columns_together(schema) == [("a",), ("s",), ("b", "c")]


def test_no_rows_are_one_range(tmp_path: Path) -> None:
    pq.write_table(TABLE.slice(0, 0), tmp_path / "x.parquet")
    for files in ((), (str(tmp_path / "x.parquet"),)):
        [work] = row_ranges(Span("train", 0, "", files), columns_together(TABLE.schema))
        assert (work.start, work.end) == (0, 0)
        assert [batch.num_rows for batch in batches(work, TABLE.schema)] == []


def test_rows_of_many_bytes_come_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_ROWS", 65_536)
    monkeypatch.setattr(module, "_BATCH_BYTES", 1 << 20)
    table = pa.table({"x": [np.random.default_rng(n).bytes(10_000) for n in range(1000)]})
    pq.write_table(table, tmp_path / "x.parquet")
    span = Span("train", 0, "", (str(tmp_path / "x.parquet"),))
    work = row_ranges(span, columns_together(table.schema))
    assert {one.batch_rows for one in work} == {256}
    assert sum(batch.num_rows for one in work for batch in batches(one, table.schema)) == 1000
