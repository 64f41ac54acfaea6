"""Row rules over several columns: which rows break a rule, and which are left out for missing values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.validation.view import InapplicableError, View

Relation = Callable[[View, list[str], Mapping[str, Any]], pa.BooleanArray]


def considered(view: View, columns: list[str], ignore_row_if: str) -> pa.BooleanArray:
    """Return which rows a rule looks at.

    Raises:
        InapplicableError: ``ignore_row_if`` is none of Great Expectations' words.
    """
    if ignore_row_if in ("never", "neither"):
        return pa.repeat(pa.scalar(True), view.rows)
    missing = [view.missing(name) for name in columns]
    if ignore_row_if in ("all_values_are_missing", "both_values_are_missing"):
        return pc.invert(functools.reduce(pc.and_, missing))
    if ignore_row_if in ("any_value_is_missing", "either_value_is_missing"):
        return pc.invert(functools.reduce(pc.or_, missing))
    raise InapplicableError(f'ignore_row_if="{ignore_row_if}" is unknown')


def pair_equal(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows whose two values are equal; text and numbers never are."""
    try:
        return _compare(pc.equal, view, columns)
    except InapplicableError:
        return pa.repeat(pa.scalar(False), view.rows)


def pair_greater(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows whose first value is greater than the second (``or_equal``: or equal to it)."""
    return _compare(pc.greater_equal if arguments.get("or_equal") else pc.greater, view, columns)


def _compare(compare: Any, view: View, columns: list[str]) -> pa.BooleanArray:
    first, second = (view.column(name) for name in columns)
    try:
        return compare(first, second)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InapplicableError(f"{first.type} cannot be compared with {second.type}") from error


def pair_in_set(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows whose two values are one of ``value_pairs_set``; missing values are None there."""
    pairs = arguments.get("value_pairs_set")
    if pairs is None:
        return pa.repeat(pa.scalar(True), view.rows)
    allowed = {tuple(pair) for pair in pairs}
    values = [_python(view, name) for name in columns]
    return pa.array([pair in allowed for pair in zip(*values, strict=True)], type=pa.bool_())


def _python(view: View, name: str) -> list[Any]:
    array, missing = view.column(name), view.missing(name)
    values: list[Any] = pc.if_else(missing, pa.scalar(None, array.type), array).to_pylist()
    return values


def values_equal(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows whose values are all equal; missing equals missing."""
    first, *others = columns
    same = [pa.repeat(pa.scalar(True), view.rows)]
    for other in others:
        both_missing = pc.and_(view.missing(first), view.missing(other))
        equal = pc.fill_null(pair_equal(view, [first, other], {}), False)
        same.append(pc.or_(equal, both_missing))
    return functools.reduce(pc.and_, same)


def sum_equals(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows whose values add up to ``sum_total``; a missing value makes the sum missing."""
    arrays = [view.column(name) for name in columns]
    for name, array in zip(columns, arrays, strict=True):
        if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
            raise InapplicableError(f'column "{name}" holds {array.type}, not numbers')
    total = functools.reduce(pc.add, arrays)
    return pc.equal(total, pa.scalar(float(arguments["sum_total"])))


def list_lengths_equal(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows whose two lists have equally many items."""
    arrays = [view.column(name) for name in columns]
    for name, array in zip(columns, arrays, strict=True):
        if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
            raise InapplicableError(f'column "{name}" holds {array.type}, not lists')
    first, second = (pc.list_value_length(array).cast(pa.int64()) for array in arrays)
    return pc.equal(first, second)


def missing_together(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows with a value in all columns or in none."""
    missing = [view.missing(name) for name in columns]
    return pc.equal(functools.reduce(pc.and_, missing), functools.reduce(pc.or_, missing))


def satisfy(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows of which ``condition`` is not known to be false."""
    from components.reading.row_condition import Condition
    from orchestration import DataError

    try:
        broken = Condition(f"not ({arguments['condition']})").mask(view.batch)
    except DataError as error:
        raise InapplicableError(f"{error.received} ({error.expected})") from error
    return pc.invert(broken)


def unique_within_record(view: View, columns: list[str], arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Rows without two equal values; two missing values are equal."""
    result = pa.repeat(pa.scalar(True), view.rows)
    for index, first in enumerate(columns):
        for second in columns[index + 1 :]:
            result = pc.and_(result, pc.invert(values_equal(view, [first, second], {})))
    return result


RELATIONS: dict[str, Relation] = {
    "column_pair_values.equal": pair_equal,
    "column_pair_values.a_greater_than_b": pair_greater,
    "column_pair_values.in_set": pair_in_set,
    "multicolumn_values.equal": values_equal,
    "multicolumn_sum.equal": sum_equals,
    "column_pair_values.list_lengths_equal": list_lengths_equal,
    "multicolumn_values.missing_together": missing_together,
    "multicolumn_values.satisfy": satisfy,
    "select_column_values.unique.within_record": unique_within_record,
}
