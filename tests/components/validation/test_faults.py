"""A fault of every kind of anomaly, put into sound data: it is found, and its rows are named."""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Statistics
from components.comparison import splits
from components.comparison.drift_rules import DriftRules
from components.compute_statistics import compute_statistics
from components.schema.schema import Severity
from components.validate_examples import validate_examples
from components.validation import anomalies
from components.validation.suite import Rule
from orchestration import GateError, RunContext
from tests.components.validation.material import examples_of, rule, schema_of
from tests.components.validation.test_builtins import registered

ROWS, BAD = 400, 277
RANDOM = np.random.default_rng(2)
SOUND = pa.table(
    {
        "trip": [f"t{number}" for number in range(ROWS)],
        "at": list(range(ROWS)),
        "fare": RANDOM.uniform(1, 50, ROWS),
        "total": RANDOM.uniform(60, 90, ROWS),
        "kind": ["cash", "card"] * (ROWS // 2),
        "mail": [f"rider{number}@mail.org" for number in range(ROWS)],
        "route": [[1.0, 2.0]] * ROWS,
        "tip": [None if number % 4 else 2.0 for number in range(ROWS)],
    }
)
RULES = [
    rule("column_values_to_not_be_null", column="fare"),
    rule("column_values_to_be_between", column="fare", min_value=0, max_value=100),
    rule("column_values_to_be_in_set", column="kind", value_set=["cash", "card"]),
    rule("column_values_to_be_unique", column="trip"),
    rule("column_values_to_be_increasing", column="at"),
    rule("column_value_lengths_to_be_between", column="trip", max_value=4),
    rule("column_values_to_match_regex", column="mail", regex="@"),
    rule("column_list_shapes_to_be", column="route", shape=[2]),
    rule("rows_to_satisfy", condition="fare <= total"),
    rule("column_mean_to_be_between", column="fare", min_value=20, max_value=30),
    rule("table_row_count_to_be_between", min_value=ROWS - 50, max_value=ROWS + 50),
    rule("table_column_count_to_equal", value=len(SOUND.column_names)),
]


def put(name: str, value: Any, rows: Callable[[int], bool] = lambda row: row == BAD) -> pa.Table:
    """Return the sound table with a value in place of others."""
    values = [value if rows(row) else old for row, old in enumerate(SOUND[name].to_pylist())]
    place = SOUND.column_names.index(name)
    return SOUND.set_column(place, name, pa.array(values, SOUND.schema.field(name).type))


def moved(name: str, change: Callable[[Any], Any]) -> pa.Table:
    """Return the sound table with a column changed in every row."""
    place = SOUND.column_names.index(name)
    return SOUND.set_column(place, name, pa.array([change(old) for old in SOUND[name].to_pylist()]))


@dataclass(frozen=True)
class Fault:
    """A fault: the kind of anomaly that it is, the data that has it, the column, and the rows to be named."""

    kind: str
    table: pa.Table
    column: str | None
    rows: tuple[int, ...] | None = None


FAULTS = [
    Fault("values_missing", put("fare", None), "fare", (BAD,)),
    Fault("values_out_of_range", put("fare", 5000.0), "fare", (BAD,)),
    Fault("values_unexpected", put("kind", "barter"), "kind", (BAD,)),
    Fault("values_repeated", put("trip", "t3"), "trip", (3, BAD)),
    Fault("values_out_of_order", put("at", 3), "at", (BAD,)),
    Fault("lengths_out_of_range", put("trip", "t277277"), "trip", (BAD,)),
    Fault("values_malformed", put("mail", "nobody"), "mail", (BAD,)),
    Fault("shape_changed", put("route", [1.0]), "route", (BAD,)),
    Fault("rows_inconsistent", put("total", 0.0), "fare, total", (BAD,)),
    Fault("statistic_out_of_range", moved("fare", lambda fare: fare / 3), "fare"),
    Fault("row_count_out_of_range", SOUND.slice(0, 300), None),
    Fault("columns_changed", SOUND.drop_columns("tip"), None),
    Fault("column_missing", SOUND.drop_columns("kind"), "kind"),
    Fault("column_new", SOUND.append_column("extra", pa.array(range(ROWS))), None),
    Fault("type_changed", moved("fare", str), "fare"),
    Fault("not_checked", moved("mail", lambda _: None).cast(SOUND.schema), "mail"),
    Fault("distribution_changed", moved("fare", lambda fare: fare + 20), "fare"),
    Fault("missing_share_changed", put("tip", None, lambda row: row < 300), "tip"),
    Fault("range_left", put("fare", -4000.0), "fare"),
    Fault("values_new", put("kind", "barter"), "kind"),
    Fault("values_not_finite", put("fare", math.inf), "fare"),
    Fault("row_count_changed", SOUND.slice(0, 300), None),
    Fault("meaning_changed", moved("mail", lambda mail: f"http://{mail[5:8]}.org/{mail}"), "mail"),
]
COMPARED = DriftRules(min_rows=0.9, max_rows=1.1)


@functools.cache
def sound_statistics() -> Statistics:
    return compute_statistics(examples_of(("all", SOUND)))


def found_in(table: pa.Table, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the anomalies and the evidence that a validation of a table leaves behind."""
    baseline = sound_statistics()
    examples = examples_of(("all", table), row_group=90, files=2)
    run = RunContext(folder=folder)
    with contextlib.suppress(GateError):
        validate_examples(
            examples, compute_statistics(examples), schema_of(SOUND, RULES), baseline, drift=COMPARED, run=run
        )
    kept = folder / "attachments"
    text = (kept / "anomalies.json").read_text(encoding="utf-8")
    return json.loads(text), pq.read_table(kept / "evidence.parquet").to_pylist()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_a_fault_of_each_kind_is_found_and_its_rows_are_named(fault: Fault, tmp_path: Path) -> None:
    entries, evidence = found_in(fault.table, tmp_path)
    hits = [entry for entry in entries if (entry["kind"], entry["column"]) == (fault.kind, fault.column)]
    assert hits, [(entry["kind"], entry["column"]) for entry in entries]
    assert all(entry["message"] for entry in hits)
    if fault.rows is not None:
        half = -(-fault.table.num_rows // 2)
        named = {int(row["file"][5:10]) * half + row["row"] for row in evidence if row["kind"] == fault.kind}
        assert named == set(fault.rows)


def test_sound_data_has_no_anomaly(tmp_path: Path) -> None:
    assert found_in(SOUND, tmp_path) == ([], [])


def test_there_is_a_fault_for_every_kind() -> None:
    kinds = {kind for _, kind in anomalies._KINDS} | {anomalies.NOT_CHECKED}
    kinds |= {*splits._KINDS.values(), *splits._MEASURED_KINDS.values()}
    assert {fault.kind for fault in FAULTS} == kinds


def test_every_expectation_finds_an_anomaly_of_a_named_kind() -> None:
    names = [name for name in registered() if name.startswith("expect_")]
    unnamed = [name for name in names if anomalies.kind(Rule(name, {}, Severity.FAIL)) == "rule_broken"]
    assert unnamed == []
