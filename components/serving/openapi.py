"""The OpenAPI description of a loaded model's server."""

from __future__ import annotations

from typing import Any

from components.model_format import Input
from components.serving.loaded import LoadedModel

_TYPES: dict[str, dict[str, Any]] = {
    "float32": {"type": "number"},
    "int64": {"type": "integer", "format": "int64"},
    "string": {"type": "string"},
}
_V2_TYPES = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}


def describe(model: LoadedModel) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document with the features' names and types."""
    name = model.name
    predict = _operation("Predict from rows or columns", "Predict", "Predictions")
    infer = _operation("Predict by the Open Inference Protocol", "Infer", "Inferred")
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{name}, served by Headrace", "version": str(model.version)},
        "paths": {
            f"/v1/models/{name}:predict": {"post": predict},
            f"/v1/models/{name}": {"get": _look("State of the live version")},
            f"/v1/models/{name}/metadata": {"get": _look("Signature")},
            f"/v2/models/{name}/infer": {"post": infer},
            f"/v2/models/{name}": {"get": _look("Metadata by the Open Inference Protocol")},
            "/v2/health/live": {"get": _look("Liveness")},
            "/v2/health/ready": {"get": _look("Readiness", 503)},
            "/live": {"get": _look("Liveness")},
            "/ready": {"get": _look("Readiness", 503)},
            "/metrics": {"get": _look("Prometheus metrics")},
        },
        "components": {"schemas": _schemas(model)},
    }


def _look(summary: str, *others: int) -> dict[str, Any]:
    responses = {"200": {"description": "As asked"}}
    return {"summary": summary, "responses": responses | {str(n): {"description": "Not now"} for n in others}}


def _operation(summary: str, request: str, answer: str) -> dict[str, Any]:
    refused = {"description": "What is wrong, by feature and row", "content": _content("Refusal")}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            "200": {"description": "The predictions", "content": _content(answer)},
            "400": refused,
            "413": {**refused, "description": "The body is too large"},
            "503": {**refused, "description": "No model is live"},
        },
    }


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(schema)}}


def _schemas(model: LoadedModel) -> dict[str, Any]:
    inputs = model.manifest.inputs
    answers = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    text = {"type": "string"}
    signature = {"const": "serving_default"}
    names = [one.name for one in inputs]
    return {
        "Row": _object({one.name: _feature(one) for one in inputs}, names),
        "Columns": _object({one.name: {"type": "array", "items": _feature(one)} for one in inputs}, names),
        "Predict": {
            "oneOf": [
                _object({"instances": _rows(), "signature_name": signature}, ["instances"]),
                _object({"inputs": _reference("Columns"), "signature_name": signature}, ["inputs"]),
            ]
        },
        "Predictions": _object({"predictions": answers, "outputs": answers}, []),
        "Infer": {
            "type": "object",
            "required": ["inputs"],
            "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": _tensor(inputs)}},
        },
        "Inferred": {"type": "object"},
        "Refusal": _object({"error": text, "problems": {"type": "array", "items": text}}, ["error"]),
    }


def _reference(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _rows() -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": _reference("Row")}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _feature(one: Input) -> dict[str, Any]:
    kind = _TYPES[one.dtype]
    if not one.nullable:
        return kind
    return {**kind, "type": [kind["type"], "null"], "description": "null for a missing value"}


def _tensor(inputs: tuple[Input, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"enum": [one.name for one in inputs]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"enum": sorted({_V2_TYPES[one.dtype] for one in inputs})},
            "data": {"type": "array"},
        },
    }
