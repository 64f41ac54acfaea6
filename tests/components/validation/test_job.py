"""The Beam job: many rows go by disk and in several tasks, and end as few rows do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from components.schema.schema import Severity
from components.validate_examples import validate_examples
from components.validation import job
from components.validation.job import tasks
from components.validation.run import judge_examples
from components.validation.spill import Spilled, gathered, spilling
from orchestration import Beam
from tests.components.validation.material import examples_of, real_table, rule, schema_of, statistics_of

RULES = [
    rule("column_values_to_be_unique", Severity.QUARANTINE, column="trip_start_timestamp"),
    rule("compound_columns_to_be_unique", Severity.WARN, column_list=["fare", "company"]),
    rule("column_unique_value_count_to_be_between", Severity.WARN, column="company", max_value=1),
    rule("column_values_to_be_increasing", Severity.WARN, column="fare"),
    rule(
        "column_value_z_scores_to_be_less_than", Severity.WARN, column="fare", threshold=3, double_sided=True
    ),
]


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_many_rows_end_as_few_do_and_leave_nothing_on_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = real_table("taxi").slice(0, 5000)
    examples = examples_of(("train", table), row_group=400, files=3)
    schema, statistics = schema_of(table, RULES), statistics_of(examples)
    few = validate_examples(examples, statistics, schema)
    monkeypatch.setattr(job, "ROWS_PER_SHARD", 300)
    monkeypatch.setattr(job, "TASK_ROWS", 700)
    many = validate_examples(examples, statistics, schema, beam=Beam(scratch=tmp_path))
    assert content(few.validation.path) == content(many.validation.path)
    assert content(few.examples.path) == content(many.examples.path)
    assert few.validation.metadata == many.validation.metadata
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_row_groups_are_read_in_runs_and_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "TASK_ROWS", 5)
    table = pa.table({"a": range(23)})
    work, _ = tasks(examples_of(("train", table), row_group=2, files=2), ["train"])
    assert [(task.file, task.row_groups, task.first_row, task.rows) for task in work] == [
        (0, (0, 1, 2), 0, 6),
        (0, (3, 4, 5), 6, 6),
        (1, (0, 1, 2), 0, 6),
        (1, (3, 4, 5), 6, 5),
    ]
    rows = [
        int(value) for task in work for view in task.views(["a"]) for value in view.column("a").to_pylist()
    ]
    assert rows == list(range(23))


def test_rules_without_columns_need_no_column() -> None:
    found = judge_examples(
        examples_of(("all", pa.table({"a": [1, 2]}))),
        [rule("table_row_count_to_equal", value=2), rule("column_to_exist", column="a")],
        ["all"],
        Beam(),
    )
    assert [verdict.success for verdict in found.verdicts["all"]] == [True, True]


def test_spilled_values_come_back_in_their_order(tmp_path: Path) -> None:
    with spilling(str(tmp_path)) as put:
        places = [put([number] * number) for number in range(4)]
    assert all(isinstance(place, Spilled) for place in places)
    assert gathered([places[2], "inline", places[0]]) == [[2, 2], "inline", []]
