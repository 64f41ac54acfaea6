"""The exports of one small trained model: native, SavedModel, ONNX, and the check that they agree."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest

from components.artifacts import Model, Transform
from components.export.errors import ExportError
from components.export.parity import check_parity, hard_rows
from components.features import categorical, features, label, numeric
from components.features.transformed import load_frozen, load_rows, load_sample
from components.model_format import Input, encode, load_manifest, load_predictor
from components.train_model import train_model
from components.training.feed import blocks
from components.transform_features import transform_features
from orchestration import RunContext
from tests.components.features.rows import examples_of, no_schema, rides
from tests.components.training.models import DROPPING, no_onnx, small, with_every_layer


@pytest.fixture(scope="module")
def transform() -> Transform:
    return transform_features(examples_of({"train": rides(400)}), no_schema(), DROPPING)


@pytest.fixture(scope="module")
def model(transform: Transform) -> Model:
    return train_model(transform, small, epochs=2, batch_size=32)


def test_the_core_loads_again_and_answers_as_the_exports_do(transform: Transform, model: Model) -> None:
    import keras

    core = keras.models.load_model(model.path / "native" / "model.keras")
    rows = load_rows(transform, "train", frozen=load_frozen(transform), limit=50)
    expected = np.asarray(core(blocks(rows, slice(None)), training=False))
    raw = load_sample(transform).slice(0, 50)
    for name in ("onnx", "tensorflow"):
        answer = load_predictor(model, name).predict(raw)
        np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_a_keras_file_holds_no_time(model: Model) -> None:
    with zipfile.ZipFile(model.path / "native" / "model.keras") as archive:
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date_saved" not in archive.read("metadata.json")


def test_the_onnx_graph_names_its_raw_inputs(model: Model) -> None:
    graph = onnx.load(model.path / "serving" / "model.onnx").graph
    assert [one.name for one in graph.input] == ["miles", "fare", "hour", "company", "zone", "start"]
    assert [one.name for one in graph.output] == ["probability"]
    onnx.checker.check_model(onnx.load(model.path / "serving" / "model.onnx"), full_check=True)


def test_hard_rows_are_answered_alike_and_finite(model: Model) -> None:
    raw = hard_rows(load_manifest(model).inputs)
    onnx_answer = load_predictor(model, "onnx").predict(raw)
    tensorflow_answer = load_predictor(model, "tensorflow").predict(raw)
    np.testing.assert_allclose(onnx_answer, tensorflow_answer, atol=1e-6)
    assert np.isfinite(onnx_answer).all()


def test_hard_rows_respect_the_missing_value_policy() -> None:
    inputs = (Input("a", "float32", False), Input("b", "int64", False), Input("c", "string", False))
    raw = hard_rows(inputs)
    assert encode(inputs, raw)["a"].tolist() == pytest.approx([0.0, 0.0, -1e30, 1e30, 1e30])
    assert list(raw["c"]) == ["not a known value", "not a known value", "héllo 日本", " ", " "]


def test_a_graph_that_answers_differently_is_refused(
    transform: Transform, model: Model, tmp_path: Path
) -> None:
    sample = load_sample(transform)
    good = load_predictor(model).predict(sample)
    assert check_parity(model, sample, good) < 1e-5
    with pytest.raises(ExportError, match="onnx export does not answer as the trained model"):
        check_parity(model, sample, good + 0.01)
    with pytest.raises(ExportError):
        check_parity(model, sample, np.full_like(good, np.nan))


def test_layers_of_many_kinds_convert() -> None:
    table = pa.table({"a": [1.0, 2.0, None, 5.0] * 9, "b": ["x", "y", None, "z"] * 9, "y": [0, 1, 0, 1] * 9})
    spec = features(numeric("a").z_score(), categorical("b").vocabulary(), label=label("y"))
    made = transform_features(examples_of({"train": table}), no_schema(), spec)
    trained = train_model(made, with_every_layer, epochs=1, batch_size=8)
    answer = load_predictor(trained).predict(table.to_batches()[0])
    assert answer.shape == (36, 1)


def test_columns_with_difficult_names_are_served() -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    names = ["trip miles (é)", "123", "self", "Self", "t0", "input_1", "probability", "core", "x.y"]
    table = pa.table({name: [1, place + 2] * 20 for place, name in enumerate(names)} | {"y": [0, 1] * 20})
    spec = features(
        *(numeric(name).z_score() for name in names), numeric("123").identity(9), label=label("y")
    )
    made = transform_features(examples_of({"train": table}), no_schema(), spec)
    trained = train_model(made, small, epochs=1)
    batch = table.to_batches()[0]
    assert load_manifest(trained).outputs == ("predicted_probability",)
    one, other = (load_predictor(trained, name).predict(batch) for name in ("onnx", "tensorflow"))
    np.testing.assert_allclose(one, other, atol=1e-6)
    served = saved_model_pb2.SavedModel.FromString(
        (trained.path / "serving" / "saved_model" / "saved_model.pb").read_bytes()
    )
    signature = served.meta_graphs[0].signature_def["serving_default"]
    assert set(signature.inputs) == set(names)


def test_what_onnx_lacks_is_refused_before_training(transform: Transform) -> None:
    events: list[dict[str, object]] = []
    with pytest.raises(ExportError, match="operations that ONNX does not have") as caught:
        train_model(transform, no_onnx, run=RunContext(emit=events.append))
    assert caught.value.received == "Lgamma"
    assert events == []
