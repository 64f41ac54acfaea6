from __future__ import annotations

import random

import numpy as np
import onnx
import pytest
from hypothesis import given, strategies as st
from onnx import TensorProto, helper, numpy_helper

from components.export.canonical_onnx import canonical


def scrambled(seed: int) -> onnx.GraphProto:
    """Return a graph of ``(x + a) * (x + a) - b * (x + a)``, its names and order decided by chance."""
    chance = random.Random(seed)
    names = [f"t{chance.randrange(10**9)}" for _ in range(8)]
    a, b, s1, s2, s3, product, scaled, spare = names
    twice = chance.random() < 0.5
    nodes = [
        helper.make_node("Add", ["x", a], [s1], name=f"n{seed}"),
        helper.make_node("Add", ["x", a], [s2]),
        helper.make_node("Add", ["x", a], [s3]),
    ]
    products = [
        helper.make_node("Mul", [s1, s2 if twice else s1], [product]),
        helper.make_node("Mul", [b, s3 if twice else s1], [scaled]),
    ]
    chance.shuffle(nodes)
    chance.shuffle(products)
    nodes += [*products, helper.make_node("Sub", [product, scaled], ["y"])]
    constants = [
        numpy_helper.from_array(np.array([2.0], np.float32), a),
        numpy_helper.from_array(np.array([3.0], np.float32), b),
    ]
    if twice:  # an equal constant under another name
        constants.append(numpy_helper.from_array(np.array([3.0], np.float32), spare))
    chance.shuffle(constants)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    return helper.make_graph(nodes, "g", [x], [y], constants)


def answer(graph: onnx.GraphProto) -> list[float]:
    import onnxruntime

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    values: list[float] = session.run(["y"], {"x": np.array([1.0, 5.0], np.float32)})[0].tolist()
    return values


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_equal_computations_become_equal_bytes(one: int, other: int) -> None:
    first, second = (canonical(scrambled(seed)) for seed in (one, other))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert len(first.node) == 4
    assert len(first.initializer) == 2


@pytest.mark.parametrize("seed", range(4))
def test_the_computation_stays_the_same(seed: int) -> None:
    assert answer(canonical(scrambled(seed))) == [0.0, 28.0] == answer(scrambled(seed))


def test_different_attributes_stay_different() -> None:
    nodes = [
        helper.make_node("Softmax", ["x"], ["a"], axis=0),
        helper.make_node("Softmax", ["x"], ["b"], axis=1),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 2])
    assert len(canonical(helper.make_graph(nodes, "g", [x], [y])).node) == 3


def test_a_graph_with_branches_is_left_alone() -> None:
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    one = numpy_helper.from_array(np.array([1.0], np.float32), "one")
    branch = helper.make_graph([helper.make_node("Identity", ["one"], ["y"])], "b", [], [y], [one])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("c", TensorProto.BOOL, [])], [y])
    assert canonical(graph) == graph
