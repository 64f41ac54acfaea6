"""Row rules: which values of a column keep a rule. One function per rule, by Great Expectations' name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.validation.metrics import plain
from components.validation.view import InapplicableError, is_temporal, is_text, moment

Arguments = Mapping[str, Any]
Kernel = Callable[[pa.Array, Arguments], pa.BooleanArray]

_EXACT = 2**53
_NAMED = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def members(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return a value set as an array of a column's type, without the values no such column can hold."""
    if pa.types.is_floating(kind):
        values = [_NAMED.get(value, value) if isinstance(value, str) else value for value in values]
    if not is_temporal(kind):
        try:
            return pa.array(values, type=kind)
        except (pa.ArrowException, TypeError, OverflowError):
            pass  # mixed with values the column cannot hold: sort these out one by one
    kept = []
    for value in values:
        try:
            if is_temporal(kind):
                kept.append(moment(value, kind).as_py())
            elif is_text(kind) == isinstance(value, str):
                converted = pa.scalar(value).cast(kind, safe=True).as_py()
                if converted == value:
                    kept.append(converted)
        except (pa.ArrowException, InapplicableError):
            continue
    return pa.array(kept, type=kind)


def in_set(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that are in ``value_set``; every value where there is none."""
    if arguments.get("value_set") is None:
        return _all(array)
    if pa.types.is_floating(array.type):
        array = pc.add(array, pa.scalar(0.0, array.type))  # -0.0 and 0.0 are one value
    return pc.is_in(array, value_set=members(arguments["value_set"], array.type))


def not_in_set(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that are not in ``value_set``."""
    if arguments.get("value_set") is None:
        return _all(array)
    return pc.invert(in_set(array, arguments))


def between(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values within ``min_value`` and ``max_value``, each end included unless ``strict``."""
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None and high is None:
        raise InapplicableError("min_value and max_value cannot both be left out")
    within = _all(array)
    if low is not None:
        within = pc.and_(within, compare(array, ">" if arguments.get("strict_min") else ">=", low))
    if high is not None:
        within = pc.and_(within, compare(array, "<" if arguments.get("strict_max") else "<=", high))
    return within


def compare(array: pa.Array, operator: str, value: Any) -> pa.BooleanArray:
    """Return which values stand in a relation to one value, null where they are null.

    Args:
        array: Numbers, booleans, text, dates or times.
        operator: ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
        value: A JSON value; times as ISO text, infinities as ``"inf"``.

    Raises:
        InapplicableError: The column's values cannot be compared with it.
    """
    kind = array.type
    if pa.types.is_boolean(kind):
        array, value = array.cast(pa.int8()), int(value) if isinstance(value, bool) else value
    if is_temporal(kind):
        return _COMPARE[operator](array, moment(value, kind))
    if is_text(kind) and isinstance(value, str):
        return _COMPARE[operator](array, pa.scalar(value))
    bound = number(value)
    comparable = _is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    if bound is None or not comparable:
        raise InapplicableError(f"{value!r} cannot be compared with {kind}")
    if pa.types.is_integer(array.type):
        return _compare_integers(array, operator, bound)
    return _COMPARE[operator](array, pa.scalar(bound, None if pa.types.is_decimal(kind) else pa.float64()))


def _compare_integers(array: pa.Array, operator: str, value: float) -> pa.BooleanArray:
    if not isinstance(value, int) and abs(value) > _EXACT and math.isfinite(value):
        return _COMPARE[operator](array.cast(pa.float64(), safe=False), pa.scalar(value))
    bits = array.type.bit_width
    signed = pa.types.is_signed_integer(array.type)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if not low <= value <= high:
        holds = {"<": value > high, ">": value < low, "=": False, "!": True}[operator[0]]
        return pc.and_kleene(pc.is_valid(array), pa.scalar(holds))
    whole = math.floor(value)
    if whole != value:  # no whole number equals it: the same relation to the whole numbers around it
        if operator in ("==", "!="):
            return pc.and_kleene(pc.is_valid(array), pa.scalar(operator == "!="))
        operator, whole = ("<=", whole) if operator[0] == "<" else (">=", whole + 1)
    return _COMPARE[operator](array, pa.scalar(whole, array.type))


def number(value: Any) -> int | float | None:
    """Return a JSON value as a number, infinities from their names; None if it is none."""
    if isinstance(value, str):
        return _NAMED.get(value)
    return value if isinstance(value, int | float) else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def length_between(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values whose text has between ``min_value`` and ``max_value`` characters."""
    return between(lengths(array), arguments)


def length_equals(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values whose text has ``value`` characters."""
    return pc.equal(lengths(array), int(arguments["value"]))


def lengths(array: pa.Array) -> pa.Array:
    """Return the number of characters of every value's text, of bytes their number."""
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return pc.binary_length(array).cast(pa.int64())
    return pc.utf8_length(texts(array)).cast(pa.int64())


def texts(array: pa.Array) -> pa.Array:
    """Return every value as text: numbers as Python prints them, bytes as UTF-8 with the others escaped.

    Raises:
        InapplicableError: The column holds lists or structs, whose text means nothing.
    """
    if is_text(array.type):
        return array
    if pa.types.is_nested(array.type):
        raise InapplicableError(
            f"a column of {array.type} has no text (for lists: expect_column_list_lengths_to_be_between)"
        )
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return per_value(array, plain, pa.string())
    return per_value(array, str, pa.string())


def per_value(array: pa.Array, function: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    """Apply a Python function to every distinct value once."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_nested(array.type):  # Arrow cannot tell distinct ones
        return pa.array([None if v is None else function(v) for v in array.to_pylist()], type=kind)
    encoded = array.dictionary_encode()
    results = [None if v is None else function(v) for v in encoded.dictionary.to_pylist()]
    return pa.array(results, type=kind).take(encoded.indices)


def match_regex(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values in whose text ``regex`` is found."""
    return search(texts(array), arguments["regex"])


def not_match_regex(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values in whose text ``regex`` is not found."""
    return pc.invert(match_regex(array, arguments))


def match_regex_list(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values in whose text any (or, with ``match_on="all"``, every) expression is found."""
    combine = pc.and_ if arguments.get("match_on") == "all" else pc.or_
    text = texts(array)
    found = [search(text, regex) for regex in arguments["regex_list"]]
    if not found:
        raise InapplicableError("regex_list is empty")
    result = found[0]
    for other in found[1:]:
        result = combine(result, other)
    return result


def not_match_regex_list(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values in whose text none of ``regex_list`` is found."""
    return pc.invert(match_regex_list(array, {"regex_list": arguments["regex_list"]}))


def search(text: pa.Array, regex: str) -> pa.BooleanArray:
    """Return where a regular expression is found: RE2, or Python's where RE2 does not know the syntax."""
    try:
        return pc.match_substring_regex(text, regex)
    except pa.ArrowInvalid:
        try:
            compiled = re.compile(regex)
        except re.error as error:
            raise InapplicableError(f"regular expression {regex!r} is wrong: {error}") from error
        return per_value(text, lambda value: compiled.search(value) is not None, pa.bool_())


def match_like_pattern(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that match an SQL ``LIKE`` pattern."""
    return search(texts(array), like(arguments["like_pattern"], arguments.get("escape")))


def not_match_like_pattern(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that do not match an SQL ``LIKE`` pattern."""
    return pc.invert(match_like_pattern(array, arguments))


def match_like_pattern_list(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that match any (``match_on="all"``: every) SQL ``LIKE`` pattern."""
    patterns = [like(pattern, arguments.get("escape")) for pattern in arguments["like_pattern_list"]]
    return match_regex_list(array, {"regex_list": patterns, "match_on": arguments.get("match_on")})


def not_match_like_pattern_list(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that match none of some SQL ``LIKE`` patterns."""
    patterns = [like(pattern, arguments.get("escape")) for pattern in arguments["like_pattern_list"]]
    return not_match_regex_list(array, {"regex_list": patterns})


def like(pattern: str, escape: str | None) -> str:
    """Return an SQL ``LIKE`` pattern as a regular expression."""
    parts, literal = [], False
    for character in pattern:
        if literal or character not in ("%", "_", escape):
            parts.append(re.escape(character))
            literal = False
        elif character == escape:
            literal = True
        else:
            parts.append(".*" if character == "%" else ".")
    return f"(?s)^{''.join(parts)}$"


def finite(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Numbers that are not infinite; whole numbers always are."""
    if not (
        pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_null(array.type)
    ):
        raise InapplicableError(f"only numbers can be infinite, the column holds {array.type}")
    return pc.is_finite(array) if pa.types.is_floating(array.type) else _all(array)


def utf8(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Values that are UTF-8 text; strings always are, Arrow checks them when they are made."""
    if is_text(array.type) or pa.types.is_null(array.type):
        return _all(array)
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise InapplicableError(f"only bytes can be read as text, the column holds {array.type}")
    return per_value(array, _is_utf8, pa.bool_())


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def list_length_between(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Lists with between ``min_value`` and ``max_value`` items."""
    if not (
        pa.types.is_list(array.type)
        or pa.types.is_large_list(array.type)
        or pa.types.is_map(array.type)
        or pa.types.is_fixed_size_list(array.type)
    ):
        raise InapplicableError(f"only lists have items, the column holds {array.type}")
    return between(pc.list_value_length(array), arguments)


def _all(array: pa.Array) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(True), len(array))


RULES: dict[str, Kernel] = {
    "column_values.in_set": in_set,
    "column_values.not_in_set": not_in_set,
    "column_values.between": between,
    "column_values.value_length.between": length_between,
    "column_values.value_length.equals": length_equals,
    "column_values.finite": finite,
    "column_values.utf8": utf8,
    "column_values.list_length.between": list_length_between,
    "column_values.match_regex": match_regex,
    "column_values.not_match_regex": not_match_regex,
    "column_values.match_regex_list": match_regex_list,
    "column_values.not_match_regex_list": not_match_regex_list,
    "column_values.match_like_pattern": match_like_pattern,
    "column_values.not_match_like_pattern": not_match_like_pattern,
    "column_values.match_like_pattern_list": match_like_pattern_list,
    "column_values.not_match_like_pattern_list": not_match_like_pattern_list,
}
