"""Single values of columns as JSON holds them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.statistics.statistics import Kind

Shown = str | int | float | bool

LONGEST_SHOWN = 1000
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def family(kind: pa.DataType) -> tuple[Kind, float]:
    """Return the family of a type of numbers, and the factor that turns its unit into seconds."""
    if pa.types.is_boolean(kind):
        return "bool", 1.0
    if pa.types.is_date32(kind):
        return "time", 86_400.0
    if pa.types.is_date64(kind):
        return "time", 1e-3
    if pa.types.is_temporal(kind):
        return "time", _SECONDS[kind.unit]
    return "number", 1.0


def iso_text(value: int | None, kind: pa.DataType) -> str | None:
    """Return a time, a date or a duration, given as its whole number, as text."""
    if value is None:
        return None
    raw = pa.int32() if kind.bit_width == 32 else pa.int64()
    array = pa.array([value], raw).view(kind)
    if pa.types.is_duration(kind):
        return f"{value} {kind.unit}"
    return str(pc.cast(array, pa.string())[0].as_py())


def number_shown(value: Any, kind: pa.DataType) -> Shown:
    """Return a number of a column of type ``kind``: booleans as such, times as ISO text."""
    if pa.types.is_boolean(kind):
        return bool(value)
    if pa.types.is_temporal(kind):
        return iso_text(value, kind) or ""
    return value  # type: ignore[no-any-return]  # a Python number


def shown(scalar: pa.Scalar) -> Shown:
    """Return a scalar of any type; what JSON does not know as its text."""
    kind = scalar.type
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return number_shown(scalar.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).as_py(), kind)
    value = scalar.as_py()
    if isinstance(value, bool | int | str):
        return cut_text(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return value + 0.0 if value - value == 0 else str(value)
    return cut_text(str(value))


def cut_text(text: str) -> str:
    """Return a text of at most 1,000 characters, the last one an ellipsis where it was cut."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
