"""What ``validate_examples`` costs against plain Great Expectations, with the same rules on the same rows.

``python -m tests.benchmarks.validation --rows 1000000 --json`` generates taxi-like rows and measures in a
fresh process each: the component (plan, one Beam pass, verdicts, reports), and plain Great Expectations on
the rows as one pandas frame. Imports are not counted, reading Parquet is.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from components.schema.schema import Severity
from components.validation.suite import Rule
from tests.benchmarks.fresh_process import generate, generated_examples, measure, print_figures, timed

PAYMENTS = ["Cash", "Credit Card", "Dispute", "No Charge", "Pcard", "Prcard", "Unknown"]
TEXTS = ("payment_type", "company")


def rules() -> list[Rule]:
    """Return 75 rules of the usual kinds; some are broken, so that examples are collected too."""
    from tests.benchmarks.taxi_rows import COLUMNS

    def rule(kind: str, **kwargs: Any) -> Rule:
        return Rule(f"expect_{kind}", kwargs, Severity.WARN)

    found = [
        rule("table_row_count_to_be_between", min_value=1),
        rule("table_column_count_to_equal", value=18),
    ]
    for name in COLUMNS:
        found.append(rule("column_to_exist", column=name))
        found.append(rule("column_values_to_not_be_null", column=name, mostly=0.9))
        if name not in TEXTS:
            found.append(rule("column_values_to_be_between", column=name, min_value=-100, max_value=1e12))
    for name in ("fare", "tips", "trip_miles", "trip_seconds"):
        ranges = {"quantiles": [0.05, 0.5, 0.95], "value_ranges": [[0, 1e4]] * 3}
        found.append(rule("column_mean_to_be_between", column=name, min_value=0, max_value=1000))
        found.append(rule("column_stdev_to_be_between", column=name, min_value=0, max_value=1000))
        found.append(rule("column_quantile_values_to_be_between", column=name, quantile_ranges=ranges))
    found += [
        rule("column_values_to_be_in_set", column="payment_type", value_set=PAYMENTS),
        rule("column_values_to_be_in_set", column="company", value_set=["none"], mostly=0.5),
        rule("column_values_to_match_regex", column="company", regex=r"^\d{4} - \d+ Cab"),
        rule("column_value_lengths_to_be_between", column="company", min_value=5, max_value=60),
        rule("column_values_to_be_unique", column="trip_start_timestamp"),
        rule("column_unique_value_count_to_be_between", column="company", min_value=2, max_value=100),
        rule("column_distinct_values_to_be_in_set", column="payment_type", value_set=PAYMENTS),
    ]
    return found


def _component(folder: Path, rows: int) -> dict[str, bool]:
    import apache_beam as _  # noqa: F401 - imports are paid by the fork server, not by the node
    import great_expectations as _gx  # noqa: F401 - as above
    import pyarrow as pa

    from components.artifacts import Schema, Statistics
    from components.validate_examples import validate_examples

    pa.set_cpu_count(1)
    examples = generated_examples(folder)
    schema = Schema.new()
    entries = [{"type": r.type, "kwargs": dict(r.kwargs), "meta": {"severity": "warn"}} for r in rules()]
    schema.write_json("suite.json", {"name": "benchmark", "expectations": entries})
    schema.write_json("schema.json", {"columns": []})
    statistics = Statistics.new(rows=examples.rows)
    found = timed(lambda: validate_examples(examples, statistics, schema), rows)
    [split] = examples.splits
    results = found.validation.read_json("result.json")[split]["results"]
    return {_name(r["expectation_config"]): r["success"] for r in results}


def _name(configuration: Any) -> str:
    return json.dumps([configuration["type"], configuration["kwargs"]], sort_keys=True)


def _plain(folder: Path, rows: int) -> dict[str, bool]:
    import great_expectations as gx
    import pyarrow as pa
    import pyarrow.parquet as pq

    from components.validation.suite import expectation

    pa.set_cpu_count(1)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]  # the type asks for more
    asset = context.data_sources.add_pandas("plain").add_dataframe_asset("table")
    definition = asset.add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(name="benchmark", expectations=[expectation(rule) for rule in rules()])

    def work() -> Any:
        files = sorted(folder.glob("*/*.parquet"))
        frame = pa.concat_tables([pq.read_table(file, use_threads=False) for file in files]).to_pandas()
        return definition.get_batch({"dataframe": frame}).validate(suite, result_format="BASIC")

    results = timed(work, rows).results
    return {_name(_written(result)): bool(result.success) for result in results}


def _written(result: Any) -> dict[str, Any]:
    kind = result.expectation_config.type
    kwargs = {k: v for k, v in result.expectation_config.kwargs.items() if k != "batch_id"}
    match = [r for r in rules() if r.type == kind and r.kwargs.get("column") == kwargs.get("column")]
    return {"type": kind, "kwargs": dict(match[0].kwargs)}


WORKS = {"component": _component, "plain": _plain}


def _measured(work: str, folder: Path, rows: int) -> tuple[dict[str, float], dict[str, bool]]:
    """Run one kind of work in a process of its own; return its figures and its verdicts by rule."""
    figures, verdicts = measure("tests.benchmarks.validation", work, folder, rows)[-2:]
    return figures, verdicts


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-plain", action="store_true", help="leave plain Great Expectations out")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        logging.disable(logging.WARNING)
        sys.stdout.write(json.dumps(WORKS[options.work](options.folder, options.rows)) + "\n")
        return
    with tempfile.TemporaryDirectory() as name:
        # Four fifths of the rows are training rows; those are validated.
        generate(Path(name), options.rows * 5 // 4)
        shutil.rmtree(Path(name) / "eval")
        ours, verdicts = _measured("component", Path(name), options.rows)
        figures: dict[str, float] = {
            "rules": len(verdicts),
            "cpu_seconds": round(ours["cpu_seconds"], 2),
            "rows_per_cpu_second": round(ours["rows_per_cpu_second"]),
            "peak_mb": round(ours["peak_mb"]),
        }
        if not options.no_plain:
            plain, expected = _measured("plain", Path(name), options.rows)
            figures["plain_cpu_seconds"] = round(plain["cpu_seconds"], 2)
            figures["plain_peak_mb"] = round(plain["peak_mb"])
            figures["ratio_to_plain"] = round(ours["cpu_seconds"] / plain["cpu_seconds"], 2)
            figures["same_verdicts"] = sum(verdicts[rule] == success for rule, success in expected.items())
    print_figures(figures, as_json=options.json)


if __name__ == "__main__":
    main()
