"""Feature graphs as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

if TYPE_CHECKING:
    from components.model_format import Input

OPSET = 17
PREFIX = "headrace/"  # keeps inner names apart from those of raw columns
ML_OPSET = 3
IR_VERSION = 9
ELEMENT_TYPES = {
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "string": TensorProto.STRING,
}


class OnnxOps:
    """Collects the nodes and constants of a graph; see :class:`components.features.ops.Ops`.

    A tensor is its name. Constants of equal value are stored once.

    Attributes:
        nodes: Nodes in order.
        constants: Initializers.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._dtypes: dict[str, str] = {}
        self._columns: dict[str, str] = {}
        self._constant_names: dict[Any, str] = {}
        self._inputs = inputs
        for one in inputs:
            axis = self.constant(np.array([1], np.int64))
            self._columns[one.name] = self.node("Unsqueeze", one.name, axis, dtype=one.dtype)

    def graph_inputs(self) -> list[ValueInfoProto]:
        """Return the raw features as graph inputs of shape ``(rows,)``."""
        return [
            helper.make_tensor_value_info(one.name, ELEMENT_TYPES[one.dtype], ["rows"])
            for one in self._inputs
        ]

    def node(self, kind: str, *operands: str, dtype: str, domain: str = "", **attributes: Any) -> str:
        """Add a node and return its output's name."""
        name = f"{PREFIX}t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, operands, [name], domain=domain, **attributes))
        self._dtypes[name] = dtype
        return name

    def constant(self, value: np.ndarray) -> str:
        """Add a constant and return its name."""
        key = (
            value.dtype.str,
            value.shape,
            value.tobytes() if value.dtype != object else str(value.tolist()),
        )
        if key not in self._constant_names:
            name = f"{PREFIX}c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(value, name))
            self._constant_names[key] = name
        return self._constant_names[key]

    def concat(self, tensors: Sequence[str], dtype: str) -> str:
        """Join columns side by side."""
        return tensors[0] if len(tensors) == 1 else self.node("Concat", *tensors, dtype=dtype, axis=1)

    def to_int32(self, x: str) -> str:
        """Cast int to ``int32``."""
        return self.node("Cast", x, dtype="int32", to=TensorProto.INT32)

    def _operand(self, value: str | float, dtype: str, *, literal: bool = False) -> str:
        if isinstance(value, str) and not literal:
            return value
        kind = object if dtype == "string" else np.dtype(dtype)
        return self.constant(np.array([value], kind))

    def _binary(self, kind: str, x: str, y: str | float, dtype: str | None = None) -> str:
        return self.node(kind, x, self._operand(y, self._dtypes[x]), dtype=dtype or self._dtypes[x])

    def column(self, name: str) -> str:
        """See ``Ops.column``."""
        return self._columns[name]

    def is_int(self, name: str) -> bool:
        """See ``Ops.is_int``."""
        return self._dtypes[self._columns[name]] == "int64"

    def to_float(self, x: str) -> str:
        """See ``Ops.to_float``."""
        if self._dtypes[x] == "float32":
            return x
        return self.node("Cast", x, dtype="float32", to=TensorProto.FLOAT)

    def to_int(self, x: str) -> str:
        """See ``Ops.to_int``."""
        return self.node("Cast", x, dtype="int64", to=TensorProto.INT64)

    def add(self, x: str, y: str | float) -> str:
        """See ``Ops.add``."""
        return self._binary("Add", x, y)

    def subtract(self, x: str, y: str | float) -> str:
        """See ``Ops.subtract``."""
        return self._binary("Sub", x, y)

    def multiply(self, x: str, y: str | float) -> str:
        """See ``Ops.multiply``."""
        return self._binary("Mul", x, y)

    def divide(self, x: str, y: str | float) -> str:
        """See ``Ops.divide``."""
        return self._binary("Div", x, y)

    def quotient(self, x: str, y: int) -> str:
        """See ``Ops.quotient``."""
        return self._binary("Div", x, y)

    def remainder(self, x: str, y: int) -> str:
        """See ``Ops.remainder``."""
        return self._binary("Mod", x, y)

    def log(self, x: str) -> str:
        """See ``Ops.log``."""
        return self.node("Log", x, dtype="float32")

    def absolute(self, x: str) -> str:
        """See ``Ops.absolute``."""
        return self.node("Abs", x, dtype="float32")

    def maximum(self, x: str, y: float) -> str:
        """See ``Ops.maximum``."""
        return self._binary("Max", x, y)

    def minimum(self, x: str, y: float) -> str:
        """See ``Ops.minimum``."""
        return self._binary("Min", x, y)

    def at_least(self, x: str, y: float) -> str:
        """See ``Ops.at_least``."""
        return self._binary("GreaterOrEqual", x, y, "bool")

    def at_most(self, x: str, y: float) -> str:
        """See ``Ops.at_most``."""
        return self._binary("LessOrEqual", x, y, "bool")

    def equals(self, x: str, y: int | str) -> str:
        """See ``Ops.equals``."""
        if self._dtypes[x] == "string":
            # Equal accepts strings only from opset 19; a table of one entry does the same.
            return self.at_least(self.look_up(x, [str(y)], 1, 0), 1)
        return self._binary("Equal", x, y, "bool")

    def both(self, x: str, y: str) -> str:
        """See ``Ops.both``."""
        return self.node("And", x, y, dtype="bool")

    def where(self, condition: str, x: str | float, y: str | float) -> str:
        """See ``Ops.where``."""
        dtype = self._dtypes[x if isinstance(x, str) else str(y)]
        return self.node("Where", condition, self._operand(x, dtype), self._operand(y, dtype), dtype=dtype)

    def count_at_least(self, x: str, boundaries: Sequence[float]) -> str:
        """See ``Ops.count_at_least``."""
        edges = self.constant(np.array([list(boundaries)], np.float32))
        reached = self.to_int(self.node("GreaterOrEqual", x, edges, dtype="bool"))
        return self.node(
            "ReduceSum", reached, self.constant(np.array([1], np.int64)), dtype="int64", keepdims=1
        )

    def look_up(self, x: str, keys: Sequence[str] | Sequence[int], first: int, default: int) -> str:
        """See ``Ops.look_up``."""
        kind = "keys_strings" if self._dtypes[x] == "string" else "keys_int64s"
        table: dict[str, Any] = {kind: list(keys), "values_int64s": list(range(first, first + len(keys)))}
        table["default_int64"] = default
        return self.node("LabelEncoder", x, dtype="int64", domain="ai.onnx.ml", **table)

    def one_hot(self, x: str, width: int) -> str:
        """See ``Ops.one_hot``."""
        ids = self.constant(np.arange(width, dtype=np.int64).reshape(1, -1))
        return self.to_float(self.node("Equal", x, ids, dtype="bool"))
