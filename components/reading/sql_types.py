"""Arrow types of a query's columns: from what the database declares, else from the values."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.data.column_types import stored_type, to_type
from components.data.errors import ColumnTypeError
from components.reading.bad_rows import shown_text
from components.reading.sql_database import POSTGRES

if TYPE_CHECKING:
    import sqlalchemy as sa

_TEXT = (18, 19, 25, 1042, 1043, 2950)  # "char", name, text, char(n), varchar, uuid
_BY_OID: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
    **dict.fromkeys(_TEXT, pa.string()),
}
_NUMERIC = 1700
_ARRAYS = {1000: 16, 1005: 21, 1007: 23, 1009: 25, 1015: 1043, 1016: 20, 1021: 700, 1022: 701, 1182: 1082}


def declared_types(result: sa.CursorResult[Any], dialect: str) -> dict[str, pa.DataType]:
    """Return the types of the columns whose declaration says it all; on PostgreSQL that is most of them."""
    if dialect != POSTGRES or result.cursor is None:
        return {}
    found = {column[0]: _declared(column) for column in result.cursor.description or ()}
    return {name: kind for name, kind in found.items() if kind is not None}


def _declared(column: Any) -> pa.DataType | None:
    oid = column[1]
    if oid in _ARRAYS:
        return pa.list_(pa.field("item", _BY_OID[_ARRAYS[oid]]))
    if oid == _NUMERIC:
        precision, scale = column[4], column[5]
        if not precision or scale is None or not 0 <= scale <= precision <= 76:
            return None
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return _BY_OID.get(oid)


def seen_type(values: Sequence[Any], column: str, where: str) -> pa.DataType:
    """Return the type that a column's values show; ``null`` for none.

    Raises:
        ColumnTypeError: They are of different types, or of one that Arrow does not know.
    """
    try:
        kind = pa.array(plain(values)).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ColumnTypeError(
            f'column "{column}" of {where} holds values that have no common type',
            expected="values of one type",
            received=_kinds(values) + f" ({shown_text(str(error))})",
            next=f"CAST({column} AS …) in the query",
        ) from error
    if pa.types.is_timestamp(kind):
        return pa.timestamp(kind.unit, "UTC" if kind.tz else None)
    return kind if pa.types.is_null(kind) else stored_type(kind)


def _kinds(values: Sequence[Any]) -> str:
    return " and ".join(sorted({type(value).__name__ for value in values if value is not None}))


def plain(values: Sequence[Any]) -> list[Any]:
    """Return values as Arrow takes them: identifiers as text, views of memory as bytes."""
    return [
        str(value)
        if isinstance(value, uuid.UUID)
        else bytes(value)
        if isinstance(value, memoryview)
        else plain(value)
        if isinstance(value, list)
        else value
        for value in values
    ]


def as_array(values: Sequence[Any], field: pa.Field, where: str) -> pa.Array:
    """Return a column's values in its type; text becomes what it says.

    Raises:
        ColumnTypeError: A value is not of the type.
    """
    clean = plain(values)
    try:
        if any(isinstance(value, str) for value in clean) and not pa.types.is_nested(field.type):
            return to_type(pa.array(clean, pa.string()), field.type)
        try:
            return pa.array(clean, field.type)
        except (pa.ArrowException, TypeError):
            return pa.array(clean).cast(field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ColumnTypeError(
            f'column "{field.name}" of {where} holds a value that is not {field.type}',
            expected=str(field.type),
            received=f"{_kinds(values)}: {shown_text(str(error).partition(chr(10))[0])}",
            next=f'read_sql(..., column_types={{"{field.name}": …}}), or CAST in the query',
        ) from error
