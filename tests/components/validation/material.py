"""What the validation tests are made of: real tables, examples, suites, and plain Great Expectations."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples, Schema, Statistics
from components.schema.schema import Severity
from components.validation.suite import Rule

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
FILES = {
    "taxi": "taxi/data.csv",
    "housing": "housing/housing.csv",
    "diamonds": "diamonds/diamonds.csv",
    "marvel": "marvel/marvel-wikia-data.csv",
}


@functools.cache
def real_table(name: str) -> pa.Table:
    """Return a real data set, skipping the test where it is not there."""
    path = SHARED / FILES[name]
    if not path.exists():
        pytest.skip(f"the real data set {FILES[name]} is not at {SHARED}")
    options = pacsv.ConvertOptions(strings_can_be_null=True)
    return pacsv.read_csv(path, convert_options=options).combine_chunks()


def examples_of(*parts: tuple[str, pa.Table], row_group: int = 100_000, files: int = 1) -> Examples:
    """Write tables as the splits of examples."""
    out = Examples.new(splits={split: {"rows": table.num_rows} for split, table in parts})
    for split, table in parts:
        size = -(-table.num_rows // files) if table.num_rows else 0
        for number in range(files):
            part = table.slice(number * size, size) if size else table
            path = out.file(f"{split}/part-{number:05d}.parquet")
            pq.write_table(part, path, row_group_size=row_group)
    return out


def schema_of(table: pa.Table, rules: list[Rule], columns: list[dict[str, Any]] | None = None) -> Schema:
    """Return a schema artifact with the table's columns and these rules."""
    out = Schema.new()
    listed = [{"name": f.name, "type": str(f.type), "nullable": True} for f in table.schema]
    out.write_json("schema.json", {"columns": listed if columns is None else columns})
    entries = [
        {"type": rule.type, "kwargs": dict(rule.kwargs), "meta": {"severity": str(rule.severity)}}
        for rule in rules
    ]
    out.write_json("suite.json", {"name": "test", "expectations": entries, "meta": {}})
    return out


def statistics_of(examples: Examples) -> Statistics:
    """Return statistics that count the examples' rows; validation asks for no more."""
    return Statistics.new(rows=examples.rows)


def rule(kind: str, severity: Severity = Severity.FAIL, /, **kwargs: Any) -> Rule:
    """Return a rule, its name without the ``expect_`` before it."""
    return Rule(f"expect_{kind}", kwargs, severity)


def broad_suite(table: pa.Table) -> list[Rule]:
    """Return rules of every kind that suits the columns' types; about half of them are kept."""
    names = table.column_names
    rules = [
        rule("table_row_count_to_be_between", min_value=1, max_value=20_000),
        rule("table_row_count_to_equal", value=table.num_rows),
        rule("table_column_count_to_equal", value=len(names) + 1),
        rule("table_column_count_to_be_between", min_value=1, max_value=len(names)),
        rule("table_columns_to_match_set", column_set=names, exact_match=True),
        rule("table_columns_to_match_set", column_set=[*names, "nowhere"], exact_match=False),
        rule("table_columns_to_match_ordered_list", column_list=names[::-1]),
        rule("column_to_exist", column="nowhere"),
        rule("column_values_to_not_be_null", column="nowhere"),
    ]
    for field in table.schema:
        rules += column_rules(table, field)
    return rules


def column_rules(table: pa.Table, field: pa.Field) -> list[Rule]:
    """Return rules for one column."""
    name, column = field.name, table[field.name]
    rules = [
        rule("column_to_exist", column=name),
        rule("column_values_to_not_be_null", column=name, mostly=0.95),
        rule("column_values_to_be_null", column=name, mostly=0.01),
        rule("column_proportion_of_non_null_values_to_be_between", column=name, min_value=0.5),
        rule("column_values_to_be_unique", column=name),
        rule("column_unique_value_count_to_be_between", column=name, min_value=2, max_value=1000),
        rule("column_proportion_of_unique_values_to_be_between", column=name, max_value=0.5),
    ]
    if pa.types.is_string(field.type):
        return rules + text_rules(name, column)
    if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
        return rules + number_rules(name, column)
    return rules


def text_rules(name: str, column: pa.ChunkedArray) -> list[Rule]:
    """Return rules for a column of text."""
    top = _frequent(column)
    parsed = [
        rule("column_values_to_be_json_parseable", column=name, mostly=0.5),
        rule("column_values_to_be_dateutil_parseable", column=name, mostly=0.1),
        rule("column_values_to_match_strftime_format", column=name, strftime_format="%Y", mostly=0.5),
    ]
    few = pc.count_distinct(column).as_py() <= 2000  # plain Great Expectations parses every single row
    return [
        *(parsed if few else []),
        rule("column_values_to_be_in_set", column=name, value_set=top, mostly=0.9),
        rule("column_values_to_not_be_in_set", column=name, value_set=["nothing like it"]),
        rule("column_values_to_match_regex", column=name, regex="^[A-Za-z0-9]", mostly=0.9),
        rule("column_values_to_match_regex", column=name, regex=r"(?=.*a)e\b"),
        rule("column_values_to_not_match_regex", column=name, regex=r"\d"),
        rule(
            "column_values_to_match_regex_list",
            column=name,
            regex_list=["^A", "e"],
            match_on="any",
            mostly=0.5,
        ),
        rule("column_values_to_match_regex_list", column=name, regex_list=["^[A-Z]", "e"], match_on="all"),
        rule("column_values_to_not_match_regex_list", column=name, regex_list=["zzzz", "qqqq"]),
        rule("column_value_lengths_to_be_between", column=name, min_value=1, max_value=20),
        rule("column_value_lengths_to_equal", column=name, value=6, mostly=0.1),
        rule("column_values_to_be_of_type", column=name, type_="str"),
        rule("column_values_to_be_of_type", column=name, type_="int64"),
        rule("column_values_to_be_in_type_list", column=name, type_list=["str", "object"]),
        rule("column_distinct_values_to_be_in_set", column=name, value_set=top),
        rule("column_distinct_values_to_contain_set", column=name, value_set=top[:2]),
        rule("column_distinct_values_to_equal_set", column=name, value_set=top),
        rule("column_most_common_value_to_be_in_set", column=name, value_set=top[:1]),
        rule("column_mean_to_be_between", column=name, min_value=0),
    ]


def number_rules(name: str, column: pa.ChunkedArray) -> list[Rule]:
    """Return rules for a column of numbers."""
    present = pc.drop_null(column)
    ends = pc.min_max(present).as_py()
    low, high = (ends["min"] or 0, ends["max"] or 1)
    middle = (low + high) / 2
    edges = [low, middle, high] if high > low else [low, low + 1, low + 2]
    ranges = {
        "quantiles": [0.05, 0.25, 0.5, 0.75, 0.95],
        "value_ranges": [[low, high]] * 4 + [[None, middle]],
    }
    return [
        rule("column_values_to_be_between", column=name, min_value=low, max_value=high),
        rule("column_values_to_be_between", column=name, min_value=low, max_value=high, strict_min=True),
        rule("column_values_to_be_between", column=name, max_value=middle, mostly=0.5),
        rule("column_values_to_be_in_set", column=name, value_set=_frequent(column), mostly=0.5),
        rule("column_values_to_not_be_in_set", column=name, value_set=[low, "text"]),
        rule("column_min_to_be_between", column=name, min_value=low, max_value=low),
        rule("column_max_to_be_between", column=name, max_value=middle),
        rule("column_mean_to_be_between", column=name, min_value=low, max_value=middle),
        rule("column_median_to_be_between", column=name, min_value=low, max_value=middle),
        rule("column_sum_to_be_between", column=name, min_value=0),
        rule("column_stdev_to_be_between", column=name, min_value=0, max_value=(high - low) / 4),
        rule("column_quantile_values_to_be_between", column=name, quantile_ranges=ranges),
        rule(
            "column_value_z_scores_to_be_less_than", column=name, threshold=3, double_sided=True, mostly=0.99
        ),
        rule("column_values_to_not_be_outliers", column=name, method="iqr", multiplier=1.5, mostly=0.95),
        rule("column_values_to_not_be_outliers", column=name, method="std", multiplier=3, mostly=0.99),
        rule("column_values_to_be_increasing", column=name, mostly=0.6),
        rule("column_values_to_be_decreasing", column=name, strictly=True),
        rule(
            "column_most_common_value_to_be_in_set", column=name, value_set=_frequent(column), ties_okay=True
        ),
        rule("column_distinct_values_to_contain_set", column=name, value_set=[low, high]),
        rule("column_distinct_values_to_be_in_set", column=name, value_set=[low, high]),
        rule(
            "column_kl_divergence_to_be_less_than",
            column=name,
            partition_object={"bins": edges, "weights": [0.5, 0.5]},
            threshold=0.3,
            tail_weight_holdout=0.01,
        ),
        rule("column_values_to_match_strftime_format", column=name, strftime_format="%Y"),
    ]


def _frequent(column: pa.ChunkedArray) -> list[Any]:
    counts = pc.value_counts(pc.drop_null(column)).to_pylist()
    order = sorted(counts, key=lambda entry: (-entry["counts"], str(entry["values"])))
    return [entry["values"] for entry in order[:5]] or ["none"]


@dataclass(frozen=True)
class Plain:
    """What plain Great Expectations says about one rule."""

    success: bool
    result: dict[str, Any]
    error: str | None


def plain_results(table: pa.Table, rules: list[Rule]) -> list[Plain]:
    """Return plain Great Expectations' results on the table as a pandas frame, in the rules' order."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]  # the type asks for more
    asset = context.data_sources.add_pandas("plain").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table.to_pandas()})
    return [_plain(batch, one) for one in rules]


def _plain(batch: Any, one: Rule) -> Plain:
    from components.validation.suite import expectation

    try:
        found = batch.validate(expectation(one), result_format="BASIC")
    except Exception as error:  # noqa: BLE001 - plain Great Expectations lets some planning errors through
        return Plain(False, {}, str(error))
    raised = found.exception_info.get("raised_exception", True)
    return Plain(bool(found.success), found.result, str(found.exception_info) if raised else None)
