"""The contract with Great Expectations: judged from metrics, every rule ends as it does on the rows."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import pyarrow as pa
import pytest

from components.validation.judge import Verdict
from components.validation.run import judge_examples
from components.validation.suite import Rule
from orchestration import Beam
from tests.components.validation.material import (
    FILES,
    Plain,
    broad_suite,
    examples_of,
    plain_results,
    real_table,
    rule,
)


def verdicts_of(table: pa.Table, rules: list[Rule], row_group: int = 7_000, files: int = 2) -> list[Verdict]:
    examples = examples_of(("all", table), row_group=row_group, files=files)
    return judge_examples(examples, rules, ["all"], Beam()).verdicts["all"]


def differences(rules: list[Rule], ours: list[Verdict], plain: list[Plain]) -> list[str]:
    """Return where success, the number of unexpected rows or an observed number differ."""
    found = []
    for one, verdict, expected in zip(rules, ours, plain, strict=True):
        same = verdict.success == expected.success
        same &= verdict.result.get("unexpected_count") == expected.result.get("unexpected_count")
        observed = expected.result.get("observed_value")
        if isinstance(observed, int | float):
            same &= close(verdict.result.get("observed_value"), observed)
        if not same:
            found.append(f"{one}: {verdict.result} {verdict.error} against {expected}")
    return found


def close(ours: Any, plain: float) -> bool:
    if math.isnan(plain):
        return ours is None
    if math.isinf(plain):
        return bool(ours == str(float(plain)))
    return isinstance(ours, int | float) and math.isclose(ours, plain, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("name", sorted(FILES))
def test_real_data_gets_the_same_verdicts(name: str) -> None:
    table = real_table(name)
    rules = broad_suite(table)
    assert len(rules) >= 70
    ours = verdicts_of(table, rules)
    assert differences(rules, ours, plain_results(table, rules)) == []
    assert 0.2 < sum(verdict.success for verdict in ours) / len(ours) < 0.8


NONE = None
EDGES = {
    "all missing": pa.table(
        {
            "text": pa.array([NONE] * 5, pa.string()),
            "number": pa.array([NONE] * 5, pa.float64()),
            "whole": pa.array([NONE] * 5, pa.int64()),
            "flag": pa.array([NONE] * 5, pa.bool_()),
            "nothing": pa.nulls(5),
        }
    ),
    "one row": pa.table(
        {
            "text": ["x"],
            "number": [1.5],
            "whole": [3],
            "flag": [True],
            "time": pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("us")),  # noqa: DTZ001 - a column without zone
        }
    ),
    "duplicates only": pa.table(
        {"text": ["x"] * 7, "number": [1.5] * 7, "whole": [3] * 7, "flag": [True] * 7}
    ),
    "mixed with missing": pa.table(
        {
            "text": ["x", NONE, "y", "x", "é", "", "10"],
            "number": [1.5, NONE, math.nan, -0.0, 0.0, 2.5, 7.0],
            "whole": [3, NONE, 1, 2, 2, NONE, 9],
            "flag": [True, NONE, False, True, True, NONE, NONE],
        }
    ),
    "empty": pa.table(
        {
            "text": pa.array([], pa.string()),
            "number": pa.array([], pa.float64()),
            "whole": pa.array([], pa.int64()),
            "flag": pa.array([], pa.bool_()),
        }
    ),
    "infinite": pa.table({"number": [1.0, math.inf, 2.0, 3.0], "other": [-math.inf, math.inf, 2.0, 3.0]}),
    "large": pa.table(
        {
            "whole": [2**60, 2**60 + 1, -(2**60), 5],
            "unsigned": pa.array([1, 2, 3, 2**63], pa.uint64()),
            "tiny": pa.array([1, 2, 3, 4], pa.int8()),
        }
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # plain Great Expectations divides by zero
@pytest.mark.parametrize("name", list(EDGES))
def test_edge_cases_get_the_same_verdicts(name: str) -> None:
    table = EDGES[name]
    rules = broad_suite(table)
    ours = verdicts_of(table, rules, row_group=3, files=1)
    assert differences(rules, ours, plain_results(table, rules)) == []


def test_list_columns_get_the_same_verdicts_where_plain_great_expectations_can_tell() -> None:
    """Of lists it cannot count the different ones, and takes equal ones for different."""
    texts = pa.array([["a"], ["a"], ["b"], [], NONE])
    table = pa.table(
        {"list": pa.array([[1, 2], [3], NONE, [], [1, 2]]), "texts": texts, "whole": [*range(5)]}
    )
    rules = broad_suite(table)
    ours, plain = verdicts_of(table, rules, row_group=2, files=1), plain_results(table, rules)
    counting = ("expect_column_values_to_be_unique", "expect_column_unique_value_count_to_be_between")
    known = [
        number
        for number, one in enumerate(rules)
        if one.type not in counting or one.kwargs["column"] == "whole"
    ]
    assert len(known) == len(rules) - 4
    chosen = [[side[number] for number in known] for side in (rules, ours, plain)]
    assert differences(*chosen) == []  # type: ignore[arg-type]  # three lists of one length
    judged = {(one.rule.type, one.rule.kwargs.get("column")): one for one in ours}
    assert judged[counting[0], "list"].rows == judged[counting[0], "texts"].rows == 2
    assert judged[counting[1], "list"].result["observed_value"] == 3


def relations() -> tuple[pa.Table, list[Rule]]:
    table = pa.table(
        {
            "a": [1, 2, 3, NONE, 5, NONE, 1, 1],
            "b": [1, 3, 2, 4, NONE, NONE, 1, 1],
            "c": [2.0, 5.0, 5.0, 4.0, 5.0, NONE, 2.0, 7.0],
            "s": ["x", "y", NONE, "x\x1f", "x", "z", "x", "x"],
            "u": ["p", "q", "q", "\\", "p", NONE, "p", "\x1fp"],
        }
    )
    rules = []
    for ignore in ("both_values_are_missing", "either_value_is_missing", "neither"):
        pair = {"column_A": "a", "column_B": "b", "ignore_row_if": ignore}
        pairs = [[1, 1], [2, 3], [NONE, 4], [NONE, NONE]]
        rules += [
            rule("column_pair_values_to_be_equal", **pair, mostly=0.3),
            rule("column_pair_values_a_to_be_greater_than_b", **pair),
            rule("column_pair_values_a_to_be_greater_than_b", **pair, or_equal=True, mostly=0.5),
            rule("column_pair_values_to_be_in_set", **pair, value_pairs_set=pairs, mostly=0.6),
            rule("column_pair_values_to_be_equal", column_A="s", column_B="u", ignore_row_if=ignore),
            rule("column_pair_values_to_be_equal", column_A="a", column_B="s", ignore_row_if=ignore),
        ]
    for ignore in ("all_values_are_missing", "any_value_is_missing", "never"):
        several = {"column_list": ["a", "b"], "ignore_row_if": ignore}
        texts = {"column_list": ["s", "u"], "ignore_row_if": ignore}
        three = {"column_list": ["a", "b", "c"], "ignore_row_if": ignore}
        rules += [
            rule("compound_columns_to_be_unique", **several, mostly=0.5),
            rule("compound_columns_to_be_unique", **texts),
            rule("compound_columns_to_be_unique", **three),
            rule("multicolumn_sum_to_equal", **three, sum_total=4, mostly=0.2),
            rule("multicolumn_values_to_be_equal", **several),
            rule("select_column_values_to_be_unique_within_record", **three),
            rule("select_column_values_to_be_unique_within_record", **texts),
        ]
    return table, rules


def test_rules_over_several_columns_get_the_same_verdicts() -> None:
    table, rules = relations()
    ours = verdicts_of(table, rules, row_group=3, files=1)
    assert differences(rules, ours, plain_results(table, rules)) == []


CONDITIONS: list[dict[str, Any]] = [
    {"type": "comparison", "column": {"name": "a"}, "operator": ">", "parameter": 1},
    {"type": "comparison", "column": {"name": "a"}, "operator": "!=", "parameter": 1},
    {"type": "comparison", "column": {"name": "s"}, "operator": "==", "parameter": "x"},
    {"type": "comparison", "column": {"name": "a"}, "operator": "IN", "parameter": [1, 5]},
    {"type": "comparison", "column": {"name": "s"}, "operator": "NOT_IN", "parameter": ["x"]},
    {"type": "nullity", "column": {"name": "s"}, "is_null": True},
]
CONDITIONS += [
    {"type": "and", "conditions": [CONDITIONS[0], {**CONDITIONS[5], "is_null": False}]},
    {"type": "or", "conditions": [CONDITIONS[2], CONDITIONS[3]]},
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: f"{c['type']}-{c.get('operator', '')}")
def test_row_conditions_get_the_same_verdicts(condition: dict[str, Any]) -> None:
    table, _ = relations()
    only: dict[str, Any] = {"row_condition": condition}
    ranges = {"quantiles": [0.5], "value_ranges": [[2, 5]]}
    rules = [
        rule("column_values_to_be_between", column="c", min_value=3, max_value=6, **only),
        rule("column_values_to_not_be_null", column="b", **only),
        rule("column_mean_to_be_between", column="c", min_value=4, max_value=10, **only),
        rule("table_row_count_to_be_between", min_value=2, max_value=4, **only),
        rule("column_values_to_be_unique", column="a", **only),
        rule("column_unique_value_count_to_be_between", column="s", min_value=1, max_value=2, **only),
        rule("column_values_to_be_increasing", column="a", **only),
        rule("column_value_z_scores_to_be_less_than", column="c", threshold=1, double_sided=True, **only),
        rule("column_quantile_values_to_be_between", column="c", quantile_ranges=ranges, **only),
        rule("column_pair_values_to_be_equal", column_A="a", column_B="b", **only),
        rule("compound_columns_to_be_unique", column_list=["a", "b"], **only),
    ]
    ours = verdicts_of(table, rules, row_group=3, files=1)
    assert differences(rules, ours, plain_results(table, rules)) == []


def typed() -> pa.Table:
    days = [dt.date(2024, 1, 1), dt.date(2024, 1, 2), None, dt.date(2024, 1, 9), dt.date(2024, 1, 1)]
    return pa.table(
        {
            "day": pa.array(days),
            "zoned": pa.array(days, pa.date32()).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
            "list": pa.array([[1, 2], [3], None, [], [1, 2]]),
            "money": pa.array([decimal.Decimal("1.10"), None, *[decimal.Decimal("2.25")] * 3]),
            "flag": pa.array([True, False, True, True, False]),
            "whole": pa.array([1, None, 2, 2, 2]),
            "bytes": pa.array([b"a", b"\xff", None, b"cd", b"a"]),
            "short": pa.array([0.1, 0.2, 0.3, 0.4, 0.4], pa.float32()),
            "far": pa.array([-0.0, 0.0, 1.5, 7.0, math.inf]),
        }
    )


# Where Arrow knows better than a pandas frame: the rule, its right answer, and why plain Great Expectations
# answers something else.
BETTER = [
    (rule("column_values_to_be_unique", column="list"), False, "lists do not hash in pandas"),
    (
        rule("column_list_lengths_to_be_between", column="list", min_value=0, max_value=2),
        True,
        "no such rule",
    ),
    (
        rule("column_values_to_be_of_type", column="list", type_="list"),
        True,
        "pandas holds arrays, not lists",
    ),
    (
        rule("column_values_to_be_of_type", column="whole", type_="int64"),
        True,
        "with nulls pandas has doubles",
    ),
    (
        rule("column_values_to_not_be_in_set", column="day", value_set=["2024-01-01"]),
        False,
        "text is no date",
    ),
    (
        rule("column_distinct_values_to_contain_set", column="zoned", value_set=["2024-01-09"]),
        True,
        "no zone",
    ),
    (rule("column_values_to_be_between", column="zoned", min_value="2024-01-01"), True, "cannot compare"),
    (
        rule("column_sum_to_be_between", column="money", min_value=7.85, max_value=7.85),
        True,
        "None in decimals",
    ),
    (
        rule("column_values_to_be_increasing", column="flag"),
        False,
        "pandas subtracts booleans as exclusive or",
    ),
    (
        rule("column_values_to_match_regex", column="bytes", regex="^[a-z]+$", mostly=0.7),
        True,
        "cannot decode",
    ),
    (
        rule("column_mean_to_be_between", column="short", min_value=0.2800000056, max_value=0.2800000057),
        True,
        "adds in single precision",
    ),
    (
        rule("column_values_to_not_be_outliers", column="far", method="iqr", multiplier=1.5),
        False,
        "an infinite value makes its quantile NaN",
    ),
]


@pytest.mark.parametrize(("one", "right", "reason"), BETTER, ids=[reason for _, _, reason in BETTER])
def test_where_arrow_knows_better(one: Rule, right: bool, reason: str) -> None:
    [verdict] = verdicts_of(typed(), [one], row_group=2, files=1)
    assert (verdict.success, verdict.error) == (right, None)


@pytest.mark.parametrize(
    "one",
    [
        rule("column_value_lengths_to_be_between", column="list", min_value=0),
        rule("column_values_to_match_regex", column="list", regex="1"),
        rule("column_mean_to_be_between", column="day", min_value=0),
        rule("column_values_to_be_between", column="day", min_value=0),
        rule("column_values_to_match_strftime_format", column="whole", strftime_format="%Y"),
        rule("column_values_to_be_finite", column="day"),
    ],
    ids=lambda one: f"{one.type}-{one.kwargs['column']}",
)
def test_what_has_no_meaning_for_a_type_is_not_checked_and_so_broken(one: Rule) -> None:
    [verdict] = verdicts_of(typed(), [one], row_group=2, files=1)
    assert not verdict.success
    assert verdict.error
