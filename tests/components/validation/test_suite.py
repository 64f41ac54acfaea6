"""A suite is read strictly: nothing in it is dropped, guessed or passed over."""

from __future__ import annotations

from typing import Any

import pytest

from components.artifacts import Schema
from components.schema.schema import Severity
from components.validation.suite import Rule, SuiteError, expectation, rules_of
from orchestration import ArgumentError, DataError


def schema(expectations: Any, columns: Any = ()) -> Schema:
    out = Schema.new()
    out.write_json("suite.json", {"name": "s", "expectations": expectations, "meta": {}})
    out.write_json("schema.json", {"columns": list(columns)})
    return out


def test_severity_is_read_from_meta_and_is_fail_by_default() -> None:
    entries = [
        {"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "meta": {"severity": "quarantine"}},
        {"type": "expect_column_to_exist", "kwargs": {"column": "b"}},
    ]
    assert [rule.severity for rule in rules_of(schema(entries))] == [Severity.QUARANTINE, Severity.FAIL]


def test_columns_imply_types_missing_values_and_no_other_columns() -> None:
    columns = [
        {"name": "a", "type": "int64", "nullable": False},
        {"name": "b", "type": "string", "nullable": True},
    ]
    rules = rules_of(schema([], columns))
    assert [(rule.type, rule.columns, rule.severity) for rule in rules] == [
        ("expect_column_arrow_type_to_be", ["a"], Severity.FAIL),
        ("expect_column_values_to_not_be_null", ["a"], Severity.FAIL),
        ("expect_column_arrow_type_to_be", ["b"], Severity.FAIL),
        ("expect_table_columns_to_be_known", [], Severity.WARN),
    ]


def test_what_the_suite_says_about_missing_values_wins() -> None:
    written = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a", "mostly": 0.5}}
    rules = rules_of(schema([written], [{"name": "a", "type": "int64", "nullable": False}]))
    assert [rule.kwargs.get("mostly") for rule in rules if "null" in rule.type] == [0.5]


@pytest.mark.parametrize(
    ("entries", "headline"),
    [
        ("nothing", "lists no expectations"),
        ([3], "expectation 1 cannot be used: it is no expectation"),
        ([{"type": "expect_column_to_exist", "kwargs": [1]}], "it is no expectation"),
        (
            [{"type": "expect_column_to_exist", "kwargs": {}, "meta": {"severity": "panic"}}],
            "unknown severity",
        ),
    ],
)
def test_a_broken_suite_is_refused(entries: Any, headline: str) -> None:
    with pytest.raises(DataError, match=headline):
        rules_of(schema(entries))


@pytest.mark.parametrize(
    ("columns", "headline"),
    [
        ([{"type": "int64"}], "missing required field `name`"),
        ([{"name": "a"}], "missing required field `type`"),
        ([{"name": "a", "type": "int63"}], "names a type that does not exist"),
        ([{"name": "a", "type": "int64"}] * 2, 'names column "a" twice'),
    ],
)
def test_broken_columns_are_refused(columns: list[Any], headline: str) -> None:
    with pytest.raises(DataError, match=headline):
        rules_of(schema([], columns))


def test_an_environment_has_its_own_columns_and_rules() -> None:
    columns = [
        {"name": "fare", "type": "double"},
        {"name": "tips", "type": "double", "nullable": False, "not_in": ["serving"]},
    ]
    entries = [{"type": "expect_column_to_exist", "kwargs": {"column": name}} for name in ("fare", "tips")]
    assert {name for rule in rules_of(schema(entries, columns)) for name in rule.columns} == {"fare", "tips"}
    serving = rules_of(schema(entries, columns), "serving")
    assert {name for rule in serving for name in rule.columns} == {"fare"}
    assert serving[-1].kwargs == {"known_columns": ["fare", "tips"]}, "a label in a log is nothing new"
    with pytest.raises(ArgumentError, match='no environment "servign"'):
        rules_of(schema(entries, columns), "servign")


def test_an_optional_column_that_is_absent_is_not_checked() -> None:
    columns = [{"name": "a", "type": "int64"}, {"name": "b", "type": "int64", "optional": True}]
    both = rules_of(schema([], columns), present=["a", "b"])
    assert {name for rule in both for name in rule.columns} == {"a", "b"}
    assert {name for rule in rules_of(schema([], columns), present=["a"]) for name in rule.columns} == {"a"}


def test_an_unknown_expectation_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(SuiteError) as raised:
        expectation(Rule("expect_column_value_to_be_between", {"column": "a"}))
    assert "there is no expectation expect_column_value_to_be_between" in str(raised.value)
    assert "did you mean expect_column_values_to_be_between?" in str(raised.value)


def test_a_mistyped_argument_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(SuiteError) as raised:
        expectation(Rule("expect_column_values_to_be_between", {"column": "a", "min_valu": 1}))
    assert 'has no argument "min_valu"' in str(raised.value)
    assert "did you mean min_value?" in str(raised.value)


def test_a_wrong_value_is_an_error_that_names_the_argument() -> None:
    with pytest.raises(SuiteError) as raised:
        expectation(Rule("expect_column_values_to_be_in_set", {"column": "a", "value_set": 3, "mostly": 2}))
    assert "mostly: " in str(raised.value)
    assert "value_set: " in str(raised.value)
