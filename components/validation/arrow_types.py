"""Arrow types from their names."""

from __future__ import annotations

import functools
import re

import pyarrow as pa

from orchestration import DataError

_SIMPLE = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "halffloat": pa.float16(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "binary_view": pa.binary_view(),
    "date32[day]": pa.date32(),
    "date64[ms]": pa.date64(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    **{
        f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}
_TIMED = re.compile(r"(timestamp|duration|time32|time64)\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)?\((\d+), (-?\d+)\)")
_LIST = re.compile(r"(list|large_list|list_view|fixed_size_list)<(?:[^:<>]+: )?(.+)>(?:\[(\d+)\])?")


@functools.cache
def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type that ``str(type)`` wrote.

    Structs, maps and other nested types come back as a struct without fields: nothing here needs more of them
    than that they are nested.

    Raises:
        DataError: The name is no Arrow type.
    """
    if name in _SIMPLE:
        return _SIMPLE[name]
    if found := _TIMED.fullmatch(name):
        kind, unit, zone = found.groups()
        return pa.timestamp(unit, tz=zone) if kind == "timestamp" else getattr(pa, kind)(unit)
    if found := _DECIMAL.fullmatch(name):
        bits, precision, scale = found.groups()
        return getattr(pa, f"decimal{bits or 128}")(int(precision), int(scale))
    if found := _LIST.fullmatch(name):
        return pa.list_(arrow_type(found[2].removesuffix(" not null")))
    if name.startswith("dictionary<values="):
        return arrow_type(name.removeprefix("dictionary<values=").split(", indices=")[0])
    if name.startswith(("struct<", "map<", "dense_union<", "sparse_union<", "fixed_size_binary[")):
        return pa.binary() if name.startswith("fixed") else pa.struct([])
    raise DataError(
        f'"{name}" is no Arrow type',
        expected='a name as "int64", "double", "string" or "timestamp[us]"',
        received=name,
    )
