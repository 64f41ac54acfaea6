from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.compute_statistics import compute_statistics
from components.read_csv import read_csv
from components.statistics.statistics import load_statistics
from orchestration import ArgumentError, DataError, RunContext

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def examples_of(row_group: int = 1000, **splits: pa.Table) -> Examples:
    examples = Examples.new(splits={name: {"rows": len(table)} for name, table in splits.items()})
    for name, table in splits.items():
        pq.write_table(
            table,
            examples.file(f"{name}/part-00000.parquet"),
            row_group_size=row_group,
            write_page_checksum=True,
        )
    return examples


def numbers(rows: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    values = random.normal(5, 2, rows)
    return pa.table({"x": values, "word": [f"w{n}" for n in random.integers(0, 9, rows)]})


def test_every_split_is_described() -> None:
    out = compute_statistics(examples_of(train=numbers(3000), eval=numbers(500, 1)))
    found = load_statistics(out)
    assert out.metadata == {"columns": 2, "rows": 3500}
    assert found.columns == ["x", "word"]
    assert {name: split.rows for name, split in found.splits.items()} == {"train": 3000, "eval": 500}
    train = found.splits["train"].column("x").numbers
    assert train is not None
    assert train.mean == pytest.approx(5, abs=0.2)
    with pytest.raises(KeyError):
        found.splits["train"].column("y")


def test_splits_share_the_bins_of_their_histograms() -> None:
    found = load_statistics(compute_statistics(examples_of(a=numbers(300), b=numbers(300, 1))))
    edges = [split.column("x").numbers.histogram.edges for split in found.splits.values()]  # type: ignore[union-attr]  # there
    assert edges[0] == edges[1]


def test_the_same_rows_give_the_same_bytes_whatever_the_row_groups_arrive_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from components.statistics import accumulator

    # A small capacity makes every summary lossy, where the order of merging could show.
    monkeypatch.setattr(accumulator, "_SMALL_CAPACITY", 64)
    examples = examples_of(97, train=numbers(5000), eval=numbers(800, 1))
    texts = {
        compute_statistics(examples, quantile_error=0.2).file("statistics.json").read_bytes()
        for _ in range(3)
    }
    assert len(texts) == 1


def test_an_empty_split() -> None:
    found = load_statistics(compute_statistics(examples_of(train=numbers(10), eval=numbers(0))))
    column = found.splits["eval"].column("x")
    assert (column.present, column.missing, column.numbers) == (
        0,
        0,
        found.splits["eval"].column("x").numbers,
    )
    assert column.numbers is not None
    assert column.numbers.mean is None


def test_metrics_and_the_report_are_kept_with_the_run(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    run = RunContext(folder=tmp_path, emit=events.append)
    compute_statistics(examples_of(train=numbers(10)), run=run)
    assert (tmp_path / "attachments" / "statistics.html").exists()
    assert {event["name"] for event in events} == {"rows", "rows_per_second", "statistics.html"}


def test_rows_that_are_not_there() -> None:
    examples = examples_of(train=numbers(10))
    examples.metadata["splits"]["train"]["rows"] = 11
    with pytest.raises(DataError, match="does not hold the rows its manifest states"):
        compute_statistics(examples)


def test_a_damaged_file() -> None:
    examples = examples_of(train=numbers(20_000))
    path = examples.files("train")[0]
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(2000) + content[half + 2000 :])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        compute_statistics(examples)


@pytest.mark.parametrize(
    "options", [{"quantile_error": 0.0}, {"quantile_error": 0.5}, {"top_k": 0}, {"top_k": 1001}]
)
def test_arguments_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        compute_statistics(examples_of(train=numbers(10)), **options)


# ---------------------------------------------------------------- against pandas


@pytest.mark.parametrize("name", ["taxi/data.csv", "housing/housing.csv", "penguins/penguins_raw.csv"])
def test_real_data_is_described_as_pandas_describes_it(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    frame = pd.read_csv(path)
    found = load_statistics(compute_statistics(read_csv(str(path), splits={"all": 1.0})))
    for column in found.splits["all"].columns:
        expected = frame[column.name]
        assert column.missing == int(expected.isna().sum())
        assert column.distinct == expected.nunique()
        assert column.distinct_exact
        if column.numbers is not None:
            assert_numbers(column.numbers, expected.dropna())
        if column.kind == "text":
            assert_lengths(column, expected.dropna())
        counts = expected.value_counts()
        assert [top.count for top in column.top] == counts.tolist()[: len(column.top)]
        for top in column.top:
            assert counts[top.value] == top.count


def assert_numbers(found: Any, values: pd.Series[Any]) -> None:
    assert found.count == len(values)
    assert found.zeros == int((values == 0).sum())
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.median == pytest.approx(values.median(), rel=1e-12)
    if len(values) > 1:
        assert found.std == pytest.approx(values.std(), rel=1e-9)
    shares = [share for share, _ in found.quantiles]
    expected = values.quantile(shares).tolist()
    assert [value for _, value in found.quantiles] == pytest.approx(expected, rel=1e-12)
    for histogram in (found.histogram, found.quantile_histogram):
        if histogram is not None:
            assert list(histogram.counts) == np.histogram(values, np.array(histogram.edges))[0].tolist()


def assert_lengths(found: Any, texts: pd.Series[Any]) -> None:
    lengths = texts.str.len()
    assert (found.min_text, found.max_text) == (texts.min(), texts.max())
    assert found.empty == int((lengths == 0).sum())
    assert (found.lengths.min, found.lengths.max) == (lengths.min(), lengths.max())
    assert found.lengths.mean == pytest.approx(lengths.mean(), rel=1e-12)
    assert found.lengths.median == lengths.median()
