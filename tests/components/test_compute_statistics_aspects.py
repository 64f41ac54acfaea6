"""Weights, slices, relations to the label, spans and their cache, through the component."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.compute_statistics import compute_statistics
from components.data import row_ranges
from components.read_csv import read_csv
from components.statistics import accumulator
from components.statistics.statistics import load_statistics
from orchestration import ArgumentError, DataError, RunContext

ASPECTS: dict[str, Any] = {"weight": "w", "label": "y", "slices": [["kind"], ["kind", "flag"]]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small data behave like large: many leaves, and summaries that lose something."""
    monkeypatch.setattr(accumulator, "_SMALL_CAPACITY", 64)
    monkeypatch.setattr(row_ranges, "_BATCH_ROWS", 256)
    monkeypatch.setattr(row_ranges, "_RANGE_CELLS", 4096)


def trips(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    x = random.normal(seed, 1, rows)
    return pa.table(
        {
            "x": pa.array(x, mask=random.random(rows) < 0.1),
            "kind": random.choice(["a", "b", "c"], rows),
            "flag": random.random(rows) < 0.5,
            "name": [f"n{n}@example.org" for n in random.integers(0, 5000, rows)],
            "tags": [["t"] * int(n) for n in random.integers(0, 3, rows)],
            "w": random.choice([0.5, 1.0, 2.0], rows),
            "y": (x + random.normal(size=rows) > seed).astype(np.int64),
        }
    )


def examples_of(splits: dict[str, list[tuple[str, pa.Table]]], row_group: int = 300) -> Examples:
    """Return examples with one part file for each span and table."""
    rows = {name: sum(len(table) for _, table in parts) for name, parts in splits.items()}
    examples = Examples.new(splits={name: {"rows": count} for name, count in rows.items()})
    parts, order = {}, []
    for split, tables in splits.items():
        for place, (span, table) in enumerate(tables):
            path = f"{split}/part-{place:05d}.parquet"
            pq.write_table(table, examples.file(path), row_group_size=row_group, write_page_checksum=True)
            if span:
                parts[path] = span
                order.append(span)
    if parts:
        examples.metadata["parts"] = parts
        examples.metadata["spans"] = [{"span": span, "read": 1} for span in dict.fromkeys(order)]
    return examples


def window(days: range) -> Examples:
    return examples_of(
        {
            "train": [(f"day {day:02d}", trips(900 + day, day)) for day in days],
            "eval": [(f"day {day:02d}", trips(100, 100 + day)) for day in days],
        }
    )


def content(examples: Examples, **options: Any) -> bytes:
    return compute_statistics(examples, **options).file("statistics.json").read_bytes()


# ---------------------------------------------------------------- the same rows, the same bytes


@pytest.mark.parametrize("options", [{}, ASPECTS], ids=["columns", "aspects"])
def test_files_and_row_groups_do_not_matter(options: dict[str, Any]) -> None:
    whole = trips(3000, 1)
    cuts = [0, 10, 700, 701, 2500, 3000]
    pieces = [("", whole.slice(a, b - a)) for a, b in itertools.pairwise(cuts)]
    found = {
        content(examples_of({"train": parts}, row_group), **options)
        for parts, row_group in (([("", whole)], 5000), ([("", whole)], 64), (pieces, 300), (pieces, 1000))
    }
    assert len(found) == 1


def test_columns_described_apart_are_as_if_described_together(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = window(range(2))
    together = content(examples, **ASPECTS)
    monkeypatch.setattr(row_ranges, "COLUMNS_TOGETHER", 2)
    assert content(examples, **ASPECTS) == together


# ---------------------------------------------------------------- what is described


def test_everything_at_once() -> None:
    found = load_statistics(compute_statistics(window(range(3)), **ASPECTS))
    assert (found.weight, found.label) == ("w", "y")
    train = found.splits["train"]
    total = sum(trips(900 + day, day).column("w").to_numpy().sum() for day in range(3))
    assert train.weight == pytest.approx(total)
    x = train.column("x")
    assert x.weighted is not None
    assert x.weighted.present + x.weighted.missing == pytest.approx(total)
    assert x.label is not None
    assert x.label.pearson is not None
    assert x.label.pearson > 0.1
    assert train.column("name").hint == "email"
    assert train.column("tags").label is None
    assert [group.by for group in train.slices] == [("kind",), ("kind", "flag")]
    assert [len(group.slices) for group in train.slices] == [3, 6]
    assert sum(one.rows for one in train.slices[1].slices) == train.rows
    assert [column.name for column in train.slices[0].slices[0].columns] == found.columns


def test_a_plain_data_set_has_none_of_it() -> None:
    found = load_statistics(compute_statistics(examples_of({"train": [("", trips(100, 1))]})))
    train = found.splits["train"]
    assert (found.weight, found.label, train.weight, train.label_sample) == (None, None, None, None)
    assert (train.slices, train.spans) == ((), ())
    assert all(column.weighted is None and column.label is None for column in train.columns)


def test_the_last_two_spans_are_described_apart() -> None:
    found = load_statistics(compute_statistics(window(range(4))))
    spans = found.splits["train"].spans
    assert [(span.span, span.rows) for span in spans] == [(f"day {day:02d}", 900 + day) for day in range(4)]
    assert [bool(span.columns) for span in spans] == [False, False, True, True]
    for day, span in ((2, spans[2]), (3, spans[3])):
        numbers = span.columns[0].numbers
        assert numbers is not None
        assert numbers.histogram is not None
        assert numbers.mean == pytest.approx(np.nanmean(trips(900 + day, day).column("x").to_pandas()))
        whole = found.splits["eval"].columns[0].numbers
        assert whole is not None
        assert whole.histogram is not None
        assert numbers.histogram.edges == whole.histogram.edges


def test_a_span_without_rows_in_a_split() -> None:
    examples = examples_of(
        {
            "train": [("a", trips(50, 1)), ("b", trips(60, 2))],
            "eval": [("b", trips(20, 3))],
        }
    )
    found = load_statistics(compute_statistics(examples, **ASPECTS))
    assert [(span.span, span.rows) for span in found.splits["eval"].spans] == [("a", 0), ("b", 20)]


# ---------------------------------------------------------------- a rolling window


def reused(examples: Examples, folder: Path, run: Path, **options: Any) -> tuple[bytes, int]:
    events: list[dict[str, Any]] = []
    context = RunContext(folder=run, emit=events.append)
    found = content(examples, span_cache=str(folder), run=context, **options)
    [value] = [event["value"] for event in events if event["name"] == "spans_reused"]
    return found, int(value)


@pytest.mark.parametrize("options", [{}, ASPECTS], ids=["columns", "aspects"])
def test_a_window_computes_only_its_new_span(tmp_path: Path, options: dict[str, Any]) -> None:
    first, held = reused(window(range(3)), tmp_path / "kept", tmp_path, **options)
    assert held == 0
    assert first == content(window(range(3)), **options)
    again, held = reused(window(range(3)), tmp_path / "kept", tmp_path, **options)
    assert (again == first, held) == (True, 6)  # three spans of two splits
    moved, held = reused(window(range(1, 4)), tmp_path / "kept", tmp_path, **options)
    assert (moved == content(window(range(1, 4)), **options), held) == (True, 4)


def test_a_window_of_csv_files(tmp_path: Path) -> None:
    for day in range(1, 5):
        folder = tmp_path / "data" / f"2026-11-0{day}"
        folder.mkdir(parents=True)
        pacsv.write_csv(trips(300, day).select(["x", "kind", "y"]), folder / "trips.csv")

    def window_of(days: str) -> Examples:
        return read_csv(
            f"{tmp_path}/data/{{YYYY}}-{{MM}}-{{DD}}/*.csv", span=days, splits={"train": 0.8, "eval": 0.2}
        )

    kept = tmp_path / "kept"
    first, older = reused(window_of("2026-11-01..2026-11-03"), kept, tmp_path, label="y")
    moved, newer = reused(window_of("2026-11-02..2026-11-04"), kept, tmp_path, label="y")
    assert (older, newer) == (0, 4)
    assert moved == content(window_of("2026-11-02..2026-11-04"), label="y") != first


def test_what_is_kept_is_never_out_of_date(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    reused(window(range(2)), kept, tmp_path)
    assert reused(window(range(2)), kept, tmp_path, top_k=5)[1] == 0
    assert reused(window(range(2)), kept, tmp_path, label="y")[1] == 0
    other = examples_of({"train": [("day 00", trips(900, 0).slice(1)), ("day 01", trips(901, 1))]})
    assert reused(other, kept, tmp_path)[1] == 1


def test_a_damaged_entry_is_computed_anew(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    first, _ = reused(window(range(2)), kept, tmp_path)
    broken, gone, *_ = sorted(kept.iterdir())
    broken.write_bytes(broken.read_bytes()[:-3] + b"...")
    gone.unlink()
    assert reused(window(range(2)), kept, tmp_path) == (first, 2)
    assert reused(window(range(2)), kept, tmp_path) == (first, 4)


# ---------------------------------------------------------------- arguments and data that cannot serve


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": "nope"}, "weight"),
        ({"weight": "kind"}, "weight"),
        ({"label": "nope"}, "label"),
        ({"label": "tags"}, "label"),
        ({"slices": [["nope"]]}, "slices"),
        ({"slices": [[]]}, "slices"),
        ({"slices": [["tags"]]}, "slices"),
        ({"max_slices": 0}, "max_slices"),
        ({"slices": [["kind"]] * 4, "max_slices": 1000}, "max_slices"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f'argument "{message}" is out of range'):
        compute_statistics(examples_of({"train": [("", trips(10, 1))]}), **options)


def test_a_missing_weight() -> None:
    table = trips(10, 1)
    place = table.schema.names.index("w")
    broken = table.set_column(place, "w", pa.array([None, *[1.0] * 9]))
    with pytest.raises(DataError, match='column "w" cannot serve as weights'):
        compute_statistics(examples_of({"train": [("", broken)]}), weight="w")
