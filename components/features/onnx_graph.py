"""The ONNX graph of frozen features, alone or in front of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from components.features.onnx_ops import IR_VERSION, ML_OPSET, OPSET, OnnxOps

if TYPE_CHECKING:
    import numpy as np

    from components.features.frozen import FrozenFeatures

NUMBERS, IDS = "numbers", "ids"


class TransformGraph:
    """Nodes that turn raw features into ``numbers`` (float32) and ``ids`` (int32) blocks.

    Attributes:
        ops: The nodes and constants so far; a model's own may be added.
        blocks: Tensor names by block; a block without a feature is absent.
    """

    def __init__(self, frozen: FrozenFeatures) -> None:
        self.ops = OnnxOps(frozen.inputs)
        dense, ids = frozen.build(self.ops)
        self.blocks: dict[str, str] = {}
        if dense:
            self.blocks[NUMBERS] = self.ops.concat(dense, "float32")
        if ids:
            self.blocks[IDS] = self.ops.to_int32(self.ops.concat(ids, "int64"))

    def model(self, outputs: Mapping[str, str]) -> onnx.ModelProto:
        """Return a checked model.

        Args:
            outputs: Tensor names by output name; ``float32`` but for the ids.
        """
        ops = self.ops
        for name, tensor in outputs.items():
            ops.nodes.append(helper.make_node("Identity", [tensor], [name]))
        infos = [_output(name) for name in outputs]
        graph = helper.make_graph(ops.nodes, "headrace", ops.graph_inputs(), infos, ops.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="headrace"
        )
        onnx.checker.check_model(model)
        return model


class OnnxTransform:
    """Applies frozen features to batches with ONNX Runtime, on one thread.

    The graph is the one that serves, so training sees what serving will compute.
    """

    def __init__(self, frozen: FrozenFeatures) -> None:
        import onnxruntime

        graph = TransformGraph(frozen)
        self.outputs: Sequence[str] = list(graph.blocks)
        model = graph.model(dict(graph.blocks))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the blocks of encoded raw features: ``numbers`` and ``ids``, ``(rows, width)``."""
        return dict(zip(self.outputs, self.session.run(self.outputs, dict(arrays)), strict=True))


def _output(name: str) -> onnx.ValueInfoProto:
    kind = TensorProto.INT32 if name == IDS else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, ["rows", None])
