from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.features.encoding import encode_column, is_missing
from components.model_format import MISSING_INT, Dtype
from orchestration import DataError


@pytest.mark.parametrize(
    ("column", "dtype", "expected"),
    [
        (pa.array([1, None, 2**40]), "float32", [1.0, np.nan, 2.0**40]),
        (pa.array([True, None]), "float32", [1.0, np.nan]),
        (pa.array([1.5, None, float("nan")]), "float32", [1.5, np.nan, np.nan]),
        (pa.array([None, None]), "float32", [np.nan, np.nan]),
        (pa.array([1e300, -1e300]), "float32", [np.inf, -np.inf]),
        (pa.array([1, None]), "int64", [1, MISSING_INT]),
        (pa.array([True, None]), "int64", [1, MISSING_INT]),
        (pa.array([0, None], pa.timestamp("ms")), "int64", [0, MISSING_INT]),
        (pa.array([dt.date(1970, 1, 2)]), "int64", [86_400]),
        (pa.array([dt.datetime(1970, 1, 1, 1, tzinfo=dt.UTC)]), "int64", [3_600]),
        (pa.array(["é", None, ""]), "string", ["é", "", ""]),
        (pa.array(["a", None]).dictionary_encode(), "string", ["a", ""]),
        (pa.chunked_array([["a"], [None]]), "string", ["a", ""]),
        (np.array([1, 2]), "float32", [1.0, 2.0]),
        (np.array(["a", None], object), "string", ["a", ""]),
    ],
)
def test_missing_values_travel_as_agreed(column: Any, dtype: Dtype, expected: list[Any]) -> None:
    encoded = encode_column(column, "c", dtype, nullable=True)
    assert encoded.dtype == {"float32": np.float32, "int64": np.int64, "string": object}[dtype]
    np.testing.assert_array_equal(encoded, np.array(expected, encoded.dtype))


def test_missing_values_are_found_again() -> None:
    assert is_missing(np.array([1, np.nan, np.inf], "float32"), "float32").tolist() == [False, True, True]
    assert is_missing(np.array([1, MISSING_INT]), "int64").tolist() == [False, True]
    assert is_missing(np.array(["a", ""], object), "string").tolist() == [False, True]


@pytest.mark.parametrize(
    ("column", "dtype", "words"),
    [
        (pa.array(["1"]), "float32", "does not hold numbers"),
        (pa.array([1.5]), "int64", "does not hold integers"),
        (pa.array([1]), "string", "does not hold strings"),
        (pa.array([2**63], pa.uint64()), "int64", "does not hold integers below"),
        (pa.array([[1]]), "float32", "does not hold numbers"),
        (np.array(["a", 1], object), "string", "mixes types"),
    ],
)
def test_a_wrong_type_is_named(column: Any, dtype: Dtype, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        encode_column(column, "c", dtype, nullable=True)
    assert "c" in caught.value.headline


@pytest.mark.parametrize(
    ("values", "dtype"), [([1.0, None], "float32"), ([1, None], "int64"), (["a", ""], "string")]
)
def test_without_a_policy_a_missing_value_is_refused(values: list[Any], dtype: Dtype) -> None:
    with pytest.raises(DataError, match="no policy") as caught:
        encode_column(pa.array(values), "c", dtype, nullable=False)
    assert caught.value.received == "1 of 2 rows, the first row 1"
