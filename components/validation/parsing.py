"""Row rules that read a value's text: dates, JSON, and Python types of columns without a numpy type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from components.validation.kernels import Kernel, per_value
from components.validation.view import InapplicableError, is_text

# What one value of such a column is in Python, for "of type" rules on columns numpy has no type for.
_PYTHON_TYPES = (
    (pa.types.is_date, ("date", "datetime.date")),
    (pa.types.is_time, ("time", "datetime.time")),
    (pa.types.is_decimal, ("Decimal", "decimal.Decimal")),
    (pa.types.is_binary, ("bytes",)),
    (pa.types.is_large_binary, ("bytes",)),
    (pa.types.is_struct, ("dict",)),
    (pa.types.is_list, ("list", "ndarray")),
    (pa.types.is_large_list, ("list", "ndarray")),
    (pa.types.is_fixed_size_list, ("list", "ndarray")),
    (pa.types.is_map, ("list",)),
)


def dateutil_parseable(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Texts that ``dateutil`` reads as a date or time."""
    from dateutil.parser import parse

    return _readable(array, parse, (ValueError, OverflowError))


def match_strftime_format(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Texts that ``strftime_format`` reads completely."""
    from datetime import datetime

    form = arguments["strftime_format"]

    def read(text: str) -> None:
        datetime.strptime(text, form)  # noqa: DTZ007 - only asked whether it can be read

    return _readable(array, read, (ValueError,))


def json_parseable(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Texts that are JSON."""
    return _readable(array, json.loads, (ValueError, RecursionError))


def match_json_schema(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Texts that are JSON and fulfil ``json_schema``.

    Raises:
        InapplicableError: The JSON schema itself is wrong.
    """
    import jsonschema

    kind = jsonschema.validators.validator_for(arguments["json_schema"])
    try:
        kind.check_schema(arguments["json_schema"])
    except jsonschema.SchemaError as error:
        raise InapplicableError(f"the JSON schema is wrong: {error.message}") from error
    validator = kind(arguments["json_schema"])

    def validate(text: str) -> None:
        if not validator.is_valid(json.loads(text)):
            raise ValueError

    return _readable(array, validate, (ValueError, RecursionError))


def _readable(array: pa.Array, read: Any, errors: tuple[type[Exception], ...]) -> pa.BooleanArray:
    if not (is_text(array.type) or pa.types.is_null(array.type)):
        raise InapplicableError(f"only text can be read, the column holds {array.type}")

    def readable(text: str) -> bool:
        try:
            read(text)
        except errors:
            return False
        return True

    return per_value(array, readable, pa.bool_())


def of_type(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Values whose Python type is ``type_``: all of a column or none, as Arrow columns hold one type."""
    return in_type_list(array, {"type_list": [arguments["type_"]]})


def in_type_list(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Values whose Python type is in ``type_list``."""
    names = next((names for check, names in _PYTHON_TYPES if check(array.type)), ())
    return pa.repeat(pa.scalar(bool(set(names) & set(arguments["type_list"]))), len(array))


RULES: dict[str, Kernel] = {
    "column_values.dateutil_parseable": dateutil_parseable,
    "column_values.match_strftime_format": match_strftime_format,
    "column_values.json_parseable": json_parseable,
    "column_values.match_json_schema": match_json_schema,
    "column_values.of_type": of_type,
    "column_values.in_type_list": in_type_list,
}
