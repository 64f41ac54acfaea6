from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.reading.splits import Splits
from orchestration import ArgumentError, DataError
from tests.components.data.arrow_strategies import batch, cuts, pieces, rows


def names_of(splits: Splits, column: pa.Array) -> list[str | None]:
    """Return the split of each row of a table of one column ``x``."""
    table = pa.record_batch({"x": column})
    splits.check(table.schema)
    return [splits.names[place] if place >= 0 else None for place in splits.assign(table)]


def test_every_value_goes_to_its_split() -> None:
    splits = Splits.of({"train": [1, 2], "eval": [3]}, column="x")
    assert names_of(splits, pa.array([3, 1, 2, None, 4, 1])) == [
        "eval",
        "train",
        "train",
        None,
        None,
        "train",
    ]


def test_values_may_be_the_names() -> None:
    column = pa.array(["eval", "train", "test", None])
    assert names_of(Splits.of(column="x"), column) == ["eval", "train", None, None]
    assert names_of(Splits.of(["train", "eval", "test"], column="x"), column) == [
        "eval",
        "train",
        "test",
        None,
    ]


@pytest.mark.parametrize(
    ("known", "other", "column"),
    [
        ("2026-11-01", "2026-11-02", pa.array([20_758, 20_759], pa.int32()).cast(pa.date32())),
        (True, False, pa.array([True, False])),
        (1, 2, pa.array([1.0, 2.0])),
        ("7", "8", pa.array([7, 8], pa.int8())),
        ("a", "b", pa.array([b"a", b"b"])),
    ],
    ids=str,
)
def test_values_are_read_as_the_columns_type(known: Any, other: Any, column: pa.Array) -> None:
    assert names_of(Splits.of({"one": [known], "two": [other]}, column="x"), column) == ["one", "two"]


@pytest.mark.parametrize("column", [pa.array([1]), pa.array([[1]]), pa.array([{"a": 1}])], ids=str)
def test_values_of_another_type_are_refused(column: pa.Array) -> None:
    with pytest.raises(DataError, match="cannot decide the split"):
        names_of(Splits.of({"train": ["y"]}, column="x"), column)


NOON = 1_793_534_400_000_000  # 2026-11-01 12:00 UTC in microseconds


@pytest.mark.parametrize(
    ("column", "start"),
    [
        (pa.array([20_757, 20_758, None], pa.int32()).cast(pa.date32()), "2026-11-01"),
        (pa.array([NOON - 1, NOON, None], pa.timestamp("us")), "2026-11-01 12:00:00"),
        (pa.array([NOON - 1, NOON, None], pa.timestamp("us", "UTC")), "2026-11-01T12:00:00Z"),
        (pa.array([NOON - 1, NOON, None], pa.timestamp("us", "UTC")), "2026-11-01T13:00:00+01:00"),
        (pa.array([NOON - 1, NOON, None], pa.timestamp("us", "Europe/Zurich")), "2026-11-01 13:00:00"),
        (pa.array([9, 10, None]), 10),
        (pa.array([9.5, 10.0, float("nan")]), 10),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else str(value),
)
def test_time_divides_before_from_after(column: pa.Array, start: Any) -> None:
    assert names_of(Splits.of({"train": None, "eval": start}, time="x"), column) == ["train", "eval", None]


def test_rows_before_the_first_start_belong_to_no_split() -> None:
    splits = Splits.of({"train": 10, "eval": 20, "test": 30}, time="x")
    found = names_of(splits, pa.array([9, 10, 19, 20, 29, 30, 99]))
    assert found == [None, "train", "train", "eval", "eval", "test", "test"]


@pytest.mark.parametrize(
    ("starts", "column", "message"),
    [
        ({"train": None, "eval": "x"}, pa.array([1], pa.timestamp("us")), "cannot decide the split"),
        ({"train": None, "eval": "2026-11-01"}, pa.array(["2026-11-01"]), "cannot decide the split"),
        ({"train": None, "eval": 10**30}, pa.array([1]), "cannot decide the split"),
        ({"train": 20, "eval": 10}, pa.array([1]), "one after the other"),
        ({"train": 10, "eval": 10}, pa.array([1]), "one after the other"),
    ],
)
def test_starts_that_do_not_fit_are_refused(starts: dict[str, Any], column: pa.Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        names_of(Splits.of(starts, time="x"), column)


@pytest.mark.parametrize(
    "options",
    [
        {"splits": {"train": 1.0}, "by": ["a"], "column": "b"},
        {"column": "a", "time": "b"},
        {"splits": {"train": [1]}},
        {"splits": ["train"]},
        {"splits": {"train": "2026-11-01"}},
        {"splits": {"train": 0.8, "eval": 0.2}, "column": "a"},
        {"splits": {"train": [1], "eval": []}, "column": "a"},
        {"splits": {"train": [1], "eval": [2, 1]}, "column": "a"},
        {"splits": ["a", "b/c"], "column": "a"},
        {"splits": [], "column": "a"},
        {"splits": {"train": [1], "eval": [2]}, "time": "a"},
        {"splits": None, "time": "a"},
        {"splits": {"train": "2026-11-01", "eval": None}, "time": "a"},
        {"splits": {"quarantine": 1.0}},
        {"splits": {"train": None, "eval": float("nan")}, "time": "a"},
    ],
)
def test_arguments_that_do_not_go_together_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        Splits.of(**options)


@pytest.mark.parametrize("how", ["column", "time", "by"])
def test_a_column_must_be_there(how: str) -> None:
    splits = {
        "column": Splits.of({"a": [1]}, column="nobody"),
        "time": Splits.of({"a": None}, time="nobody"),
        "by": Splits.of(by=["nobody"]),
    }[how]
    with pytest.raises(DataError, match='no column "nobody"'):
        splits.check(pa.schema({"x": pa.int64()}))


@given(rows(), cuts(), st.sampled_from(["hash", "by", "column", "time"]))
def test_a_row_has_the_same_split_in_any_batch(
    found: list[dict[str, Any]], places: list[int], how: str
) -> None:
    splits = {
        "hash": Splits.of({"a": 0.5, "b": 0.3, "c": 0.2}),
        "by": Splits.of({"a": 0.5, "b": 0.5}, by=["text", "flag"]),
        "column": Splits.of({"a": ["a", "東京"], "b": [""]}, column="text"),
        "time": Splits.of({"a": None, "b": 0, "c": 2.5}, time="float"),
    }[how]
    whole = batch(found)
    splits.check(whole.schema)
    parts = [splits.assign(piece) for piece in pieces(whole, places)]
    assert np.array_equal(np.concatenate(parts), splits.assign(whole))
