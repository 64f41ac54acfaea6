"""Bad rows are set aside with their reasons, good rows go on, and nothing is lost between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.schema.schema import Severity
from components.validate_examples import Checked, validate_examples
from components.validation.suite import Rule
from orchestration import GateError
from tests.components.validation.material import examples_of, rule, schema_of, statistics_of

TABLE = pa.table(
    {
        "key": [1, 2, 2, 3, 4, None, 5, 6],
        "fare": [5.0, -1.0, 7.0, 8.0, 900.0, 9.0, None, 6.0],
        "kind": ["a", "b", "b", "x", "a", "a", "b", "a"],
    }
)
Q = Severity.QUARANTINE


def checked(rules: list[Rule], *parts: tuple[str, pa.Table], **layout: int) -> tuple[Examples, Checked]:
    examples = examples_of(*(parts or (("train", TABLE),)), **layout)
    return examples, validate_examples(examples, statistics_of(examples), schema_of(TABLE, rules))


def rows_of(examples: Examples, split: str = "train") -> list[dict[str, Any]]:
    return [row for batch in examples.batches(split) for row in batch.to_pylist()]


def bad_rows(found: Checked) -> list[dict[str, Any]]:
    files = sorted((found.validation.path / "quarantine").glob("part-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.mark.parametrize("layout", [{"row_group": 100}, {"row_group": 3}, {"row_group": 2, "files": 3}])
def test_good_rows_go_on_in_order_and_bad_ones_keep_their_place_and_reasons(layout: dict[str, int]) -> None:
    rules = [
        rule("column_values_to_be_between", Q, column="fare", min_value=0, max_value=100),
        rule("column_values_to_be_in_set", Q, column="kind", value_set=["a", "b"]),
    ]
    examples, found = checked(rules, **layout)
    assert [row["key"] for row in rows_of(found.examples)] == [1, 2, None, 5, 6]
    assert found.examples.metadata["splits"] == {"train": {"rows": 5}}
    bad = bad_rows(found)
    assert [(row["key"], len(row["_rules"]), row["_split"]) for row in bad] == [
        (2, 1, "train"),
        (3, 1, "train"),
        (4, 1, "train"),
    ]
    original = [pq.read_table(file).to_pylist() for file in examples.files("train")]
    for row in bad:
        source = original[int(row["_file"].split("-")[1].split(".")[0])][row["_row"]]
        assert source == {name: row[name] for name in TABLE.column_names}
    assert found.validation.metadata["quarantined"] == 3
    assert found.validation.metadata["success"]


def test_a_row_that_breaks_several_rules_is_set_aside_once_with_all_of_them() -> None:
    rules = [
        rule("column_values_to_be_between", Q, column="fare", min_value=0),
        rule("column_values_to_be_between", Q, column="fare", min_value=1),
    ]
    _, found = checked(rules)
    [bad] = bad_rows(found)
    assert len(bad["_rules"]) == 2


@pytest.mark.parametrize(
    ("one", "keys"),
    [
        (rule("column_values_to_be_unique", Q, column="key"), [1, 3, 4, None, 5, 6]),
        (rule("compound_columns_to_be_unique", Q, column_list=["key", "kind"]), [1, 3, 4, None, 5, 6]),
        (rule("column_values_to_not_be_null", Q, column="fare"), [1, 2, 2, 3, 4, None, 6]),
        (rule("column_values_to_not_be_outliers", Q, column="fare", method="iqr"), [1, 2, 3, None, 5, 6]),
        (
            rule("column_pair_values_a_to_be_greater_than_b", Q, column_A="fare", column_B="key"),
            [1, 2, 3, 4],
        ),
    ],
)
def test_every_kind_of_row_rule_can_set_rows_aside(one: Rule, keys: list[Any]) -> None:
    rules = [one]
    if one.type.startswith("expect_column_pair"):
        rules = [Rule(one.type, {**one.kwargs, "ignore_row_if": "neither"}, Q)]
    _, found = checked(rules, row_group=3)
    assert [row["key"] for row in rows_of(found.examples)] == keys


def test_the_rows_that_go_on_are_judged_again() -> None:
    rules = [
        rule("column_values_to_be_between", Q, column="fare", max_value=100),
        rule("column_mean_to_be_between", column="fare", max_value=10),
    ]
    _, found = checked(rules)
    assert found.validation.metadata["anomalies"] == {"fail": 0, "quarantine": 1, "warn": 0}


def test_within_mostly_nothing_is_set_aside() -> None:
    examples, found = checked(
        [rule("column_values_to_be_between", Q, column="fare", max_value=100, mostly=0.5)]
    )
    assert found.examples is examples
    assert bad_rows(found) == []


@pytest.mark.parametrize(
    "one",
    [
        rule("column_mean_to_be_between", Q, column="fare", max_value=10),
        rule("column_values_to_be_increasing", Q, column="fare"),
        rule("column_values_to_be_between", Q, column="nowhere", max_value=10),
        rule("column_values_to_be_between", Q, column="kind", max_value=10),
    ],
    ids=["statistic", "order", "missing column", "not checked"],
)
def test_a_quarantine_rule_whose_rows_cannot_be_named_fails(one: Rule) -> None:
    with pytest.raises(GateError):
        checked([one])


def test_a_split_that_would_be_empty_fails() -> None:
    with pytest.raises(GateError, match='every row of split "train" is in quarantine'):
        checked([rule("column_values_to_be_in_set", Q, column="kind", value_set=["nothing"])])


def test_other_splits_go_on_unchanged() -> None:
    rules = [rule("column_values_to_be_between", Q, column="fare", max_value=100)]
    clean = TABLE.slice(0, 4)
    _, found = checked(rules, ("eval", clean), ("train", TABLE))
    assert rows_of(found.examples, "eval") == clean.to_pylist()
    assert found.examples.metadata["splits"] == {"eval": {"rows": 4}, "train": {"rows": 7}}


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rules = [rule("column_values_to_be_between", Q, column="fare", max_value=100)]
    (_, one), (_, two) = checked(rules, row_group=3), checked(rules, row_group=3)
    for first, second in ((one.examples, two.examples), (one.validation, two.validation)):
        names = [path.relative_to(first.path) for path in sorted(first.path.rglob("*")) if path.is_file()]
        assert names == [
            path.relative_to(second.path) for path in sorted(second.path.rglob("*")) if path.is_file()
        ]
        for name in names:
            assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
