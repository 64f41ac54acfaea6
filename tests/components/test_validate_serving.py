"""``validate_serving`` against the real server in a process of its own."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from components.model_format import load_manifest
from components.validate_serving import ServingError, json_rows, served, validate_serving
from orchestration import ArgumentError, DataError
from tests.components.serving.tiny_model import examples_of, tiny_model, tiny_table


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True) if child.status() != "zombie"]


def test_the_exported_model_answers_as_it_does_in_process() -> None:
    before = children()
    check = validate_serving(tiny_model(), examples_of(tiny_table(300)), rows=150)
    assert check.metadata == {"ready": True, "rows": 150, "largest_difference": 0.0, "reasons": []}
    assert '"fare"' in check.read_json("check.json")["refusal_of_a_malformed_request"]
    assert children() == before


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_served_too(task: str) -> None:
    assert (
        validate_serving(tiny_model(task=task), examples_of(tiny_table(60)), rows=1_000).metadata["rows"]
        == 60
    )


def test_a_model_that_answers_missing_values_with_nan_is_not_ready() -> None:
    check = validate_serving(tiny_model(missing_as_nan=True), examples_of(tiny_table(60)))
    assert check.metadata["ready"] is False
    assert "answered with 500: the model's answer to row" in check.metadata["reasons"][0]
    assert check.metadata["largest_difference"] is None


def test_an_answer_that_differs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def predict(self, batch: pa.RecordBatch) -> np.ndarray:
            return np.full((batch.num_rows, 1), 0.5, np.float32)

    module = importlib.import_module("components.validate_serving")
    monkeypatch.setattr(module, "load_predictor", lambda model: Other())
    check = validate_serving(tiny_model(), examples_of(tiny_table(60)))
    assert check.metadata["ready"] is False
    assert check.metadata["largest_difference"] > 0.1
    assert "expected [0.5]" in check.metadata["reasons"][0]


def test_a_server_that_cannot_start_is_an_error_and_leaves_no_process(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(ServingError, match="did not become ready") as caught, served(tmp_path):
        pass
    assert "is live" in str(caught.value.received)
    assert children() == before


def test_a_failure_inside_leaves_no_process(tmp_path: Path) -> None:
    from components.serving.models_folder import ModelsFolder

    ModelsFolder(tmp_path, "candidate").push(tiny_model())
    before = children()

    def fail() -> None:
        with served(tmp_path) as server:
            assert server.get("/ready")[0] == 200
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert children() == before


def test_rows_travel_with_null_for_missing() -> None:
    table = tiny_table(200)
    batch = table.combine_chunks().to_batches()[0]
    rows = json_rows(load_manifest(tiny_model()), batch)
    assert [row["city"] for row in rows] == table["city"].to_pylist()
    assert [row["trip hour"] for row in rows] == table["trip hour"].to_pylist()
    assert [row["fare"] is None for row in rows] == [fare is None for fare in table["fare"].to_pylist()]


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(DataError, match="no rows to replay"):
        validate_serving(tiny_model(), examples_of(tiny_table(10).slice(0, 0), files=1))
    with pytest.raises(ArgumentError, match="rows"):
        validate_serving(tiny_model(), examples_of(tiny_table(10)), rows=0)
