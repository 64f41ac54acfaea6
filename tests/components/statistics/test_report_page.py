"""The page of statistics: what it holds, that values cannot break it, and that it stays small."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.compute_statistics import compute_statistics
from components.statistics.report_page import render_report
from components.statistics.statistics import (
    ColumnStatistics,
    DatasetStatistics,
    SpanStatistics,
    SplitStatistics,
    TopValue,
    load_statistics,
)


def described(**splits: pa.Table) -> DatasetStatistics:
    examples = Examples.new(splits={name: {"rows": len(table)} for name, table in splits.items()})
    for name, table in splits.items():
        pq.write_table(table, examples.file(f"{name}/part-00000.parquet"))
    return load_statistics(compute_statistics(examples))


def payload(page: str) -> dict[str, Any]:
    """Return the data that the page's script draws."""
    found = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    value: dict[str, Any] = json.loads(found[0])
    return value


ODD = [
    "</script><script>alert(1)</script>",
    "<!--",
    "שלום",
    "🦊",
    "x" * 5_000,
    "\u202egnp.exe",
    "/*DATA*/",
    "",
]


def odd_table() -> pa.Table:
    return pa.table(
        {
            "</script><img src=x onerror=alert(2)>": ODD,
            "שם \u202e": list(range(8)),
            "n" * 3_000: [float("nan"), float("inf"), None, 1.0, 2.0, 3.0, 4.0, 5.0],
            "nothing": pa.nulls(8, pa.string()),
            "lists": [[1, 2], [], None, [3]] * 2,
            "struct": [{"a": 1, "b": "x"}] * 8,
            "bytes": [b"\xff\xfe"] * 8,
        }
    )


def test_values_cannot_leave_their_place() -> None:
    page = render_report(described(all=odd_table()), title="</title><script>alert(3)</script>")
    assert page.count("<script") == 2
    assert "alert(1)</script" not in page
    shown = payload(page)
    assert [column["name"] for column in shown["columns"]] == odd_table().column_names
    assert shown["title"] == "</title><script>alert(3)</script>"
    values = [value for value, _ in shown["columns"][0]["splits"][0]["top"]]
    assert set(ODD[:4]) <= set(values)
    assert max(map(len, values)) <= 160  # documents are cut


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_report(described(all=pa.table({"x": [1, 2, 3]})))
    code = page.replace("http://www.w3.org/2000/svg", "")
    for unwanted in (
        "http:",
        "https:",
        "src=",
        "@import",
        "localStorage",
        "sessionStorage",
        "fetch(",
        "eval(",
    ):
        assert unwanted not in code


def test_lone_surrogates_are_no_reason_to_fail() -> None:
    column = ColumnStatistics("x", "string", "text", 1, 0, 1, top=(TopValue("\ud800", 1),))
    page = render_report(DatasetStatistics({"all": SplitStatistics(1, (column,))}, 0.01))
    assert page.encode("utf-8")


def test_the_largest_split_is_drawn_first_and_the_baseline_before_it() -> None:
    statistics = described(eval=pa.table({"x": [1.0] * 10}), train=pa.table({"x": [2.0] * 20}))
    old = described(all=pa.table({"x": [1.0] * 5, "gone": ["a"] * 5}))
    change = {"column": "gone", "severity": "fail", "message": 'column "gone" is missing'}
    shown = payload(render_report(statistics, baseline=old, changes=[change]))
    assert [(split["name"], split.get("base", False)) for split in shown["splits"]] == [
        ("all", True),
        ("train", False),
        ("eval", False),
    ]
    by_name = {column["name"]: column for column in shown["columns"]}
    assert [one is None for one in by_name["gone"]["splits"]] == [False, True, True]
    assert shown["changes"] == [change]
    assert payload(render_report(statistics))["changes"] is None
    assert by_name["x"]["apart"] == 1  # train and eval
    assert by_name["gone"]["apart"] is None
    shown = payload(render_report(described(train=statistics_table(2.0)), baseline=old))
    assert shown["columns"][0]["apart"] == 1


def statistics_table(value: float) -> pa.Table:
    return pa.table({"x": [value] * 5})


def test_numbers_keep_the_digits_a_reader_can_use() -> None:
    table = pa.table({"x": [1 / 3, 2 / 3, 1.0, 1e300], "n": [2**53 - 1, 1, 2, 3]})
    numbers = [
        column["splits"][0]["numbers"] for column in payload(render_report(described(all=table)))["columns"]
    ]
    assert numbers[0]["min"] == pytest.approx(1 / 3, rel=1e-11)
    assert numbers[1]["max"] == 2**53 - 1
    assert sum(numbers[0]["h"]["counts"]) == 4


def test_a_thousand_columns_stay_small() -> None:
    draw = np.random.default_rng(0)
    columns = {}
    for place in range(1_000):
        if place % 3 == 0:
            columns[f"number_{place}"] = pa.array(draw.normal(size=400))
        elif place % 3 == 1:
            columns[f"text_{place}"] = pa.array([f"value {n}" for n in draw.integers(0, 200, 400)])
        else:
            columns[f"count_{place}"] = pa.array(draw.integers(0, 50, 400))
    table = pa.table(columns)
    page = render_report(described(train=table, eval=table.slice(0, 100)))
    assert len(page.encode("utf-8")) < 5_000_000


def test_equal_statistics_give_equal_pages() -> None:
    assert render_report(described(all=odd_table())) == render_report(described(all=odd_table()))


def test_the_page_of_the_component_is_the_rendered_one(tmp_path: Path) -> None:
    examples = Examples.new(splits={"all": {"rows": 3}})
    pq.write_table(pa.table({"x": [1, 2, 3]}), examples.file("all/part-00000.parquet"))
    out = compute_statistics(examples)
    assert out.file("report.html").read_text(encoding="utf-8") == render_report(load_statistics(out))


def test_what_moved_since_the_last_span_comes_first() -> None:
    tables = [pa.table({"x": [0.0] * zeros + [1.0] * (1_000 - zeros)}) for zeros in (500, 800)]
    before, now = (described(all=table).splits["all"].columns for table in tables)
    spans = (SpanStatistics("1", 1_000), SpanStatistics("2", 1_000, before), SpanStatistics("3", 1_000, now))
    split = SplitStatistics(3_000, before, spans=spans)
    shown = payload(render_report(DatasetStatistics({"all": split}, 0.01)))
    assert shown["against"] == "span 3 (1,000 rows) against 2 (1,000 rows)"
    (change,) = shown["changes"]
    assert (change["column"], change["severity"]) == ("x", "warn")
    assert "kolmogorov_smirnov 0.3, limit 0.1" in change["message"]
    assert "<svg" in change["drawn"]


def test_what_a_change_rests_on_is_drawn_and_cannot_leave_its_place() -> None:
    bins = [{"bin": ODD[0], "baseline": 10, "observed": 90}, {"bin": "x", "baseline": 90, "observed": 10}]
    change = {
        "column": None,
        "severity": "warn",
        "message": "m",
        "details": {"formula": ODD[0], "bins": bins},
    }
    page = render_report(described(all=pa.table({"x": [1]})), changes=[change] * 300)
    drawn = [one.get("drawn", "") for one in payload(page)["changes"]]
    assert [bool(one) for one in drawn] == [True] * 200 + [False] * 100
    assert "<script" not in drawn[0]
    assert page.count("<script") == 2
