"""Requests to feature arrays: types compiled from a model's signature, errors that name feature and row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from components.model_format import MISSING_INT, Input, ModelManifest

Array = NDArray[Any]

MOST_PROBLEMS = 10
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63) + 1, le=2**63 - 1)]
_PLAIN: dict[str, Any] = {"float32": float, "int64": _INT64, "string": str}
_WORDS = {"float32": "a finite number", "int64": "a whole number of 64 bits", "string": "a string"}
_LARGEST = float(np.finfo(np.float32).max)
_V2_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_V2_TYPES = {
    "float32": ("FP16", "FP32", "FP64", *_V2_INTEGERS),
    "int64": _V2_INTEGERS,
    "string": ("BYTES",),
}


class RequestError(Exception):
    """A request that cannot be answered.

    Args:
        problems: What is wrong, each naming feature and row where there is one.
        status: HTTP status, 400 by default.
    """

    def __init__(self, *problems: str, status: int = 400) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.status = status


class Decoder:
    """Decodes the bodies of one model's prediction requests.

    Bodies in the common form go through compiled msgspec types. What they refuse goes through a
    slower reading in plain Python, which also accepts values wrapped in lists of one, as
    TensorFlow Serving's clients send them for features of shape (rows, 1), and which explains what
    is wrong.
    """

    def __init__(self, manifest: ModelManifest) -> None:
        self.inputs = manifest.inputs
        self.names = [one.name for one in manifest.inputs]
        self._row_fields = [f"f{number}" for number in range(len(self.inputs))]
        rename = dict(zip(self._row_fields, self.names, strict=True))
        types = [_type_of(one) for one in self.inputs]
        row = _struct("Row", zip(self._row_fields, types, strict=True), rename)
        lists = ((field, _list_of(kind)) for field, kind in zip(self._row_fields, types, strict=True))
        columns = _struct("Columns", lists, rename)
        self._rows = msgspec.json.Decoder(_body("instances", _list_of(row)))
        self._columns = msgspec.json.Decoder(_body("inputs", columns))
        self._v2 = msgspec.json.Decoder(V2Body)

    def predict_body(self, body: bytes) -> tuple[dict[str, Array], bool]:
        """Decode TensorFlow Serving's ``:predict`` body.

        Returns:
            Arrays of shape (rows,) by feature, and whether the body was columnar (``inputs``).

        Raises:
            RequestError: The body is not JSON or does not fit the signature.
        """
        columnar = b'"inputs"' in body and b'"instances"' not in body
        try:
            if columnar:
                columns = self._columns.decode(body).inputs
                values = [getattr(columns, field) for field in self._row_fields]
            else:
                rows = self._rows.decode(body).instances
                values = [[getattr(row, field) for row in rows] for field in self._row_fields]
            return self._arrays(values), columnar
        except (msgspec.DecodeError, ValueError, RecursionError, RequestError):
            return self._explain(body)

    def infer_body(self, body: bytes) -> tuple[dict[str, Array], str | None]:
        """Decode an Open Inference Protocol ``infer`` body.

        Returns:
            Arrays of shape (rows,) by feature, and the request's ``id``.

        Raises:
            RequestError: The body is not JSON or does not fit the signature.
        """
        try:
            request = self._v2.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            value = _parse(body)  # explains NaN and malformed JSON in its own words
            try:
                request = msgspec.convert(value, V2Body)
            except msgspec.ValidationError:
                raise RequestError(f"the body does not fit the protocol: {error}") from error
        tensors = {tensor.name: tensor for tensor in request.inputs}
        if len(tensors) < len(request.inputs):
            raise RequestError("inputs: a feature is given twice")
        problems = _names(self.names, tensors, "inputs")
        for one in self.inputs:
            problems += _shape_problems(one, tensors[one.name]) if one.name in tensors else []
        _raise_if(problems)
        columns = {name: tensor.data for name, tensor in tensors.items()}
        return self._checked(columns, _column_place), request.id

    def _explain(self, body: bytes) -> tuple[dict[str, Array], bool]:
        value = _parse(body)
        if not isinstance(value, dict):
            raise RequestError(f"the body must be an object, received {_shown(value)}")
        strange = [key for key in value if key not in ("signature_name", "instances", "inputs")]
        _raise_if([f'unknown key "{key}", expected "instances" or "inputs"' for key in strange])
        signature = value.get("signature_name", "serving_default")
        if signature != "serving_default":
            raise RequestError(f'there is no signature {_shown(signature)}, only "serving_default"')
        if ("instances" in value) == ("inputs" in value):
            raise RequestError('expected either "instances" (rows) or "inputs" (columns)')
        if "instances" in value:
            return self._checked(self._columns_of(value["instances"]), _row_place), False
        return self._checked(self._columns_given(value["inputs"]), _column_place), True

    def _columns_of(self, rows: Any) -> dict[str, list[Any]]:
        if not isinstance(rows, list):
            raise RequestError(f'"instances" must be a list of rows, received {_shown(rows)}')
        problems: list[str] = []
        for number, row in enumerate(rows):
            if len(self.names) == 1 and not isinstance(row, dict):
                rows[number] = {self.names[0]: row}  # as TensorFlow Serving takes a single feature
            elif isinstance(row, dict):
                problems += _names(self.names, row, f"instances[{number}]")
            else:
                problems.append(f"instances[{number}]: expected an object, received {_shown(row)}")
            if len(problems) >= MOST_PROBLEMS:
                break
        _raise_if(problems)
        return {name: [row[name] for row in rows] for name in self.names}

    def _columns_given(self, columns: Any) -> dict[str, list[Any]]:
        if len(self.names) == 1 and isinstance(columns, list):
            columns = {self.names[0]: columns}
        if not isinstance(columns, dict):
            raise RequestError(f'"inputs" must be an object of columns, received {_shown(columns)}')
        problems = _names(self.names, columns, "inputs")
        for name in self.names:
            column = columns.get(name, [])
            if not isinstance(column, list):
                problems.append(f'inputs: feature "{name}": expected a list, received {_shown(column)}')
        _raise_if(problems)
        return columns

    def _checked(self, columns: Mapping[str, Sequence[Any]], place: Place) -> dict[str, Array]:
        problems: list[str] = []
        values = []
        for one in self.inputs:
            unwrapped = [_unwrap(value) for value in columns[one.name]]
            for number, value in enumerate(unwrapped):
                problem = _problem(one, value)
                if problem and len(problems) < MOST_PROBLEMS:
                    problems.append(place(number, one.name) + problem)
            values.append(unwrapped)
        _raise_if(problems)
        return self._arrays(values)

    def _arrays(self, values: list[list[Any]]) -> dict[str, Array]:
        """Return the columns' arrays.

        Raises:
            RequestError: There are no rows, the columns differ in length, or a value cannot travel.
        """
        lengths = {len(column) for column in values}
        if lengths == {0}:
            raise RequestError("the request has no rows")
        if len(lengths) > 1:
            sizes = (f"{name}: {len(column)}" for name, column in zip(self.names, values, strict=True))
            raise RequestError(f"the features differ in their number of rows ({', '.join(sizes)})")
        return {
            one.name: _ARRAYS[one.dtype](column, one) for one, column in zip(self.inputs, values, strict=True)
        }


Place = Callable[[int, str], str]


class V2Tensor(msgspec.Struct):
    """One input of an Open Inference Protocol request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class V2Body(msgspec.Struct):
    """An Open Inference Protocol request."""

    inputs: list[V2Tensor]
    id: str | None = None


def _row_place(number: int, name: str) -> str:
    return f'instances[{number}]: feature "{name}": '


def _column_place(number: int, name: str) -> str:
    return f'feature "{name}", row {number}: '


def _list_of(kind: Any) -> Any:
    return list[kind]


def _type_of(one: Input) -> Any:
    kind = _PLAIN[one.dtype]
    return kind | None if one.nullable else kind


def _struct(name: str, fields: Any, rename: dict[str, str]) -> Any:
    return msgspec.defstruct(name, list(fields), rename=rename, forbid_unknown_fields=True, gc=False)


def _body(key: str, kind: Any) -> Any:
    from typing import Literal

    signature = ("signature_name", Literal["serving_default"], "serving_default")
    return msgspec.defstruct("Body", [(key, kind), signature], forbid_unknown_fields=True)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error


def _names(expected: Sequence[str], received: Mapping[str, Any], place: str) -> list[str]:
    missing = [f'{place}: feature "{name}" is missing' for name in expected if name not in received]
    unknown = [f'{place}: unknown feature "{name}"' for name in received if name not in expected]
    return missing + unknown


def _shape_problems(one: Input, tensor: V2Tensor) -> list[str]:
    place = f'inputs: feature "{one.name}": '
    if tensor.datatype not in _V2_TYPES[one.dtype]:
        wanted = " or ".join(_V2_TYPES[one.dtype])
        return [f"{place}expected datatype {wanted}, received {_shown(tensor.datatype)}"]
    if tensor.shape not in ([len(tensor.data)], [len(tensor.data), 1]):
        rows = len(tensor.data)
        return [f"{place}expected shape [{rows}] or [{rows}, 1] for its data, received {tensor.shape}"]
    return []


def _raise_if(problems: list[str]) -> None:
    if problems:
        raise RequestError(*problems[:MOST_PROBLEMS])


def _unwrap(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _problem(one: Input, value: Any) -> str:
    """Return what is wrong with a value of a feature; empty when nothing is."""
    if value is None or (value == "" and one.dtype == "string"):
        return "" if one.nullable else f"expected {_WORDS[one.dtype]}, received {_shown(value)}"
    fits = {"float32": _is_number, "int64": _is_integer, "string": _is_text}[one.dtype](value)
    return "" if fits else f"expected {_WORDS[one.dtype]}, received {_shown(value)}"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= _LARGEST


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) < value < 2**63


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _float_array(values: list[Any], one: Input) -> Array:
    numbers = np.array(values, np.float64)
    if np.any(np.abs(numbers) > _LARGEST):  # NaN, a missing value, compares false
        raise RequestError(f'feature "{one.name}" holds a number beyond 32 bits')
    return numbers.astype(np.float32)


def _integer_array(values: list[Any], _one: Input) -> Array:
    return np.array([MISSING_INT if value is None else value for value in values], np.int64)


def _string_array(values: list[Any], one: Input) -> Array:
    if not one.nullable and "" in values:
        raise RequestError(f'feature "{one.name}" holds an empty string')
    return np.array(["" if value is None else value for value in values], object)


_ARRAYS: dict[str, Callable[[list[Any], Input], Array]] = {
    "float32": _float_array,
    "int64": _integer_array,
    "string": _string_array,
}
