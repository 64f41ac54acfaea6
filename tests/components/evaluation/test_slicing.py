"""Slices: every row in exactly one group of each grouping, missing values in their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.evaluation import by
from components.evaluation.slicing import OVERALL, groups, sort_key
from components.evaluation.spec import Slice
from orchestration import DataError

BATCH = pa.RecordBatch.from_pydict(
    {
        "hour": pa.array([3, 10, None, 3], pa.int64()),
        "wheel": pa.array([1.0, float("nan"), 2.5, None]),
        "city": pa.array(["Bonn", None, "Bonn", ""]).dictionary_encode(),
        "paid": pa.array([True, False, None, True]),
        "when": pa.array([0, 86_400, 0, None], pa.timestamp("s")),
        "tags": pa.array([[1], [2], [], None]),
    }
)


def found(*slices: Slice) -> dict[object, list[int]]:
    return {key: rows.tolist() for key, rows in groups(BATCH, slices)}


def test_values_of_every_kind_are_named() -> None:
    assert found(by("hour"))[(("hour", "3"),)] == [0, 3]
    assert found(by("hour"))[(("hour", None),)] == [2]
    assert found(by("wheel")) == {
        OVERALL: [0, 1, 2, 3],
        (("wheel", "1"),): [0],
        (("wheel", "2.5"),): [2],
        (("wheel", None),): [1, 3],
    }
    assert found(by("city"))[(("city", ""),)] == [3]
    assert found(by("paid"))[(("paid", "true"),)] == [0, 3]
    assert found(by("when"))[(("when", "1970-01-02 00:00:00"),)] == [1]


def test_crosses_join_the_columns() -> None:
    crossed = found(by("hour", "city"))
    assert crossed[(("hour", "3"), ("city", "Bonn"))] == [0]
    assert sorted(row for key, rows in crossed.items() if key for row in rows) == [0, 1, 2, 3]


def test_edges_bucket_numbers() -> None:
    label = "hour [5, 10]"
    assert by("hour", edges=(5, 10)).labels == (label,)
    assert found(by("hour", edges=(5, 10))) == {
        OVERALL: [0, 1, 2, 3],
        ((label, "below 5"),): [0, 3],
        ((label, "from 10"),): [1],
        ((label, None),): [2],
    }


def test_groups_sort_as_people_count() -> None:
    values = ["10", "9", None, "Köln", "below 5", "5 to 9", "from 11", "Bonn"]
    ordered = sorted(((("x", value),) for value in values), key=sort_key)
    assert [key[0][1] for key in ordered] == ["below 5", "5 to 9", "9", "10", "from 11", "Bonn", "Köln", None]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (by("nowhere"), 'there is no column "nowhere" to slice by'),
        (by("tags"), 'column "tags" cannot be sliced by'),
        (by("city", edges=(1,)), 'column "city" cannot be bucketed'),
    ],
)
def test_unusable_columns_are_named(item: Slice, message: str) -> None:
    with pytest.raises(DataError, match=message):
        found(item)


def test_an_empty_batch_has_no_groups() -> None:
    empty = BATCH.slice(0, 0)
    assert [(key, len(rows)) for key, rows in groups(empty, (by("hour"),))] == [(OVERALL, 0)]
    assert np.array_equal(next(groups(empty, ()))[1], [])
