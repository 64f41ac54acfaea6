"""The validation report: what is wrong first, with rows, keys, bins and threshold; values stay text."""

from __future__ import annotations

import json
import re

from components.comparison.picture import drawn
from components.schema.schema import Severity
from components.validation.anomalies import Anomaly
from components.validation.judge import Verdict
from components.validation.report import page
from components.validation.suite import Rule

RULE = Rule("expect_column_values_to_be_between", {"column": "fare", "min_value": 0})
EVIL = "</script><script>alert(1)</script>"


def anomaly(message: str = "fares are wrong", **details: object) -> Anomaly:
    return Anomaly(
        "eval",
        "fare",
        "values_out_of_range",
        Severity.FAIL,
        message,
        30,
        12.5,
        0,
        RULE,
        details=details or None,
    )


def record(row: int, value: object, key: object = "trip 7") -> dict[str, object]:
    return {
        "split": "eval",
        "file": "part-00000.parquet",
        "row": row,
        "key": json.dumps({"trip": key}),
        "values": json.dumps({"fare": value}),
        "rule": str(RULE),
    }


def verdict(success: bool = False) -> Verdict:
    return Verdict(RULE, success, {"unexpected_count": 30, "element_count": 100}, None)


def test_rows_come_with_their_key() -> None:
    records = [record(n, -n) for n in range(25)]
    text = page([anomaly()], {"eval": [verdict()]}, records, {"eval": 100}, 0)
    assert "Validation failed" in text
    assert "the first 20 of 30 rows" in text
    assert "<th>trip</th><th>fare</th>" in text
    assert text.count("<bdi>trip 7</bdi>") == 20
    assert "0 of 1 rules kept" in text


def test_values_cannot_leave_their_place() -> None:
    records = [record(1, EVIL, EVIL), record(2, None), record(3, "\ud800"), record(4, "\u202egnp")]
    bins = [{"bin": EVIL, "baseline": 1, "observed": 2}]
    text = page([anomaly(EVIL, bins=bins, formula=EVIL)], {"eval": [verdict()]}, records, {"eval": 4}, 0)
    assert "<script" not in text
    assert text.encode("utf-8")
    assert "<bdi>missing</bdi>" in text
    assert not re.search(r'(src|href)="?http', text)


def test_a_drift_alert_shows_bins_counts_formula_and_threshold() -> None:
    details = {
        "formula": "Largest difference between the cumulated shares.",
        "threshold": 0.2,
        "limits": {"warn": 0.1, "fail": 0.2},
        "chance": 1.2e-30,
        "bins": [
            {"bin": "< 0", "baseline": 0, "observed": 10},
            {"bin": "≥ 0", "baseline": 40, "observed": 30},
        ],
        "baseline": {"count": 40, "mean": 4.0, "median": None},
        "observed": {"count": 40, "mean": 3.0, "median": None},
    }
    text = drawn(details, 0.25)
    assert "Largest difference between the cumulated shares." in text
    assert "<strong>0.25</strong> found, fail beyond 0.2, warn beyond 0.1." in text
    assert "1.2e-30" in text
    assert "mean 4 → 3" in text
    assert text.count("<rect") == 4
    assert "&lt; 0: baseline 0 %, now 25.0 %" in text
    assert '<td class="number">10</td><td class="number">25.0 %</td>' in text


def test_many_bins_are_drawn_where_they_moved_most() -> None:
    bins = [{"bin": str(n), "baseline": 10, "observed": 10 + 50 * (n == 77)} for n in range(200)]
    text = drawn({"bins": bins}, None)
    assert text.count("<g>") == 24
    assert "77: baseline 0.5 %" in text
    assert text.count("<tr>") == 1 + 50
    assert '<td><bdi>77</bdi></td><td class="number">10</td>' in text
    assert '<td><bdi>(151 more)</bdi></td><td class="number">1,510</td>' in text
    assert drawn({}, None) == drawn(None, 1.0) == ""


def test_a_distribution_is_drawn_and_not_printed() -> None:
    rule = Rule(
        "expect_column_l_infinity_distance_to_be_less_than",
        {"column": "x", "threshold": 0.1, "baseline": {"kind": "categories", "values": ["a"], "counts": [1]}},
    )
    text = page([], {"eval": [Verdict(rule, True, {"observed_value": 0.0}, None)]}, [], {"eval": 4}, 3)
    assert "Validation passed" in text
    assert "categories" not in text
    assert "3 rows in quarantine" in text


def test_very_many_anomalies_stay_readable() -> None:
    text = page([anomaly(f"number {n}") for n in range(1_000)], {"eval": [verdict()]}, [], {"eval": 4}, 0)
    assert text.count("<article") == 200
    assert "number 999" in text
