"""What a run returns, and what its records keep."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from orchestration.cli.report import to_json
from orchestration.journal_tables import attempts, record_of, row_of, runs
from orchestration.records import Attempt, Output, Run, RunState, State
from orchestration.result import RunFailedError, RunResult
from tests.pipelines_for_tests.steps import Number

NUMBER = "tests.pipelines_for_tests.steps:Number"


def attempt(node: str, state: State, **more: object) -> Attempt:
    return dataclasses.replace(Attempt("r-1", node, state, 1, started=10.0, ended=11.25), **more)  # type: ignore[arg-type]


@pytest.fixture
def result() -> RunResult:
    one = Output("output", NUMBER, "/store/1", "1" * 64, {"n": 1})
    items = tuple(Output("output", NUMBER, f"/store/{i}", f"{i}" * 64, {"n": i}, i) for i in (0, 1))
    pair = (Output("low", NUMBER, "/l", "a" * 64), Output("high", NUMBER, "/h", "b" * 64))
    nodes = [
        attempt("start", State.CACHED, outputs=(one,), reason="an earlier run made the same"),
        attempt("each", State.SUCCEEDED, outputs=items, metrics={"loss": 0.5}, cpu_seconds=0.75),
        attempt("pair", State.SUCCEEDED, outputs=pair),
        attempt("late", State.FAILED, error="ValueError: <b>\n  at x", reason="ValueError: <b>", ended=13.0),
        attempt("early", State.FAILED, error="OSError: disk", reason="OSError: disk", ended=12.0),
        attempt("after", State.SKIPPED, reason="needs late, which is FAILED"),
    ]
    tried = {"start": 0, "each": 2, "late": 3}
    return RunResult("r-1", "p", RunState.FAILED, 3.21, {a.node: a for a in nodes}, tried)


def test_json_has_the_promised_shape(result: RunResult) -> None:
    found = json.loads(json.dumps(to_json(result)))
    assert set(found) == {"run", "nodes", "metrics"}
    assert found["run"] == {"id": "r-1", "pipeline": "p", "state": "FAILED", "seconds": 3.21}
    assert found["metrics"] == {"each.loss": 0.5}
    start, each, pair, *_ = found["nodes"]
    assert {"name", "state", "seconds", "cpu_seconds", "attempts", "outputs"} <= set(start)
    assert start["outputs"] == {"output": {"type": "Number", "uri": "/store/1", "digest": "1" * 64}}
    assert (each["seconds"], each["cpu_seconds"], each["attempts"]) == (1.25, 0.75, 2)
    assert [item["uri"] for item in each["outputs"]["output"]] == ["/store/0", "/store/1"]
    assert set(pair["outputs"]) == {"low", "high"}


def test_failures_come_in_the_order_they_happened(result: RunResult) -> None:
    assert [failed.node for failed in result.failed] == ["early", "late"]
    assert not result.ok and result.exit_code == 1
    with pytest.raises(RunFailedError, match="OSError: disk"):
        result.raise_for_state()


@pytest.mark.parametrize(("state", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("INTERRUPTED", 130)])
def test_exit_codes(result: RunResult, state: str, code: int) -> None:
    assert dataclasses.replace(result, state=RunState(state)).exit_code == code


def test_raising_for_other_ends(result: RunResult) -> None:
    good = {"start": result.nodes["start"]}
    dataclasses.replace(result, state=RunState.SUCCEEDED, nodes=good).raise_for_state()
    with pytest.raises(RunFailedError, match="was interrupted") as caught:
        dataclasses.replace(result, state=RunState.INTERRUPTED, nodes=good).raise_for_state()
    assert caught.value.next == "headrace resume r-1"


def test_artifacts_are_found_by_node_and_output(result: RunResult) -> None:
    found = result.artifact("start")
    assert (type(found), found.metadata) == (Number, {"n": 1})
    assert result.artifact("pair", "high").uri == "/h"


@pytest.mark.parametrize(
    ("node", "output", "expected"),
    [
        ("pair", None, "low, high"),
        ("nobody", None, "start, each"),
        ("start", "other", "output"),
        ("after", None, None),
    ],
)
def test_an_artifact_that_is_not_there_is_told(
    result: RunResult, node: str, output: str | None, expected: str | None
) -> None:
    with pytest.raises(RunFailedError, match=f"has no single output {node}") as caught:
        result.artifact(node, output)
    assert (expected or "a node that succeeded") in str(caught.value)


def test_it_shows_itself(result: RunResult) -> None:
    assert result._repr_html_().count("<tr>") == 7
    assert "ValueError: &lt;b&gt;" in result._repr_html_()
    lines = repr(result).splitlines()
    assert lines[0] == "r-1 FAILED 3.2 s"
    assert lines[1].split() == ["start", "CACHED", "1.2", "s", "an", "earlier", "run", "made", "the", "same"]


def test_records_come_back_from_their_rows(result: RunResult) -> None:
    for kept in result.nodes.values():
        assert record_of(Attempt, kept_row(attempts, kept)) == kept
    run = Run("r", "p", "f", "d", "local", {"n": 1}, {}, {}, RunState.FAILED, 1.0, 2.0, 3.0, "h", "1:2")
    assert record_of(Run, kept_row(runs, run)) == run


def kept_row(table: sa.Table, record: object) -> SimpleNamespace:
    """A record's row, through JSON as the database keeps it."""
    return SimpleNamespace(_mapping=json.loads(json.dumps(row_of(table, record))))


def test_only_success_gives_outputs() -> None:
    assert [state for state in State if state.gave_outputs] == [State.SUCCEEDED, State.CACHED]
