from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.artifacts import Model
from components.features import column, label
from components.model_format import (
    MISSING_INT,
    Input,
    ModelManifest,
    encode,
    label_values,
    load_manifest,
    load_predictor,
)
from orchestration import ArgumentError, ArtifactError, DataError

INPUTS = (Input("fare", "float32", True), Input("hour", "int64", False), Input("company", "string", True))
MANIFEST = ModelManifest(
    framework="keras",
    backend="tensorflow",
    task="binary",
    inputs=INPUTS,
    outputs=("probability",),
    label=label("tips").greater_than(0.2 * column("fare")).to_json(),
    classes=(False, True),
    requirements=("onnxruntime==1.32.0",),
)


def test_a_manifest_is_stored_and_read(tmp_path: Path) -> None:
    model = Model.new()
    model.write_json("model.json", MANIFEST.to_json())
    assert load_manifest(model) == MANIFEST
    assert load_manifest(model.path) == MANIFEST
    assert load_manifest(str(model.path)) == MANIFEST
    assert hash(MANIFEST.inputs) == hash(load_manifest(model).inputs)


def test_an_unreadable_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no manifest"):
        load_manifest(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(ArtifactError, match="unknown format"):
        load_manifest(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({**MANIFEST.to_json(), "inputs": [{"name": "a"}]}))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_manifest(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_manifest(tmp_path)


def test_a_model_without_the_export_or_of_an_unknown_runtime_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps(MANIFEST.to_json()))
    with pytest.raises(ArtifactError, match="has no onnx export"):
        load_predictor(tmp_path)
    with pytest.raises(ArgumentError, match="unknown runtime"):
        load_predictor(tmp_path, "torch")  # type: ignore[arg-type]  # the mistake under test


def test_labels_are_evaluated_on_raw_rows() -> None:
    batch = pa.record_batch({"tips": [3.0, 1.0, None], "fare": [10.0, 10.0, 1.0]})
    np.testing.assert_array_equal(label_values(MANIFEST, batch), np.array([1, 0, np.nan], "float32"))
    arrays = {"tips": np.array([3.0]), "fare": np.array([10.0])}
    np.testing.assert_array_equal(label_values(MANIFEST, arrays), [1])


def test_a_batch_is_encoded_by_the_signature() -> None:
    batch = pa.record_batch({"hour": [1, 2], "fare": [None, 2], "company": ["a", None], "more": [0, 0]})
    encoded = encode(INPUTS, batch)
    assert list(encoded) == ["fare", "hour", "company"]
    np.testing.assert_array_equal(encoded["fare"], np.array([np.nan, 2], "float32"))
    assert encoded["company"].tolist() == ["a", ""]
    again = encode(INPUTS, encoded)
    for name, values in encoded.items():
        np.testing.assert_array_equal(again[name], values)


def test_a_batch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        encode(INPUTS, pa.record_batch({"fares": [1.0], "hour": [1], "company": ["a"]}))
    assert caught.value.next == 'did you mean "fares"?'
    with pytest.raises(DataError, match='"hour" has missing values'):
        encode(
            INPUTS, {"fare": np.ones(1), "hour": np.array([MISSING_INT]), "company": np.array(["a"], object)}
        )
