"""Small tables for the tests of features, training and export."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples, Schema
from components.features import categorical, column, cross, features, label, numeric, timestamp

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"

RIDES = features(
    numeric("miles").log1p().z_score(),
    numeric("fare").min_max(),
    numeric("fare", missing=-1.0),
    numeric("fare").bucketize(4),
    numeric("hour").identity(24),
    categorical("company").vocabulary(top=3),
    categorical("zone").vocabulary(top=5, oov=0),
    categorical("company").vocabulary(top=2, min_count=2).one_hot(),
    timestamp("start").parts("minute", "hour", "weekday", "day", "month"),
    cross("hour", "zone", buckets=10_000),
    cross("fare", "start.day", buckets=50),
    label=label("tips").greater_than(0.2 * column("fare")),
)


def rides(rows: int = 200) -> pa.Table:
    """Return rows with every kind of missing value; the label follows from fare and hour."""
    numbers = range(rows)
    fares = [None if n % 17 == 3 else float("nan") if n % 19 == 5 else 3.0 + n % 23 for n in numbers]
    tips = [1.0 if n % 3 else 9.0 for n in numbers]
    return pa.table(
        {
            "miles": pa.array([None if n % 11 == 0 else (n * 7 % 31) / 3 for n in numbers], pa.float64()),
            "fare": pa.array(fares, pa.float64()),
            "hour": pa.array([None if n % 13 == 6 else n % 26 for n in numbers], pa.int64()),
            "company": pa.array([None if n % 7 == 2 else "" if n % 7 == 4 else f"é{n % 5}" for n in numbers]),
            "zone": pa.array([None if n % 29 == 0 else n * n % 9 for n in numbers], pa.int32()),
            "start": pa.array([None if n % 31 == 1 else 1_400_000_000 + n * 98_765 for n in numbers]),
            "tips": pa.array([None if fare is None else tip for fare, tip in zip(fares, tips, strict=True)]),
        }
    )


def examples_of(splits: dict[str, pa.Table | list[pa.Table]], *, row_group: int = 1_000_000) -> Examples:
    """Return Examples of the given tables, one file per table."""
    examples = Examples.new(splits={})
    for split, tables in splits.items():
        parts = tables if isinstance(tables, list) else [tables]
        for place, table in enumerate(parts):
            pq.write_table(
                table, examples.file(f"{split}/part-{place:05d}.parquet"), row_group_size=row_group
            )
        examples.metadata["splits"][split] = {"rows": sum(table.num_rows for table in parts)}
    return examples


def no_schema() -> Schema:
    """Return a schema artifact for components that only pass it on."""
    return Schema.new()


def taxi_examples() -> Examples:
    """Return the Chicago taxi rows, every fifth for evaluation."""
    import pyarrow.csv

    file = DATA / "taxi" / "data.csv"
    if not file.exists():
        pytest.skip("the shared taxi data are not on this machine")
    table = pyarrow.csv.read_csv(file, read_options=pyarrow.csv.ReadOptions(use_threads=False))
    held_out = pa.array([n % 5 == 0 for n in range(table.num_rows)])
    kept = pa.array([n % 5 != 0 for n in range(table.num_rows)])
    return examples_of({"train": table.filter(kept), "eval": table.filter(held_out)})
