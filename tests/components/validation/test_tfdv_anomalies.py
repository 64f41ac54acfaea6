"""Every anomaly type that TFDV detects is detected here, and docs/anomalies.md says how, row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.comparison.splits import anomalies_of, compare_splits
from components.compute_statistics import compute_statistics
from components.statistics.statistics import DatasetStatistics, load_statistics
from components.validation.anomalies import Anomaly
from components.validation.run import judge_examples
from components.validation.suite import rules_of
from orchestration import Beam, HeadraceError
from tests.components.validation.material import examples_of, schema_of
from tests.components.validation.tfdv_cases import CASES, Case

DOCS = Path(__file__).resolve().parents[3] / "docs" / "anomalies.md"


def statistics(table: pa.Table) -> DatasetStatistics:
    return load_statistics(compute_statistics(examples_of(("all", table))))


def findings(case: Case, table: pa.Table) -> tuple[list[Anomaly], list[dict[str, Any]]]:
    """Hold a table against the case's schema, or against the sound data where the case compares.

    Returns:
        The anomalies, and the rows that broke a rule.
    """
    schema = schema_of(case.sound, list(case.rules), None if case.columns is None else list(case.columns))
    if case.drift is not None:
        return anomalies_of(compare_splits(statistics(case.sound), statistics(table), case.drift)), []
    rules = rules_of(schema, case.environment, table.column_names)
    judged = judge_examples(examples_of(("all", table), row_group=2), rules, ["all"], Beam())
    return judged.anomalies(), judged.evidence()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tfdv)
def test_anomaly(case: Case) -> None:
    if case.kind.endswith("Error"):
        with pytest.raises(HeadraceError) as raised:
            findings(case, case.faulty)
        assert type(raised.value).__name__ == case.kind
        assert case.says in str(raised.value)
        return
    found, evidence = findings(case, case.faulty)
    hits = [one for one in found if one.kind == case.kind]
    assert hits, [one.as_json() for one in found]
    assert case.severity in [one.severity for one in hits]
    assert case.says in " ".join(one.message for one in hits)
    named = {entry["row"] for entry in evidence if entry["kind"] == case.kind}
    assert named == set(case.rows or ())
    if case.rows is not None:
        assert any(one.rows == len(case.rows) for one in hits)


@pytest.mark.parametrize("case", [c for c in CASES if not c.kind.endswith("Error")], ids=lambda c: c.tfdv)
def test_the_same_data_without_the_fault_is_sound(case: Case) -> None:
    found, _ = findings(case, case.sound)
    assert case.kind not in {one.kind for one in found}


def documented() -> dict[str, list[str]]:
    """Return the cells of the table's rows, by TFDV's name."""
    rows = [line.strip().strip("|").split("|") for line in DOCS.read_text(encoding="utf-8").splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 5]
    return {row[0].strip("`"): row for row in cells if re.fullmatch(r"`[A-Z0-9_]+`", row[0])}


def test_the_table_has_a_row_for_every_test_and_a_test_for_every_row() -> None:
    assert len(CASES) == len({case.tfdv for case in CASES}) == 61
    assert list(documented()) == [case.tfdv for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tfdv)
def test_the_row_says_what_the_test_shows(case: Case) -> None:
    _, meaning, rule, kind, test = documented()[case.tfdv]
    assert len(meaning) > 10
    assert case.shown in rule
    expected = f"`{case.kind}`" + ("" if case.kind.endswith("Error") else f", {case.severity}")
    assert kind == expected
    assert test == f"`test_anomaly[{case.tfdv}]`"
