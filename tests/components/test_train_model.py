from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.artifacts import Model, Transform
from components.features import categorical, features, label, numeric
from components.features.expressions import Label
from components.model_format import label_values, load_manifest, load_predictor
from components.train_model import check_builder, train_model
from components.transform_features import transform_features
from orchestration import ArgumentError, DataError, HeadraceError, MissingExtraError, RunContext
from tests.components.features.rows import examples_of, no_schema, taxi_examples
from tests.components.training import models


def toy(rows: int = 300) -> pa.Table:
    """Return rows whose label is easy: whether x exceeds 10, and which third it lies in."""
    x = [n * 7 % 30 for n in range(rows)]
    return pa.table(
        {
            "x": pa.array(x, pa.float64()),
            "big": pa.array([int(value > 10) for value in x]),
            "third": pa.array(["low" if v < 10 else "mid" if v < 20 else "top" for v in x]),
        }
    )


def transformed(target: Label, *parts: Any, evaluate: bool = True) -> Transform:
    chosen = parts or (numeric("x").z_score(), numeric("x").bucketize(8))
    splits = {"train": toy(), "eval": toy(90)} if evaluate else {"train": toy()}
    return transform_features(examples_of(dict(splits)), no_schema(), features(*chosen, label=target))


@pytest.fixture(scope="module")
def binary() -> Transform:
    return transformed(label("big"))


def contents(model: Model) -> dict[str, str]:
    files = (path for path in model.path.rglob("*") if path.is_file())
    return {str(p.relative_to(model.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize(
    ("target", "parts", "task", "shape"),
    [
        (label("big"), (), "binary", (90, 1)),
        (label("x").greater_than(10), (numeric("x").z_score(),), "binary", (90, 1)),
        (label("third"), (numeric("x").bucketize(9),), "multiclass", (90, 3)),
        (
            label("x").value(),
            (numeric("x").z_score(), categorical("third").vocabulary()),
            "regression",
            (90, 1),
        ),
    ],
)
def test_each_task_learns_and_serves(target: Label, parts: Any, task: str, shape: tuple[int, int]) -> None:
    model = train_model(transformed(target, *parts), models.small, epochs=12, batch_size=16)
    manifest = load_manifest(model)
    assert manifest.task == task
    batch = toy(90).to_batches()[0]
    answers = {name: load_predictor(model, name).predict(batch) for name in ("onnx", "tensorflow")}
    np.testing.assert_allclose(answers["onnx"], answers["tensorflow"], atol=1e-5)
    assert answers["onnx"].shape == shape
    assert answers["onnx"].dtype == np.float32
    truth = label_values(manifest, batch)
    if task == "regression":
        assert np.corrcoef(answers["onnx"][:, 0], truth)[0, 1] > 0.9
    else:
        chosen = answers["onnx"].argmax(1) if task == "multiclass" else answers["onnx"][:, 0] > 0.5
        assert (chosen == truth).mean() > 0.8


def test_metrics_arrive_by_epoch_and_rows_by_progress(binary: Transform) -> None:
    events: list[dict[str, Any]] = []
    train_model(binary, models.small, epochs=3, batch_size=64, run=RunContext(emit=events.append))
    losses = [(event["step"], event["value"]) for event in events if event.get("name") == "val_loss"]
    assert [step for step, _ in losses] == [1, 2, 3]
    assert losses[2][1] < losses[0][1]
    names = {event["name"] for event in events if event["kind"] == "metric"}
    assert names == {"loss", "accuracy", "val_loss", "val_accuracy", "rows_per_second"}
    done = [event["done"] for event in events if event["kind"] == "progress"]
    assert done == [300, 600, 900]


def test_the_same_input_gives_the_same_bytes_and_another_seed_does_not(binary: Transform) -> None:
    first, second, other = (
        train_model(binary, models.small, epochs=2, batch_size=64, seed=seed) for seed in (5, 5, 6)
    )
    assert contents(first) == contents(second)
    assert first.metadata == second.metadata
    assert contents(first)["native/model.keras"] != contents(other)["native/model.keras"]


def test_early_stopping_keeps_the_best_epoch(binary: Transform) -> None:
    events: list[dict[str, Any]] = []
    run = RunContext(emit=events.append)
    model = train_model(binary, models.overfitting, epochs=40, batch_size=8, early_stopping=2, run=run)
    losses = [event["value"] for event in events if event.get("name") == "val_loss"]
    assert len(losses) < 40
    assert len(losses) == int(np.argmin(losses)) + 1 + 2
    predicted = load_predictor(model).predict(toy(90).to_batches()[0])[:, 0].astype("float64")
    truth = toy(90)["big"].to_numpy()
    loss = -np.mean(np.log(np.where(truth == 1, predicted, 1 - predicted).clip(1e-7, 1)))
    assert loss == pytest.approx(min(losses), rel=1e-3)


def test_a_split_to_watch_is_optional_except_for_early_stopping() -> None:
    alone = transformed(label("big"), evaluate=False)
    events: list[dict[str, Any]] = []
    train_model(alone, models.without_metrics, epochs=1, run=RunContext(emit=events.append))
    assert {event["name"] for event in events if event["kind"] == "metric"} == {"loss", "rows_per_second"}
    with pytest.raises(ArgumentError, match='"early_stopping" is out of range'):
        train_model(alone, models.small, early_stopping=2)


@pytest.mark.parametrize(
    ("build_model", "received"),
    [
        (models.nothing, "None"),
        (models.not_compiled, "a model that is not compiled"),
        (models.logits, "no probabilities"),
        (models.too_wide, "an output of shape (256, 4)"),
    ],
)
def test_what_is_no_model_for_the_task_is_refused(binary: Transform, build_model: Any, received: str) -> None:
    with pytest.raises(ArgumentError, match="did not return a model for this task") as caught:
        train_model(binary, build_model)
    assert received in str(caught.value.received)
    assert 'activation="sigmoid"' in str(caught.value.expected)


def test_a_users_own_error_stays_what_it_is(binary: Transform) -> None:
    with pytest.raises(models.OwnError, match="no such layer"):
        train_model(binary, models.raising)


def test_training_that_diverges_is_an_error() -> None:
    with pytest.raises(DataError, match="training diverged"):
        train_model(transformed(label("x").value(), numeric("x")), models.diverging, epochs=3)


def test_no_rows_are_an_error() -> None:
    made = transform_features(examples_of({"train": toy(30), "other": toy(0)}), no_schema(), models.TOY_BIG)
    with pytest.raises(DataError, match='split "other" has no rows to learn from'):
        train_model(made, models.small, train_split="other")
    with pytest.raises(HeadraceError, match='no split "tests"'):
        train_model(made, models.small, train_split="tests")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, '"epochs" is out of range'),
        ({"batch_size": 0}, '"batch_size" is out of range'),
        ({"seed": -1}, '"seed" is out of range'),
        ({"early_stopping": 0}, '"early_stopping" is out of range'),
        ({"threads": 0}, '"threads" is out of range'),
        ({"framework": "caffe"}, '"framework" is out of range'),
    ],
)
def test_settings_out_of_range_are_refused(binary: Transform, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        train_model(binary, models.small, **options)


def test_a_framework_that_is_not_installed_names_its_extra(
    binary: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        train_model(binary, models.small, framework="torch")
    assert caught.value.next == "pip install 'headrace[torch]'"
    with pytest.raises(MissingExtraError):
        train_model.imports({"framework": "jax"})


def test_builders_that_cannot_travel_are_refused(binary: Transform) -> None:
    def nested(inputs: Any) -> None:
        """Live only in this test."""

    for builder in (nested, lambda inputs: None, "small", None):
        with pytest.raises(ArgumentError, match="build_model is not a module-level function"):
            check_builder(builder)
    with pytest.raises(ArgumentError, match="not a module-level function"):
        train_model(binary, nested)


def test_taxi_learns_from_real_rows() -> None:
    from pipelines.taxi_model import FEATURES, build_model

    examples = taxi_examples()
    events: list[dict[str, Any]] = []
    run = RunContext(emit=events.append)
    model = train_model(transform_features(examples, no_schema(), FEATURES), build_model, epochs=3, run=run)
    aucs = [event["value"] for event in events if event.get("name") == "val_auc"]
    assert aucs[-1] > 0.93
    batch = next(examples.batches("eval"))
    truth = label_values(load_manifest(model), batch)
    predicted = load_predictor(model).predict(batch)[:, 0]
    assert ((predicted > 0.5) == truth).mean() > 0.87


def test_breast_cancer_learns_from_real_rows() -> None:
    pytest.importorskip("sklearn")
    from pipelines.breast_cancer_data import breast_cancer_examples
    from pipelines.breast_cancer_model import FEATURES, build_model

    examples = breast_cancer_examples()
    model = train_model(
        transform_features(examples, no_schema(), FEATURES), build_model, epochs=20, batch_size=32
    )
    batch = next(examples.batches("eval"))
    manifest = load_manifest(model)
    assert manifest.classes == (0, 1)
    predicted = load_predictor(model).predict(batch)[:, 0]
    assert ((predicted > 0.5) == label_values(manifest, batch)).mean() > 0.93
