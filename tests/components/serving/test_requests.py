"""Request bodies: what fits is decoded, what does not is named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from components.model_format import MISSING_INT, Input, ModelManifest
from components.serving.requests import Decoder, RequestError

MANIFEST = ModelManifest(
    "keras",
    "tensorflow",
    "binary",
    (Input("mean radius", "float32", True), Input("class", "string", True), Input("n", "int64", False)),
    ("probability",),
    {},
    (0, 1),
    (),
)
DECODER = Decoder(MANIFEST)
ROW = {"mean radius": 1.5, "class": "a", "n": 3}


def predict(value: Any) -> tuple[dict[str, np.ndarray], bool]:
    return DECODER.predict_body(value if isinstance(value, bytes) else json.dumps(value).encode())


def problems(value: Any) -> str:
    with pytest.raises(RequestError) as caught:
        predict(value)
    assert caught.value.status == 400
    return str(caught.value)


def test_rows_become_arrays_of_the_signature() -> None:
    arrays, columnar = predict({"instances": [ROW, {"mean radius": None, "class": None, "n": -1}]})
    assert not columnar
    assert {name: values.dtype.kind for name, values in arrays.items()} == {
        "mean radius": "f",
        "class": "O",
        "n": "i",
    }
    np.testing.assert_array_equal(arrays["mean radius"], np.array([1.5, np.nan], np.float32))
    assert arrays["class"].tolist() == ["a", ""]
    assert arrays["n"].tolist() == [3, -1]


def test_columns_and_values_in_lists_of_one_mean_the_same() -> None:
    plain, _ = predict({"instances": [ROW, ROW], "signature_name": "serving_default"})
    for body in (
        {"inputs": {"mean radius": [1.5, 1.5], "class": ["a", "a"], "n": [3, 3]}},
        {"inputs": {"mean radius": [[1.5], [1.5]], "class": [["a"], ["a"]], "n": [[3], [3]]}},
        {"instances": [{name: [value] for name, value in ROW.items()}] * 2},
    ):
        arrays, columnar = predict(body)
        assert columnar is ("inputs" in body)
        for name, values in plain.items():
            np.testing.assert_array_equal(arrays[name], values)


def test_a_single_feature_may_come_bare() -> None:
    single = Decoder(ModelManifest("k", "t", "binary", (Input("x", "float32", False),), ("p",), {}, (), ()))
    for body in ({"instances": [1.0, 2.0]}, {"instances": [[1.0], [2.0]]}, {"inputs": [1.0, 2.0]}):
        arrays, _ = single.predict_body(json.dumps(body).encode())
        np.testing.assert_array_equal(arrays["x"], np.array([1, 2], np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": "3"}, "instances[1]: feature \"n\": expected a whole number of 64 bits, received '3'"),
        ({"n": 3.5}, 'feature "n": expected a whole number'),
        ({"n": True}, 'feature "n": expected a whole number'),
        ({"n": None}, 'feature "n": expected a whole number of 64 bits, received null'),
        ({"n": 2**63}, 'feature "n": expected a whole number of 64 bits'),
        ({"n": MISSING_INT}, 'feature "n": expected a whole number of 64 bits'),
        ({"mean radius": float("nan")}, 'feature "mean radius": expected a finite number, received NaN'),
        ({"mean radius": float("inf")}, 'feature "mean radius": expected a finite number, received Infinity'),
        ({"mean radius": 1e39}, 'feature "mean radius": expected a finite number'),
        ({"mean radius": "1.5"}, "feature \"mean radius\": expected a finite number, received '1.5'"),
        ({"mean radius": True}, 'feature "mean radius": expected a finite number, received true'),
        ({"mean radius": [1, 2]}, 'feature "mean radius": expected a finite number, received [1, 2]'),
        ({"class": 7}, 'feature "class": expected a string, received 7'),
        ({"class": "\ud800"}, 'feature "class": expected a string'),
        ({"klass": "a"}, 'instances[1]: unknown feature "klass"'),
    ],
)
def test_a_wrong_value_is_named_with_feature_and_row(change: dict[str, Any], message: str) -> None:
    assert message in problems({"instances": [ROW, {**ROW, **change}]})


def test_a_missing_feature_is_named_even_where_null_is_allowed() -> None:
    without = {name: value for name, value in ROW.items() if name != "mean radius"}
    assert problems({"instances": [ROW, ROW, without]}) == 'instances[2]: feature "mean radius" is missing'
    assert 'inputs: feature "n" is missing' in problems({"inputs": {"mean radius": [1], "class": ["a"]}})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{oops", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 200_000, "the body is not JSON"),
        (b'{"instances": [' + b"9" * 5_000 + b"]}", "the body is not JSON"),
        ([], "the body must be an object"),
        ({}, 'expected either "instances" (rows) or "inputs"'),
        ({"instances": [ROW], "inputs": {}}, 'expected either "instances"'),
        ({"instances": [ROW], "more": 1}, 'unknown key "more"'),
        ({"instances": [ROW], "signature_name": "other"}, "there is no signature 'other'"),
        ({"instances": []}, "the request has no rows"),
        ({"instances": {}}, '"instances" must be a list of rows'),
        ({"instances": [1]}, "instances[0]: expected an object"),
        ({"inputs": 3}, '"inputs" must be an object of columns'),
        ({"inputs": {"mean radius": 1, "class": [], "n": []}}, 'feature "mean radius": expected a list'),
        ({"inputs": {"mean radius": [1], "class": [], "n": [1]}}, "differ in their number of rows"),
        (
            {"inputs": {"mean radius": ["x"], "class": ["a"], "n": [1]}},
            'feature "mean radius", row 0: expected',
        ),
    ],
)
def test_a_malformed_body_is_explained(body: Any, message: str) -> None:
    assert message in problems(body)


def test_at_most_ten_problems_are_listed() -> None:
    with pytest.raises(RequestError) as caught:
        predict({"instances": [{**ROW, "n": "x"}] * 1_000})
    assert len(caught.value.problems) == 10


def v2(**changes: Any) -> bytes:
    tensors = {
        "mean radius": {"name": "mean radius", "shape": [2], "datatype": "FP32", "data": [1.5, None]},
        "class": {"name": "class", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]},
        "n": {"name": "n", "shape": [2], "datatype": "INT64", "data": [1, 2]},
    }
    for name, change in changes.items():
        tensors[name.replace("_", " ")].update(change)
    return json.dumps({"id": "7", "inputs": list(tensors.values())}).encode()


def test_the_open_inference_protocol_is_read() -> None:
    arrays, identity = DECODER.infer_body(v2())
    assert identity == "7"
    assert arrays["n"].tolist() == [1, 2]
    assert np.isnan(arrays["mean radius"][1])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (v2(n={"datatype": "FP32"}), 'feature "n": expected datatype INT8 or'),
        (v2(n={"shape": [3]}), 'feature "n": expected shape [2] or [2, 1] for its data, received [3]'),
        (v2(n={"name": "m"}), 'inputs: feature "n" is missing; inputs: unknown feature "m"'),
        (v2(n={"name": "class"}), "a feature is given twice"),
        (v2(n={"data": [1, "x"]}), 'feature "n", row 1: expected a whole number'),
        (
            v2(mean_radius={"data": [float("nan"), 1]}),
            'feature "mean radius", row 0: expected a finite number',
        ),
        (b"{}", "does not fit the protocol"),
        (b"nope", "the body is not JSON"),
    ],
)
def test_a_wrong_open_inference_request_is_named(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        DECODER.infer_body(body)
    assert message in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ROW, "inputs", "instances", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)
VALUES = st.fixed_dictionaries(
    {
        "mean radius": st.none() | st.floats(width=32) | JSON,
        "class": st.none() | st.text(max_size=3) | JSON,
        "n": st.integers(-(2**64), 2**64) | JSON,
    }
)


@given(st.one_of(JSON, st.fixed_dictionaries({"instances": st.lists(VALUES, max_size=3)})))
@settings(max_examples=400, deadline=None)
def test_any_json_is_decoded_or_refused(value: Any) -> None:
    for decode in (DECODER.predict_body, DECODER.infer_body):
        try:
            arrays, _ = decode(json.dumps(value).encode())
        except RequestError as error:
            refusal: RequestError | None = error
        else:
            refusal = None
        if refusal is not None:
            assert refusal.status == 400
            assert refusal.problems
        else:
            assert len({len(column) for column in arrays.values()}) == 1
            assert not np.isinf(arrays["mean radius"]).any()


@given(st.lists(VALUES, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_the_compiled_types_and_the_explanation_agree(rows: list[Any]) -> None:
    """Whatever the compiled types accept, the explaining reader reads alike, and the reverse."""
    body = json.dumps({"instances": rows}).encode()

    def outcome(decode: Any) -> Any:
        try:
            arrays, _ = decode(body)
        except RequestError:
            return "refused"
        return {name: values.tolist() for name, values in arrays.items()}

    fast, slow = outcome(DECODER.predict_body), outcome(DECODER._explain)  # the two must agree
    assert repr(fast) == repr(slow)
