from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from components.statistics.accumulator import Settings, capacity_for
from components.statistics.statistics import ColumnStatistics, DatasetStatistics
from components.statistics.table_accumulator import TableAccumulator, extract
from tests.components.data.arrow_strategies import SCHEMA, batch, cuts, pieces, rows

EXACT = Settings(quantile_error=0.01, top_k=10, capacity=10_000)


def described(*batches: pa.RecordBatch, options: Settings = EXACT) -> TableAccumulator:
    table = TableAccumulator(batches[0].schema, options)
    for one in batches:
        table.add(one)
    return table


def column(array: pa.Array, options: Settings = EXACT) -> ColumnStatistics:
    accumulated = described(pa.record_batch({"x": array}), options=options)
    return extract({"all": accumulated}, options).splits["all"].columns[0]


@settings(max_examples=60)
@given(rows(), cuts(), st.integers(0, 2**16))
def test_batches_splits_and_order_do_not_matter(
    found: list[dict[str, Any]], places: list[int], seed: int
) -> None:
    whole = batch(found)
    parts = pieces(whole, places)
    order = np.random.default_rng(seed).permutation(len(parts))
    merged = described(parts[order[0]])
    for place in order[1:]:
        merged = merged.merged(pickle.loads(pickle.dumps(described(parts[place]))))
    for variant in (described(*parts), merged):
        expected = extract({"a": described(whole)}, EXACT).to_json()
        assert extract({"a": variant}, EXACT).to_json() == expected


@given(rows(12), rows(12))
def test_merging_leaves_both_as_they_were(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> None:
    left, right = described(batch(one)), described(batch(two))
    before = [extract({"a": table}, EXACT) for table in (left, right)]
    left.merged(right)
    assert [extract({"a": table}, EXACT) for table in (left, right)] == before


@given(rows())
def test_counts_balance(found: list[dict[str, Any]]) -> None:
    split = extract({"a": described(batch(found))}, EXACT).splits["a"]
    assert split.rows == len(found)
    for one in split.columns:
        assert one.rows == len(found)
        if one.numbers is not None:
            special = one.numbers.nan + one.numbers.positive_infinity + one.numbers.negative_infinity
            assert one.numbers.count + special == one.present
            if one.numbers.histogram:
                assert sum(one.numbers.histogram.counts) == one.numbers.count


def test_an_accumulator_is_small_when_pickled() -> None:
    random = np.random.default_rng(1)
    values = {f"c{place}": random.normal(size=131_072) for place in range(18)}
    table = described(pa.record_batch(values), options=Settings(capacity=4096))
    merged = table.merged(table)
    assert len(pickle.dumps(merged)) < 18 * 64 * 1024


# ---------------------------------------------------------------- each family of types


def test_numbers() -> None:
    found = column(pa.array([3.0, None, float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 3.0, 7.5]))
    assert (found.kind, found.present, found.missing, found.distinct) == ("number", 8, 1, 3)
    assert [(top.value, top.count) for top in found.top] == [(0.0, 2), (3.0, 2), (7.5, 1)]
    numbers = found.numbers
    assert numbers is not None
    assert (numbers.count, numbers.nan, numbers.positive_infinity, numbers.negative_infinity) == (5, 1, 1, 1)
    assert (numbers.zeros, numbers.min, numbers.max, numbers.median) == (2, 0.0, 7.5, 3.0)
    assert numbers.mean == pytest.approx(2.7)
    assert numbers.std == pytest.approx(np.std([3, 0, 0, 3, 7.5], ddof=1))


def test_deciles_are_the_edges_of_equally_full_bins() -> None:
    found = column(pa.array([float(n) for n in range(101)]))
    assert found.numbers is not None
    assert found.numbers.deciles == tuple(float(n) for n in range(0, 101, 10))
    assert found.numbers.quantile(0.25) == 25.0
    assert found.numbers.quantile(0.123) is None
    empty = column(pa.array([], pa.float64()))
    assert empty.numbers is not None
    assert empty.numbers.deciles == ()


def test_whole_numbers_keep_their_type_and_their_size() -> None:
    found = column(pa.array([2**63 - 1, -(2**63), 5], pa.int64()))
    assert found.numbers is not None
    assert (found.numbers.min, found.numbers.max) == (-(2**63), 2**63 - 1)
    large = column(pa.array([2**64 - 1, 0], pa.uint64()))
    assert large.numbers is not None
    assert large.numbers.max == 2**64 - 1


def test_few_whole_numbers_get_a_bin_each() -> None:
    found = column(pa.array([1, 1, 3], pa.int8()))
    assert found.numbers is not None
    assert found.numbers.histogram is not None
    assert found.numbers.histogram.edges == (0.5, 1.5, 2.5, 3.5)
    assert found.numbers.histogram.counts == (2, 0, 1)


def test_booleans() -> None:
    found = column(pa.array([True, None, False, True]))
    assert (found.kind, found.missing, found.distinct) == ("bool", 1, 2)
    assert [(top.value, top.count) for top in found.top] == [(True, 2), (False, 1)]
    assert found.numbers is not None
    assert found.numbers.mean == pytest.approx(2 / 3)


TIMES = [
    (
        pa.array([0, 60_000_000], pa.timestamp("us")),
        "1970-01-01 00:00:00.000000",
        "1970-01-01 00:01:00.000000",
        60.0,
    ),
    (pa.array([-1, 1], pa.date32()), "1969-12-31", "1970-01-02", 86_400.0),
    (pa.array([60, 3600], pa.time32("s")), "00:01:00", "01:00:00", 3600.0),
    (pa.array([1000, 2000], pa.duration("ms")), "1000 ms", "2000 ms", 2.0),
]


@pytest.mark.parametrize(("array", "low", "high", "seconds"), TIMES)
def test_times(array: pa.Array, low: str, high: str, seconds: float) -> None:
    found = column(array)
    assert (found.kind, found.min_text, found.max_text) == ("time", low, high)
    assert found.numbers is not None
    assert found.numbers.max == seconds
    assert isinstance(found.top[0].value, str)


def test_texts() -> None:
    found = column(pa.array(["b", "", None, "Zürich", "b"]))
    assert (found.kind, found.present, found.missing, found.distinct, found.empty) == ("text", 4, 1, 3, 1)
    assert [(top.value, top.count) for top in found.top] == [("b", 2), ("", 1), ("Zürich", 1)]
    assert (found.min_text, found.max_text) == ("", "b")
    assert found.lengths is not None
    assert (found.lengths.min, found.lengths.max, found.lengths.mean) == (0, 6, 2.0)


def test_few_texts_are_all_listed_and_many_are_not() -> None:
    assert len(column(pa.array([str(n) for n in range(300)])).top) == 300
    assert len(column(pa.array([str(n) for n in range(500)])).top) == 10


def test_very_long_texts() -> None:
    found = column(pa.array(["x" * 100_000, "y"]))
    assert found.lengths is not None
    assert found.lengths.max == 100_000
    assert len(str(found.top[0].value)) == 1000


def test_bytes() -> None:
    found = column(pa.array([b"\xff\x00", b"", None]))
    assert (found.kind, found.distinct, found.empty, found.top) == ("bytes", 2, 1, ())
    assert found.lengths is not None
    assert found.lengths.max == 2


@pytest.mark.parametrize("kind", [pa.large_string(), pa.large_binary(), pa.binary(3)], ids=str)
def test_other_kinds_of_texts_and_bytes(kind: pa.DataType) -> None:
    found = column(pa.array([b"abc", b"xyz", None, b"abc"], kind), Settings(capacity=1))
    assert (found.present, found.missing, found.distinct) == (3, 1, 2)


def test_lists() -> None:
    found = column(pa.array([[1, 2, None], [], None, [5]], pa.list_(pa.int64())))
    assert (found.kind, found.present, found.missing, found.empty) == ("list", 3, 1, 1)
    assert found.lengths is not None
    assert found.items is not None
    assert (found.lengths.max, found.items.present, found.items.missing) == (3, 3, 1)
    assert found.items.numbers is not None
    assert found.items.numbers.max == 5


def test_structs_and_maps() -> None:
    found = column(pa.array([{"a": 1, "b": "x"}, {"a": None, "b": "y"}, None]))
    assert (found.kind, found.present, found.missing) == ("struct", 2, 1)
    assert [(one.name, one.present, one.missing) for one in found.fields] == [("a", 1, 2), ("b", 2, 1)]
    mapped = column(pa.array([[("k", 1), ("j", 2)], None], pa.map_(pa.string(), pa.int64())))
    assert mapped.items is not None
    assert [one.name for one in mapped.items.fields] == ["key", "value"]


@pytest.mark.parametrize(
    "kind",
    [pa.null(), *SCHEMA.types, pa.decimal128(9, 2), pa.float16(), pa.binary(4), pa.month_day_nano_interval()],
    ids=str,
)
@pytest.mark.parametrize("length", [0, 5])
def test_columns_without_values(kind: pa.DataType, length: int) -> None:
    found = column(pa.nulls(length, kind))
    assert (found.present, found.missing) == (0, length)
    assert not found.distinct


def test_numbers_at_the_end_of_the_range() -> None:
    found = column(pa.array([1.7e308, -1.7e308, 1.6e308, 5e-324]))
    assert found.numbers is not None
    assert found.numbers.histogram is not None
    assert sum(found.numbers.histogram.counts) == 4
    assert found.numbers.std is None  # too large for a float
    DatasetStatistics({}, 0.01).to_json()


# ---------------------------------------------------------------- beyond what is exact


@pytest.mark.parametrize("kind", ["integers", "floats", "texts"])
def test_many_distinct_values_keep_within_the_stated_errors(kind: str) -> None:
    random = np.random.default_rng(5)
    values = random.zipf(1.3, 120_000).clip(max=10**7)
    array = {
        "integers": pa.array(values),
        "floats": pa.array(values / 7),
        "texts": pa.array([f"v{value}" for value in values]),
    }[kind]
    options = Settings(capacity=1000)
    parts = [
        described(pa.record_batch({"x": array.slice(n * 10_000, 10_000)}), options=options) for n in range(12)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = total.merged(part)
    found = extract({"a": total}, options).splits["a"].columns[0]
    distinct = len(np.unique(values))
    assert not found.distinct_exact
    assert found.distinct == pytest.approx(distinct, rel=4 * 0.0157)
    known, counts = np.unique(array.to_numpy(zero_copy_only=False), return_counts=True)
    exact = {str(value): int(count) for value, count in zip(known, counts, strict=True)}
    for top in found.top[:5]:
        assert exact[str(top.value)] - found.top_error <= top.count <= exact[str(top.value)]
    if found.numbers is not None:
        ascending = np.sort(array.to_numpy())
        assert found.numbers.rank_error <= 0.01
        for share, value in found.numbers.quantiles:
            low = np.searchsorted(ascending, value, side="left") / len(ascending)
            high = np.searchsorted(ascending, value, side="right") / len(ascending)
            assert low - 0.01 <= share <= high + 0.01


def test_small_data_is_described_exactly() -> None:
    assert capacity_for(1_000_000, 18) == 65_536
    assert capacity_for(100_000_000, 18) == 4_096
