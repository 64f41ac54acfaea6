"""Rules about what values contain keep exactly the rows that a plain loop keeps, whatever the batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.compute_statistics import compute_statistics
from components.schema.schema import Severity
from components.validate_examples import validate_examples
from components.validation.metrics import Metric
from components.validation.recipes import broken_positions
from components.validation.run import judge_examples
from components.validation.suite import SuiteError
from components.validation.view import InapplicableError, View
from orchestration import Beam
from tests.components.validation.material import examples_of, rule, schema_of

Values = list[Any]


def broken(name: str, values: Values, kind: pa.DataType, **arguments: Any) -> list[int]:
    """Return the rows that break a rule, judged in two batches with an offset each."""
    whole = pa.array(values, kind)
    found: list[int] = []
    cut = len(values) // 2
    for start, part in ((0, whole.slice(0, cut)), (cut, whole.slice(cut))):
        view = View(pa.record_batch({"x": part}), np.arange(start, start + len(part)))
        found += broken_positions(
            Metric(f"{name}.unexpected_count", {"column": "x"}, arguments), view
        ).tolist()
    return found


def kept_by(values: Values, keeps: Callable[[Any], bool]) -> list[int]:
    return [row for row, value in enumerate(values) if value is not None and not keeps(value)]


lists = st.lists(st.none() | st.lists(st.sampled_from(["a", "b", "end", "?"]), max_size=4), max_size=12)


@given(lists, st.integers(0, 2), st.integers(0, 2))
def test_items_are_counted(values: Values, low: int, more: int) -> None:
    found = broken(
        "column_values.list_item_count",
        values,
        pa.list_(pa.string()),
        item="end",
        min_value=low,
        max_value=low + more,
    )
    assert found == kept_by(values, lambda items: low <= items.count("end") <= low + more)


@given(lists, st.sampled_from([0.0, 0.25, 0.5, 2 / 3, 1.0]))
def test_the_share_of_known_items_is_held(values: Values, share: float) -> None:
    found = broken(
        "column_values.list_items_in_set",
        values,
        pa.list_(pa.string()),
        value_set=["a", "b"],
        min_share=share,
    )
    known = kept_by(values, lambda items: sum(item in "ab" for item in items) >= share * len(items) - 1e-9)
    assert found == known


@given(lists, st.floats(0.5, 3))
def test_the_mean_length_of_items_is_held(values: Values, low: float) -> None:
    found = broken("column_values.list_item_length", values, pa.list_(pa.string()), min_value=low)
    assert found == kept_by(values, lambda items: not items or sum(map(len, items)) / len(items) >= low)


nested = st.lists(st.none() | st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=3), max_size=12)


@given(nested, st.integers(0, 3), st.integers(0, 3))
def test_shapes_are_held_at_every_level(values: Values, outer: int, inner: int) -> None:
    found = broken("column_values.list_shape", values, pa.list_(pa.list_(pa.int64())), shape=[outer, inner])
    assert found == kept_by(
        values, lambda rows: len(rows) == outer and all(len(row) == inner for row in rows)
    )


texts = (
    st.none() | st.sampled_from(["1", "-2", "2.5", "1e3", "nan", "inf", "", "x", " 7 "]) | st.text(max_size=3)
)


@given(st.lists(texts, max_size=12), st.booleans())
def test_texts_that_write_numbers_are_read(values: Values, whole: bool) -> None:
    def keeps(text: str) -> bool:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            return False
        return not math.isnan(value) and value >= -1

    found = broken("column_values.text_number", values, pa.string(), whole=whole, min_value=-1)
    assert found == kept_by(values, keeps)


def test_nan_is_told_from_missing() -> None:
    values = [1.0, None, math.nan, math.inf]
    assert broken("column_values.not_nan", values, pa.float64()) == [2]
    assert broken("column_values.not_nan", [1, None, 3, 4], pa.int64()) == []


def test_pictures_are_known_by_their_first_bytes() -> None:
    values = [b"\x89PNG\r\n\x1a\nrest", b"\xff\xd8\xffrest", b"GIF89a", b"<svg>", None, b""]
    assert broken("column_values.image", values, pa.binary(), formats=["png", "jpeg"]) == [2, 3, 5]


def test_a_condition_that_is_unknown_is_not_broken() -> None:
    table = pa.table({"tips": [1.0, 9.0, None, 2.0], "fare": [5.0, 5.0, 5.0, None]})
    rules = [rule("rows_to_satisfy", condition="tips <= fare")]
    found = judge_examples(examples_of(("all", table), row_group=1), rules, ["all"], Beam())
    assert [entry["row"] for entry in found.evidence()] == [1]
    assert found.evidence()[0]["values"] == '{"fare": 5.0, "tips": 9.0}'
    assert found.anomalies()[0].column == "fare, tips"


def test_rows_that_break_a_condition_or_hold_nan_are_set_aside() -> None:
    table = pa.table(
        {"tips": [1.0, 9.0, math.nan, 2.0], "fare": [5.0, 5.0, 5.0, None], "w": [[1], [1], [1], []]}
    )
    rules = [
        rule("rows_to_satisfy", Severity.QUARANTINE, condition="tips <= fare or is_nan(tips)"),
        rule("column_values_to_not_be_nan", Severity.QUARANTINE, column="tips"),
        rule("column_list_shapes_to_be", Severity.QUARANTINE, column="w", shape=[1]),
    ]
    examples = examples_of(("all", table), row_group=3)
    found = validate_examples(examples, compute_statistics(examples), schema_of(table, rules))
    assert [batch.to_pylist() for batch in found.examples.batches("all")] == [table.slice(0, 1).to_pylist()]
    assert found.validation.metadata["quarantined"] == 3


@pytest.mark.parametrize(
    ("name", "kind", "values", "arguments"),
    [
        ("not_nan", pa.string(), ["a"], {}),
        ("text_number", pa.int64(), [1], {}),
        ("image", pa.string(), ["a"], {"formats": ["png"]}),
        ("list_item_count", pa.string(), ["a"], {"item": "a", "min_value": 1}),
        ("list_item_length", pa.list_(pa.int64()), [[1]], {"min_value": 1}),
        ("list_shape", pa.list_(pa.list_(pa.int64())), [[[1]]], {"shape": [1]}),
        ("list_shape", pa.list_(pa.int64()), [[1]], {"shape": [1, 1]}),
    ],
)
def test_what_a_rule_means_nothing_for_cannot_be_checked(
    name: str, kind: pa.DataType, values: Values, arguments: dict[str, Any]
) -> None:
    view = View(pa.record_batch({"x": pa.array(values, kind)}), np.arange(len(values)))
    with pytest.raises(InapplicableError):
        broken_positions(Metric(f"column_values.{name}.unexpected_count", {"column": "x"}, arguments), view)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (rule("rows_to_satisfy", condition="fare >"), "condition"),
        (rule("rows_to_satisfy", condition="drop(fare)"), "condition"),
        (rule("column_list_shapes_to_be", column="x", shape=[]), "shape"),
        (rule("column_list_shapes_to_be", column="x", shape=[-1]), "shape"),
        (rule("column_values_to_be_images", column="x", formats=["exe"]), "formats"),
        (rule("column_list_item_counts_to_be_between", column="x", item="a"), "cannot both be left out"),
        (rule("column_list_lengths_to_be_between", column="x", min_value=3, max_value=1), "never be kept"),
        (rule("columns_to_be_missing_together", column_list=["x"]), "column_list"),
        (rule("column_values_to_not_be_nan", column="x", mostly=1.5), "mostly"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.type,
)
def test_a_rule_that_makes_no_sense_is_refused(one: Any, says: str) -> None:
    with pytest.raises(SuiteError) as raised:
        judge_examples(examples_of(("all", pa.table({"x": ["a"]}))), [one], ["all"], Beam())
    assert says in str(raised.value)
