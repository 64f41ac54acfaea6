"""``evaluate_model`` on a real ONNX model: figures, champion, determinism, failing closed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from components.artifacts import Evaluation, Examples, Model
from components.evaluate_model import evaluate_model
from components.evaluation import (
    accuracy,
    at_least,
    at_most,
    auc,
    by,
    evaluation,
    log_loss,
    no_worse_than_champion,
    rmse,
)
from components.model_format import load_predictor
from components.serving.models_folder import ModelsFolder, models_root
from orchestration import ArgumentError, ArtifactError, DataError, RunContext
from tests.components.serving.tiny_model import examples_of, tiny_model, tiny_table

SPEC = evaluation(
    metrics=[auc(), log_loss(), accuracy()],
    slices=[by("trip hour"), by("city")],
    gates=[at_least("auc", 0.7), no_worse_than_champion("auc", margin=0.005)],
    minimum_slice_rows=20,
    replicates=40,
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return tiny_table(1_200)


def facts(result: Evaluation) -> dict[str, Any]:
    found: dict[str, Any] = result.read_json("evaluation.json")
    return found


def content(result: Evaluation) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(result.path.iterdir())} | {
        "metadata": json.dumps(result.metadata, sort_keys=True).encode()
    }


def live(model: Model, name: str = "test") -> None:
    ModelsFolder(models_root(), name).push(model)


def test_the_figures_are_those_of_the_predictions(table: pa.Table) -> None:
    model = tiny_model()
    result = evaluate_model(model, examples_of(table), SPEC)
    known = table.filter(pa.compute.is_valid(table["tip"])).combine_chunks()
    scores = load_predictor(model).predict(known.to_batches()[0])[:, 0]
    labels = known["tip"].to_numpy() > 1
    assert result.metadata["auc"] == pytest.approx(roc_auc_score(labels, scores), rel=1e-6)
    assert result.metadata["blessed"] is True
    assert result.metadata["reasons"] == ["no champion yet: this is the first model"]
    rows = facts(result)["rows"]
    missing = table["tip"].null_count
    assert rows == {"read": 1_200, "evaluated": 1_200 - missing, "dropped": {"the label is missing": missing}}
    hour = np.asarray(known["trip hour"]) == 3
    (of_hour,) = (s for s in facts(result)["slices"] if s["slice"] == {"trip hour": "3"})
    assert of_hour["rows"] == hour.sum()
    assert of_hour["metrics"]["auc"]["value"] == pytest.approx(
        roc_auc_score(labels[hour], scores[hour]), rel=1e-6
    )


def test_files_and_row_groups_do_not_change_a_byte(table: pa.Table) -> None:
    model = tiny_model()
    live(tiny_model(slope=0.5))
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    results = [
        content(evaluate_model(model, examples_of(rows, files, group), SPEC))
        for rows, files, group in ((table, 1, 5_000), (table, 3, 77), (shuffled, 2, 250))
    ]
    assert results[0] == results[1] == results[2]


def test_the_champion_is_measured_on_the_same_rows(table: pa.Table) -> None:
    live(tiny_model(slope=0.2, offset=0.1))
    result = facts(evaluate_model(tiny_model(), examples_of(table), SPEC))
    overall = result["overall"]
    difference = overall["differences"]["auc"]
    assert difference["value"] == pytest.approx(
        overall["metrics"]["auc"]["value"] - overall["champion"]["auc"]["value"], abs=1e-6
    )
    assert difference["low"] <= difference["value"] <= difference["high"]
    width = overall["metrics"]["auc"]["high"] - overall["metrics"]["auc"]["low"]
    assert difference["high"] - difference["low"] < width  # pairs vary less than models apart
    assert 0 < overall["flip_rate"] < 1
    assert result["champion"]["version"] == 1
    assert result["blessed"] is True


def test_a_worse_model_is_not_blessed(table: pa.Table) -> None:
    live(tiny_model())
    result = evaluate_model(tiny_model(slope=0.3), examples_of(table), SPEC)
    assert result.metadata["blessed"] is False
    assert "no worse than the champion" in result.metadata["reasons"][0]


def test_a_live_candidate_is_compared_with_its_predecessor(table: pa.Table) -> None:
    first, second = tiny_model(slope=0.5), tiny_model()
    live(first)
    before = content(evaluate_model(second, examples_of(table), SPEC))
    live(second)
    assert content(evaluate_model(second, examples_of(table), SPEC)) == before


def test_a_champion_with_another_signature_fails_closed(table: pa.Table) -> None:
    live(tiny_model())
    without_fare = table.drop_columns(["city"]).append_column("city", pa.array([1] * table.num_rows))
    with pytest.raises(DataError, match="city"):
        evaluate_model(tiny_model(), examples_of(without_fare), SPEC)
    folder = ModelsFolder(models_root(), "test").version_path(1)
    manifest = json.loads((folder / "model.json").read_text())
    manifest["inputs"][0]["name"] = "long gone"
    (folder / "model.json").write_text(json.dumps(manifest))
    result = evaluate_model(tiny_model(slope=0.9), examples_of(table), SPEC)
    assert result.metadata["blessed"] is False
    assert 'champion cannot be evaluated: there is no column "long gone"' in result.metadata["reasons"][0]
    assert result.metadata["auc"] > 0.7
    assert facts(result)["overall"]["champion"] == {}


def test_a_champion_that_cannot_be_loaded_fails_closed(table: pa.Table) -> None:
    live(tiny_model())
    (ModelsFolder(models_root(), "test").version_path(1) / "model.onnx").write_bytes(b"broken")
    result = evaluate_model(tiny_model(slope=0.9), examples_of(table), SPEC)
    assert "the champion cannot be evaluated: ONNX Runtime cannot load" in result.metadata["reasons"][0]


def test_predictions_that_are_no_numbers_bless_nothing(table: pa.Table) -> None:
    result = evaluate_model(tiny_model(missing_as_nan=True), examples_of(table), SPEC)
    dropped = facts(result)["rows"]["dropped"]["the prediction is no valid number"]
    assert dropped > 50
    assert f"{dropped} predictions are no valid numbers" in result.metadata["reasons"]
    assert result.metadata["blessed"] is False


def test_no_rows_bless_nothing(table: pa.Table) -> None:
    result = evaluate_model(tiny_model(), examples_of(table.slice(0, 0), files=1), SPEC)
    assert result.metadata["blessed"] is False
    assert result.metadata["reasons"][0] == "no rows were evaluated"
    assert result.metadata["auc"] is None
    unlabelled = table.set_column(3, "tip", pa.nulls(table.num_rows, pa.float64()))
    result = evaluate_model(tiny_model(), examples_of(unlabelled), SPEC)
    assert result.metadata["reasons"][0] == "no rows were evaluated"


def test_weights_count(table: pa.Table) -> None:
    weighted = evaluation(
        metrics=[accuracy()], gates=[at_least("accuracy", 0.5)], weight="weight", replicates=0
    )
    result = evaluate_model(tiny_model(), examples_of(table), weighted)
    known = table.filter(pa.compute.is_valid(table["tip"])).combine_chunks()
    right = (load_predictor(tiny_model()).predict(known.to_batches()[0])[:, 0] >= 0.5) == (
        known["tip"].to_numpy() > 1
    )
    assert result.metadata["accuracy"] == pytest.approx(
        np.average(right, weights=known["weight"].to_numpy()), rel=1e-6
    )
    wrong = evaluation(metrics=[accuracy()], weight="gone")
    with pytest.raises(DataError, match='no weight column "gone"'):
        evaluate_model(tiny_model(), examples_of(table), wrong)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_measured_too(table: pa.Table, task: str) -> None:
    spec = {
        "multiclass": evaluation(metrics=[accuracy(), auc()], gates=[at_least("accuracy", 0.4)]),
        "regression": evaluation(metrics=[rmse()], gates=[at_most("rmse", 2.5)]),
    }[task]
    result = evaluate_model(tiny_model(task=task, offset=1.0), examples_of(table), spec)
    assert result.metadata["blessed"] is True, result.metadata
    assert "<svg" in (page := (result.path / "report.html").read_text()) or "matrix" in page


def test_a_metric_without_meaning_for_the_task_is_refused(table: pa.Table) -> None:
    with pytest.raises(ArgumentError, match="a regression model has no auc"):
        evaluate_model(tiny_model(task="regression"), examples_of(table), evaluation(metrics=[auc(), rmse()]))


def test_unusable_inputs_are_named(table: pa.Table) -> None:
    with pytest.raises(DataError, match='no column "planet" to slice by'):
        evaluate_model(tiny_model(), examples_of(table), evaluation(metrics=[auc()], slices=[by("planet")]))
    with pytest.raises(ArtifactError, match='no split "test"'):
        evaluate_model(tiny_model(), examples_of(table), SPEC, split="test")
    folder = ModelsFolder(models_root(), "test")
    live(tiny_model())
    (folder.path / "champion.json").write_text("{")
    with pytest.raises(ArtifactError, match="pointer to the live model cannot be read"):
        evaluate_model(tiny_model(), examples_of(table), SPEC)


def test_the_run_receives_metrics_and_the_report(table: pa.Table) -> None:
    events: list[dict[str, Any]] = []
    run = RunContext(pipeline="taxi", emit=events.append)
    result = evaluate_model(tiny_model(), examples_of(table), SPEC, run=run)
    metrics = {event["name"]: event["value"] for event in events if event["kind"] == "metric"}
    assert metrics == {name: result.metadata[name] for name in ("auc", "log_loss", "accuracy")}
    assert (run.folder / "attachments" / "evaluation.html").read_text().startswith("<!doctype html>")


def test_the_report_needs_no_network_and_escapes_what_it_shows() -> None:
    table = tiny_table(400)
    city = pa.array(["<script>alert(1)</script>"] * 400)
    table = table.set_column(1, "city", city)
    page = (evaluate_model(tiny_model(), examples_of(table), SPEC).path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    for word in ("http://", "https://", "src=", "@import", "url("):
        assert word not in page, word


def examples_without_a_file() -> Examples:
    return Examples.new(splits={"eval": {"rows": 0}})


def test_a_split_without_files_blesses_nothing() -> None:
    assert evaluate_model(tiny_model(), examples_without_a_file(), SPEC).metadata["blessed"] is False
