"""Validation as a component: severities, evidence, reports, and errors that say what to do."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples, Statistics
from components.schema.schema import Severity
from components.validate_examples import Checked, validate_examples
from components.validation.suite import Rule
from orchestration import ArgumentError, DataError, GateError, RunContext
from tests.components.validation.material import examples_of, real_table, rule, schema_of, statistics_of

TABLE = pa.table({"fare": [5.0, -1.0, 7.0, 8.0], "kind": ["a", "b", "b", "x"]})
BAD = rule("column_values_to_be_between", column="fare", min_value=0)


def check(
    rules: list[Rule],
    table: pa.Table = TABLE,
    run: RunContext | None = None,
    columns: list[dict[str, Any]] | None = None,
    **arguments: Any,
) -> Checked:
    examples = examples_of(("eval", table), ("train", table))
    schema = schema_of(table, rules, columns)
    return validate_examples(examples, statistics_of(examples), schema, run=run or RunContext(), **arguments)


def test_good_examples_come_back_as_they_are() -> None:
    examples = examples_of(("train", TABLE))
    rules = [rule("column_values_to_be_between", column="fare", min_value=-10)]
    found = validate_examples(examples, statistics_of(examples), schema_of(TABLE, rules))
    assert found.examples is examples
    assert found.validation.metadata == {
        "success": True,
        "anomalies": {"fail": 0, "quarantine": 0, "warn": 0},
        "quarantined": 0,
        "checks": 4,
    }
    assert found.validation.read_json("anomalies.json") == []


def test_a_broken_rule_stops_the_run_and_leaves_report_and_evidence(tmp_path: Path) -> None:
    run = RunContext(folder=tmp_path, run_id="taxi-1", node="validate_examples")
    with pytest.raises(GateError) as raised:
        check([BAD], run=run)
    text = str(raised.value)
    assert '"fare"' in raised.value.headline
    assert "1 row (25 %)" in raised.value.headline
    assert "expect_column_values_to_be_between(column='fare', min_value=0)" in text
    assert "headrace show taxi-1 validate_examples" in text
    kept = sorted(path.name for path in (tmp_path / "attachments").iterdir())
    assert kept == ["anomalies.json", "evidence.parquet", "validation.html"]
    evidence = pq.read_table(tmp_path / "attachments" / "evidence.parquet").to_pylist()
    assert [(row["split"], row["file"], row["row"], row["values"]) for row in evidence] == [
        ("eval", "part-00000.parquet", 1, '{"fare": -1.0}'),
        ("train", "part-00000.parquet", 1, '{"fare": -1.0}'),
    ]


def test_a_warning_is_reported_and_goes_on() -> None:
    found = check([Rule(BAD.type, BAD.kwargs, Severity.WARN)])
    anomalies = found.validation.read_json("anomalies.json")
    assert len(anomalies) == 2
    assert anomalies[0] == {
        "split": "eval",
        "column": "fare",
        "kind": "values_out_of_range",
        "severity": "warn",
        "message": 'column "fare" of split eval: 1 row (25 %) breaks "values to be between" (min_value=0), '
        "e.g. -1.0",
        "rows": 1,
        "value": 25.0,
        "threshold": 0.0,
        "rule": "expect_column_values_to_be_between(column='fare', min_value=0)",
    }
    assert found.validation.metadata["success"]


def test_the_worst_comes_first() -> None:
    rules = [
        rule("column_values_to_be_in_set", Severity.WARN, column="kind", value_set=["none"]),
        rule("column_mean_to_be_between", column="fare", min_value=100),
        BAD,
        rule("column_mean_to_be_between", column="kind", min_value=100),
    ]
    with pytest.raises(GateError) as raised:
        check(rules)
    assert "row (25 %)" in raised.value.headline
    assert "5 more failing" in (raised.value.received or "")
    assert "2 of severity warn" in (raised.value.received or "")


@pytest.mark.parametrize(
    ("columns", "kind", "severity"),
    [
        ([{"name": "gone", "type": "int64"}], "column_missing", "fail"),
        ([{"name": "fare", "type": "int64"}, {"name": "kind", "type": "string"}], "type_changed", "fail"),
        ([{"name": "fare", "type": "double"}], "column_new", "warn"),
    ],
)
def test_the_schema_itself_is_checked(columns: list[Any], kind: str, severity: str, tmp_path: Path) -> None:
    run = RunContext(folder=tmp_path)
    with contextlib.suppress(GateError):
        check([], columns=columns, run=run)
    anomalies = json.loads((tmp_path / "attachments" / "anomalies.json").read_text(encoding="utf-8"))
    assert (kind, severity) in [(anomaly["kind"], anomaly["severity"]) for anomaly in anomalies]


def test_a_missing_column_is_one_anomaly_however_many_rules_it_breaks(tmp_path: Path) -> None:
    rules = [
        rule(f"column_{name}", column="gone", min_value=1)
        for name in ("min_to_be_between", "sum_to_be_between")
    ]
    run = RunContext(folder=tmp_path)
    with pytest.raises(GateError, match='column "gone" is missing from split'):
        check([*rules, rule("column_to_exist", column="gone")], run=run)
    anomalies = json.loads((tmp_path / "attachments" / "anomalies.json").read_text(encoding="utf-8"))
    assert [anomaly["split"] for anomaly in anomalies] == ["eval", "train"]


def test_what_cannot_be_checked_fails() -> None:
    with pytest.raises(GateError, match='column "kind" could not be checked in split eval'):
        check([rule("column_mean_to_be_between", column="kind", min_value=0)])


def test_only_the_chosen_splits_are_checked() -> None:
    examples = examples_of(("bad", TABLE), ("good", TABLE.slice(0, 1)))
    found = validate_examples(examples, statistics_of(examples), schema_of(TABLE, [BAD]), splits=["good"])
    assert list(found.validation.read_json("result.json")) == ["good"]
    assert found.examples is examples


def test_an_unknown_split_is_an_argument_error() -> None:
    with pytest.raises(ArgumentError, match='there is no split "test"'):
        check([BAD], splits=["test"])


def test_statistics_of_other_rows_are_refused() -> None:
    examples = examples_of(("train", TABLE))
    with pytest.raises(DataError, match="the statistics are not of these examples"):
        validate_examples(examples, Statistics.new(rows=3), schema_of(TABLE, [BAD]))


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match='split "eval" has no rows'):
        check([BAD], table=TABLE.slice(0, 0))


def test_a_schema_without_rules_is_refused() -> None:
    with pytest.raises(DataError, match="the schema has no rules"):
        check([], columns=[])


def test_files_that_disagree_about_a_column_are_refused() -> None:
    examples = examples_of(("train", TABLE), files=2)
    other = TABLE.set_column(0, "fare", pa.array(["a"] * 4))
    pq.write_table(other, examples.files("train")[1])
    with pytest.raises(DataError) as raised:
        validate_examples(examples, statistics_of(examples), schema_of(TABLE, [BAD]))
    assert 'column "fare" changes type' in str(raised.value)
    assert "double  train/part-00000.parquet" in str(raised.value)
    assert "string  train/part-00001.parquet" in str(raised.value)


def test_rows_that_the_manifest_does_not_know_are_refused() -> None:
    examples = examples_of(("train", TABLE), files=2)
    examples.files("train")[1].unlink()
    with pytest.raises(DataError, match="is not what it is said to be"):
        validate_examples(examples, statistics_of(examples), schema_of(TABLE, [BAD]))


def test_the_result_is_great_expectations_own_without_ids_and_times() -> None:
    result = check([Rule(BAD.type, BAD.kwargs, Severity.WARN)]).validation.read_json("result.json")["train"]
    assert result["statistics"]["evaluated_expectations"] == len(result["results"]) == 4
    assert result["success"] is False
    first = result["results"][0]
    assert first["expectation_config"]["type"] == BAD.type
    assert first["result"]["unexpected_count"] == 1
    assert first["result"]["partial_unexpected_list"] == [-1.0]
    assert "batch_id" not in json.dumps(result)


@pytest.mark.parametrize("name", ["report.html", "docs/train.html"])
def test_reports_need_no_network(name: str) -> None:
    page = (check([Rule(BAD.type, BAD.kwargs, Severity.WARN)]).validation.path / name).read_text(
        encoding="utf-8"
    )
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", page) == []
    assert re.findall(r"@import|url\(\s*['\"]?(?:https?:)?//", page) == []
    assert "<script" not in page
    assert "fare" in page


def test_data_in_reports_is_text_not_markup() -> None:
    table = pa.table({"kind": ["<script>alert(1)</script>", "b"]})
    found = check(
        [rule("column_values_to_be_in_set", Severity.WARN, column="kind", value_set=["b"])], table=table
    )
    for name in ("report.html", "docs/train.html"):
        page = (found.validation.path / name).read_text(encoding="utf-8")
        assert "<script>alert" not in page


def content(validation: Any) -> dict[str, bytes]:
    files = sorted(path for path in validation.path.rglob("*") if path.is_file())
    return {str(path.relative_to(validation.path)): path.read_bytes() for path in files}


def test_the_same_data_gives_the_same_bytes() -> None:
    rules = [
        Rule(BAD.type, BAD.kwargs, Severity.WARN),
        rule("column_values_to_be_unique", Severity.WARN, column="kind"),
    ]
    one, two = check(rules).validation, check(rules).validation
    assert content(one) == content(two)
    assert one.metadata == two.metadata


def test_how_the_rows_lie_in_files_and_row_groups_changes_no_verdict() -> None:
    table = real_table("taxi")
    rules = [
        rule("column_mean_to_be_between", column="fare", min_value=0),
        rule("column_stdev_to_be_between", column="fare", min_value=0),
        rule(
            "column_quantile_values_to_be_between",
            column="trip_miles",
            quantile_ranges={"quantiles": [0.5, 0.99], "value_ranges": [[0, 100], [0, 1000]]},
        ),
        rule("column_unique_value_count_to_be_between", column="company", min_value=1),
        rule("column_values_to_be_between", Severity.WARN, column="trip_seconds", max_value=3600),
    ]
    found = []
    for layout in ({"row_group": 100_000, "files": 1}, {"row_group": 700, "files": 3}):
        examples = examples_of(("train", table), **layout)
        done = validate_examples(examples, statistics_of(examples), schema_of(table, rules))
        found.append(content(done.validation))
    assert found[0]["metrics.json"] == found[1]["metrics.json"]
    assert found[0]["result.json"] == found[1]["result.json"]
    assert found[0]["anomalies.json"] == found[1]["anomalies.json"]


def test_examples_that_are_gone_are_named(tmp_path: Path) -> None:
    examples = examples_of(("train", TABLE))
    shutil.rmtree(examples.path / "train")
    with pytest.raises(DataError):
        validate_examples(examples, statistics_of(examples), schema_of(TABLE, [BAD]))


def test_importing_the_component_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    program = (
        "import sys, components.validate_examples; "
        "print([m for m in ('great_expectations', 'apache_beam', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_damaged_file_is_named() -> None:
    examples: Examples = examples_of(("train", TABLE))
    examples.files("train")[0].write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"part-00000\.parquet"):
        validate_examples(examples, statistics_of(examples), schema_of(TABLE, [BAD]))


def test_the_evidence_shows_the_key_of_each_row() -> None:
    table = pa.table({"trip": [f"t{i}" for i in range(9)], "fare": [1.0, -1, 1, 1, -2, 1, 1, 1, -3]})
    examples = examples_of(("train", table), row_group=2, files=2)
    schema = schema_of(table, [Rule(BAD.type, BAD.kwargs, Severity.WARN)])
    found = validate_examples(examples, statistics_of(examples), schema, key=["trip"])
    evidence = pq.read_table(found.validation.path / "evidence.parquet").to_pylist()
    assert [row["key"] for row in evidence] == ['{"trip": "t1"}', '{"trip": "t4"}', '{"trip": "t8"}']


def test_a_key_that_is_no_column_is_an_argument_error() -> None:
    with pytest.raises(ArgumentError, match='there is no column "trip"'):
        check([BAD], key=["trip"])


def test_the_plan_holds_other_rows_against_the_rules_without_great_expectations() -> None:
    import numpy as np

    from components.validation.metrics import Metric
    from components.validation.recipes import broken_positions
    from components.validation.view import View

    found = check([Rule(BAD.type, BAD.kwargs, Severity.WARN)])
    [entry] = [e for e in found.validation.read_json("plan.json") if e["type"] == BAD.type]
    counts = next(m for m in entry["metrics"] if m["metric"] == "column_values.between.unexpected_count")
    metric = Metric(counts["metric"], counts["domain"], counts["arguments"])
    rows = View(pa.record_batch({"fare": [1.0, None, -7.0]}), np.arange(3))
    assert broken_positions(metric, rows).tolist() == [2]
