"""Every expectation that is built into Great Expectations is computed here, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from components.validation.judge import Verdict
from components.validation.run import judge_examples
from components.validation.suite import Rule
from orchestration import Beam
from tests.components.validation.material import examples_of

# Only what needs another data source, or SQL, or was never built, cannot be computed from the rows.
REFUSED = {
    "expect_query_results_to_match_comparison": "metric base_query.table cannot be computed",
    "unexpected_rows_expectation": "metric unexpected_rows_query.",
}
SQL = {
    "base_query": "q",
    "comparison_query": "q",
    "comparison_data_source_name": "s",
    "unexpected_rows_query": "q",
}
ARGUMENTS: dict[str, Any] = {
    "column": "a",
    "column_A": "a",
    "column_B": "b",
    "column_list": ["a", "b"],
    "column_set": ["a", "b", "t"],
    "min_value": 0,
    "max_value": 100,
    "value": 3,
    "value_set": [1, 2, 3],
    "value_pairs_set": [[1, 1], [2, 2], [3, 5]],
    "type_": "int64",
    "type_list": ["int64"],
    "regex": ".",
    "regex_list": ["."],
    "like_pattern": "%",
    "like_pattern_list": ["%"],
    "json_schema": {},
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 100]]},
    "partition_object": {"bins": [0, 50, 100], "weights": [1.0, 0.0]},
    "threshold": 10.0,
    "double_sided": True,
    "sum_total": 8,
    "other_table_name": "all",
    "baseline_split": "all",
    "known_columns": ["a", "b", "t"],
    "arrow_type": "int64",
    "item": 1,
    "shape": [1],
    "condition": "a <= b",
    **SQL,
}
# Where the common arguments do not fit: what is needed instead.
SPECIAL: dict[str, dict[str, Any]] = {
    "expect_table_column_count_to_equal": {"value": 7},
    "expect_table_columns_to_match_ordered_list": {"column_list": ["a", "b", "t", "d", "l", "w", "i"]},
    "expect_column_values_to_be_null": {"mostly": 0.0},
    "expect_column_values_to_be_decreasing": {"column": "b", "mostly": 0.3},
    "expect_column_values_to_not_be_in_set": {"value_set": [9]},
    "expect_column_values_to_not_match_regex": {"regex": "x"},
    "expect_column_values_to_not_match_regex_list": {"regex_list": ["x"]},
    "expect_column_values_to_not_match_like_pattern": {"like_pattern": "x"},
    "expect_column_values_to_not_match_like_pattern_list": {"like_pattern_list": ["x"]},
    "expect_column_value_lengths_to_equal": {"value": 1},
    "expect_column_most_common_value_to_be_in_set": {"ties_okay": True},
    "expect_column_pair_values_a_to_be_greater_than_b": {"or_equal": True, "mostly": 0.6},
    "expect_column_pair_values_to_be_equal": {"mostly": 0.6},
    "expect_multicolumn_sum_to_equal": {"mostly": 0.3},
    "expect_multicolumn_values_to_be_equal": {"mostly": 0.6},
    "expect_select_column_values_to_be_unique_within_record": {"mostly": 0.3},
    "expect_column_values_to_be_json_parseable": {"column": "t"},
    "expect_column_values_to_match_json_schema": {"column": "t"},
    "expect_column_values_to_be_dateutil_parseable": {"column": "d"},
    "expect_column_values_to_match_strftime_format": {"column": "d", "strftime_format": "%Y-%m-%d"},
    "expect_column_values_to_be_utf8": {"column": "t"},
    "expect_column_texts_to_be_numbers": {"column": "t", "mostly": 0.6},
    "expect_column_values_to_be_images": {"column": "i"},
    "expect_column_list_item_counts_to_be_between": {"column": "l"},
    "expect_column_list_items_to_be_in_set": {"column": "l"},
    "expect_column_list_item_lengths_to_be_between": {"column": "w", "min_value": 1},
    "expect_column_list_shapes_to_be": {"column": "l", "mostly": 0.3},
    "expect_column_pair_list_lengths_to_be_equal": {"column_A": "l", "column_B": "w"},
    "expect_column_list_lengths_to_be_between": {"column": "l"},
    "expect_table_columns_to_match_set": {"column_set": ["a", "b", "t", "d", "l", "w", "i"]},
    "expect_table_columns_to_be_known": {"known_columns": ["a", "b", "t", "d", "l", "w", "i"]},
    "expect_column_chi_square_probability_to_be_greater_than": {"threshold": 0.5},
}
TABLE = pa.table(
    {
        "a": [1, 2, 3],
        "b": [1, 2, 5],
        "t": ["1", "2", "[3]"],
        "d": ["2024-01-02", "2024-01-03", "2024-02-01"],
        "l": [[1], [], [1, 2]],
        "w": [["one"], [], ["two", "three"]],
        "i": [b"\x89PNG\r\n\x1a\n", b"BM", None],
    }
)


def registered() -> list[str]:
    import great_expectations.expectations  # noqa: F401 - importing registers them
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    from components.validation import drift  # noqa: F401 - importing registers ours

    return sorted(list_registered_expectation_implementations())


def rule_for(name: str) -> Rule:
    from great_expectations.expectations.registry import get_expectation_impl

    fields = get_expectation_impl(name).__fields__
    common = {key: value for key, value in ARGUMENTS.items() if key in fields}
    return Rule(name, common | SPECIAL.get(name, {}))


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    rules = [rule_for(name) for name in registered()]
    found = judge_examples(examples_of(("all", TABLE), row_group=2), rules, ["all"], Beam())
    return {verdict.rule.type: verdict for verdict in found.verdicts["all"]}


@pytest.mark.parametrize("name", registered())
def test_every_registered_expectation_is_computed_or_refused(name: str, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[name]
    if name in REFUSED:
        assert not verdict.success
        assert REFUSED[name] in (verdict.error or "")
    else:
        assert (verdict.error, verdict.success) == (None, True)


def test_there_are_as_many_as_great_expectations_promises() -> None:
    assert len([name for name in registered() if name.startswith("expect_")]) >= 68
