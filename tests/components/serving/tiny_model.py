"""A small, real ONNX model with raw inputs of every dtype, and rows to evaluate it on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from components.artifacts import Examples, Model
from components.model_format import Input, ModelManifest

CITIES = ("Bonn", "Köln", "Mainz")
LABEL: dict[str, Any] = {
    "column": "tip",
    "kind": "value",
    "threshold": None,
    "classes": [],
    "missing": "drop",
}


def binary_label() -> dict[str, Any]:
    """The label ``tip > 1``."""
    return {**LABEL, "kind": "greater_than", "threshold": {"constant": 1.0}}


def tiny_model(
    *, slope: float = 1.0, offset: float = 0.0, task: str = "binary", missing_as_nan: bool = False
) -> Model:
    """Return sigmoid(slope * fare + city's effect + 0.1 * hour + offset), for the task given.

    A missing fare counts as 0, or stays NaN with ``missing_as_nan``; an unknown city has effect 0.
    """
    model = Model.new(task=task)
    file = model.file("serving/model.onnx")
    onnx.save(_graph(slope, offset, task, missing_as_nan), str(file))
    inputs = (
        Input("fare", "float32", nullable=True),
        Input("city", "string", nullable=True),
        Input("trip hour", "int64", nullable=False),
    )
    output = {"binary": "probability", "multiclass": "probabilities", "regression": "prediction"}[task]
    classes: tuple[str | int | float | bool, ...] = {
        "binary": (0, 1),
        "multiclass": ("low", "middle", "high"),
        "regression": (),
    }[task]
    label = {
        "binary": binary_label(),
        "regression": LABEL,
        "multiclass": {**LABEL, "column": "size", "kind": "classes", "classes": list(classes)},
    }[task]
    manifest = ModelManifest("keras", "tensorflow", task, inputs, (output,), label, classes, ())  # type: ignore[arg-type]
    model.write_json("model.json", manifest.to_json())
    return model


def _graph(slope: float, offset: float, task: str, missing_as_nan: bool) -> onnx.ModelProto:
    def constant(name: str, values: Any) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(values, np.float32), name)

    nodes = [
        helper.make_node("IsNaN", ["fare"], ["absent"]),
        helper.make_node("Where", ["absent", "zero", "fare"], ["known"]),
        helper.make_node(
            "LabelEncoder",
            ["city"],
            ["effect"],
            domain="ai.onnx.ml",
            keys_strings=list(CITIES),
            values_floats=[0.5, -0.5, 1.0],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["trip hour"], ["hour"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["fare" if missing_as_nan else "known", "slope"], ["sloped"]),
        helper.make_node("Mul", ["hour", "tenth"], ["hourly"]),
        helper.make_node("Sum", ["sloped", "effect", "hourly", "offset"], ["sum"]),
        helper.make_node("Unsqueeze", ["sum", "axis"], ["logit"]),
    ]
    constants = [
        constant("zero", 0.0),
        constant("slope", slope),
        constant("tenth", 0.1),
        constant("offset", offset),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
    ]
    width = 1
    if task == "binary":
        name = "probability"
        nodes.append(helper.make_node("Sigmoid", ["logit"], [name]))
    elif task == "regression":
        name = "prediction"
        nodes.append(helper.make_node("Identity", ["logit"], [name]))
    else:
        name, width = "probabilities", 3
        constants.append(constant("weights", [[-1.0, 0.0, 1.0]]))
        nodes.append(helper.make_node("MatMul", ["logit", "weights"], ["logits"]))
        nodes.append(helper.make_node("Softmax", ["logits"], [name], axis=1))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("fare", TensorProto.FLOAT, ["rows"]),
            helper.make_tensor_value_info("city", TensorProto.STRING, ["rows"]),
            helper.make_tensor_value_info("trip hour", TensorProto.INT64, ["rows"]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])],
        constants,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def tiny_table(rows: int = 600, seed: int = 3) -> pa.Table:
    """Return rows whose tip depends on fare, city and hour, with missing fares, cities and tips."""
    rng = np.random.default_rng(seed)
    fare = rng.normal(0, 1.5, rows)
    city = rng.choice([*CITIES, "Trier"], rows)
    hour = rng.integers(0, 6, rows)
    effect = np.select([city == name for name in CITIES], [0.5, -0.5, 1.0], 0.0)
    tip = 1 + fare + effect + 0.1 * hour + rng.logistic(0, 1, rows)
    size = np.select([tip < 0, tip < 2], ["low", "middle"], "high")
    return pa.table(
        {
            "fare": pa.array(fare, mask=rng.random(rows) < 0.1),
            "city": pa.array(city, mask=rng.random(rows) < 0.1),
            "trip hour": pa.array(hour),
            "tip": pa.array(tip, mask=rng.random(rows) < 0.02),
            "size": pa.array(size),
            "weight": pa.array(rng.integers(1, 4, rows).astype(np.float64)),
        }
    )


def examples_of(table: pa.Table, files: int = 2, row_group: int = 100) -> Examples:
    """Return a table as examples with an ``eval`` split of several files and row groups."""
    examples = Examples.new(splits={"eval": {"rows": table.num_rows}})
    size = -(-table.num_rows // files) or 1
    for number in range(files):
        target = examples.file(f"eval/part-{number:05d}.parquet")
        pq.write_table(table.slice(number * size, size), target, row_group_size=row_group)
    return examples


def champion_file(models: Path, name: str) -> dict[str, Any]:
    """Return the pointer to the live model as it is stored."""
    found: dict[str, Any] = json.loads((models / name / "champion.json").read_text())
    return found
