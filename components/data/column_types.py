"""Column types: their names, what text can become, and which type holds two others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from orchestration import ArgumentError

# What text may become, narrowest first. Text that fits none of them stays text.
LADDER: tuple[pa.DataType, ...] = (
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("ns"),
)
_ALIASES = {
    "int": "int64",
    "integer": "int64",
    "float64": "double",
    "float32": "float",
    "str": "string",
    "text": "string",
    "boolean": "bool",
    "date": "date32[day]",
    "date32": "date32[day]",
    "timestamp": "timestamp[us]",
}
_PLAIN: dict[str, pa.DataType] = {
    str(kind): kind
    for kind in (
        pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(),
        pa.uint32(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(),
        pa.binary(), pa.large_binary(), pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"),
        pa.time64("us"), pa.time64("ns"), pa.duration("s"), pa.duration("ms"), pa.duration("us"),
        pa.duration("ns"), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"),
    )
}  # fmt: skip
_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=([^\]]+)\]")
_DECIMAL = re.compile(r"decimal(128|256)\((\d+), ?(-?\d+)\)")
_FIXED = re.compile(r"fixed_size_binary\[(\d+)\]")


def parse_type(name: str) -> pa.DataType:
    """Return the Arrow type of a name as ``str(type)`` writes it, or of a common alias.

    Args:
        name: For example ``"double"``, ``"int64"``, ``"timestamp[us, tz=UTC]"``,
            ``"list<item: string>"``, ``"struct<a: int64, b: string>"``.

    Raises:
        ArgumentError: The name means no type.
    """
    kind, rest = _parse(name.strip())
    if kind is None or rest.strip():
        raise ArgumentError(
            f'"{name}" is not a column type',
            expected="an Arrow type such as int64, double, string, bool, date32, timestamp[us], "
            "list<item: string>",
            received=name,
        )
    return kind


def _parse(text: str) -> tuple[pa.DataType | None, str]:
    """Parse one type from the front of ``text``; return it and what follows it."""
    for opening, build in (("list<", pa.list_), ("large_list<", pa.large_list)):
        if text.startswith(opening):
            fields, rest = _fields(text[len(opening) :])
            return (build(fields[0]) if fields and len(fields) == 1 else None), rest
    if text.startswith("struct<"):
        fields, rest = _fields(text[7:])
        return (None if fields is None else pa.struct(fields)), rest
    match = re.match(r"(?:(?! not null)[^,<>\[(])+(\[[^\]]*\]|\([^)]*\))?", text)
    if match is None:
        return None, text
    return _leaf(match[0].strip()), text[match.end() :]


def _fields(text: str) -> tuple[list[pa.Field] | None, str]:
    fields = []
    while text and not text.startswith(">"):
        name, _, rest = text.partition(": ")
        kind, text = _parse(rest)
        if kind is None:
            return None, text
        fields.append(pa.field(name, kind, not text.startswith(" not null")))
        text = text.removeprefix(" not null").removeprefix(", ")
    return (fields if text else None), text[1:]


def _leaf(name: str) -> pa.DataType | None:
    name = _ALIASES.get(name, name)
    if name in _PLAIN:
        return _PLAIN[name]
    if zoned := _ZONED.fullmatch(name):
        return pa.timestamp(zoned[1], zoned[2])
    if decimal := _DECIMAL.fullmatch(name):
        build = pa.decimal128 if decimal[1] == "128" else pa.decimal256
        return build(int(decimal[2]), int(decimal[3]))
    if fixed := _FIXED.fullmatch(name):
        return pa.binary(int(fixed[1]))
    return None


def infer_type(texts: pa.Array) -> pa.DataType:
    """Return the narrowest type that every text of an array can become; ``null`` for no text at all."""
    present = texts.drop_null()
    if not len(present):
        return pa.null()
    return next((kind for kind in LADDER if fits(present, kind)), pa.string())


def fits(texts: pa.Array, kind: pa.DataType) -> bool:
    """Tell whether every text of an array can become ``kind``."""
    try:
        to_type(texts, kind)
    except pa.ArrowInvalid:
        return False
    return True


def to_type(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Turn an array of text into another type; white space around a number or a date is dropped.

    Raises:
        pyarrow.ArrowInvalid: A text cannot become ``kind``.
    """
    if kind.equals(texts.type):
        return texts
    if pa.types.is_null(kind):
        return pa.nulls(len(texts), kind)
    if pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        return pc.cast(texts, kind)
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        # Trimmed only where it is needed: it costs as much as the conversion.
        return pc.cast(pc.utf8_trim_whitespace(texts), kind)


def first_misfit(texts: pa.Array, kind: pa.DataType) -> int | None:
    """Return the place of the first text that cannot become ``kind``, found by halving."""
    if fits(texts, kind):
        return None
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(texts[low:middle], kind) else (low, middle)
    return low


def misfits(texts: pa.Array, kind: pa.DataType) -> Iterator[int]:
    """Yield the place of every text that cannot become ``kind``."""
    start = 0
    while (place := first_misfit(texts[start:], kind)) is not None:
        yield start + place
        start += place + 1


def stored_types(stated: Mapping[str, str] | None) -> dict[str, pa.DataType]:
    """Return the types a caller stated by column, as they are stored.

    Raises:
        ArgumentError: A name is no type.
    """
    return {name: stored_type(parse_type(kind)) for name, kind in (stated or {}).items()}


def join_types(left: pa.DataType, right: pa.DataType, *, text: bool = False) -> pa.DataType | None:
    """Return the type that holds the values of both, or None where there is none.

    Args:
        left: A type.
        right: Another type.
        text: Whether both stand for text that has not been converted yet, so that text can hold both.
    """
    if left.equals(right) or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    for one, other in ((left, right), (right, left)):
        if _widens(one, other):
            return other
    joined = _join_parts(left, right)
    return pa.string() if joined is None and text else joined


def _join_parts(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """Join two lists by their items, two structs by their fields, two decimals by their digits."""
    if pa.types.is_list(left) and pa.types.is_list(right):
        item = join_types(left.value_type, right.value_type)
        return None if item is None else pa.list_(pa.field("item", item))
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        fields = {field.name: field.type for field in left}
        for field in right:
            joined = join_types(fields.get(field.name, pa.null()), field.type)
            if joined is None:
                return None
            fields[field.name] = joined
        return pa.struct(list(fields.items()))
    if pa.types.is_decimal(left) and pa.types.is_decimal(right):
        scale = max(left.scale, right.scale)
        digits = max(left.precision - left.scale, right.precision - right.scale) + scale
        if digits > 76:
            return None
        return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)
    return None


def _widens(narrow: pa.DataType, wide: pa.DataType) -> bool:
    if pa.types.is_integer(narrow) and pa.types.is_integer(wide):
        safe = pa.types.is_signed_integer(wide) or pa.types.is_unsigned_integer(narrow)
        return bool(wide.bit_width > narrow.bit_width and safe)
    if pa.types.is_integer(narrow) and pa.types.is_floating(wide):
        return bool(wide.bit_width == 64 or wide.bit_width > narrow.bit_width)
    if pa.types.is_floating(narrow) and pa.types.is_floating(wide):
        return bool(wide.bit_width > narrow.bit_width)
    if pa.types.is_date32(narrow):
        return bool(pa.types.is_timestamp(wide) and wide.tz is None)
    if pa.types.is_timestamp(narrow) and pa.types.is_timestamp(wide):
        finer = ("s", "ms", "us", "ns")
        return bool(narrow.tz == wide.tz and finer.index(narrow.unit) < finer.index(wide.unit))
    return False


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which Headrace stores values of ``kind``: no dictionaries, one kind of text."""
    if pa.types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if pa.types.is_large_string(kind) or str(kind) == "string_view":
        return pa.string()
    if pa.types.is_large_binary(kind) or str(kind) == "binary_view":
        return pa.binary()
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)  # Parquet has no seconds
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(pa.field("item", stored_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, stored_type(f.type)) for f in kind])
    return kind
