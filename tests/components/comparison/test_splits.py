"""Data beside a baseline: what a person gets to see, from the comparison to the gate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples, Schema, Statistics
from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.comparison.splits import anomalies_of, compare_splits
from components.compute_statistics import compute_statistics
from components.infer_schema import infer_schema
from components.schema.schema import Severity
from components.statistics.statistics import load_statistics
from components.validate_examples import Checked, validate_examples
from components.validation.anomalies import Anomaly
from orchestration import ArgumentError, DataError, GateError, RunContext
from tests.components.validation.material import FILES, SHARED, examples_of, real_table, rule, schema_of

RANDOM = np.random.default_rng(5)
BEFORE = pa.table({"fare": RANDOM.normal(10, 2, 2_000), "kind": ["cash", "card"] * 1_000})
MOVED = pa.table({"fare": RANDOM.normal(14, 2, 2_000), "kind": ["cash", "card"] * 1_000})
SAME = pa.table({"fare": RANDOM.normal(10, 2, 2_000), "kind": ["cash", "card"] * 1_000})


def statistics(**tables: pa.Table) -> Statistics:
    return compute_statistics(examples_of(*tables.items()))


def compared(baseline: Statistics, now: Statistics) -> list[Anomaly]:
    return anomalies_of(compare_splits(load_statistics(baseline), load_statistics(now), DriftRules()))


def check(baseline: Statistics | None, run: RunContext | None = None, /, **arguments: Any) -> Checked:
    tables = {name: arguments.pop(name) for name in list(arguments) if isinstance(arguments[name], pa.Table)}
    schema = arguments.pop("schema", None) or schema_of(next(iter(tables.values())), [])
    examples = examples_of(*tables.items())
    now = compute_statistics(examples)
    return validate_examples(examples, now, schema, baseline, run=run or RunContext(), **arguments)


def alerts(found: Checked) -> list[tuple[str, str, str]]:
    entries = found.validation.read_json("anomalies.json")
    return [(entry["severity"], entry["column"], entry["kind"]) for entry in entries]


def test_a_column_that_moved_stops_the_run_and_is_explained(tmp_path: Path) -> None:
    run = RunContext(folder=tmp_path)
    with pytest.raises(GateError, match='column "fare" of split eval: ') as raised:
        check(statistics(eval=BEFORE), run, eval=MOVED)
    assert "values moved, median from 10.0" in raised.value.headline
    assert raised.value.expected == "wasserstein of at most 0.5, beside the baseline"
    text = (tmp_path / "attachments" / "anomalies.json").read_text(encoding="utf-8")
    [entry] = [one for one in json.loads(text) if one["kind"] == "distribution_changed"]
    details = entry["details"]
    assert entry["value"] > entry["threshold"] == details["threshold"]
    assert sum(one["observed"] for one in details["bins"]) == pytest.approx(2_000, abs=9)
    assert details["formula"]
    report = (tmp_path / "attachments" / "validation.html").read_text(encoding="utf-8")
    for shown in (
        "fare",
        details["formula"].split(",")[0],
        details["largest_shift"]["bin"].split(",")[0][1:],
    ):
        assert shown in report


def test_data_of_the_same_kind_passes_and_every_comparison_is_kept() -> None:
    found = check(statistics(eval=BEFORE), eval=SAME)
    assert alerts(found) == []
    kept = found.validation.read_json("drift.json")
    assert kept["baseline"] == "baseline"
    compared = kept["splits"]["eval"]
    assert found.validation.metadata["compared"] == len(compared)
    assert {one["column"] for one in compared} == {"fare", "kind"}
    assert all(one["value"] is not None for one in compared)


def test_without_a_baseline_nothing_is_compared() -> None:
    found = check(None, eval=SAME)
    assert "compared" not in found.validation.metadata
    assert not (found.validation.path / "drift.json").exists()


def test_splits_are_compared_with_one_of_their_own() -> None:
    with pytest.raises(GateError, match='column "fare" of split eval'):
        check(None, train=BEFORE, eval=MOVED, baseline_split="train")
    found = check(None, train=BEFORE, eval=SAME, baseline_split="train")
    assert list(found.validation.read_json("drift.json")["splits"]) == ["eval"]


def spans_of(*tables: pa.Table) -> Examples:
    """Return examples of one split whose files are spans, as a reader of a {SPAN} pattern leaves them."""
    examples = examples_of(("eval", pa.concat_tables(tables)), files=len(tables))
    names = [f"eval/{file.name}" for file in examples.files("eval")]
    examples.metadata["parts"] = {name: f"2026-11-0{day}" for day, name in enumerate(names, 1)}
    examples.metadata["spans"] = [{"span": span} for span in examples.metadata["parts"].values()]
    return examples


def test_the_last_span_is_compared_with_the_one_before() -> None:
    schema = schema_of(BEFORE, [])
    settled, moved = spans_of(BEFORE, MOVED, MOVED), spans_of(MOVED, BEFORE, MOVED)
    found = validate_examples(settled, compute_statistics(settled), schema, previous_span=True)
    assert alerts(found) == []
    assert found.validation.read_json("drift.json")["baseline"] == "previous span"
    with pytest.raises(GateError, match='column "fare"') as raised:
        validate_examples(moved, compute_statistics(moved), schema, previous_span=True)
    assert "beside the previous span" in (raised.value.expected or "")


def test_without_an_earlier_span_nothing_is_taken_for_no_difference() -> None:
    with pytest.raises(DataError, match='split "eval" has no earlier span'):
        check(None, eval=BEFORE, previous_span=True)
    with pytest.raises(ArgumentError, match="previous_span"):
        check(statistics(eval=BEFORE), eval=BEFORE, previous_span=True)


def test_a_split_without_a_baseline_is_no_guess() -> None:
    baseline = statistics(train=BEFORE, eval=BEFORE)
    with pytest.raises(ArgumentError, match='the baseline has no split "log"'):
        check(baseline, log=SAME)
    assert alerts(check(baseline, log=SAME, baseline_split="train")) == []
    assert alerts(check(statistics(train=BEFORE), log=SAME)) == [], "the only split needs no name"


def test_the_data_itself_as_baseline_is_not_taken_for_a_comparison() -> None:
    examples = examples_of(("eval", BEFORE))
    now = compute_statistics(examples)
    found = validate_examples(examples, now, schema_of(BEFORE, []), now)
    assert [one[0::2] for one in alerts(found)] == [("warn", "not_checked")]
    assert "the data itself" in found.validation.read_json("anomalies.json")[0]["message"]


def test_a_log_of_requests_is_compared_without_the_label() -> None:
    columns: list[dict[str, Any]] = [
        {"name": "fare", "type": "double"},
        {"name": "kind", "type": "string"},
        {"name": "tips", "type": "double", "nullable": False, "not_in": ["serving"]},
    ]
    trained = BEFORE.append_column("tips", pa.array(RANDOM.random(2_000)))
    schema: Schema = schema_of(trained, [], columns)
    found = check(statistics(train=trained), log=SAME, schema=schema, environment="serving")
    assert alerts(found) == []
    with pytest.raises(GateError, match='column "tips" is missing'):
        check(statistics(train=trained), log=SAME, schema=schema)
    with pytest.raises(ArgumentError, match='no environment "served"'):
        check(statistics(train=trained), log=SAME, schema=schema, environment="served")


def test_a_column_that_the_rules_miss_is_not_named_twice(tmp_path: Path) -> None:
    with pytest.raises(GateError):
        check(
            statistics(eval=BEFORE),
            RunContext(folder=tmp_path),
            eval=SAME.drop_columns("kind"),
            schema=schema_of(BEFORE, []),
        )
    text = (tmp_path / "attachments" / "anomalies.json").read_text(encoding="utf-8")
    assert [one["kind"] for one in json.loads(text) if one["column"] == "kind"] == ["column_missing"]


@pytest.mark.parametrize(
    ("rules", "table", "expected"),
    [
        (DriftRules(min_rows=0.5, rows_severity=Severity.FAIL), SAME.slice(0, 900), "rows of at least 0.5"),
        (DriftRules(max_rows=0.5, rows_severity=Severity.FAIL), SAME, "rows of at most 0.5"),
        (DriftRules(), SAME.drop_columns("kind"), "expect_column_arrow_type_to_be"),
    ],
)
def test_the_error_says_what_would_have_been_right(rules: DriftRules, table: pa.Table, expected: str) -> None:
    with pytest.raises(GateError) as raised:
        check(statistics(eval=BEFORE), eval=table, drift=rules, schema=schema_of(BEFORE, []))
    assert (raised.value.expected or "").startswith(expected)


def test_values_that_look_like_something_else_can_fail() -> None:
    mails = pa.table({"who": [f"{number}@b.org" for number in range(99)]})
    pages = pa.table({"who": [f"http://b.org/{number}" for number in range(99)]})
    rules = DriftRules(categories=(), numbers=(), meaning=Severity.FAIL)
    with pytest.raises(GateError, match="looked like email, and look like url now"):
        check(statistics(eval=mails), eval=pages, drift=rules)


def test_a_warning_goes_on() -> None:
    rules = DriftRules(numbers=(Limit(Measure.WASSERSTEIN, warn=0.5),))
    found = check(statistics(eval=BEFORE), eval=MOVED, drift=rules)
    assert alerts(found) == [("warn", "fare", "distribution_changed")]
    assert found.validation.metadata["success"]


def test_rows_that_broke_a_rule_are_named_beside_a_comparison(tmp_path: Path) -> None:
    table = pa.table({"fare": [*[1.0] * 50, -1.0], "kind": ["cash"] * 51})
    schema = schema_of(table, [rule("column_values_to_be_between", column="fare", min_value=0)])
    with pytest.raises(GateError):
        check(statistics(all=table.slice(0, 50)), RunContext(folder=tmp_path), all=table, schema=schema)
    folder = tmp_path / "attachments"
    entries = json.loads((folder / "anomalies.json").read_text(encoding="utf-8"))
    assert {(entry["column"], entry["kind"]) for entry in entries} >= {
        ("fare", "values_out_of_range"),
        ("fare", "range_left"),
    }
    evidence = pq.read_table(folder / "evidence.parquet").to_pylist()
    assert [(entry["row"], entry["values"]) for entry in evidence] == [(50, '{"fare": -1.0}')]


@pytest.mark.parametrize("name", sorted(FILES))
def test_halves_of_real_data_are_alike(name: str) -> None:
    table = real_table(name)
    order = np.random.default_rng(0).permutation(table.num_rows)
    half = table.num_rows // 2
    found = compared(statistics(all=table.take(order[:half])), statistics(all=table.take(order[half:])))
    assert [one.message for one in found if one.severity is Severity.FAIL] == []
    assert {one.kind for one in found} <= {"range_left", "values_new", "not_checked"}


def penguins() -> tuple[pa.Table, pa.Table]:
    folder = SHARED / "penguins"
    if not folder.exists():
        pytest.skip(f"the real data set penguins is not at {SHARED}")
    return pacsv.read_csv(folder / "penguins_processed.csv"), pacsv.read_csv(
        folder / "penguins_processed_skewed.csv"
    )


def test_the_skewed_penguins_are_caught_and_the_report_says_which_column_moved_and_how(
    tmp_path: Path,
) -> None:
    before, after = penguins()
    baseline = statistics(all=before)
    with pytest.raises(GateError, match="culmen_length_mm") as raised:
        check(baseline, RunContext(folder=tmp_path), all=after, schema=infer_schema(baseline))
    assert "0 to 1 before, -1 to 1 now" in raised.value.headline
    folder = tmp_path / "attachments"
    entries = json.loads((folder / "anomalies.json").read_text(encoding="utf-8"))
    assert {entry["column"] for entry in entries} == {"culmen_length_mm"}
    [moved] = [entry for entry in entries if entry["kind"] == "range_left"]
    assert moved["details"]["baseline"]["min"] == 0
    assert moved["details"]["observed"]["min"] == -1
    assert moved["details"]["bins"][0] == {"bin": "< 0", "baseline": 0, "observed": 1}
    report = (folder / "validation.html").read_text(encoding="utf-8")
    assert "culmen_length_mm" in report
    assert "0 to 1 before, -1 to 1 now" in report


def test_the_penguins_beside_themselves_are_sound() -> None:
    before, _ = penguins()
    assert compared(statistics(all=before), statistics(all=before)) == []


def test_how_rows_lie_in_files_changes_no_comparison() -> None:
    baseline = compute_statistics(examples_of(("all", BEFORE)))
    found = []
    for layout in ({"row_group": 2_000, "files": 1}, {"row_group": 70, "files": 3}):
        examples = examples_of(("all", MOVED), **layout)
        warnings = DriftRules(numbers=(Limit(Measure.WASSERSTEIN, warn=0.1),))
        now = compute_statistics(examples)
        done = validate_examples(examples, now, schema_of(MOVED, []), baseline, drift=warnings)
        found.append((done.validation.path / "drift.json").read_bytes())
        assert pq.read_table(done.validation.path / "evidence.parquet").num_rows == 0
    assert found[0] == found[1]
