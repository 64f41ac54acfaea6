"""Kinds of columns beyond the common ones, and what is said of every kind."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from components.artifacts import Examples
from components.compute_statistics import compute_statistics
from components.statistics.accumulator import Settings
from components.statistics.statistics import ColumnStatistics, load_statistics
from components.statistics.table_accumulator import TableAccumulator, extract


def column(array: pa.Array) -> ColumnStatistics:
    options = Settings()
    table = TableAccumulator(pa.schema([pa.field("x", array.type)]), options)
    table.add(pa.record_batch({"x": array}))
    return extract({"all": table.merged(table)}, options).splits["all"].columns[0]


def test_decimals_keep_their_digits() -> None:
    found = column(pa.array([Decimal("12345678901234567890.12"), None, Decimal("-0.01")]))
    assert (found.kind, found.min_text, found.max_text) == ("number", "-0.01", "12345678901234567890.12")
    assert found.numbers is not None
    assert (found.present, found.missing, found.numbers.min) == (4, 2, -0.01)


def test_numbers_in_dictionaries() -> None:
    found = column(pa.array([3, None, 3, 5]).dictionary_encode())
    assert (found.kind, found.present, found.missing, found.distinct) == ("number", 6, 2, 2)
    assert found.top[0].value == 3
    days = pa.array([0, 1], pa.date32()).dictionary_encode()
    assert (column(days).kind, column(days).max_text) == ("time", "1970-01-02")


def test_lists_of_every_kind() -> None:
    values = [[1, 2], None, [3, 4]]
    for kind in (pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int64(), 2)):
        found = column(pa.array(values, kind))
        assert found.lengths is not None
        assert found.items is not None
        assert found.items.numbers is not None
        assert (found.kind, found.present, found.missing, found.nestedness) == ("list", 4, 2, 1)
        assert (found.lengths.min, found.lengths.max, found.lengths.mean) == (2, 2, 2.0)
        assert (found.items.numbers.min, found.items.numbers.max) == (1, 4)


def test_how_deep_lists_are_nested() -> None:
    found = column(pa.array([[[["a"], []]], [], None]))
    assert found.nestedness == 3
    assert found.items is not None
    assert found.items.lengths is not None
    assert found.items.lengths.max == 2
    assert column(pa.array([1])).nestedness == 0


def test_fields_of_structs_by_their_paths() -> None:
    found = column(pa.array([{"a": {"b": 1, "c": "x"}, "d": [2]}, None]))
    assert [(path, one.kind) for path, one in found.flat()] == [
        ("x.a.b", "number"),
        ("x.a.c", "text"),
        ("x.d", "list"),
    ]
    assert [path for path, _ in column(pa.array([1])).flat()] == ["x"]


def test_bytes_that_are_no_text_are_counted() -> None:
    found = column(pa.array([b"ok", b"\xff\xfe", b"\xff\xfe", None, "ü".encode()]))
    assert (found.kind, found.present, found.not_utf8, found.top) == ("bytes", 8, 4, ())
    assert found.lengths is not None
    assert (found.lengths.min, found.lengths.max) == (2, 2)


@given(st.lists(st.binary(max_size=6), max_size=30))
def test_bytes_that_are_no_text_are_those_python_refuses(values: list[bytes]) -> None:
    def strange(value: bytes) -> bool:
        try:
            value.decode()
        except UnicodeDecodeError:
            return True
        return False

    assert column(pa.array(values, pa.binary())).not_utf8 == 2 * sum(map(strange, values))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_a_quantile_histogram_holds_every_number_once(values: list[float]) -> None:
    found = column(pa.array(values)).numbers
    assert found is not None
    histogram = found.quantile_histogram
    if min(values) == max(values):
        assert histogram is None
        return
    assert histogram is not None
    assert sum(histogram.counts) == found.count == 2 * len(values)
    assert set(histogram.edges) <= set(found.deciles)
    inside = 2 * np.histogram(values, np.array(histogram.edges))[0]
    assert histogram.counts == tuple(inside.tolist())


def test_many_numbers_lie_evenly_in_a_quantile_histogram() -> None:
    found = column(pa.array(np.random.default_rng(1).gamma(2.0, 5.0, 5000))).numbers
    assert found is not None
    assert found.quantile_histogram is not None
    assert found.quantile_histogram.counts == pytest.approx([1000] * 10, abs=4)


KINDS = [
    *(pa.int8(), pa.uint8(), pa.int16(), pa.uint64(), pa.float16(), pa.float32(), pa.bool_()),
    *(pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.timestamp("s"), pa.duration("us")),
    *(pa.timestamp("us", "Europe/Berlin"), pa.decimal128(9, 2), pa.decimal256(40, 3)),
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(2), pa.null()),
    *(pa.list_(pa.string()), pa.list_(pa.int8(), 2), pa.map_(pa.string(), pa.int64())),
    *(pa.struct([("a", pa.list_(pa.float32()))]), pa.dictionary(pa.int32(), pa.string())),
    *(pa.dictionary(pa.int8(), pa.int64()), pa.string_view(), pa.binary_view()),
]


def some(kind: pa.DataType) -> pa.Array:
    """Return two values and a missing one."""
    if pa.types.is_dictionary(kind):
        return some(kind.value_type).dictionary_encode().cast(kind)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(test(kind) for test in texts):
        return pa.array(["a", "é", None], kind)
    if pa.types.is_binary(kind) or "binary" in str(kind):
        return pa.array([b"aa", b"\xff\xff", None], kind)
    if pa.types.is_map(kind):
        return pa.array([[("k", 1)], [], None], kind)
    if pa.types.is_fixed_size_list(kind):  # Arrow itself cannot read a missing one back
        return pa.array([[1, 2], [3, None], [5, 6]], kind)
    if pa.types.is_nested(kind) and not pa.types.is_struct(kind):
        item = some(kind.value_type)[0].as_py()
        return pa.array([[item, item], [item, None], None], kind)
    if pa.types.is_struct(kind):
        return pa.array([{"a": [1.5]}, {"a": None}, None], kind)
    if pa.types.is_null(kind):
        return pa.nulls(3)
    if pa.types.is_temporal(kind):
        raw = pa.array([0, 86_400_000, None], pa.int32() if kind.bit_width == 32 else pa.int64())
        if pa.types.is_date32(kind) or pa.types.is_time32(kind):
            raw = pa.array([0, 7, None], pa.int32())
        return raw.view(kind)
    return pa.array([1, 0, None], pa.int8()).cast(kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_is_described_from_parquet(kind: pa.DataType) -> None:
    values = some(kind)
    examples = Examples.new(splits={"train": {"rows": 3}})
    table = pa.table({"x": values, "label": [1, 0, 1], "w": [1, 2, 3]})
    pq.write_table(table, examples.file("train/part-00000.parquet"), write_page_checksum=True)
    found = load_statistics(compute_statistics(examples, label="label", weight="w"))
    one = found.splits["train"].columns[0]
    assert one.kind != "other"
    assert one.rows == 3
    assert one.missing == values.null_count
    assert one.weighted is not None
    assert one.weighted.missing == {0: 0.0, 1: 3.0, 3: 6.0}[values.null_count]
