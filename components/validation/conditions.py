"""Row filters: Great Expectations' row conditions as Arrow masks."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.validation.kernels import compare, members
from components.validation.view import InapplicableError, View


def row_filter(condition: Mapping[str, Any] | str, view: View) -> pa.BooleanArray:
    """Return which rows a row condition keeps; null where a compared value is missing.

    Args:
        condition: A condition as ``Column("age") > 5`` serialises: ``type`` comparison, nullity, and, or.

    Raises:
        InapplicableError: The condition is pandas text, or cannot be applied to its column.
    """
    if isinstance(condition, str) or condition.get("type") not in _FILTERS:
        raise InapplicableError(
            f"row condition {condition!r} is not supported: write it with great_expectations' Column objects"
        )
    return _FILTERS[condition["type"]](condition, view)


def _comparison(condition: Mapping[str, Any], view: View) -> pa.BooleanArray:
    name = condition["column"]["name"]
    array, operator, operand = view.column(name), condition["operator"], condition["parameter"]
    present = pc.invert(view.missing(name))
    if operator in ("IN", "NOT_IN"):
        found = pc.is_in(array, value_set=members(operand, array.type))
        return found if operator == "IN" else pc.invert(found)
    kept = compare(array, operator, operand)
    # As in pandas: a missing value differs from everything and compares with nothing.
    return pc.or_(pc.fill_null(kept, False), pc.invert(present)) if operator == "!=" else kept


def _nullity(condition: Mapping[str, Any], view: View) -> pa.BooleanArray:
    missing = view.missing(condition["column"]["name"])
    return missing if condition["is_null"] else pc.invert(missing)


def _and(condition: Mapping[str, Any], view: View) -> pa.BooleanArray:
    return functools.reduce(pc.and_, [_known(part, view) for part in condition["conditions"]])


def _or(condition: Mapping[str, Any], view: View) -> pa.BooleanArray:
    return functools.reduce(pc.or_, [_known(part, view) for part in condition["conditions"]])


def _known(condition: Mapping[str, Any], view: View) -> pa.BooleanArray:
    return pc.fill_null(row_filter(condition, view), False)


_FILTERS = {"comparison": _comparison, "nullity": _nullity, "and": _and, "or": _or}


def columns_of(condition: Mapping[str, Any] | str | None) -> list[str]:
    """Return the names of the columns a row condition reads."""
    if condition is None or isinstance(condition, str):
        return []
    inner = [name for part in condition.get("conditions", ()) for name in columns_of(part)]
    return [*inner, *([condition["column"]["name"]] if "column" in condition else [])]
