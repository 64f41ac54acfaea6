"""A suite that somebody wrote with Great Expectations runs as it is, and nothing in it is passed over."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import great_expectations as gx
import pyarrow as pa
import pytest
from great_expectations.expectations.row_conditions import Column

from components.artifacts import Schema
from components.compute_statistics import compute_statistics
from components.infer_schema import infer_schema
from components.validate_examples import validate_examples
from components.validation.run import judge_examples
from components.validation.suite import SuiteError, rules_of
from orchestration import Beam, Files, GateError, RunContext
from tests.components.validation.material import Plain, examples_of, plain_results

TABLE = pa.table({"fare": [5.0, -1.0, 7.0, 8.0, None], "kind": ["a", "b", "b", "x", "a"]})
gxe: Any = importlib.import_module("great_expectations.expectations")  # its names are not declared
EXPECTATIONS = [
    gxe.ExpectColumnToExist(column="fare", column_index=0),
    gxe.ExpectColumnValuesToBeBetween(column="fare", min_value=0, mostly=0.7, notes="refunds are elsewhere"),
    gxe.ExpectColumnValuesToBeBetween(column="fare", min_value=0, severity="warning"),
    gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=["a", "b"], meta={"owner": "riders"}),
    gxe.ExpectColumnMeanToBeBetween(column="fare", min_value=5, row_condition=Column("kind") == "b"),
    gxe.ExpectCompoundColumnsToBeUnique(column_list=["fare", "kind"]),
    gxe.ExpectColumnQuantileValuesToBeBetween(
        column="fare", quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 9]]}
    ),
    gxe.ExpectTableColumnsToMatchSet(column_set=["fare", "kind"]),
]


def written(entries: list[dict[str, Any]], folder: Path) -> Schema:
    """Keep a suite in a folder beside the columns, and take it from there as a user does."""
    (folder / "suite.json").write_text(json.dumps({"name": "theirs", "expectations": entries}))
    columns = [{"name": field.name, "type": str(field.type)} for field in TABLE.schema]
    (folder / "schema.json").write_text(json.dumps({"columns": columns}))
    statistics = compute_statistics(examples_of(("all", TABLE)))
    return infer_schema(statistics, schema_file=Files(str(folder)), run=RunContext())


def theirs() -> list[dict[str, Any]]:
    suite = gx.ExpectationSuite(name="theirs", expectations=list(EXPECTATIONS))
    entries: Any = suite.to_json_dict()["expectations"]
    return list(entries)


def test_a_suite_saved_by_great_expectations_gets_its_verdicts(tmp_path: Path) -> None:
    rules = [rule for rule in rules_of(written(theirs(), tmp_path)) if "arrow_type" not in rule.type]
    assert [rule.type for rule in rules] == [one.expectation_type for one in EXPECTATIONS]
    ours = judge_examples(examples_of(("all", TABLE), row_group=2), rules, ["all"], Beam()).verdicts["all"]
    plain: list[Plain] = plain_results(TABLE, rules)
    assert [verdict.success for verdict in ours] == [one.success for one in plain]
    counts = [one.result.get("unexpected_count") for one in plain]
    assert [verdict.result.get("unexpected_count") for verdict in ours] == counts
    assert {verdict.success for verdict in ours} == {True, False}


def test_its_severity_is_understood(tmp_path: Path) -> None:
    entries = [entry for entry in theirs() if entry.get("severity") == "warning"]
    assert len(entries) == 1
    schema = written(entries, tmp_path)
    examples = examples_of(("all", TABLE))
    found = validate_examples(examples, compute_statistics(examples), schema)
    [anomaly] = found.validation.read_json("anomalies.json")
    assert (anomaly["severity"], anomaly["rows"]) == ("warn", 1)
    failing = written([entries[0] | {"severity": "critical"}], tmp_path)
    with pytest.raises(GateError):
        validate_examples(examples, compute_statistics(examples), failing)


def test_an_expectation_that_great_expectations_would_drop_is_an_error(tmp_path: Path) -> None:
    entries = [*theirs(), {"type": "expect_column_values_to_be_nice", "kwargs": {"column": "fare"}}]
    dropped = gx.ExpectationSuite(name="theirs", expectations=entries)
    assert len(dropped.expectations) == len(entries) - 1, "Great Expectations says nothing about it"
    schema = written(entries, tmp_path)
    examples = examples_of(("all", TABLE))
    with pytest.raises(SuiteError, match="there is no expectation expect_column_values_to_be_nice"):
        validate_examples(examples, compute_statistics(examples), schema)
