"""The serving graph as ONNX: the features' own nodes in front of the converted core."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnx import compose

from components.export.canonical_onnx import canonical
from components.export.errors import ExportError
from components.features.onnx_graph import TransformGraph
from components.features.onnx_ops import OPSET, PREFIX

if TYPE_CHECKING:
    from components.features.frozen import FrozenFeatures
    from components.training.inputs import ModelInputs

_PREFIX = f"{PREFIX}core/"


def export_onnx(frozen: FrozenFeatures, core: keras.Model, inputs: ModelInputs, file: Path) -> None:
    """Write the serving graph to a file."""
    graph = TransformGraph(frozen)
    converted = compose.add_prefix(convert_core(core, inputs), _PREFIX)
    renamed = {
        f"{_PREFIX}{one.name.removeprefix(_PREFIX)}": graph.blocks[one.name.removeprefix(_PREFIX)]
        for one in converted.graph.input
    }
    for node in converted.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    graph.ops.nodes.extend(converted.graph.node)
    graph.ops.constants.extend(converted.graph.initializer)
    model = graph.model({frozen.output: converted.graph.output[0].name})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString(deterministic=True))


def convert_core(core: keras.Model, inputs: ModelInputs) -> onnx.ModelProto:
    """Return a core as ONNX, with inputs ``numbers`` and ``ids``.

    Raises:
        ExportError: The core uses an operation that ONNX lacks.
    """
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it cannot convert is an error below

    names = [name for name, columns in (("numbers", inputs.dense), ("ids", inputs.ids)) if columns]
    kinds = {"numbers": (len(inputs.dense), tf.float32), "ids": (len(inputs.ids), tf.int32)}
    signature = [tf.TensorSpec((None, kinds[name][0]), kinds[name][1], name=name) for name in names]

    def predict(*blocks: tf.Tensor) -> Any:
        return core(dict(zip(names, blocks, strict=True)), training=False)

    function = tf.function(predict, input_signature=signature, autograph=False)
    model: onnx.ModelProto
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
    )
    _check_operations(model.graph)
    model.graph.CopyFrom(canonical(model.graph))
    return model


def _erfc(context: Any, node: Any, name: str, arguments: list[str]) -> Any:
    """Convert ``Erfc``, part of GELU, which the converter does not know: ``1 - Erf``."""
    output = node.output[0]
    context.remove_node(node.name)
    erf = context.make_node("Erf", node.input)
    one = context.make_const(f"{name}/one", np.array(1, np.float32))
    return context.make_node("Sub", [one.output[0], erf.output[0]], outputs=[output], name=name)


def _check_operations(graph: onnx.GraphProto) -> None:
    unknown = sorted({node.op_type for node in graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if unknown:
        raise ExportError(
            "the model uses operations that ONNX does not have",
            expected="layers and activations that can be served",
            received=", ".join(unknown),
            next="replace the layer in build_model that uses them",
        )
