from __future__ import annotations

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from components.features import column, label
from components.features.expressions import Expression, Label
from orchestration import ArgumentError, DataError

BATCH = pa.record_batch(
    {"fare": [10.0, 20.0, None, 5.0], "tips": [3.0, 4.0, 1.0, None], "kind": ["b", "a", None, ""]}
)


def test_arithmetic_on_both_sides() -> None:
    expression = 1 - column("fare") / 2 + 3 * column("tips") - 4
    np.testing.assert_array_equal(expression.values(BATCH), [1.0, -1.0, np.nan, np.nan])
    assert str(expression) == "(((1 - (fare / 2)) + (3 * tips)) - 4)"
    assert expression.columns == ("fare", "tips")


def test_division_by_zero_is_no_error() -> None:
    values = (column("fare") / 0).values(BATCH)
    assert np.isinf(values[0])


def test_a_label_that_compares() -> None:
    big = label("tips").greater_than(0.2 * column("fare"))
    np.testing.assert_array_equal(big.values(BATCH), np.array([1, 0, np.nan, np.nan], "float32"))
    assert big.columns == ("fare", "tips")
    assert str(big) == "tips > (0.2 * fare)"


def test_a_label_of_classes_and_of_values() -> None:
    kind = label("kind", classes=("a", "b"))
    np.testing.assert_array_equal(kind.values(BATCH), np.array([1, 0, np.nan, np.nan], "float32"))
    np.testing.assert_array_equal(label("tips").value().values(BATCH), np.array([3, 4, 1, np.nan], "float32"))


def test_arrays_by_name_work_like_a_batch() -> None:
    arrays = {"tips": np.array([1.0, 2.0]), "fare": np.array([1, 100])}
    np.testing.assert_array_equal(label("tips").greater_than(column("fare") / 2).values(arrays), [1, 0])


def test_json_and_pickle_give_the_same_label() -> None:
    made = label("tips", missing="drop").greater_than(0.2 * column("fare") + 1)
    assert Label.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert pickle.loads(pickle.dumps(made)) == made


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(DataError, match='label "kind" has a class') as caught:
        label("kind", classes=("a", "c")).values(BATCH)
    assert "'b'" in str(caught.value)


def test_classes_of_another_type_are_refused() -> None:
    with pytest.raises(DataError, match="has a class"):
        label("kind", classes=(0, 1)).values(BATCH)


def test_a_missing_column_offers_the_closest() -> None:
    with pytest.raises(DataError) as caught:
        column("fair").values(BATCH)
    assert caught.value.next == 'did you mean "fare"?'


def test_strings_are_no_numbers() -> None:
    with pytest.raises(DataError, match='column "kind" does not hold numbers'):
        label("kind").greater_than(1).values(BATCH)


def test_wrong_operands_are_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        label("tips").greater_than("fare")  # type: ignore[arg-type]  # the mistake under test
    assert caught.value.next == "column('fare')"
    with pytest.raises(ArgumentError):
        column("")
    with pytest.raises(ArgumentError):
        label("tips", classes=("one",))
    assert isinstance(column("a") + 1, Expression)
