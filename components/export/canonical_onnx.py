"""ONNX graphs with equal bytes for equal computations.

The converter names and orders nodes by sets, which differ from process to process. Here every
tensor is known by what it computes instead; equal computations become one node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import onnx
from onnx import numpy_helper


def canonical(graph: onnx.GraphProto) -> onnx.GraphProto:
    """Return the graph with nodes ordered and named by what they compute.

    A graph with nested graphs (loops, branches) is returned as it is.
    """
    if any(
        attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute
    ):
        return graph
    digests = {one.name: _digest(["input", one.name]) for one in graph.input}
    constants: dict[str, onnx.TensorProto] = {}
    for tensor in graph.initializer:
        digests[tensor.name] = _constant_digest(tensor)
        constants.setdefault(digests[tensor.name], tensor)
    levels = dict.fromkeys(digests, 0)
    kept: dict[str, tuple[int, onnx.NodeProto]] = {}
    for node in graph.node:
        identity = _digest(
            [node.op_type, node.domain, *_attributes(node), *(digests.get(i, "") for i in node.input)]
        )
        level = 1 + max((levels[i] for i in node.input if i), default=0)
        for place, name in enumerate(node.output):
            digests[name] = _digest([identity, str(place)])
            levels[name] = level
        kept.setdefault(identity, (level, node))
    ordered = [node for _, (_, node) in sorted(kept.items(), key=lambda pair: (pair[1][0], pair[0]))]
    return _renamed(graph, ordered, [constants[key] for key in sorted(constants)], digests)


def _renamed(
    graph: onnx.GraphProto,
    nodes: Iterable[onnx.NodeProto],
    constants: Iterable[onnx.TensorProto],
    digests: dict[str, str],
) -> onnx.GraphProto:
    names = {digests[one.name]: one.name for one in [*graph.output, *graph.input]}
    result = onnx.GraphProto(name=graph.name, input=graph.input, output=graph.output)
    for place, tensor in enumerate(constants):
        names.setdefault(digests[tensor.name], f"c{place}")
        copy = result.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = names[digests[tensor.name]]
    for place, node in enumerate(nodes):
        copy_node = result.node.add()
        copy_node.CopyFrom(node)
        copy_node.name = ""
        for slot, name in enumerate(node.output):
            names.setdefault(digests[name], f"n{place}_{slot}")
            copy_node.output[slot] = names[digests[name]]
        copy_node.input[:] = [names[digests[name]] if name else "" for name in node.input]
    return result


def _attributes(node: onnx.NodeProto) -> list[str]:
    return sorted(one.SerializeToString(deterministic=True).hex() for one in node.attribute)


def _constant_digest(tensor: onnx.TensorProto) -> str:
    values = numpy_helper.to_array(tensor)
    content = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
    return _digest(["constant", str(values.dtype), str(values.shape), hashlib.sha256(content).hexdigest()])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
